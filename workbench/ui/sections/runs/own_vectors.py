"""Vectors of the reader's own: checked on the server, then mapped and compared like any arm's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from analyses.figures.linked_maps import Colouring
from workbench.errors import InputError
from workbench.probes.spaces import Items
from workbench.ui.kit.error_card import guarded
from workbench.ui.kit.escape import inline
from workbench.ui.kit.exhibits import show_table
from workbench.ui.map.component import show_map
from workbench.ui.map.view import MapView
from workbench.ui.sections.latent_map.map_choice import TRUST
from workbench.ui.sections.latent_map.stored_maps import Maps, drawn_or_stop
from workbench.ui.sections.runs.label_columns import Labels, label_sets
from workbench.ui.sections.runs.vector_files import (
    TEXT_KINDS,
    VECTOR_KINDS,
    read_texts,
    read_vectors,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


MOST_COMPARED = 5000
MOST_MEASURED = 20_000  # rows of which trust and UMAP take all distances
ALONG = "row of the file"


@dataclass(frozen=True)
class OwnVectors:
    """Uploaded spaces of the same items.

    Attributes:
        spaces: file -> (N, F) float32.
        texts: N, one per row.
        left_out: file -> its columns that are no dimensions.
        labels: column -> (codes (N,), classes).
        key: names all this by what the files hold.
    """

    spaces: Mapping[str, np.ndarray]
    texts: list[str]
    left_out: Mapping[str, tuple[str, ...]]
    labels: Labels
    key: str


def show_own_vectors() -> None:
    """Upload, check, map, compare."""
    st.caption(
        "One or two files of vectors, one row per item (.npy, .npz or .safetensors with one "
        "matrix, or .parquet with one column of lists or many of numbers), and the items' texts "
        "(one line each, or a table with a column `text`). Other columns of few values are labels. "
        "Nothing is executed or unpickled; files stay in memory, the map's coordinates are stored."
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
        for name, columns in own.left_out.items():
            if columns:
                st.caption(inline(f"{name}: not taken for dimensions: {', '.join(columns)}."))
        _show_map(own)
        if len(own.spaces) == 2:
            _show_comparison(own)


def read_upload(files: list[Any], lines: Any) -> OwnVectors:
    """Uploaded files as arrays.

    Raises:
        InputError: another type, over a limit, not a matrix of finite numbers, or counts differ.
    """
    read = {}
    for file in files:
        name = file.name if file.name not in read else f"{file.name} (2)"
        read[name] = read_vectors(file.name, file.getvalue())
    spaces = {name: vectors.rows for name, vectors in read.items()}
    counts = {name: len(rows) for name, rows in spaces.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"the files hold different numbers of rows: {counts}")
    n = next(iter(counts.values()))
    texts = read_texts(lines.name, lines.getvalue()) if lines else [f"row {i}" for i in range(n)]
    if len(texts) != n:
        blank = sum(not text.strip() for text in texts)
        also = f" ({blank} of the texts are blank)" if blank else ""
        raise InputError(f"{len(texts)} texts for {n} vectors: one text per row is needed{also}")
    held = [*files, *([lines] if lines else [])]
    labels: Labels = {}
    for file in held:
        labels |= label_sets(file.name, file.getvalue())
    key = hashlib.sha256()
    for file in held:
        key.update(repr((file.name, len(file.getvalue()))).encode())
        key.update(file.getvalue())
    left_out = {name: vectors.left_out for name, vectors in read.items()}
    return OwnVectors(spaces, texts, left_out, labels, key.hexdigest()[:16])


def _show_map(own: OwnVectors) -> None:
    """Each space, laid on the first; it opens on the first label set, or along the file."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    measured, method = len(own.texts) <= MOST_MEASURED, "pca"
    if measured:
        asked = row.segmented_control("Method", ["pca", "umap"], default="pca", key="own-method")
        method = asked or method
    choices = [*own.labels, ALONG, *([TRUST] if measured else [])]
    colour = row.selectbox("Colour", choices, key="own-colour", width=280)
    maps = drawn_or_stop(own.key, method, own.spaces) if measured else _flat(own.spaces)
    order = np.arange(len(own.texts), dtype=np.float64)
    if colour in own.labels:
        codes, classes = own.labels[colour]
        colouring = Colouring(name=colour, codes=codes, classes=classes)
    elif colour == TRUST:
        colouring = Colouring(name="trustworthiness", values=maps.trust)
    else:
        colouring = Colouring(name=ALONG, values=dict.fromkeys(maps.coords, order))
    show_map(
        MapView(
            key=f"{own.key}-{method}",
            items=Items(own.spaces, own.texts, own.texts, own.labels, own.texts, order),
            coords=maps.coords,
            titles={name: _title(name, rows, maps) for name, rows in own.spaces.items()},
            colouring=colouring,
            hint="find part of a text",
            file="own-map",
            paths={},
            first=0,
        ),
        "*Trust*: how far neighbours on the map are neighbours in the space, 1 = all"
        + ("" if measured else f" (measured for at most {MOST_MEASURED:,} rows)")
        + ". Neighbours of a clicked dot are those of the full vectors, by cosine.",
    )


def _title(name: str, rows: np.ndarray, maps: Maps) -> str:
    trust = maps.mean_trust[name]
    return f"{name}, {rows.shape[1]} columns" + ("" if trust is None else f", trust {trust:.2f}")


def _flat(spaces: Mapping[str, np.ndarray]) -> Maps:
    """Principal components alone, for so many rows that all distances cost too much."""
    from analyses.maps.linear_basis import fit_linear_basis, procrustes_aligned

    coords = {name: fit_linear_basis([rows]).project(rows) for name, rows in spaces.items()}
    first = next(iter(coords.values()))
    coords = {n: c if c is first else procrustes_aligned(c, first) for n, c in coords.items()}
    return Maps(coords, {}, dict.fromkeys(coords), "")


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
