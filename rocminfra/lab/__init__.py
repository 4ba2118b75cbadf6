"""The practice droplet; nothing outside this package knows that it is not a real one."""
