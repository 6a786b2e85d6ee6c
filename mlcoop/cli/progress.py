"""Progress on stderr: a bar where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Terminal:
    """Shows a run's progress on stderr: a bar where there is a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.stage = ""

    def start(self, stage: str, what: str) -> None:
        """Say that a stage begins."""
        self.stage = stage
        self.close()
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.bar.start()
            self.bar.add_task(f"{stage}: {what}", total=None)
        else:
            self.console.print(f"{stage}: {what}", markup=False, highlight=False, soft_wrap=True)

    def step(self, done: int, total: int) -> None:
        """Move the bar of the stage that runs."""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, total=total)

    def counting(self, stage: str, what: str) -> Callable[[int, int, str], None]:
        """Return a callback that starts a stage at its first step: bad input needs no heading."""

        def step(done: int, total: int, _: str) -> None:
            if self.stage != stage:
                self.start(stage, what)
            self.step(done, total)

        return step

    def note(self, text: str) -> None:
        """Print a line that the user should see."""
        self.console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        """Say that a stage is done."""
        self.close()
        how = "kept from an earlier run" if reused else f"{seconds:.1f} s"
        self.console.print(f"{stage}: done ({how})", markup=False, highlight=False, soft_wrap=True)

    def member(self, number: int, total: int, name: str, seconds_left: float | None) -> None:
        """Say which study of a family begins, and how long the rest may take."""
        self.close()
        left = "" if seconds_left is None else f" (about {_duration(seconds_left)} left)"
        text = f"[{number}/{total}] {name}{left}"
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _duration(seconds: float) -> str:
    """Return a rough time in words.

    >>> _duration(40), _duration(300), _duration(9000)
    ('40 s', '5 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress_shown() -> Iterator[Terminal]:
    """Give what shows progress, and take its bar away in the end."""
    terminal = Terminal(Console(stderr=True))
    try:
        yield terminal
    finally:
        terminal.close()
