"""The scorecard of the documentation, read once."""

from __future__ import annotations

import streamlit as st

from workbench.report.published_scorecard import PUBLISHED, PublishedScorecard, read_scorecard
from workbench.ui.kit.scan import stamp


def published_card() -> PublishedScorecard | None:
    """The scorecard of the documentation; None where this checkout lacks it."""
    return _read(stamp(PUBLISHED)) if PUBLISHED.is_file() else None


@st.cache_resource(max_entries=1, show_spinner=False)
def _read(stamp: tuple[int, int]) -> PublishedScorecard:
    return read_scorecard(PUBLISHED)
