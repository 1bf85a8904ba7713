"""A state becomes a repository again: `plan` announces it and decides, `copy` copies one batch and proves it, `verify`
compares, `end` takes the announcement back."""
