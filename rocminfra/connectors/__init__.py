"""pyinfra connector: SSH that fetches a host's facts in one exec (``@rocminfra/NAME``)."""
