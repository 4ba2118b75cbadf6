"""What to do with the scratch disk. The only place that may lead to mkfs."""
