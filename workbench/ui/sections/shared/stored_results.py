"""Stored probe results in the forms that pages draw, built from whatever is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.ui.kit.cached import probe_results
from workbench.ui.kit.error_card import guarded

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

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
