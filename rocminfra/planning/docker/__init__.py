"""What becomes of the Docker that a host has: kept, configured, or refused as it is."""
