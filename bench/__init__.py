"""How fast RWM is, and how much memory it takes, beside what does the same.

`make bench` runs each part (`ONLY=check` one of them, `FULL=1` at larger sizes). A part writes what it measured
to build/raw/bench/, one JSON line per run; build/bench.json is derived from those lines and nothing else.

A new part is a module like `check` with its own `Part`, listed in `__main__`.
"""
