"""Stored linear probes as the tables and grids that the page Separability draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.report.plain_words import class_words
from workbench.ui.kit.exhibits import CODE_NAME
from workbench.ui.sections.shared.stored_results import Results

if TYPE_CHECKING:
    import pandas as pd


def baseline_marks(results: Results) -> dict[str, dict[str, float | None]]:
    """Chance, shuffled labels and the word alone, by measure."""
    return {
        "majority class": {name: r.get("chance") for name, r in results.items()},
        "shuffled labels": {
            name: r["detail"].get("shuffled", {}).get("mean") for name, r in results.items()
        },
        "the word alone": {
            name: (r["detail"].get("baseline") or {}).get("accuracy", {}).get("mean")
            for name, r in results.items()
        },
    }


def class_frame(
    results: Mapping[str, Mapping[str, Any] | None], names: Sequence[str], label: str
) -> pd.DataFrame:
    """One row per class: its size and each arm's accuracy on it.

    Args:
        results: arm -> stored probe of the label.
        names: the label's classes, by code.
        label: name of the label set.
    """
    import pandas as pd

    classes: dict[str, dict[str, Any]] = {}
    for arm, result in results.items():
        for code, own in ((result or {}).get("detail", {}).get("per_class", {}) or {}).items():
            place = int(code)
            name = names[place] if 0 <= place < len(names) else code
            row = classes.setdefault(
                name, {"class": class_words(label, name), "items": own.get("n")}
            )
            row[arm] = own.get("accuracy")
    frame = pd.DataFrame(list(classes.values()))
    if len(frame) and len(arms := [arm for arm in results if arm in frame]) == 2:
        frame["difference"] = frame[arms[1]] - frame[arms[0]]
    return frame.assign(**{CODE_NAME: list(classes)}).round(3)


def swept_grid(results: Results) -> dict[str, dict[str, float | None]]:
    """Label -> place (step or layer) -> accuracy, from results with a curve over places."""
    return {
        name: {place: point.get("accuracy") for place, point in result["detail"]["curve"].items()}
        for name, result in results.items()
        if "curve" in result.get("detail", {})
    }
