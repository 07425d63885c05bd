"""Counting what is wrong with records, so that one message can say how much of it there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.corpus_config import CorpusConfig

MAX_COLUMNS_SHOWN = 30
_IDS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Record:
    """Values by column, and the place they come from (`file:line`), for messages."""

    place: str
    values: Mapping[str, Any]


def is_missing(value: Any) -> bool:
    """None, an empty text, or the NaN that tables put for a missing number."""
    return value is None or value == "" or (isinstance(value, float) and value != value)


def kind_of(value: Any) -> str:
    """What a value is, in words; whole and broken numbers are one kind."""
    if isinstance(value, bool):
        return "truth values"
    if isinstance(value, int | float):
        return "numbers"
    return "text" if isinstance(value, str) else f"{type(value).__name__} values"


class Tally:
    """Missing columns, kinds of labels and repeated ids among the records added so far."""

    def __init__(self, source: str, config: CorpusConfig) -> None:
        self._source, self._config = source, config
        self._required = (config.text_column, *config.label_columns, *config.fact_columns)
        if config.id_column:
            self._required += (config.id_column,)
        self._num_records = 0
        self.num_since_fault = 0
        self._columns: dict[str, None] = {}
        self._missing: Counter[str] = Counter()
        self._first_missing: dict[str, str] = {}
        self._kinds = {name: Counter[str]() for name in config.label_columns}
        self._ids: set[int] = set()
        self._num_repeated = 0
        self._repeated: list[str] = []

    @property
    def is_faulty(self) -> bool:
        """Whether `check` would raise."""
        mixed = any(len(kinds) > 1 for kinds in self._kinds.values())
        return bool(self._missing or self._num_repeated or mixed)

    def add(self, record: Record) -> None:
        """Look at one more record."""
        self._num_records += 1
        self._columns.update(dict.fromkeys(record.values))
        for column in self._required:
            if column not in record.values:
                self._missing[column] += 1
                self._first_missing.setdefault(column, record.place)
        for column, kinds in self._kinds.items():
            value = record.values.get(column)
            if not is_missing(value):
                kinds[kind_of(value)] += 1
        if self._config.id_column in record.values:
            self._add_id(record.values[self._config.id_column])
        self.num_since_fault += self.is_faulty

    def _add_id(self, value: Any) -> None:
        known = hash((type(value).__name__, str(value)))  # 8 bytes an id, however long ids are
        if known in self._ids:
            self._num_repeated += 1
            if len(self._repeated) < _IDS_SHOWN:
                self._repeated.append(str(value))
        self._ids.add(known)

    def check(self) -> None:
        """Raise for the first kind of fault that was found.

        Raises:
            ValueError: with counts.
        """
        for column, count in self._missing.items():
            cure = ""
            if self._source.lower().endswith((".csv", ".tsv")) and not self._config.columns:
                cure = (
                    "; if these are values, the file has no header: name its columns by `columns`"
                )
            raise ValueError(
                f"{self._source}: column {column!r} is missing in {count} of {self._num_records} "
                f"records (first: {self._first_missing[column]}); "
                f"columns: {self._shown_columns()}{cure}"
            )
        for column, kinds in self._kinds.items():
            if len(kinds) > 1:
                mixed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
                raise ValueError(
                    f"{self._source}: label column {column!r} mixes types ({mixed}): "
                    "make it one type"
                )
        if self._num_repeated:
            raise ValueError(
                f"{self._source}: {self._num_repeated} of {self._num_records} records repeat an "
                f"id in column {self._config.id_column!r}, such as {', '.join(self._repeated)}: "
                "ids must be unique"
            )

    def _shown_columns(self) -> str:
        names = list(self._columns)
        more = len(names) - MAX_COLUMNS_SHOWN
        return ", ".join(names[:MAX_COLUMNS_SHOWN]) + (f" and {more} more" if more > 0 else "")
