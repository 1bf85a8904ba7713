"""Each guard of recording and restoring, taken away in turn: a test must notice. `make mutants` runs it."""
