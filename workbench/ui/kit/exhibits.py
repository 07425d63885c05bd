"""A figure with everything that belongs to it: caption, data, and files to take away.

PNG and SVG are drawn by the browser (the camera above the figure), so that they show what the
reader sees; HTML and CSV are made when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.report.number_text import MISSING
from workbench.ui.kit.escape import html_text
from workbench.ui.kit.theme import surface

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from streamlit.delta_generator import DeltaGenerator

CELL = "text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid #8884"
LONGEST_LINE = 30
CODE_NAME = "code name"
NAMES = "measure"  # column of what is measured, in words that end in an arrow
CHARACTER, CELL_PADDING = 6, 30  # pixels
# Options of `show_table` for a column `text` of whole texts: wide, and rows of three lines.
# Streamlit wraps texts only in rows taller than 64 pixels.
LONG_TEXTS: Mapping[str, Any] = {"column_config": {"text": {"width": 510}}, "row_height": 70}
DROPPED_BUTTONS = ["autoScale2d", "toggleSpikelines"]


def show_figure(
    figure: go.Figure,
    name: str,
    *,
    caption: str,
    table: Callable[[], pd.DataFrame] | None = None,
    on_select: str = "ignore",
    selection_mode: tuple[str, ...] = ("points", "box", "lasso"),
) -> Any:
    """Show a figure, one sentence that says what to look at, and its exports.

    Args:
        figure: themed already.
        name: of files and widget keys; one a page.
        caption: what to look at and what would surprise.
        table: makes the numbers behind the figure; without it the CSV holds the drawn points.
        on_select: `rerun` hands the selection back.
        selection_mode: see `st.plotly_chart`.

    Returns:
        Streamlit's selection state, or None.
    """
    stem = re.sub(r"[^\w-]+", "-", name).strip("-")
    image = st.session_state.get(f"{stem}-image", "png")
    config = {
        "displaylogo": False,
        "modeBarButtonsToRemove": DROPPED_BUTTONS,
        "toImageButtonOptions": {"format": image, "filename": stem, "scale": 2},
    }
    options: dict[str, Any] = {}
    if on_select != "ignore":
        options = {"on_select": on_select, "selection_mode": selection_mode}
    state = st.plotly_chart(
        figure, theme=None, width="stretch", key=f"{stem}-figure", config=config, **options
    )
    with caption_with_files(caption):
        _exports(figure, stem, table)
    return state if options else None


def caption_with_files(caption: str) -> DeltaGenerator:
    """Write what to look at, and hand back the menu beside it, which keeps its whole width."""
    row = st.container(horizontal=True, wrap=False)
    row.caption(caption)
    return row.popover("Export", icon=":material/download:", type="tertiary")


def _exports(figure: go.Figure, stem: str, table: Callable[[], pd.DataFrame] | None) -> None:
    st.download_button(
        "CSV: the numbers",
        lambda: for_files(table() if table else drawn_points(figure)).to_csv(index=False),
        file_name=f"{stem}.csv",
        mime="text/csv",
        on_click="ignore",
        key=f"{stem}-csv",
    )
    st.download_button(
        "HTML: the figure, works offline",
        lambda: figure.to_html(include_plotlyjs=True, full_html=True),
        file_name=f"{stem}.html",
        mime="text/html",
        on_click="ignore",
        key=f"{stem}-html",
    )
    st.segmented_control(
        "The camera above the figure saves",
        ["png", "svg"],
        default="png",
        key=f"{stem}-image",
    )


def drawn_points(figure: go.Figure) -> pd.DataFrame:
    """Every drawn point of a figure as a row: trace, x, y (and z of a heat map)."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for number, trace in enumerate(figure.data):
        name = trace.name or f"trace {number}"
        if trace.type == "heatmap":
            rows += [
                {"trace": name, "x": x, "y": y, "z": value}
                for y, line in zip(trace.y, trace.z, strict=True)
                for x, value in zip(trace.x, line, strict=True)
            ]
        elif getattr(trace, "x", None) is not None and trace.y is not None:
            rows += [{"trace": name, "x": x, "y": y} for x, y in zip(trace.x, trace.y, strict=True)]
    return pd.DataFrame(rows)


def show_table(
    frame: pd.DataFrame,
    name: str,
    *,
    caption: str = "",
    faded: Callable[[pd.Series], bool] | None = None,
    **options: Any,
) -> Any:
    """Show a table with its CSV and Parquet.

    A cell without a value reads `MISSING`, and is empty in the files.

    Args:
        frame: rows.
        name: of files and widget keys; one a page.
        caption: what to look at.
        faded: rows to grey out.
        options: of `st.dataframe`.
    """
    import pandas as pd

    stem = re.sub(r"[^\w-]+", "-", name).strip("-")
    shown: Any = frame
    if faded is not None and len(frame):
        grey = frame.apply(faded, axis=1).map({True: f"color: {surface().muted}", False: ""})
        shown = frame.style.apply(lambda _: pd.concat([grey] * frame.shape[1], axis=1,
                                  keys=frame.columns), axis=None)  # fmt: skip
    # For exports; readers see the plain words.
    hidden = {name: None for name in map(str, frame) if name.startswith(CODE_NAME)}
    options["column_config"] = {**hidden, **_wide_names(frame), **options.get("column_config", {})}
    state = st.dataframe(
        shown, hide_index=True, key=f"{stem}-table", placeholder=MISSING, **options
    )
    _table_footer(frame, stem, caption)
    return state


def _wide_names(frame: pd.DataFrame) -> dict[str, Any]:
    """A column of measures as wide as its longest name; Streamlit would cut its arrow off."""
    if NAMES not in frame or not len(frame):
        return {}
    longest = int(frame[NAMES].astype(str).str.len().max())
    return {NAMES: st.column_config.Column(width=CELL_PADDING + CHARACTER * longest)}


def show_reading_table(
    frame: pd.DataFrame, name: str, *, caption: str, files: pd.DataFrame | None = None
) -> None:
    """Show a table whose cells hold sentences, wrapped; every cell is escaped.

    Args:
        frame: what is read.
        name: of files and widget keys; one a page.
        caption: what to look at.
        files: what its files hold, where that is more than is read.
    """
    head = "".join(f'<th style="{CELL}">{html_text(column)}</th>' for column in frame)
    body = "".join(
        "<tr>" + "".join(_cell(cell) for cell in row) + "</tr>"
        for row in frame.itertuples(index=False)
    )
    st.html(
        '<div style="overflow-x:auto">'
        '<table style="width:100%;border-collapse:collapse;font-size:.86rem;line-height:1.35">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    kept = frame if files is None else files
    _table_footer(kept, re.sub(r"[^\w-]+", "-", name).strip("-"), caption)


def _cell(value: Any) -> str:
    """A table cell; numbers and names stay on one line where there is room, sentences wrap."""
    text = MISSING if is_missing(value) else str(value)
    kind = "" if len(text) > LONGEST_LINE else ' class="short-cell"'
    return f'<td{kind} style="{CELL}">{html_text(text)}</td>'


def _table_footer(frame: pd.DataFrame, stem: str, caption: str) -> None:
    with caption_with_files(caption):
        st.download_button(
            "CSV",
            lambda: for_files(frame).to_csv(index=False),
            file_name=f"{stem}.csv",
            mime="text/csv",
            on_click="ignore",
            key=f"{stem}-csv",
        )
        st.download_button(
            "Parquet",
            lambda: parquet_bytes(for_files(frame)),
            file_name=f"{stem}.parquet",
            mime="application/vnd.apache.parquet",
            on_click="ignore",
            key=f"{stem}-parquet",
        )


def is_missing(value: Any) -> bool:
    """Whether a cell holds no value: none, NaN, or text that says so."""
    return value is None or value == MISSING or value != value


def for_files(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as files hold it: empty where a page writes `MISSING`."""
    return frame.mask(frame == MISSING, None)


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A table as the bytes of a Parquet file."""
    import io

    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
