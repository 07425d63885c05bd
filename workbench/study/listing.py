"""The state of each study and run on disk, read without heavy imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.store.json_files import read_json
from workbench.store.lock import read_holder
from workbench.store.metrics_log import read_metrics
from workbench.store.paths import RunEntry, list_runs


def list_states(directory: Path | None = None) -> list[dict[str, Any]]:
    """One row per study or run: name, kind, state, and the progress of its last stage."""
    return [_state(entry) for entry in list_runs(directory)]


def _state(entry: RunEntry) -> dict[str, Any]:
    row = {"name": entry.name, "kind": entry.kind, "state": "", "progress": ""}
    try:
        done = "comparison.json" if entry.kind == "study" else "evaluation.json"
        read_json(entry.path / f"{entry.kind}.json")
        if (entry.path / done).is_file():
            read_json(entry.path / done)
        holder = read_holder(entry.path)
        if (entry.path / done).is_file():
            row["state"] = "done"
        elif holder is not None:
            row["state"] = f"running (pid {holder.pid})"
        else:
            row["state"] = "unfinished"
        log = entry.path / "metrics.jsonl"
        if log.is_file() and (records := read_metrics(log)):
            last = records[-1]
            row["progress"] = f"{last.get('stage', '')} step {last['step']}"
    except (WorkbenchError, OSError) as error:
        row["state"] = f"damaged: {error}"
    return row
