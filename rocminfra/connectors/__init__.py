"""Connectors for pyinfra; the one that fetches facts in one exec comes here."""
