"""Scheduler, caches and latency of the engine. The simulator's image contains this folder."""
