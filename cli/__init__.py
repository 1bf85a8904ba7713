"""The operator's command `rwm`: the same against real AWS and the embedded one.

`main` wires the commands; a file per group gathers what it needs and returns a document; `views` shows
documents to people. The document is also what `--json` prints.
"""
