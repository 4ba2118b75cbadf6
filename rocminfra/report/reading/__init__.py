"""From result folders to the material of a report; damage becomes a reason, never a number."""
