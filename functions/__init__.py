"""All that runs in Lambda, packed as one asset.

A flow is a folder (`record`, `restore`) with one file per step. A step gathers through ports, decides
in `domain`, and applies through ports; only its `handler` wires `storage`. Imports point inward: flows
import `domain` and never each other; `domain` imports nothing that does I/O.
"""
