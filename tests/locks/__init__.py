"""Lock upkeep over the fakes."""
