"""Connectors for pyinfra: SSH with a host's facts fetched in one exec (``@rocminfra/NAME``)."""
