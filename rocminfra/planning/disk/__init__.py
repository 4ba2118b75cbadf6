"""Decide what to do with the scratch disk. Only these decisions can lead to mkfs."""
