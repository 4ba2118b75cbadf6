"""pyinfra operations: they read facts, let planning decide, and yield commands."""
