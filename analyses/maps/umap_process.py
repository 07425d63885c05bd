"""The process that runs UMAP: started once, kept warm, one map at a time.

Importing UMAP and compiling it takes longer than drawing a few thousand points, so the process
stays for the next map. It ends with this one, after an idle while, or when a map fails; the next
map then starts another.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

WARM, DRAWN = "warm", "drawn"


class UmapProcess:
    """A script that answers `warm` once it is ready, and `drawn` to each folder it is sent.

    Args:
        script: `umap_worker.py`, or what stands in for it.
    """

    def __init__(self, script: Path) -> None:
        self._script = script
        self._one_at_a_time = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._complaints: IO[str] | None = None

    @property
    def is_warm(self) -> bool:
        """Whether a map would start at once."""
        return self._ready.is_set()

    def warm_up(self) -> None:
        """Start the process where it does not run yet; it gets ready by itself."""
        if self._one_at_a_time.acquire(blocking=False):  # else it is drawing
            try:
                self._running()
            finally:
                self._one_at_a_time.release()

    def draw(self, folder: Path, timeout_s: float) -> str:
        """Let the process draw what lies in a folder.

        Args:
            folder: as `umap_worker.run` wants it.
            timeout_s: seconds after which the process is ended, its start included.

        Returns:
            Why there is no map, or nothing.
        """
        with self._one_at_a_time:
            process, answer = self._running(), None
            try:
                print(folder, file=process.stdin, flush=True)
                answer = self._answers.get(timeout=timeout_s)
            except BrokenPipeError:
                pass
            except queue.Empty:
                return f"UMAP took more than {timeout_s:g} s"
            finally:
                if answer != DRAWN:  # or what it says later would be taken for the next map's
                    process.kill()
                    code = process.wait()
            return "" if answer == DRAWN else f"UMAP ended with code {code} ({self._last_words()})"

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._ready, self._answers = threading.Event(), queue.SimpleQueue()
            self._complaints = tempfile.TemporaryFile(  # noqa: SIM115 (as long as the process)
                "w+", encoding="utf-8", errors="replace"
            )
            # -P keeps the script's folder off the child's path: `statistics` would hide the
            # standard one.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(self._script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
            )
            listening = (self._process.stdout, self._ready, self._answers)
            threading.Thread(target=_listen, args=listening, daemon=True).start()
        return self._process

    def _last_words(self) -> str:
        assert self._complaints is not None
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines() or ["no message"]
        return lines[-1]


def _listen(
    stdout: IO[str], ready: threading.Event, answers: queue.SimpleQueue[str | None]
) -> None:
    """Pass on what a process says until it ends, which is said as None."""
    for line in stdout:
        if line.strip() == WARM:
            ready.set()
        elif line.strip() == DRAWN:
            answers.put(DRAWN)
    ready.clear()
    answers.put(None)
