"""The watch: what is wrong with a repository, since when, and what of it people have to hear."""
