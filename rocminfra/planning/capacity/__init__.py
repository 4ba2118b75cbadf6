"""Whether a model fits, how many tokens its KV cache holds, and what would make it fit."""
