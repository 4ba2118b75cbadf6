"""What a run prints: text, JSON, pictures."""
