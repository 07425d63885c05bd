"""Progress of stages: bars on stderr, and a file that the app watches.

A stage reports to a `Reporter`, which decides where the report is shown. Worker processes send
their reports to the parent through a queue.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from workbench.machine.terminal import console

PROGRESS = "progress.jsonl"  # where a study says how far it is

Item = TypeVar("Item")


class Reporter(Protocol):
    """Receives a stage's reports."""

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        """`done` of `total` units of `stage` are complete; `info` holds numbers to display."""

    def note(self, text: str) -> None:
        """One line that stays on the screen."""


class Silent:
    """Reports nothing."""

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


class Bars:
    """Rich bars with an ETA on stderr; use as a context manager."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.console = console(stderr=True)
        self._draws = self.console.is_terminal and not self.console.is_dumb_terminal
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[info]}"),
            console=self.console,
            disable=not self._draws,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        """Draw `stage` as a bar; numbers in `info` follow it."""
        from rich.markup import escape

        text = escape("  ".join(f"{k} {_short(v)}" for k, v in info.items()))
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(escape(stage), total=total, info=text)
        self._progress.update(self._tasks[stage], completed=done, total=total, info=text)
        if not self._draws and done >= total:
            self.note(f"{stage}: {done}/{total}  {text}")

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        # A closed stderr, as after `2>&1 | head`, must not stop the training.
        with contextlib.suppress(OSError):
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class ToFile:
    """Appends every report to a JSONL file, then passes it on."""

    def __init__(self, path: Path, onward: Reporter) -> None:
        self._path, self._onward = path, onward

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"time": time.time(), **record}) + "\n")
        except OSError as error:
            self._onward.note(f"{self._path}: progress not written ({error.strerror})")

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        """Write and pass on."""
        numbers = {k: v for k, v in info.items() if not isinstance(v, float) or math.isfinite(v)}
        self._append({"stage": stage, "done": done, "total": total, "info": numbers})
        self._onward.update(stage, done, total, info)

    def note(self, text: str) -> None:
        """Write and pass on."""
        self._append({"note": text})
        self._onward.note(text)


class ToQueue:
    """Sends reports of a worker, named `prefix`, to the parent's queue."""

    def __init__(self, queue: Any, prefix: str) -> None:
        self._queue, self._prefix = queue, prefix

    def update(self, stage: str, done: int, total: int, info: Mapping[str, Any]) -> None:
        """Send to the parent."""
        self._queue.put(("update", f"{self._prefix} {stage}", done, total, dict(info)))

    def note(self, text: str) -> None:
        """Send to the parent."""
        self._queue.put(("note", f"{self._prefix}: {text}"))


def track(
    items: Iterable[Item], stage: str, total: int, reporter: Reporter, every: float = 0.25
) -> Iterator[Item]:
    """Yield `items` and report how many of `total` are done, at most once in `every` seconds."""
    last = 0.0
    reporter.update(stage, 0, total, {})
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last > every:
            reporter.update(stage, min(done, total), total, {})
            last = now
    reporter.update(stage, max(done, total), max(done, total), {})


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
