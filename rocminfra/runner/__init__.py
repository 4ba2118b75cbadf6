"""The rocminfra command: runs the playbook in its own process and returns results as data."""
