"""Paid droplets: made within limits, found again after a crash, destroyed and seen to be gone."""
