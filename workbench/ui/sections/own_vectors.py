"""Vectors of the reader's own: checked on the server, then mapped and compared like any arm's."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from workbench.errors import InputError
from workbench.ui.charts.maps import MOST_POINTS, Colouring, maps_figure
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.figures import show_figure, show_table
from workbench.ui.kit.theme import theme

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

VECTOR_KINDS = ("npy", "safetensors", "parquet")
TEXT_KINDS = ("txt", "parquet", "csv")
LARGEST_BYTES = 200 * 2**20
MOST_ROWS, MOST_COLUMNS = 500_000, 8192
MOST_COMPARED = 5000


@dataclass(frozen=True)
class OwnVectors:
    """Uploaded spaces of the same items: name -> (N, F) float32, and N texts."""

    spaces: Mapping[str, np.ndarray]
    texts: list[str]


def show_own_vectors() -> None:
    """Upload, check, map, compare."""
    st.caption(
        "One or two files of vectors, a row an item (.npy, .safetensors with one matrix, or "
        ".parquet of numbers), and the items' texts (a line each, or a table with a column "
        "`text`). Nothing is executed or unpickled; files stay in memory."
    )
    left, right = st.columns(2)
    files = left.file_uploader(
        "Vectors", type=list(VECTOR_KINDS), accept_multiple_files=True, max_upload_size=200
    )
    lines = right.file_uploader("Texts (optional)", type=list(TEXT_KINDS), max_upload_size=200)
    if not files:
        return
    with guarded("These files"):
        own = read_upload(files[:2], lines)
        _show_map(own)
        if len(own.spaces) == 2:
            _show_comparison(own)


def read_upload(files: list[Any], lines: Any) -> OwnVectors:
    """Uploaded files as arrays.

    Raises:
        InputError: another type, over a limit, not a matrix of finite numbers, or counts differ.
    """
    spaces: dict[str, np.ndarray] = {}
    for file in files:
        name = file.name if file.name not in spaces else f"{file.name} (2)"
        spaces[name] = read_vectors(file.name, file.getvalue())
    counts = {name: len(rows) for name, rows in spaces.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"the files hold different numbers of rows: {counts}")
    n = next(iter(counts.values()))
    texts = read_texts(lines.name, lines.getvalue()) if lines else [f"row {i}" for i in range(n)]
    if len(texts) != n:
        raise InputError(f"{len(texts)} texts for {n} vectors: one text a row is needed")
    return OwnVectors(spaces, texts)


def read_vectors(name: str, content: bytes) -> np.ndarray:
    """(N, F) float32 of a file's bytes, without pickle.

    Raises:
        InputError: see `read_upload`.
    """
    kind = _kind(name, content, VECTOR_KINDS)
    try:
        if kind == "npy":
            array = np.load(io.BytesIO(content), allow_pickle=False)
        elif kind == "safetensors":
            from safetensors.numpy import load

            tensors = load(content)
            if len(tensors) != 1:
                raise InputError(f"{name}: holds {len(tensors)} tensors; one matrix is wanted")
            array = next(iter(tensors.values()))
        else:
            import pandas as pd

            array = pd.read_parquet(io.BytesIO(content)).select_dtypes("number").to_numpy()
    except InputError:
        raise
    except Exception as error:
        # Readers raise what they like on foreign bytes; the reader learns which file it was.
        raise InputError(f"{name}: cannot be read as .{kind} ({type(error).__name__})") from error
    return _checked(name, array)


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or array.shape[0] < 3 or array.shape[1] < 2:
        raise InputError(f"{name}: a matrix of 3 rows and 2 columns or more is wanted, "
                         f"got shape {array.shape}")  # fmt: skip
    if array.shape[0] > MOST_ROWS or array.shape[1] > MOST_COLUMNS:
        raise InputError(f"{name}: shape {array.shape}; at most ({MOST_ROWS}, {MOST_COLUMNS})")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: numbers are wanted, got {array.dtype}")
    rows = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise InputError(f"{name}: not finite in {bad.size} rows, first row {bad[0]}")
    return rows


def read_texts(name: str, content: bytes) -> list[str]:
    """One text an item.

    Raises:
        InputError: another type, over the limit, not UTF-8, or no column `text`.
    """
    kind = _kind(name, content, TEXT_KINDS)
    if kind == "txt":
        try:
            return content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: not UTF-8 ({error})") from error
    import pandas as pd

    try:
        reader = pd.read_parquet if kind == "parquet" else pd.read_csv
        frame = reader(io.BytesIO(content))
    except Exception as error:
        raise InputError(f"{name}: cannot be read as .{kind} ({type(error).__name__})") from error
    if "text" not in frame:
        raise InputError(
            f"{name}: no column `text`; it has {', '.join(map(str, frame.columns[:8]))}"
        )
    return [str(text) for text in frame["text"]]


def _kind(name: str, content: bytes, kinds: tuple[str, ...]) -> str:
    """The file's type by its ending, checked here whatever the browser let through."""
    kind = Path(name).suffix.lower().lstrip(".")
    if kind not in kinds:
        raise InputError(f"{name}: not one of {', '.join(kinds)}")
    if not 0 < len(content) <= LARGEST_BYTES:
        raise InputError(f"{name}: {len(content)} bytes; 1 to {LARGEST_BYTES} are taken")
    return kind


def _show_map(own: OwnVectors) -> None:
    """PCA of each space, laid on the first; coloured along the file."""
    from analyses.maps.linear_basis import fit_linear_basis, procrustes_aligned

    coords = {n: fit_linear_basis([rows]).project(rows) for n, rows in own.spaces.items()}
    first = next(iter(coords.values()))
    coords = {n: c if c is first else procrustes_aligned(c, first) for n, c in coords.items()}
    order = np.arange(len(own.texts), dtype=np.float64)
    show_figure(
        maps_figure(
            coords,
            {name: f"{name}, {own.spaces[name].shape[1]} columns" for name in coords},
            [text[:160] for text in own.texts],
            Colouring(name="row of the file", values=dict.fromkeys(coords, order)),
            theme=theme(),
        ).figure,
        "own-map",
        table=lambda: coordinates(coords, own.texts),
        caption="Principal components, coloured by the row of the file."
        + (f" {len(own.texts):,} rows: a sample of {MOST_POINTS:,} over the density of all."
           if len(own.texts) > MOST_POINTS else ""),
    )  # fmt: skip


def coordinates(coords: Mapping[str, np.ndarray], texts: list[str]) -> pd.DataFrame:
    """Text and coordinates in each space, a row an item."""
    import pandas as pd

    columns = {
        f"{name} {axis}": c[:, i] for name, c in coords.items() for i, axis in enumerate("xy")
    }
    return pd.DataFrame({"text": texts, **columns})


def _show_comparison(own: OwnVectors) -> None:
    """Alignment of the two spaces, and the items that moved most."""
    import pandas as pd

    from analyses.spaces.alignment import linear_cka, mutual_knn
    from analyses.spaces.displacement import displacement

    n = len(own.texts)
    rows = np.sort(np.random.default_rng(0).permutation(n)[:MOST_COMPARED])
    first, second = (space[rows] for space in own.spaces.values())
    with st.spinner("Comparing …"):
        aligned = [linear_cka(first, second), mutual_knn(first, second)]
        moved = displacement(first, second)
    if n > MOST_COMPARED:
        st.caption(f"Compared on a seeded sample of {MOST_COMPARED:,} of {n:,} rows.")
    for column, result in zip(st.columns(2), aligned, strict=True):
        value = "not defined" if result.score is None else f"{result.score:.3f}"
        chance = "" if result.chance is None else f" (chance {result.chance:.3f})"
        column.metric(f"{result.name}{chance}", value)
    per_item = moved.per_item.get("displacement", np.zeros(0))
    order = np.argsort(-per_item, kind="stable")[:100]
    show_table(
        pd.DataFrame({"displacement": per_item[order].round(3),
                      "text": [own.texts[rows[i]] for i in order]}),
        "own-moved",
        caption="Items whose neighbours changed most from one space to the other.",
    )  # fmt: skip
