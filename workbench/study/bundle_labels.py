"""Labels that a latent bundle brings: classes of the study's held-out texts, kept with the arm.

They stand beside the study's own labels wherever that arm is probed or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from data.corpus_store import Split
    from workbench.study.bundle import Bundle
    from workbench.study.folders import Run

FILE = "test-labels.parquet"


@dataclass(frozen=True)
class OwnLabel:
    """A label set of a bundle: the class name of each held-out text, None = missing."""

    names: tuple[str | None, ...]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted; a code is a position."""
        return tuple(sorted({name for name in self.names if name is not None}))

    @cached_property
    def codes(self) -> np.ndarray:
        """(M,) int64, -1 = missing."""
        places = {name: code for code, name in enumerate(self.classes)}
        return np.array([-1 if name is None else places[name] for name in self.names], np.int64)


def own_labels(bundle: Bundle, rows: np.ndarray, run: Run) -> dict[str, OwnLabel]:
    """What a bundle says about the study's texts and the study does not.

    A name that the study, or another arm from a bundle, uses for other classes gets the arm's
    name behind it. So one name always means one label.

    Args:
        bundle: the bundle.
        rows: (M,) its row for each held-out text, -1 if it has none.
        run: the arm that it becomes.
    """
    study = run.study
    split = study.corpus.split("test")
    taken = {name: label for arm in study.imported for name, label in read_labels(arm).items()
             if arm.name != run.name}  # fmt: skip
    found: dict[str, OwnLabel] = {}
    for name, classes in bundle.labels.items():
        label = OwnLabel(tuple(classes[row] if row >= 0 else None for row in rows))
        if name in split.labels and _same_as_ours(label, split, study.corpus.label_names, name):
            continue
        known = name in study.corpus.token_label_names or name in split.labels
        other = name in taken and taken[name] != label
        found[f"{name} ({run.arm})" if known or other else name] = label
    return {name: label for name, label in found.items() if label.classes}


def _same_as_ours(
    label: OwnLabel, split: Split, label_names: Mapping[str, tuple[str, ...]], name: str
) -> bool:
    """Whether a label says what the study's of the same name says, where it says anything."""
    ours = np.asarray(split.labels[name])
    return all(
        given is None or (code >= 0 and label_names[name][code] == given)
        for given, code in zip(label.names, ours, strict=True)
    )


def write_labels(folder: Path, labels: Mapping[str, OwnLabel]) -> None:
    """Write an arm's labels beside its latents, if it has any."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if labels:
        columns = {name: pa.array(label.names, pa.string()) for name, label in labels.items()}
        pq.write_table(pa.table(columns), folder / FILE)


def read_labels(run: Run) -> dict[str, OwnLabel]:
    """The labels that an arm brought; none for a trained arm."""
    import pyarrow.parquet as pq

    file = run.latents_dir / FILE
    if run.imported is None or not file.is_file():
        return {}
    table = pq.read_table(file)
    return {name: OwnLabel(tuple(table[name].to_pylist())) for name in table.column_names}
