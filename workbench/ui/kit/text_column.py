"""A column of whole texts in a table: wide, and tall enough for three lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Options of `st.dataframe`, which wraps texts in rows taller than 4 rem (64 pixels) only.
LONG_TEXTS: Mapping[str, Any] = {"column_config": {"text": {"width": 560}}, "row_height": 70}
