"""Parallel runs of a study, each in its own process with its own threads."""

from __future__ import annotations

import multiprocessing
import os
import queue as queues
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import StopRequested, WorkbenchError, exit_code
from workbench.machine.context import StageContext
from workbench.machine.progress import Reporter, ToQueue
from workbench.machine.stopping import StopSignal

GRACE_SECONDS = 20.0
ORPHANED = 70


@dataclass(frozen=True, slots=True)
class Share:
    """How the machine is divided: parallel runs, and threads per run."""

    workers: int
    threads: int


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told: its name, threads and device, and whether to restart on damage."""

    name: str
    threads: int
    device: str
    restart: bool


def share_machine(num_runs: int, workers: int, threads: int, device: str) -> Share:
    """Divide the cores: one worker per core on CPUs, one on a GPU, unless set otherwise."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    workers = workers or (min(num_runs, cores) if device == "cpu" else 1)
    return Share(workers, threads or max(1, cores // workers))


def run_side_by_side(
    jobs: Sequence[tuple[str, Sequence[Any]]],
    target: Callable[..., None],
    share: Share,
    context: StageContext,
) -> None:
    """Run `target(*arguments, context)` for each named job, `share.workers` at a time.

    When a worker fails or a stop is asked for, the others save and exit.

    Raises:
        StopRequested: a stop was asked for.
        WorkbenchError: a worker failed; the message and the exit code are the worker's.
    """
    spawn = multiprocessing.get_context("spawn")
    mail = _Mail(spawn.Queue(), context.reporter)
    waiting, running = list(jobs), dict[str, Any]()
    while running or waiting:
        while waiting and len(running) < share.workers:
            name, arguments = waiting.pop(0)
            orders = Orders(name, share.threads, str(context.place.device), context.restart)
            running[name] = spawn.Process(
                target=_work, args=(target, tuple(arguments), orders, mail.queue)
            )
            running[name].start()
        mail.read(timeout=0.2)
        for name in [name for name, process in running.items() if process.exitcode is not None]:
            mail.read()
            mail.judge(name, running.pop(name).exitcode)
        if context.stop.requested or mail.failure is not None:
            _end(running, mail)
            break
    if context.stop.requested:
        raise StopRequested("study: stopped; run the same command again to go on")
    if mail.failure is not None:
        raise mail.failure


class _Mail:
    """Messages from workers: reports are passed on, and the first failure is kept."""

    def __init__(self, queue: Any, reporter: Reporter) -> None:
        self.queue, self._reporter = queue, reporter
        self.failure: WorkbenchError | None = None

    def read(self, timeout: float = 0.0) -> None:
        """Handle all messages that have arrived, waiting up to `timeout` seconds for the first."""
        while True:
            try:
                kind, *content = self.queue.get(timeout=timeout or 0.05)
            except queues.Empty:
                return
            timeout = 0.0
            if kind == "update":
                self._reporter.update(*content)
            elif kind == "note":
                self._reporter.note(*content)
            else:
                name, code, message = content
                self.fail(f"{name}: {message}", code)

    def judge(self, name: str, code: int) -> None:
        """Record the failure of a worker that could not send a message."""
        if code == -signal.SIGKILL:
            self.fail(f"{name}: killed (out of memory?); lower the batch size or workers", 4)
        elif code != 0:
            self.fail(f"{name}: ended with code {code} and said nothing; try --debug", 1)

    def fail(self, message: str, code: int) -> None:
        """Keep only the first failure; later ones follow from it."""
        if self.failure is None:
            self.failure = WorkbenchError(message)
            self.failure.exit_code = code


def _end(running: dict[str, Any], mail: _Mail) -> None:
    """Ask workers to stop, and kill them after the grace period; their reports are still read."""
    for process in running.values():
        process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    while any(process.exitcode is None for process in running.values()):
        mail.read(timeout=0.1)
        if time.monotonic() > deadline:
            for process in running.values():
                process.kill()
    mail.read()


def _work(
    target: Callable[..., None], arguments: tuple[Any, ...], orders: Orders, queue: Any
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C reaches all processes; workers ignore it and wait for the parent's SIGTERM.
    stop = StopSignal().listen()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from workbench.machine.devices import find_placement, set_threads

        set_threads(orders.threads)
        place = find_placement(orders.device)
        reporter = ToQueue(queue, orders.name)
        target(*arguments, StageContext(place, reporter, stop, restart=orders.restart))
    except BaseException as error:
        if os.environ.get("WORKBENCH_DEBUG"):
            import traceback

            traceback.print_exc()
        message = str(error) or type(error).__name__
        queue.put(("error", orders.name, exit_code(error), message))
        queue.close()
        queue.join_thread()
        os._exit(exit_code(error))


def _end_with_parent() -> None:
    """Exit when the parent is killed, so that a rerun does not find this run in use."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(ORPHANED)
