"""Benchmarks: scenario, run on the host, collect, validate."""
