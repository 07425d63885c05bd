"""Runs of a study side by side, each in its own process with its own threads."""

from __future__ import annotations

import multiprocessing
import os
import queue as queues
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import StopRequested, WorkbenchError, exit_code
from workbench.progress import Reporter, ToQueue
from workbench.stages import StageContext
from workbench.stopping import StopSignal

GRACE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Share:
    """How the machine is divided: runs at once, and threads of each."""

    workers: int
    threads: int


def share_machine(num_runs: int, workers: int, threads: int, device: str) -> Share:
    """Divide the cores: one worker a core on CPUs, one worker on a GPU, unless told otherwise."""
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

    A worker that fails, or a stop, ends the others politely: each saves and exits.

    Raises:
        StopRequested: a stop was asked for.
        WorkbenchError: a worker failed; the message and the exit code are the worker's.
    """
    spawn = multiprocessing.get_context("spawn")
    channel = spawn.Queue()
    waiting, running = list(jobs), dict[str, Any]()
    failure: WorkbenchError | None = None
    while running or (waiting and failure is None and not context.stop.requested):
        while waiting and len(running) < share.workers and failure is None:
            name, arguments = waiting.pop(0)
            process = spawn.Process(
                target=_work, args=(target, name, tuple(arguments), share.threads, channel)
            )
            process.start()
            running[name] = process
        failure = _listen(channel, context.reporter, timeout=0.2) or failure
        for name, process in list(running.items()):
            if process.exitcode is not None:
                failure = _drain(channel, context.reporter) or failure
                if process.exitcode != 0 and failure is None:
                    failure = _unexpected(name, process.exitcode)
                del running[name]
        if failure is not None or context.stop.requested:
            _end(running)
            failure = _drain(channel, context.reporter) or failure
            running.clear()
    if context.stop.requested:
        raise StopRequested("study: stopped; run the same command again to go on")
    if failure is not None:
        raise failure


def _work(
    target: Callable[..., None], name: str, arguments: tuple[Any, ...], threads: int, channel: Any
) -> None:
    from workbench.devices import find_placement, set_threads

    os.environ["OMP_NUM_THREADS"] = str(threads)
    set_threads(threads)
    try:
        stop = StopSignal().listen()
        target(*arguments, StageContext(find_placement(), ToQueue(channel, name), stop))
    except BaseException as error:
        if os.environ.get("WORKBENCH_DEBUG"):
            import traceback

            traceback.print_exc()
        message = str(error) or type(error).__name__
        channel.put(("error", name, exit_code(error), message))
        channel.close()
        channel.join_thread()
        os._exit(exit_code(error))


def _listen(channel: Any, reporter: Reporter, timeout: float) -> WorkbenchError | None:
    try:
        kind, *content = channel.get(timeout=timeout)
    except queues.Empty:
        return None
    if kind == "update":
        reporter.update(*content)
    elif kind == "note":
        reporter.note(*content)
    elif kind == "error":
        name, code, message = content
        return _failure(f"{name}: {message}", code)
    return _drain(channel, reporter)


def _drain(channel: Any, reporter: Reporter) -> WorkbenchError | None:
    failure = None
    while not channel.empty():
        failure = _listen(channel, reporter, timeout=0.1) or failure
    return failure


def _failure(message: str, code: int) -> WorkbenchError:
    error = WorkbenchError(message)
    error.exit_code = code
    return error


def _unexpected(name: str, code: int) -> WorkbenchError:
    if code == -9:
        return _failure(f"{name}: killed (out of memory?); lower the batch size or workers", 4)
    return _failure(f"{name}: ended with code {code} and said nothing; try --debug", 1)


def _end(running: dict[str, Any]) -> None:
    for process in running.values():
        process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in running.values():
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
