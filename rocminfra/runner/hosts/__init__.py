"""What the verbs of day two do on hosts: ask, follow, forward, take away. Nothing here prints."""
