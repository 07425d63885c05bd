"""Writes that go on while something else is computed: one at a time, in the order given."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class BackgroundWrites:
    """A thread that writes. Leaving the context waits for it, so nothing is written afterwards.

    A failed write raises in the thread that asked for it, at its next call here.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: Future[object] | None = None

    def start(self, write: Callable[[], object]) -> None:
        """Begin a write once the one before has ended."""
        self.wait()
        self._pending = self._pool.submit(write)

    def check(self) -> None:
        """Raise what a write that has ended has raised; do not wait for one that has not."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Wait for the write that was begun, and raise what it raises."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        if error is None:  # otherwise that error came first
            self.wait()
