"""Programs of a benchmark: a package on the host, standard library only."""
