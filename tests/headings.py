"""The headings of a page of docs/, as a link names them."""

import re


def anchors(page: str) -> set[str]:
    """What GitHub makes of each heading, outside of blocks of code: small letters, digits, dashes."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    }
