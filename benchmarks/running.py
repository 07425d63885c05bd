"""Run each measurement in a fresh process with its own threads, one after another.

What needs more cores than this process may use is recorded as not run, and so is what fails: a run
of all benchmarks comes to its end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.catalog import BENCHMARKS
from benchmarks.measuring import Growth, NotRun, Ratio, Row, Setting

THREADS_VARIABLE = "OMP_NUM_THREADS"
FAILED = "failed, "


def measure(
    names: Sequence[str], directory: Path, *, quick: bool, threads: tuple[int, ...]
) -> Iterator[list[dict[str, Any]]]:
    """Run benchmarks and yield the records of each one at each of its thread counts.

    Args:
        names: keys of `BENCHMARKS`.
        directory: the folder from `workload.prepared`.
        quick: few repeats, small sizes.
        threads: run only these thread counts of each benchmark; empty runs all of its own.
    """
    for name in names:
        for count in BENCHMARKS[name].threads:
            if threads and count not in threads:
                continue
            if count > available_cores():
                reason = f"needs {count} cores, this process may use {available_cores()}"
                yield [_not_run(name, count, reason)]
                continue
            os.environ[THREADS_VARIABLE] = str(count)  # read once, when a process starts
            setting = Setting(directory=directory, threads=count, quick=quick)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                try:
                    yield pool.submit(records_of, name, setting).result()
                except Exception as error:  # the others are still worth measuring
                    yield [_not_run(name, count, f"{FAILED}{type(error).__name__}: {error}")]


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _not_run(name: str, threads: int, reason: str) -> dict[str, Any]:
    stage = name.replace("_", " ")
    found = as_record(NotRun(stage=stage, peer="", goal=None, reason=" ".join(reason.split())))
    return {**found, "benchmark": name, "threads": threads, "load": round(os.getloadavg()[0], 1)}


def records_of(name: str, setting: Setting) -> list[dict[str, Any]]:
    """Run one benchmark in this process and return its rows as plain values."""
    import torch

    torch.set_num_threads(setting.threads)
    load, start = os.getloadavg()[0], time.monotonic()
    common = {"benchmark": name, "threads": setting.threads, "load": round(load, 1)}
    records = [{**as_record(found), **common} for found in BENCHMARKS[name].function(setting)]
    took = round(time.monotonic() - start, 1)
    return [{**record, "benchmark_seconds": took} for record in records]


def as_record(found: Row | NotRun | Growth) -> dict[str, Any]:
    """A row (with its ratio's fields at top level), one not run, or a growth, as JSON values."""
    record = asdict(found)
    if not isinstance(found, Row):
        return record
    ratio = record.pop("ratio")
    return {
        **record,
        "ratio": ratio["median"],
        "low": ratio["low"],
        "high": ratio["high"],
        "ours": ratio["ours"],
        "peers": ratio["peers"],
        "cpu": ratio["cpu"],
        "repeats": ratio["repeats"],
        "goal_met": None
        if found.goal is None
        else found.gate_passed and is_met(found.ratio, found.goal),
    }


def is_met(ratio: Ratio, goal: float) -> bool:
    """Whether wall times reach a goal and, where they are known, processor times do too."""
    return ratio.median >= goal and (ratio.cpu is None or ratio.cpu >= goal)
