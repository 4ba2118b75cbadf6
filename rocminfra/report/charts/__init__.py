"""Pictures of a run as Altair specifications; vl-convert draws them, without a browser."""
