"""Programs that are installed on the host, each a single file: standard library only."""
