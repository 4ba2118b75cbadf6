"""The rocminfra command: runs the playbook in process; results are data."""
