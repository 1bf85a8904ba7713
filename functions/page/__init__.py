"""The page of each repository, written on a schedule where people find it without asking for it."""
