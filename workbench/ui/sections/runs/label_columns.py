"""Label sets of a visitor's items: columns of few different values beside the texts or vectors."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

MOST_CLASSES = 50

Labels = dict[str, tuple[np.ndarray, tuple[str, ...]]]


def label_sets(name: str, content: bytes) -> Labels:
    """Column -> (codes (N,), classes) of a table that was read without complaint before.

    A column counts if it has from 2 to 50 different values, each at least twice on average. An
    empty value is no class (-1). Lists, and files that are no tables, have none.
    """
    kind = name.rpartition(".")[2].lower()
    columns = {
        "csv": _csv_columns, "tsv": _csv_columns, "parquet": _parquet_columns
    }.get(kind, _none)(name, content)  # fmt: skip
    found = {column: _coded(values) for column, values in columns.items() if column != "text"}
    return {column: coded for column, coded in found.items() if coded is not None}


def _none(name: str, content: bytes) -> Mapping[str, Sequence[str]]:
    return {}


def _csv_columns(name: str, content: bytes) -> Mapping[str, Sequence[str]]:
    from data.readers.lines import stream_lines
    from data.readers.tables import csv_records

    lines = stream_lines(io.BytesIO(content), name, "strict")
    rows = [record.values for record in csv_records(lines, name, blank_rows=True)]
    return {column: [row.get(column, "") for row in rows] for column in (rows[0] if rows else ())}


def _parquet_columns(name: str, content: bytes) -> Mapping[str, Sequence[str]]:
    import pyarrow.parquet as pq
    import pyarrow.types as types

    file = pq.ParquetFile(io.BytesIO(content))
    plain = [
        field.name
        for field in file.schema_arrow
        if types.is_string(field.type)
        or types.is_large_string(field.type)
        or types.is_dictionary(field.type)
        or types.is_integer(field.type)
        or types.is_boolean(field.type)
    ]
    table = file.read(columns=plain)
    return {
        column: ["" if value is None else str(value) for value in table.column(column).to_pylist()]
        for column in plain
    }


def _coded(values: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]] | None:
    classes = tuple(sorted({value for value in values if value}))
    if not 2 <= len(classes) <= min(MOST_CLASSES, len(values) // 2):
        return None
    places = {value: code for code, value in enumerate(classes)}
    return np.array([places.get(value, -1) for value in values], np.int64), classes
