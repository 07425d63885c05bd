"""Texts of a split, read from Parquet by row group; the last few groups stay in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.split_writer import TEXTS

_GROUPS_KEPT = 16


class SplitTexts:
    """Random access to the rows of `texts.parquet`; the file is opened at the first use."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / TEXTS
        self._file: pq.ParquetFile | None = None
        self._first_rows = np.zeros(1, dtype=np.int64)
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()

    def column(self, name: str, indices: Sequence[int] | np.ndarray) -> list[Any]:
        """Values of a column at the rows asked for, in that order."""
        indices = np.asarray(indices, dtype=np.int64)
        self._open()
        if len(indices) and not 0 <= indices.min() <= indices.max() < self._first_rows[-1]:
            raise IndexError(f"rows must lie in [0, {self._first_rows[-1]}), got {indices}")
        groups = np.searchsorted(self._first_rows, indices, side="right") - 1
        values: list[Any] = [None] * len(indices)
        for group in np.unique(groups):
            places = np.flatnonzero(groups == group)
            rows = pa.array(indices[places] - self._first_rows[group])
            found = self._group(int(group)).column(name).take(rows).to_pylist()
            for place, value in zip(places, found, strict=True):
                values[place] = value
        return values

    def _open(self) -> pq.ParquetFile:
        if self._file is None:
            try:
                self._file = pq.ParquetFile(self._path, memory_map=True)
            except (OSError, pa.ArrowInvalid) as error:
                raise ValueError(f"{self._path} cannot be read: {error}") from error
            metadata = self._file.metadata
            sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            self._first_rows = np.cumsum([0, *sizes])
        return self._file

    def _group(self, group: int) -> pa.Table:
        if group not in self._groups:
            self._groups[group] = self._open().read_row_group(group)
            if len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(group)
        return self._groups[group]
