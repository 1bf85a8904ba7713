"""`python -m tests.documents`: lists the commands that pages print and CI does not run, each parsed; 1 if one cannot be
typed."""

import sys
from collections import Counter

from tests.documents.pages import blocks, pages
from tests.documents.parsing import CannotBeTyped, parse

NOT_RUN = ("aws-only", "too-long")


def main() -> int:
    found = [block for page in pages() for block in blocks(page)]
    counts = Counter(block.tag or "run" for block in found)
    print("Blocks of commands:", ", ".join(f"{count} {tag}" for tag, count in counts.most_common()))  # noqa: T201
    wrong = 0
    for block in found:
        if block.tag not in NOT_RUN:
            continue
        for command in block.commands:
            try:
                parse(command.text)
                said = "parsed"
            except CannotBeTyped as error:
                wrong += 1
                said = f"CANNOT BE TYPED: {error}"
            print(f"  {block} ({block.tag}), {said}: {command.text}")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
