"""Whether a model fits, how many tokens it keeps, and what would make it fit."""
