"""`python -m tests.notices`: what messages say now is what is approved. Read `git diff` before you commit it."""

from tests.notices.examples import examples, written
from tests.notices.test_approved import APPROVED


def main() -> None:
    """Write each example anew, and remove what is none any more."""
    for path in APPROVED.glob("*.txt"):
        path.unlink()
    for name, notice in examples().items():
        (APPROVED / f"{name}.txt").write_text(written(notice))


if __name__ == "__main__":
    main()
