"""A run of the playbook in this process, and its results as data."""
