"""Predict what a benchmark would measure."""
