"""The check: is what the states name still there, whole, and protected? One file per level."""
