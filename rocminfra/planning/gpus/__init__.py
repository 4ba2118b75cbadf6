"""Which of a host's cards an engine may use. Also runs on the host."""
