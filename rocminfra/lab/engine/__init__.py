"""The engine simulator: speaks and behaves like vLLM, with modelled times."""
