"""Programs that run on the host, a folder for each way they get there: standard library only."""
