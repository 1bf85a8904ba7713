"""Which versions need a lock, until when, and what is said of it."""
