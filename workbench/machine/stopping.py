"""A polite stop: the first SIGTERM or SIGINT asks for it, the second ends the process at once.

Slurm sends SIGUSR2 before a time limit, and SIGTERM two or three times before it kills. Those only
ask: the scheduler sets the deadline itself.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from workbench.errors import StopRequested

LOOK_SECONDS = 0.5  # how often `interrupting` looks whether a stop was asked for
AGAIN_SECONDS = 5.0  # time for the clean-up of what was broken into, before that is broken into too


class StopSignal:
    """Set by a signal, or by a file that the app writes; checked between steps."""

    def __init__(self, stop_file: str | os.PathLike[str] | None = None) -> None:
        self._signalled = self._asked = False
        self._stop_file = stop_file
        self._listening = self._breaking = False

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        if self._signalled or self._asked:
            return True
        return self._stop_file is not None and os.path.exists(self._stop_file)

    def check(self, where: str) -> None:
        """Raise if a stop was asked for; for points where nothing needs saving.

        Raises:
            StopRequested: a stop was asked for.
        """
        if self.requested:
            raise StopRequested(f"{where}: stopped; run the same command again to go on")

    @contextmanager
    def interrupting(self, where: str) -> Iterator[None]:
        """Let a stop interrupt work that does not check for one and has nothing to save.

        `StopRequested` is raised inside the body as Python raises `KeyboardInterrupt`: as soon as
        the current library call returns. If the body swallows it, it is raised again, and in any
        case at the end, so no half-computed result gets out. Use it inside `publish`, never around
        it.

        Interrupts only the main thread of a process that listens; elsewhere a stop is checked for
        before and after the body.

        Raises:
            StopRequested: a stop was asked for.
        """
        self.check(where)
        if self._listening and threading.current_thread() is threading.main_thread():
            with self._alarm(where):
                yield
        else:
            yield
        self.check(where)

    @contextmanager
    def _alarm(self, where: str) -> Iterator[None]:
        not_before = 0.0

        def look(number: int, frame: FrameType | None) -> None:
            nonlocal not_before
            now = time.monotonic()
            if self._breaking and now >= not_before and self.requested:
                not_before = now + AGAIN_SECONDS
                self.check(where)

        known = signal.signal(signal.SIGALRM, look)
        self._breaking = True
        timer = signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS, LOOK_SECONDS)
        try:
            try:
                yield
            finally:
                self._breaking = False
        finally:
            self._breaking = False
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, known)

    def listen(self) -> StopSignal:
        """Install the handlers (main thread only) and return self."""
        signal.signal(signal.SIGTERM, self._ask if "SLURM_JOB_ID" in os.environ else self._handle)
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGUSR2, self._ask)
        self._listening = True
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            os._exit(128 + number)
        self._signalled = True
