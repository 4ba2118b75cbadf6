"""Benchmark points, GuideLLM's configuration and report. Also runs on the host."""
