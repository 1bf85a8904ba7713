"""The last good state becomes a repository again while nobody needs it: `choose` says which and where, the restore
workflow does it, the check workflow opens it, `conclude` writes down what it came to."""
