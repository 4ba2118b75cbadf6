"""Bare AMD Instinct droplet to measured LLM endpoint, on pyinfra."""

__version__ = "0.1.0"
