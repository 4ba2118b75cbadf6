"""Scheduler, caches and latency of the engine. The simulator carries this folder."""
