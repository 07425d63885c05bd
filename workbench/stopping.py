"""A polite stop: the first SIGTERM or SIGINT asks, the second one ends the process at once."""

from __future__ import annotations

import os
import signal
from types import FrameType

from workbench.errors import StopRequested


class StopSignal:
    """Set by a signal, or by the file that the app writes; read between steps."""

    def __init__(self, stop_file: str | os.PathLike[str] | None = None) -> None:
        self._signalled = False
        self._stop_file = stop_file

    @property
    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._signalled or (self._stop_file is not None and os.path.exists(self._stop_file))

    def check(self, where: str) -> None:
        """Raise at a point where nothing needs saving.

        Raises:
            StopRequested: a stop was asked for.
        """
        if self.requested:
            raise StopRequested(f"{where}: stopped; run the same command again to go on")

    def listen(self) -> StopSignal:
        """Install the handlers (main thread only) and return self."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            os._exit(128 + number)
        self._signalled = True
