"""Reading a restic repository's structure with its password, over pinned object versions.

In the order of the reading: `crypto` opens what restic sealed, `formats` parses it, `blobs` holds what the
indexes say, `walk` follows every tree of every snapshot, `packs` reads whole packs, `check` puts it
together into a `report`.
"""
