"""Runs side by side: what changed beyond the noise, and what may not be compared."""
