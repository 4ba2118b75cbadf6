"""A run of the playbook in this process, and what came of it, as data."""
