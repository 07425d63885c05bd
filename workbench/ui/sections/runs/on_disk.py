"""Every run in the runs directory: how far it is, since when, how long it took, what it scored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from workbench.errors import WorkbenchError
from workbench.machine.progress import PROGRESS
from workbench.report.plain_words import plain_words
from workbench.report.writers import writers_of
from workbench.store.json_files import read_json
from workbench.store.paths import runs_directory
from workbench.study.listing import GENERATOR, list_states
from workbench.ui.kit.exhibits import show_table
from workbench.ui.kit.scan import stamp
from workbench.ui.kit.selection import current_selection
from workbench.ui.sections.study.score_tables import headline_metrics

MOST_SCORES = 4
NONE_YET = "There is no study yet. Start one on the page New study; it will be listed here."
ONLY_THE_EXAMPLE = (
    "There is no study of your own yet. What the pages show is the example that came with the "
    "workbench. *Train your own*, above, leads to the page New study; what you start there is "
    "listed here from its first minute, and opens in the sidebar."
)


def show_on_disk() -> None:
    """One row per study, run and generator; a damaged one stands here with the reason."""
    import pandas as pd

    rows = [_row(state) for state in list_states()]
    if not rows:
        selection = current_selection()
        st.info(
            NONE_YET if selection is None or not selection.is_example else ONLY_THE_EXAMPLE,
            icon=":material/folder_open:",
        )
        return
    show_table(
        pd.DataFrame(rows),
        "states",
        caption="Found by looking into the runs directory; click a column's head to sort. Minutes "
        "are those between the first and the last word of its log, pauses included. A damaged run "
        "stands here with the reason and disturbs no other.",
        column_config={
            "open": st.column_config.LinkColumn(display_text="open", width="small"),
            "last change": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
    )


def _row(state: Mapping[str, Any]) -> dict[str, Any]:
    folder = runs_directory() / state["name"]
    is_generator = state["kind"] == GENERATOR
    study, _, run = state["name"].partition("/generators/" if is_generator else "/arms/")
    arm, _, seed = run.partition("/seed-")
    query = {"study": study, **({"a": arm, "seed": seed} if run and not is_generator else {})}
    row = {
        "open": f"/?{urlencode(query)}",
        **state,
        "last change": _changed(folder),
        "minutes": None if run else _minutes(folder / PROGRESS),
    }
    done = state["state"] == "done" and run and seed.isdigit()
    scores = _scores(runs_directory() / study, arm, int(seed)) if done else {}
    return {**row, **scores}


def _changed(folder: Path) -> datetime | None:
    """When something in the folder itself was written last."""
    times = [file.stat().st_mtime for file in folder.iterdir() if file.is_file()]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _minutes(log: Path) -> float | None:
    return _between(str(log), stamp(log)) if log.is_file() else None


@st.cache_data(max_entries=256, show_spinner=False)
def _between(log: str, stamp: tuple[int, int]) -> float | None:
    """Minutes from the first to the last line of a progress log; None where it says no times."""
    import json

    times = []
    lines = Path(log).read_text().strip("\n").split("\n")
    for line in lines[:1] + lines[-1:]:
        try:
            times.append(float(json.loads(line)["time"]))
        except (ValueError, KeyError, TypeError):
            return None
    return round((times[-1] - times[0]) / 60, 1)


def _scores(study: Path, arm: str, seed: int) -> dict[str, float]:
    """Headline scores of one run, in plain words; none before the study's end."""
    file = study / "comparison.json"
    with suppress(WorkbenchError):  # the study's own row says what is damaged
        return _headline(str(study), arm, seed, stamp(file)) if file.is_file() else {}
    return {}


@st.cache_data(max_entries=1024, show_spinner=False)
def _headline(study: str, arm: str, seed: int, stamp: tuple[int, int]) -> dict[str, float]:
    comparison = read_json(Path(study) / "comparison.json")
    seeds = read_json(Path(study) / "study.json")["config"]["seeds"]
    own, place = writers_of(comparison).get(arm, {}), seeds.index(seed)
    values = {}
    for metric in headline_metrics(comparison)[:MOST_SCORES]:
        per_seed = own.get(metric, {}).get("seeds") or []
        if place < len(per_seed) and per_seed[place] is not None:
            values[plain_words(metric)] = round(per_seed[place], 4)
    return values
