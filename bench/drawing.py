"""build/bench.png, drawn from build/bench.json by `bench/plot.py`, where the library for it is."""

import sys
from pathlib import Path

from bench.part import CannotMeasure
from bench.processes import measured

_HERE = Path(__file__).parent
_PYTHON = _HERE / ".venv" / "bin" / "python"


def draw(figures: Path, picture: Path) -> None:
    """A picture is no figure: where it cannot be drawn, a line says so, and nothing fails."""
    if not _PYTHON.exists():
        print(f"{picture.name} was not drawn: `local/setup bench` installs what draws it", file=sys.stderr)
        return
    try:
        measured([str(_PYTHON), str(_HERE / "plot.py"), str(figures), str(picture)], _HERE.parent, {})
    except CannotMeasure as error:
        print(error, file=sys.stderr)
