"""Every command that the documents print is run, or at least parsed, as it is printed.

A page is README.md, host/README.md or a file of docs/. Its commands are its fenced blocks with the info string `sh`,
whose second word says where a reader types them:

| info string | who types it | here |
|---|---|---|
| `sh` | a person at a checkout, with the operator's profile unless the line sets `AWS_PROFILE` | run |
| `sh host` | root on the backup host, with what `rwm connect` printed in the environment | run |
| `sh ci` | a developer: `make …` that `.ci/run` runs | named in `.ci/run` |
| `sh too-long` | a developer: `make …` that takes longer than CI has | parsed, and listed |
| `sh aws-only` | a person with an AWS account | parsed, and listed |

What is run is run in the page's order, by `sh -e`, against an embedded AWS of the page's own with everything deployed
(repositories.toml here). A line must end with 0, or with what its comment says: `# exit code 3`. A block with the info
string `text shown` after it is what the reader sees: each of its lines must be printed, in that order, where `…` stands
for anything. Whoever is asked says yes. What was printed is kept in build/documents/.

Beside the commands there is only what the story tells (stories.py: a host backs up, somebody attacks it), and the
stand-ins of world.py: what nobody can print before it happens (a plan's digest, S3's address), and a host's folders.
"""
