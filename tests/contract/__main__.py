"""docs/contract.md: which rule of S3 is shown on which server. `python -m tests.contract` writes it anew."""

from pathlib import Path

from tests.contract.rules import all_rules, table

PAGE = Path(__file__).parents[2] / "docs" / "contract.md"

_INTRODUCTION = """# Which rule of S3 is shown where

The rules of S3 that RWM stands on, as tests (`tests/contract`), and the servers they run against: the strict fake,
moto, the embedded AWS, and Ceph's RADOS Gateway (`make ceph`). "no" says that the server does otherwise, and how; there
the rule is not run. A test fails when this page differs (`python -m tests.contract` writes it).

"""


def page() -> str:
    """The whole page."""
    return _INTRODUCTION + table(all_rules()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
