"""What the reader is told when a link asks for something that is not there (any more)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from workbench.ui.kit.escape import inline
from workbench.ui.kit.selection import current_selection

ASKED, GONE = "_asked", "_gone"


def remember_link() -> None:
    """Keep what the address asks for, before any widget answers; call it first in a run."""
    st.session_state[ASKED] = st.query_params.to_dict()


def note_gone(study: str) -> None:
    """Remember that a study which was open is not there any more."""
    st.session_state[GONE] = study


def show_link_notice(place: Any) -> None:
    """Say in `place` which study is gone and which values of the link were ignored."""
    selection, gone = current_selection(), st.session_state.get(GONE)
    if gone is not None and (selection is None or selection.name != gone):
        instead = "" if selection is None else f" This shows {inline(selection.name)}."
        place.warning(
            f"The study **{inline(gone)}** is gone: its folder was deleted or renamed.{instead}"
        )
    known = {key: st.session_state[key] for key in st.session_state}
    ignored = ignored_values(st.session_state.get(ASKED, {}), known)
    if gone is not None:
        ignored.pop("study", None)
    if ignored:
        named = ", ".join(f"{inline(key)} = {inline(value)}" for key, value in ignored.items())
        place.warning(f"The link asks for what is not here, so this was ignored: {named}.")


def ignored_values(asked: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, str]:
    """Values of a link that differ from what the page's widgets hold."""
    return {
        key: value
        for key, value in asked.items()
        if known.get(key) is not None and not _is_same(value, known[key])
    }


def _is_same(asked: str, held: Any) -> bool:
    if asked.lower() == str(held).lower():
        return True
    with suppress(TypeError, ValueError):
        return float(asked) == float(held)
    return False
