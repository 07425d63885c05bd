"""Figures that are built once: building one takes longer than the rest of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go


def kept_figure(make: Callable[..., go.Figure], *given: Any, **named: Any) -> go.Figure:
    """What `make(*given, **named)` draws, built anew when an argument's content changes.

    All sessions share it, so it must not be changed afterwards. Streamlit compares arrays of half
    a million numbers and more by a sample: such a figure is not for this.
    """
    return _kept(f"{make.__module__}.{make.__qualname__}", make, given, named)


@st.cache_resource(max_entries=64, show_spinner=False)
def _kept(
    name: str, _make: Callable[..., go.Figure], given: Sequence[Any], named: Mapping[str, Any]
) -> go.Figure:
    return _make(*given, **named)
