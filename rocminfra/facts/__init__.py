"""What is on a host: pyinfra facts with pure parsers, frozen dataclasses out."""
