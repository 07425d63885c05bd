"""Waiting while another process works alone: as long as necessary, if that process is alive.

A thread of each process sends heartbeats to the store that connects the processes. A wait fails
when a process has sent none for `PATIENCE`. A killed, stopped or disconnected process sends none,
and one whose main thread has computed less than `WORK_SECONDS` within `STILL` counts as hung and
stops sending them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from workbench.errors import ResourceError

if TYPE_CHECKING:
    from torch.distributed import Store

PATIENCE = timedelta(minutes=5)
STILL = timedelta(hours=2)
WORK_SECONDS = 5.0  # of the processor; what a thread that waits for ever spends on signals is less
BEAT_SECONDS = 5.0
LOOK_SECONDS = 0.05
STORE_ERRORS = (RuntimeError, ConnectionError, OSError)  # the store's errors derive from these


@dataclass
class _Watch:
    """What the watching thread tells the waiting one."""

    signs: dict[int, float]
    counts: dict[int, int] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    lost: str = ""


class Presence:
    """This process among `world_size`, as seen by the others.

    Args:
        store: shared by the processes; every thread opens its own connection, because an
            unanswered request blocks its connection.
        rank: of this process; 0 works alone and may host the store, so it leaves a wait last.
        world_size: number of processes.
    """

    def __init__(self, store: Store, rank: int, world_size: int) -> None:
        self._store, self._rank = store, rank
        self._others = [other for other in range(world_size) if other != rank]
        self._clock = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
        self._round, self._waiting = 0, False
        self._over = threading.Event()

    @contextlib.contextmanager
    def shown(self) -> Iterator[Presence]:
        """Send heartbeats while the body runs."""
        threading.Thread(target=self._beat, daemon=True).start()
        try:
            yield self
        finally:
            self._over.set()

    def wait_for_all(self) -> None:
        """Return when every process has arrived here, which may take days.

        Raises:
            ResourceError: another process has sent no heartbeat for `PATIENCE`.
        """
        self._round += 1
        now = time.monotonic()
        watch = _Watch(dict.fromkeys(self._others, now))
        self._waiting = True
        try:
            threading.Thread(target=self._watch, args=(watch, self._round), daemon=True).start()
            while not watch.done.wait(LOOK_SECONDS):
                self._refuse_silence(watch)
        finally:
            self._waiting = False
            watch.done.set()
        if watch.lost:
            raise ResourceError(f"process {self._rank}: {watch.lost}; {_ADVICE}")

    def _refuse_silence(self, watch: _Watch) -> None:
        limit = PATIENCE.total_seconds()
        for other, sign in watch.signs.items():
            silent = time.monotonic() - sign
            if silent > limit:
                raise ResourceError(
                    f"process {self._rank}: process {other} died or hung, it has shown no sign of "
                    f"life for {silent:.0f} s; {_ADVICE}"
                )

    def _watch(self, watch: _Watch, number: int) -> None:
        """Announce this process's arrival, and watch until the others have arrived."""
        try:
            store = self._store.clone()  # type: ignore[attr-defined]
            store.add(f"came/{number}/{self._rank}", 1)
            self._until(watch, store, f"came/{number}")
            store.add(f"left/{number}/{self._rank}", 1)
            if self._rank == 0:
                self._until(watch, store, f"left/{number}")
        except STORE_ERRORS as error:
            watch.lost = f"another one died ({' '.join(str(error).split())[:80]})"
        watch.done.set()

    def _until(self, watch: _Watch, store: Store, key: str) -> None:
        missing = set(self._others)
        while missing and not watch.done.is_set():
            for other in sorted(missing):
                if store.add(f"{key}/{other}", 0):
                    missing.discard(other)
                    watch.signs[other] = float("inf")
                    continue
                count = store.add(f"beat/{other}", 0)
                if count != watch.counts.get(other):
                    watch.counts[other], watch.signs[other] = count, time.monotonic()
            time.sleep(LOOK_SECONDS)
        if not watch.done.is_set():
            watch.signs.update(dict.fromkeys(self._others, time.monotonic()))

    def _beat(self) -> None:
        """Send heartbeats while the main thread computes, or waits in `wait_for_all`."""
        worked, moved = time.clock_gettime(self._clock), time.monotonic()
        with contextlib.suppress(*STORE_ERRORS):
            store = self._store.clone()  # type: ignore[attr-defined]
            while True:
                found, now = time.clock_gettime(self._clock), time.monotonic()
                if found - worked >= WORK_SECONDS or self._waiting:
                    worked, moved = found, now
                if now - moved < STILL.total_seconds():
                    store.add(f"beat/{self._rank}", 1)
                if self._over.wait(BEAT_SECONDS):
                    return


_ADVICE = "start all of them again, they go on from the last checkpoint"
