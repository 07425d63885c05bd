"""Stored probe results in the forms that pages draw, built from whatever is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.report.number_text import interval_text, number_text
from workbench.ui.kit.cached import probe_results
from workbench.ui.kit.error_card import guarded

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.kit.sidebar import Selection

Results = Mapping[str, Mapping[str, Any]]


def results_of(selection: Selection) -> dict[str, dict[str, dict[str, Any]]]:
    """Stored results of each selected arm; what cannot be read is a card, and empty here."""
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for arm, run in selection.runs.items():
        results[arm] = {}
        with guarded(f"Arm {arm}"):
            results[arm] = probe_results(run)
    return results


def family(results: Results, prefix: str) -> dict[str, Mapping[str, Any]]:
    """Results whose name begins with `prefix`, named by what follows; undefined ones left out."""
    return {
        name.removeprefix(prefix): result
        for name, result in results.items()
        if name.startswith(prefix) and result.get("score") is not None
    }


def missing_note(selection: Selection, *probes: str) -> None:
    """Say that probes are not stored for both arms, and the command that computes them."""
    named = " and ".join(f"`{probe}`" for probe in probes)
    st.info(
        f"Not measured for {' and '.join(selection.arms)} yet: {named}. This costs more than the "
        "probes of every study and runs when asked:",
        icon=":material/hourglass_empty:",
    )
    option = _option(",".join(probes))
    lines = [
        f"python -m workbench probe {selection.name}/{arm}/{selection.seed} {option}"
        for arm in selection.arms
    ]
    st.code("\n".join(lines).strip(), language="bash")


def _option(probes: str) -> str:
    """The option of the verb `probe` that names some, where this release has it."""
    import inspect

    from workbench.cli.studies import probe as verb

    known = inspect.signature(verb).parameters
    name = next((n for n in ("only", "probes") if n in known), None)
    return f"--{name} {probes}" if name else ""


def baseline_marks(results: Results) -> dict[str, dict[str, float | None]]:
    """Chance, shuffled labels and the word alone, by measure."""
    return {
        "majority class": {name: r.get("chance") for name, r in results.items()},
        "shuffled labels": {
            name: r["detail"].get("shuffled", {}).get("mean") for name, r in results.items()
        },
        "the word alone": {
            name: r["detail"].get("baseline", {}).get("accuracy", {}).get("mean")
            for name, r in results.items()
        },
    }


def class_frame(
    results: Mapping[str, Mapping[str, Any] | None], names: Sequence[str]
) -> pd.DataFrame:
    """A row a class: its size and each arm's accuracy on it."""
    import pandas as pd

    classes: dict[str, dict[str, Any]] = {}
    for arm, result in results.items():
        for code, own in ((result or {}).get("detail", {}).get("per_class", {}) or {}).items():
            place = int(code)
            name = names[place] if 0 <= place < len(names) else code
            row = classes.setdefault(name, {"class": name, "items": own.get("n")})
            row[arm] = own.get("accuracy")
    frame = pd.DataFrame(list(classes.values()))
    if len(frame) and len(arms := [arm for arm in results if arm in frame]) == 2:
        frame["difference"] = frame[arms[1]] - frame[arms[0]]
    return frame.round(3)


def swept_grid(results: Results) -> dict[str, dict[str, float | None]]:
    """Label -> place (step or layer) -> accuracy, from results with a curve over places."""
    return {
        name: {place: point.get("accuracy") for place, point in result["detail"]["curve"].items()}
        for name, result in results.items()
        if "curve" in result.get("detail", {})
    }


def every_result(results: Mapping[str, Results]) -> pd.DataFrame:
    """A row a stored result: each arm's score and interval, chance, points; or why none."""
    import pandas as pd

    names = list(dict.fromkeys(name for own in results.values() for name in own))
    rows = []
    for name in names:
        known = {arm: own[name] for arm, own in results.items() if name in own}
        first = next(iter(known.values()))
        rows.append(
            {
                "measure": name,
                **{
                    arm: interval_text({**r, "mean": r["score"]})
                    if r.get("score") is not None
                    else str(r.get("reason"))
                    for arm, r in known.items()
                },
                "chance": number_text(first.get("chance")),
                "better": {True: "higher", False: "lower", None: ""}[first.get("higher_is_better")],
                "n": first.get("n"),
            }
        )
    return pd.DataFrame(rows)
