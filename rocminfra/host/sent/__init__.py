"""Programs that go along with a command, each a single text: standard library only."""
