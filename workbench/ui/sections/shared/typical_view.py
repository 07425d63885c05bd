"""The typical word with its neighbours in every space, as pages open on it: stored once found.

A page that shows it again reads one small file, and loads neither latents nor torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from workbench.errors import WorkbenchError
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json
from workbench.store.paths import runs_directory
from workbench.ui.kit.scan import stamp
from workbench.ui.sections.shared.held_out import items_of, key_of
from workbench.ui.sections.shared.typical_example import typical_word
from workbench.ui.sections.shared.word_company import Near, neighbours_of, shares_of

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection

FOLDER = ".views"


@dataclass(frozen=True)
class TypicalView:
    """What is shown of the typical word.

    Attributes:
        word: the word.
        text: the text it stands in.
        label: the kind that is looked at, such as `pos`.
        shares: arm or teacher -> share over all words, with interval, chance and n.
        near: space -> the word's neighbours.
    """

    word: str
    text: str
    label: str
    shares: Mapping[str, Mapping[str, Any]]
    near: Mapping[str, Sequence[Near]]


def typical_view(selection: Selection) -> TypicalView | None:
    """Read the stored view, or make and store it; None where no kind is probed in every arm."""
    file = _file(selection)
    if not file.is_file():
        made = _make(selection)
        if made is None:
            return None
        with suppress(WorkbenchError, OSError):  # a folder that only reads: it is made each time
            file.parent.mkdir(parents=True, exist_ok=True)
            write_file(file, json.dumps(asdict(made)).encode())
        return made
    return _read(str(file), stamp(file))


def _file(selection: Selection) -> Path:
    """Where the view is stored; another file once latents, teacher or probes change."""
    probes = [
        (run.arm, file.name, stamp(file))
        for run in selection.runs.values()
        for file in sorted(run.probes_dir.glob("knn_coherence*"))
    ]
    known = hashlib.sha256(repr((key_of(selection, "tokens"), probes)).encode())
    return runs_directory() / FOLDER / f"{known.hexdigest()[:16]}.json"


def _make(selection: Selection) -> TypicalView | None:
    items = items_of(selection, "tokens")
    typical = typical_word(selection, items)
    if typical is None:
        return None
    row, label = typical.row, typical.label
    return TypicalView(
        word=items.names[row],
        text=items.texts[row],
        label=label,
        shares=shares_of(selection, items, typical),
        near={space: neighbours_of(items, space, row, label) for space in items.spaces},
    )


@st.cache_resource(max_entries=32, show_spinner=False)
def _read(path: str, stamp: tuple[int, int]) -> TypicalView:
    stored = read_json(Path(path))
    near = {space: [Near(**own) for own in rows] for space, rows in stored.pop("near").items()}
    return TypicalView(**stored, near=near)
