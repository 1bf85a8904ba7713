"""A mutant: one guard of the code taken away, and the tests that must notice."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

TABLE = Path(__file__).with_name("mutants.toml")


class StaleMutant(Exception):
    """A mutant that no longer fits the code: nothing was tested with it. Rewrite its `old`, or drop it."""


class Mutant(BaseModel):
    """One entry of mutants.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    breaks: Annotated[str, Field(min_length=2)]
    """The promise (P1 to P7 of docs/design.md) and what an attacker or a crash would gain."""
    file: Annotated[str, Field(pattern=r"^((cli|functions|infra)/.*\.py|host/rwm-[a-z]+)$")]
    old: Annotated[str, Field(min_length=1)]
    """Exactly as it stands in `file`, once."""
    new: str
    tests: Annotated[tuple[str, ...], Field(min_length=1)]
    """Test files; one of their tests must fail."""
    quick: bool = False
    """Part of the short form that CI runs."""

    def applied(self, tree: Path) -> str:
        """The text of `file` in `tree` with the guard gone. Raises StaleMutant."""
        text = (tree / self.file).read_text()
        if (found := text.count(self.old)) != 1:
            raise StaleMutant(f"{self.name}: its old text stands {found} times in {self.file}, and must stand once")
        if missing := [test for test in self.tests if not (tree / test).is_file()]:
            raise StaleMutant(f"{self.name}: there is no {', '.join(missing)}")
        mutated = text.replace(self.old, self.new)
        try:
            # What a host runs is a script of the shell.
            if self.file.endswith(".py"):
                compile(mutated, self.file, "exec")
        except SyntaxError as error:
            raise StaleMutant(f"{self.name}: what it makes of {self.file} is no Python: {error}") from error
        return mutated


def read_mutants(path: Path = TABLE) -> tuple[Mutant, ...]:
    """All mutants, in the table's order. Raises ValueError for two of one name, and for a malformed one."""
    mutants = tuple(Mutant.model_validate(each) for each in tomllib.loads(path.read_text())["mutant"])
    names = [mutant.name for mutant in mutants]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path.name} names more than one mutant {', '.join(repeated)}")
    return mutants
