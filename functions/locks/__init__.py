"""Lock upkeep: what kept states name stays under Object Lock, on a schedule of its own."""
