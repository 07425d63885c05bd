"""Parts of the page Runs: configuration differences, training logs, files to take away."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import streamlit as st

from analyses.figures.theme import Theme, arm_styles, plain, themed
from workbench.store.metrics_log import NOT_FINITE
from workbench.ui.kit.cached import metrics_of, samples_of, scores_of
from workbench.ui.kit.escape import inline
from workbench.ui.kit.figures import parquet_bytes

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from workbench.ui.kit.sidebar import Selection

NOT_PLOTTED = ("step", "stage", "skipped", "learning_rate")
MOST_PANELS = 15
JSON_FILES = ("study.json", "comparison.json", "evaluation.json", "run.json")


def difference_frame(selection: Selection) -> pd.DataFrame:
    """Settings that differ between the two selected runs."""
    import pandas as pd

    from workbench.config.settings import differences

    if len(selection.arms) < 2:
        return pd.DataFrame()
    left, right = selection.runs.values()
    rows = differences(left.config, right.config)
    return pd.DataFrame(
        [
            {"setting": row.key, selection.first: row.left, selection.second: row.right}
            for row in rows
        ]
    )


def stage_names(selection: Selection) -> list[str]:
    """Stages with training records in any selected run."""
    names = [r.get("stage", "") for run in selection.runs.values() for r in metrics_of(run)]
    return list(dict.fromkeys(name for name in names if name))


def log_figure(selection: Selection, stage: str, *, theme: Theme) -> tuple[go.Figure, pd.DataFrame]:
    """Every logged number of a stage as a small panel, and the records as a table."""
    import pandas as pd
    from plotly.subplots import make_subplots

    frames = [
        pd.DataFrame([r for r in metrics_of(run) if r.get("stage") == stage]).assign(arm=arm)
        for arm, run in selection.runs.items()
    ]
    table = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    numbers = [name for name in table.select_dtypes("number").columns if name not in NOT_PLOTTED][
        :MOST_PANELS
    ]
    styles = arm_styles(selection.all_arms, theme)
    columns, rows = 3, max(1, -(-len(numbers) // 3))
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=[plain(name) for name in numbers],
        vertical_spacing=min(0.12, 0.4 / rows),
    )  # fmt: skip
    for place, name in enumerate(numbers):
        for arm, own in table.groupby("arm", sort=False):
            style = styles[str(arm)]
            known = own[["step", name]].dropna()
            figure.add_scatter(
                x=known["step"].tolist(), y=known[name].tolist(), mode="lines+markers",
                name=plain(str(arm)), legendgroup=str(arm), showlegend=place == 0,
                line={"color": style.colour, "dash": style.dash},
                marker={"symbol": style.symbol, "size": 4},
                row=place // columns + 1, col=place % columns + 1,
            )  # fmt: skip
    figure.update_xaxes(title_text="step", row=rows)
    figure = themed(figure, theme, height=90 + 210 * rows)
    figure.update_layout(legend={"y": 1.0 + 0.09 / rows}, margin={"t": 60})
    return figure, table


def undefined_sentence(table: pd.DataFrame) -> str:
    """Which logged numbers are not defined in which arm, such as a cosine without a teacher."""
    missing: dict[str, list[str]] = {}
    for arm, own in table.groupby("arm", sort=False):
        for name in own.columns:
            if name not in (NOT_FINITE, "arm") and own[name].isna().all():
                missing.setdefault(name, []).append(str(arm))
    named = "; ".join(f"`{name}` in {', '.join(arms)}" for name, arms in missing.items())
    return f" Not defined: {named}." if named else ""


def offer_files(selection: Selection) -> None:
    """Downloads of a study: report, comparison, samples and scores."""
    study = selection.study
    report = study.directory / "report.html"
    if report.is_file():
        _button("Report of the study (HTML, works offline)", report.read_bytes,
                f"{study.config.name}-report.html", "text/html")  # fmt: skip
    for arm, run in selection.runs.items():
        for what, read in (("texts", samples_of), ("scores", scores_of)):
            folder = run.samples_dir if what == "texts" else run.scores_dir
            if folder.is_dir():
                _button(
                    f"{arm}: {what} of held-out prompts (Parquet)",
                    lambda read=read, run=run: parquet_bytes(read(run)),
                    f"{study.config.name}-{arm}-{what}.parquet",
                    "application/vnd.apache.parquet",
                )
    _button("Every number as JSON (zip)", lambda: _numbers(selection),
            f"{study.config.name}-numbers.zip", "application/zip")  # fmt: skip
    st.caption(f"All of it lies in {inline(study.directory)}; weights load by from\\_pretrained.")


def _button(label: str, data: Any, name: str, mime: str) -> None:
    st.download_button(
        label, data, file_name=name, mime=mime, on_click="ignore", icon=":material/download:"
    )


def _numbers(selection: Selection) -> bytes:
    """Configuration, comparison, evaluations and probes of a study in one archive."""
    buffer, root = io.BytesIO(), selection.study.directory
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*.json")):
            inside = file.relative_to(root)
            if file.name in JSON_FILES or file.parent.name in ("probes", "over_training"):
                archive.write(file, str(inside))
    return buffer.getvalue()
