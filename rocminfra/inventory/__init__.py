"""Hosts from a file, the environment, ssh_config."""
