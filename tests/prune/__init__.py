"""The prune, step by step, over the fakes."""
