"""Measurements as one JSON file per day, a Markdown table of the newest day, and its pictures."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.growth_pictures import draw_growth, picture_name
from benchmarks.measuring import BUDGET_S

LIBRARIES = ("torch", "transformers", "numpy", "scikit-learn", "faiss-cpu", "safetensors")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, Python and the relevant libraries."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    units = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return (
        f"{names[0] if names else platform.processor()} ({', '.join(units) or 'no vector units'})"
    )


def save(records: Sequence[dict[str, Any]], directory: Path, note: str = "") -> Path:
    """Write the day's JSON, the table and pictures; what was not rerun keeps its rows."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{date.today().isoformat()}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    again = {(r["benchmark"], r["threads"]) for r in records}
    kept = [
        r
        for r in [*known.get("rows", []), *known.get("growth", [])]
        if (r["benchmark"], r["threads"]) not in again
    ]
    everything = [*kept, *records]
    growth = [r for r in everything if "exponent" in r]
    document = {
        "machine": {**describe_machine(), "note": note or known.get("machine", {}).get("note", "")},
        "rows": [r for r in everything if "exponent" not in r],
        "growth": growth,
    }
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (directory / "README.md").write_text(as_markdown(document, path.stem), encoding="utf-8")
    draw_growth(growth, directory)
    return path


def as_markdown(document: dict[str, Any], day: str) -> str:
    """The tables of one day."""
    machine = document["machine"]
    loads = [r["load"] for r in [*document["rows"], *document["growth"]]]
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    lines = [
        f"# Benchmarks of {day}",
        "",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{libraries}.",
        "",
        "A ratio is the peer's cost divided by ours, taking turns in one process: above 1 we are "
        "cheaper. Median and 95 % bootstrap interval over repeats of wall times; `by CPU` is the "
        "median of processor times, `n` the number of repeats: on a slow machine they end after a "
        f"budget of {BUDGET_S:.0f} s. Goals are minimum ratios, "
        "met if both reach them and the gate holds. "
        "`load` is the machine's one-minute load average at the start, our work included: "
        f"{min(loads)} to {max(loads)} on {machine['cores']} cores"
        + (
            "; **where it exceeds the number of threads, other work ran at the same time**."
            if max(loads) > machine["cores"]
            else "."
        ),
        "Written by `make bench`.",
        "",
        *([machine["note"], ""] if machine["note"] else []),
        "| stage | threads | peer | ratio | interval | by CPU | n | goal | met | ours | peer's "
        "| gate | load |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(record) for record in document["rows"]),
        "",
        "## Growth",
        "",
        "Processor time ~ size^exponent, fitted over all sizes and between the last two; n "
        "repeats of all sizes. Memory is what each size adds to the peak of a process without it.",
        "",
        "| stage | size | exponent | interval | n | last two | CPU seconds | peak MB | load |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_growth(record) for record in document["growth"]),
        "",
        *(f"![{r['stage']}]({picture_name(r['stage'])})" for r in document["growth"]),
        "",
    ]
    return "\n".join(lines)


def _row(record: dict[str, Any]) -> str:
    if "reason" in record:
        return _not_run(record)
    goal, met = record["goal"], {True: "yes", False: "**no**", None: ""}[record["goal_met"]]
    gate = record["gate"] if record["gate_passed"] else f"**failed**: {record['gate']}"
    cells = [
        record["stage"],
        str(record["threads"]),
        record["peer"],
        f"{record['ratio']:.3g}",
        f"{record['low']:.3g} to {record['high']:.3g}",
        "" if record.get("cpu") is None else f"{record['cpu']:.3g}",  # older records have none
        str(record.get("repeats", "")),
        "" if goal is None else f"{goal:.3g}",
        met,
        f"{record['ours']:.3g} {record['unit']}",
        f"{record['peers']:.3g} {record['unit']}",
        gate,
        str(record["load"]),
    ]
    return f"| {' | '.join(cells)} |"


def _not_run(record: dict[str, Any]) -> str:
    goal = "" if record["goal"] is None else f"{record['goal']:.3g}"
    known = [record["stage"], str(record["threads"]), record["peer"], "not run", "", "", "", goal]
    return f"| {' | '.join([*known, '', '', '', record['reason'], str(record['load'])])} |"


def _growth(record: dict[str, Any]) -> str:
    pairs = zip(record["sizes"], record["seconds"], strict=True)
    cells = [
        record["stage"],
        record["size"],
        f"{record['exponent']:.2f}",
        f"{record['low']:.2f} to {record['high']:.2f}" if record["repeats"] > 1 else "",
        str(record["repeats"]),
        f"{record['last_exponent']:.2f}",
        ", ".join(f"{size}: {seconds:.2g}" for size, seconds in pairs),
        ", ".join(f"{megabytes:.0f}" for megabytes in record.get("megabytes") or ()),
        str(record["load"]),
    ]
    return f"| {' | '.join(cells)} |"
