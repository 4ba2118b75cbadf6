"""Hosts from a file, the environment and ssh_config."""
