"""Tells the story on the terminal, with the seconds it took."""

import time

from rich.console import Console


class Story:
    """Chapters and lines, each with the time since the beginning."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        self._console.print(f"\n[bold]{self.seconds:5.1f} s  {title}[/bold]")

    def line(self, text: str) -> None:
        self._console.print(f"         {text}", markup=False)

    def good(self, text: str) -> None:
        self._console.print(f"       [green]✓[/green] {text}")

    def bad(self, text: str) -> None:
        self._console.print(f"       [red]✗[/red] {text}")
