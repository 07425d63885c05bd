"""A choice that reads in plain words and stands in the address by its code name.

Streamlit's own binding would write the words that are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st


def choose_named(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    words: Callable[[str], str],
    first: str | None = None,
    where: Any = st,
    **more: Any,
) -> str:
    """A select box over code names.

    Args:
        label: over the box.
        options: code names.
        key: of the widget and in the address.
        words: code name -> what is shown.
        first: what it opens on; the first option if None.
        where: a column or container.
        more: options of `st.selectbox`.
    """
    if st.session_state.get(key) not in (None, *options):
        # Deleted, it would leave the old words in the browser's box.
        st.session_state[key] = first or options[0]
    asked = st.query_params.get(key)
    default = first or options[0]
    opened = asked if asked is not None and asked in options else default
    chosen = where.selectbox(
        label, options, index=list(options).index(opened), key=key, format_func=words, **more
    )
    chosen = chosen if chosen in options else opened
    if chosen != default or asked in options:
        st.query_params[key] = str(chosen)
    return str(chosen)
