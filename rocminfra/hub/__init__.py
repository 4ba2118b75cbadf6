"""What the Hugging Face hub says of a repository, without its weights; runs on the host as well."""
