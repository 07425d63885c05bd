"""Files of a study to take away: report, texts, scores, and every number."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.ui.kit.cached import samples_of, scores_of
from workbench.ui.kit.escape import inline
from workbench.ui.kit.exhibits import parquet_bytes

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

JSON_FILES = ("study.json", "comparison.json", "evaluation.json", "run.json")


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
