"""The second level of the check: the ledger against the bucket, from one listing, without a password."""
