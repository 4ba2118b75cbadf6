"""The practice droplet. Nothing outside this package knows that it is not a real one."""
