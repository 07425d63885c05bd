"""Keep a finding: what was seen, and the fingerprints of what it is based on, in one file."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.config import settings
from workbench.report.findings.finding import (
    FOLDER,
    KIND,
    SCHEMA,
    Finding,
    Number,
    Selected,
    View,
    check_sentence,
)
from workbench.store.json_files import write_json
from workbench.store.manifest import read_manifest

if TYPE_CHECKING:
    from workbench.study.folders import Run, Study

VERSIONED = ("torch", "transformers", "numpy", "scikit-learn", "streamlit", "plotly")
DIGITS = 12
LONGEST_SLUG = 48


def keep_finding(
    study: Study,
    name: str,
    *,
    sentence: str,
    view: View,
    numbers: Sequence[Number],
    runs: Sequence[Run],
    selection: Selected | None = None,
) -> Path:
    """Write a finding into the study's folder.

    Args:
        study: the study shown.
        name: its name in the runs directory.
        sentence: what the reader saw, in one plain sentence.
        view: page and query.
        numbers: the numbers as shown.
        runs: the runs that they come from.
        selection: chosen items.

        Returns:
            The file.

        Raises:
            ValueError: the sentence is refused, or a number has no known source.
    """
    sentence = " ".join(sentence.split())
    check_sentence(sentence)
    now = datetime.now(UTC)
    finding = Finding(
        sentence=sentence,
        date=now.isoformat(timespec="seconds"),
        study=name,
        fingerprint=settings.fingerprint(study.config),
        view=view,
        selection=selection,
        numbers=tuple(replace(number, source=_plain(number.source)) for number in numbers),
        runs={run.name: run_prints(run) for run in runs},
        versions={"python": platform.python_version()} | {n: version(n) for n in VERSIONED},
    )
    path = _free_name(study.directory / FOLDER, f"{now:%Y%m%d}-{slug(sentence)}")
    write_json(path, {"kind": KIND, **SCHEMA.stamp(settings.to_dict(finding))}, sealed=True)
    return path


def run_prints(run: Run) -> dict[str, str]:
    """Fingerprints of what a run's numbers are based on: configuration, weights and later stages.

    Weights count by the sha256 of their file, so retraining shows even if the configuration is the
    same.
    """
    prints = {"configuration": settings.fingerprint(run.config)}
    for stage, folder in run.published().items():
        manifest = read_manifest(folder)
        weights = manifest.files.get("model.safetensors")
        known = manifest.meta.get("fingerprint") if weights is None else weights.sha256[:DIGITS]
        prints[stage] = str(known)
    return prints


def selected_rows(level: str, rows: Sequence[int], texts: Sequence[str]) -> Selected:
    """A selection: its rows, and the sha256 of their texts in order."""
    return Selected(level=level, rows=tuple(int(row) for row in rows), sha256=texts_hash(texts))


def texts_hash(texts: Sequence[str]) -> str:
    """sha256 of a list of texts."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def slug(sentence: str) -> str:
    """A sentence as part of a file name."""
    plain = re.sub(r"[^a-z0-9]+", "-", sentence.lower()).strip("-")
    return plain[:LONGEST_SLUG].strip("-") or "finding"


def _free_name(folder: Path, stem: str) -> Path:
    taken = {file.name for file in folder.glob("*.json")} if folder.is_dir() else set()
    names = (f"{stem}{'' if n == 1 else f'-{n}'}.json" for n in range(1, len(taken) + 2))
    return folder / next(name for name in names if name not in taken)


def _plain(source: Mapping[str, object]) -> dict[str, object]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in source.items()}
