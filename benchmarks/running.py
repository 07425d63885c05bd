"""Run each measurement in a fresh process with its own threads, one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.catalog import BENCHMARKS
from benchmarks.measuring import Growth, Row, Setting

THREADS_VARIABLE = "OMP_NUM_THREADS"


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
            os.environ[THREADS_VARIABLE] = str(count)  # read once, when a process starts
            setting = Setting(directory=directory, threads=count, quick=quick)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                yield pool.submit(records_of, name, setting).result()


def records_of(name: str, setting: Setting) -> list[dict[str, Any]]:
    """Run one benchmark in this process and return its rows as plain values."""
    import torch

    torch.set_num_threads(setting.threads)
    load = os.getloadavg()[0]
    common = {"benchmark": name, "threads": setting.threads, "load": round(load, 1)}
    return [{**as_record(found), **common} for found in BENCHMARKS[name].function(setting)]


def as_record(found: Row | Growth) -> dict[str, Any]:
    """A row (with its ratio's fields at top level) or a growth, as JSON values."""
    record = asdict(found)
    if isinstance(found, Growth):
        return record
    ratio = record.pop("ratio")
    met = found.goal is None or found.ratio.median >= found.goal
    return {
        **record,
        "ratio": ratio["median"],
        "low": ratio["low"],
        "high": ratio["high"],
        "ours": ratio["ours"],
        "peers": ratio["peers"],
        "cpu": ratio["cpu"],
        "goal_met": met if found.goal is not None else None,
    }
