"""Programs that are sent along with a command, each a single file. Standard library only."""
