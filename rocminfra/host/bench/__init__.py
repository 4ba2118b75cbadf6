"""Benchmark programs: a package on the host. Standard library only."""
