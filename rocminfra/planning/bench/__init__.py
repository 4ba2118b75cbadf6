"""Benchmark points, GuideLLM's configuration and report. Also used on the host."""
