"""Decisions as pure functions. Standard library only, no I/O, no pyinfra."""
