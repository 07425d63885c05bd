"""One picture per curve of growth: measured processor time, its fitted power law, and memory."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIME, MEMORY = "#0b5fa5", "#c8500a"


def picture_name(stage: str) -> str:
    """File name of a stage's picture."""
    return f"growth-{'-'.join(re.findall('[a-z0-9]+', stage.lower()))}.svg"


def draw_growth(records: Sequence[dict[str, Any]], directory: Path) -> list[Path]:
    """Write one SVG per record of growth, on logarithmic axes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    files = [directory / picture_name(record["stage"]) for record in records]
    for record, file in zip(records, files, strict=True):
        # The same numbers give the same bytes, and text stays text.
        with mpl.rc_context({"svg.hashsalt": "growth", "svg.fonttype": "none"}):
            figure = Figure(figsize=(6.0, 4.0), layout="constrained")
            axes = figure.subplots()
            axes.set(xscale="log", yscale="log", title=record["stage"])
            axes.set(xlabel=record["size"], ylabel="processor time (s)")
            axes.grid(alpha=0.3)
            handles = _times(axes, record) + _memory(axes, record)
            axes.legend(handles=handles, loc="upper left", fontsize=8.5)
            figure.savefig(file, metadata={"Date": None})
    return files


def _times(axes: Axes, record: dict[str, Any]) -> list[Any]:
    sizes, seconds = np.array(record["sizes"], float), np.array(record["seconds"])
    spread = np.abs(np.array([record["lows"], record["highs"]]) - seconds)
    once = record["repeats"] == 1
    words = "measured once" if once else f"median of {record['repeats']}, 95 % interval"
    points = axes.errorbar(sizes, seconds, spread, fmt="o", color=TIME, capsize=3, label=words)
    points[0].set_gid("measured")
    # A least-squares line goes through the mean of its points.
    centre = np.log(seconds).mean() - record["exponent"] * np.log(sizes).mean()
    law = np.exp(centre) * sizes ** record["exponent"]
    interval = "" if once else f" ({record['low']:.2f} to {record['high']:.2f})"
    label = f"size^{record['exponent']:.2f}{interval}, last two {record['last_exponent']:.2f}"
    return [points, *axes.plot(sizes, law, color=TIME, label=label, gid="law")]


def _memory(axes: Axes, record: dict[str, Any]) -> list[Any]:
    """Memory on an axis of its own; what is below 1 MB was hidden by an earlier peak."""
    known = [
        (size, megabytes)
        for size, megabytes in zip(record["sizes"], record["megabytes"] or (), strict=False)
        if megabytes >= 1
    ]
    if not known:
        return []
    beside = axes.twinx()
    beside.set(yscale="log", ylabel="memory added at the peak (MB)")
    highest = max(megabytes for _, megabytes in known)
    beside.set_ylim(1.0, 10.0 ** math.ceil(math.log10(highest) + 0.3))
    return beside.plot(*zip(*known, strict=True), "s--", color=MEMORY, label="memory", gid="memory")
