"""From result folders to tables; reads files only, never a host."""
