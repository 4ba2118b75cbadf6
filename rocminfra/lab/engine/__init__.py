"""The engine simulator: vLLM's API and behaviour, with modelled times."""
