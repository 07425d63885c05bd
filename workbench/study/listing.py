"""The state of each study and run on disk, read without heavy imports.

Of a study handed to Slurm, the scheduler is asked what waits; everything else is read from disk.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.machine.schedulers import read_tasks, squeue
from workbench.store.json_files import read_json
from workbench.store.lock import read_holder
from workbench.store.metrics_log import read_metrics
from workbench.store.paths import RunEntry, list_runs

GENERATOR = "generator"  # has no document of its own: its settings are the study's


def list_states(directory: Path | None = None) -> list[dict[str, Any]]:
    """One row per study, run or generator: name, kind, state, and its last stage's progress."""
    entries = [own for entry in list_runs(directory) for own in (entry, *_generators(entry))]
    queued: dict[Path, str] = {}
    for entry in entries:
        if entry.kind == "study" and not (entry.path / "comparison.json").is_file():
            queued |= _queued(entry.path)
    return [_state(entry, queued) for entry in entries]


def _generators(study: RunEntry) -> list[RunEntry]:
    """The generators beside a study's arms, begun or done."""
    folders = sorted(study.path.glob("generators/*/seed-*")) if study.kind == "study" else []
    names = [f"{study.name}/{folder.relative_to(study.path).as_posix()}" for folder in folders]
    return [
        RunEntry(name=name, path=folder, kind=GENERATOR)
        for name, folder in zip(names, folders, strict=True)
    ]


def _queued(study: Path) -> dict[Path, str]:
    """Folder of a run or of the study -> what Slurm says about its task."""
    try:
        executor, tasks = read_tasks(study)
        states = squeue([task.number for task in tasks]) if executor == "slurm" else {}
    except (WorkbenchError, KeyError, TypeError, AttributeError):
        return {}  # not readable, or no answer: nothing is known
    held = [task for task in tasks if task.number in states]
    counts = Counter(states[task.number].lower() for task in held)
    words = {study: "slurm: " + ", ".join(f"{n} {state}" for state, n in counts.items())}
    for task in held:
        state = f"{states[task.number].lower()} (slurm {task.number})"
        words[study / "arms" / task.name] = state
    return words if held else {}


def _state(entry: RunEntry, queued: Mapping[Path, str]) -> dict[str, Any]:
    row = {"name": entry.name, "kind": entry.kind, "state": "", "progress": ""}
    try:
        done = "comparison.json" if entry.kind == "study" else "evaluation.json"
        if entry.kind != GENERATOR:
            read_json(entry.path / f"{entry.kind}.json")
        if (entry.path / done).is_file():
            read_json(entry.path / done)
        holder = read_holder(entry.path)
        if (entry.path / done).is_file():
            row["state"] = "done"
        elif holder is not None:
            row["state"] = f"running (pid {holder.pid}{_elsewhere(holder.host)})"
        elif entry.path in queued:
            row["state"] = queued[entry.path]
        else:
            row["state"] = "unfinished"
        log = entry.path / "metrics.jsonl"
        if log.is_file() and (records := read_metrics(log)):
            last = records[-1]
            row["progress"] = f"{last.get('stage', '')} step {last['step']}"
    except (WorkbenchError, OSError) as error:
        row["state"] = f"damaged: {error}"
    return row


def _elsewhere(host: str) -> str:
    return "" if host == os.uname().nodename else f" on {host}"
