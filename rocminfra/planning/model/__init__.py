"""What a model's configuration says."""
