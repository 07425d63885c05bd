"""Numbers formatted for people: in terminal tables, on pages, and in documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What a cell without a value reads, everywhere; in files it is empty.
MISSING = "–"


def baseline_text(baselines: Mapping[str, Any], metric: str) -> str:
    """The score of human continuations as text; empty if there is no such number."""
    # Studies from before the ladder store MAUVE's ceiling under a separate name.
    source = "human_halves" if "mauve[" in metric and "human_halves" in baselines else "human"
    value = baselines.get(source, {}).get(metric, {}).get("mean")
    return "" if value is None else number_text(value)


def interval_text(value: Mapping[str, Any]) -> str:
    """A mean and its interval as text."""
    if value.get("mean") is None:
        return "not defined"
    if value.get("low") is None:
        return number_text(value["mean"])
    mean, low, high = (number_text(value[key]) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def number_text(value: float | None) -> str:
    """Four decimals for numbers up to one, three beyond; `MISSING` for a missing number."""
    if value is None:
        return MISSING
    return f"{value:z.4f}" if abs(value) < 1.00005 else f"{value:.3f}"


def onset_sentence(row: Mapping[str, Any]) -> str:
    """For one label set: the step at which half of what training adds is reached, in each arm."""
    first, second = (key.removesuffix(" clear") for key in row if key.endswith(" clear"))
    halves = [
        f"{arm} step {row[f'{arm} half']:.0f} "
        f"[{row[f'{arm} half_low']:.0f}, {row[f'{arm} half_high']:.0f}]"
        if row[f"{arm} half"] is not None
        else f"{arm} not defined ({row[f'{arm} reason']})"
        for arm in (first, second)
    ]
    return f"{row['label']}: {', '.join(halves)}; {first} against {second}: {row['order']}"
