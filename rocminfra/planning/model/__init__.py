"""Interpret a model's configuration."""
