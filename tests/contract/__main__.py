"""Print the table of rules: `python -m tests.contract`."""

import sys

from tests.contract.rules import all_rules, table

sys.stdout.write(table(all_rules()) + "\n")
