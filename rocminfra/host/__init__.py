"""Small programs that run on the host: standard library only, Python 3.10+."""
