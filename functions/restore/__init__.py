"""A state becomes a repository again: `plan` decides, `copy` copies one batch and proves it, `verify` compares."""
