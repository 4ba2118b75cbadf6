"""What a benchmark would measure."""
