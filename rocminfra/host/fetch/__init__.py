"""Downloads on the host: the model, the image; started in units of their own."""
