"""A host's event becomes a bucket state: `record` writes it down, `collect_chunks` clears what a crash left."""
