"""Writing one split of a corpus: parallel arrays that grow, and the texts in Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.npy_files import NpyAppender
from data.token_labels import MISSING
from data.tokenization import Encoding

ROW_GROUP = 1024
TEXTS = "texts.parquet"
TEXT_SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("facts", pa.map_(pa.string(), pa.string())),
        ("reference", pa.large_string()),
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One window with all that is stored of it; labels are class ids already."""

    document: int
    key: int
    text: str
    encoding: Encoding
    labels: Mapping[str, int]
    token_labels: Mapping[str, np.ndarray]
    facts: Mapping[str, str]
    reference: str | None


class SplitWriter:
    """Appends rows to the files of one split.

    Labels may turn up late: a file for a new label starts with the missing mark for all before.
    `label_files` and `token_label_files` map a label to its file, since a label may have any name.
    """

    def __init__(self, directory: Path, token_dtype: np.dtype) -> None:
        directory.mkdir()
        self._directory = directory
        self._token_ids = NpyAppender(directory / "token_ids.npy", token_dtype)
        self._offsets = NpyAppender(directory / "offsets.npy", np.dtype(np.int32), (2,))
        self._columns = {
            "lengths": NpyAppender(directory / "lengths.npy", np.dtype(np.int32)),
            "starts": NpyAppender(directory / "starts.npy", np.dtype(np.int64)),
            "documents": NpyAppender(directory / "documents.npy", np.dtype(np.int64)),
            "keys": NpyAppender(directory / "keys.npy", np.dtype(np.uint64)),
        }
        self._labels: dict[str, NpyAppender] = {}
        self._token_labels: dict[str, NpyAppender] = {}
        self.label_files: dict[str, str] = {}
        self.token_label_files: dict[str, str] = {}
        self._texts = pq.ParquetWriter(directory / TEXTS, TEXT_SCHEMA, compression="zstd")
        self._unwritten: list[Row] = []

    def append(self, rows: Sequence[Row]) -> None:
        """Write some rows."""
        if not rows:
            return
        lengths = np.array([len(row.encoding.token_ids) for row in rows])
        starts = self._token_ids.num_rows + np.cumsum(lengths) - lengths
        self._append_labels(rows)
        self._append_token_labels(rows)
        self._columns["lengths"].append(lengths)
        self._columns["starts"].append(starts)
        self._columns["documents"].append(np.array([row.document for row in rows]))
        self._columns["keys"].append(np.array([row.key for row in rows], dtype=np.uint64))
        self._token_ids.append(np.concatenate([row.encoding.token_ids for row in rows]))
        self._offsets.append(np.concatenate([row.encoding.offsets for row in rows]))
        self._unwritten += rows
        self._write_texts(ROW_GROUP)

    def _append_labels(self, rows: Sequence[Row]) -> None:
        before = self._columns["lengths"].num_rows
        for name in dict.fromkeys(name for row in rows for name in row.labels):
            if name not in self._labels:
                self.label_files[name] = f"label-{len(self._labels)}.npy"
                self._labels[name] = self._column(self.label_files[name], np.int64, before)
        for name, column in self._labels.items():
            column.append(np.array([row.labels.get(name, MISSING) for row in rows]))

    def _append_token_labels(self, rows: Sequence[Row]) -> None:
        before = self._token_ids.num_rows
        for name in dict.fromkeys(name for row in rows for name in row.token_labels):
            if name not in self._token_labels:
                file = f"token-label-{len(self._token_labels)}.npy"
                self.token_label_files[name] = file
                self._token_labels[name] = self._column(file, np.int16, before)
        for name, column in self._token_labels.items():
            missing = (np.full(len(row.encoding.token_ids), MISSING) for row in rows)
            labels = [
                row.token_labels.get(name, none) for row, none in zip(rows, missing, strict=True)
            ]
            column.append(np.concatenate(labels))

    def _column(self, file: str, dtype: type[np.integer], num_missing: int) -> NpyAppender:
        """A new column, filled up with the missing mark, in pieces that memory can bear."""
        column = NpyAppender(self._directory / file, np.dtype(dtype))
        for start in range(0, num_missing, 1 << 20):
            column.append(np.full(min(1 << 20, num_missing - start), MISSING))
        return column

    def _write_texts(self, at_least: int) -> None:
        while len(self._unwritten) >= at_least and self._unwritten:
            group, self._unwritten = self._unwritten[:ROW_GROUP], self._unwritten[ROW_GROUP:]
            self._texts.write_table(_text_table(group), row_group_size=ROW_GROUP)

    def close(self) -> None:
        """Finish all files."""
        self._write_texts(0)
        self._texts.close()
        columns = (self._columns, self._labels, self._token_labels)
        for column in (column for group in columns for column in group.values()):
            column.close()
        self._token_ids.close()
        self._offsets.close()


def _text_table(rows: Iterable[Row]) -> pa.Table:
    values = [
        {"text": row.text, "facts": list(row.facts.items()), "reference": row.reference}
        for row in rows
    ]
    return pa.Table.from_pylist(values, schema=TEXT_SCHEMA)


def drop_rows(directory: Path, keep: np.ndarray) -> None:
    """Leave out rows of a closed split; their tokens stay in the flat arrays, never pointed to.

    Args:
        keep: (N,) bool.
    """
    names = ("lengths", "starts", "documents", "keys")
    for path in [*(directory / f"{name}.npy" for name in names), *directory.glob("label-*.npy")]:
        np.save(path, np.load(path, allow_pickle=False)[keep])
    shorter = directory / f"shorter-{TEXTS}"
    with (
        pq.ParquetFile(directory / TEXTS) as old,
        pq.ParquetWriter(shorter, TEXT_SCHEMA, compression="zstd") as new,
    ):
        seen, pending = 0, TEXT_SCHEMA.empty_table()
        for batch in old.iter_batches(ROW_GROUP):
            kept = pa.Table.from_batches([batch]).filter(pa.array(keep[seen : seen + len(batch)]))
            seen += len(batch)
            pending = pa.concat_tables([pending, kept.cast(TEXT_SCHEMA)])
            if len(pending) >= ROW_GROUP:
                new.write_table(pending.slice(0, ROW_GROUP), row_group_size=ROW_GROUP)
                pending = pending.slice(ROW_GROUP)
        if len(pending):
            new.write_table(pending, row_group_size=ROW_GROUP)
    shorter.replace(directory / TEXTS)
