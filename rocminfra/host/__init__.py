"""Programs that run on the host, one folder per way of getting there. Standard library only."""
