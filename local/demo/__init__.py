"""`make demo`: a real restic repository survives the theft of its host's keys, with every part real."""
