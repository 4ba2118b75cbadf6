"""Programs that are installed on the host, each a single file. Standard library only."""
