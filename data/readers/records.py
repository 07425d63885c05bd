"""Records to documents: a text column, label columns, fact columns, an id column.

Nothing is guessed: "NA", "null" and "1e5" stay text, and a column that is missing, repeats an id
or mixes types ends the reading with counts and the columns that do exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from data.corpus_config import CorpusConfig
from data.documents import Document
from data.readers.tally import Record, Tally, is_missing, kind_of

MAX_COUNTED = 1_000_000
"""After a fault so many records more are read to count it; an endless stream has no end."""


def records_to_documents(
    records: Iterable[Record], config: CorpusConfig, source: str
) -> Iterator[Document]:
    """Documents of the records, in order; a record with a blank text gives none.

    From the first fault on nothing is handed over: the rest is read only to count the faults.

    Raises:
        ValueError: with counts, for missing columns, repeated ids and mixed label types; at once
            for a text, label or fact that is none.
    """
    tally = Tally(source, config)
    for record in records:
        tally.add(record)
        if tally.is_faulty:
            if tally.num_since_fault == MAX_COUNTED:
                break
            continue
        text = clean_text(record.values[config.text_column], record, config)
        if text.strip():
            yield _document(text, record, config)
    tally.check()


def _document(text: str, record: Record, config: CorpusConfig) -> Document:
    labels = {name: plain(record, name) for name in config.label_columns}
    facts = {name: " ".join(plain(record, name).lower().split()) for name in config.fact_columns}
    return Document(
        text=text.strip(),
        labels={name: value for name, value in labels.items() if value},
        facts={name: value for name, value in facts.items() if mentions(text, value)},
    )


def clean_text(value: Any, record: Record, config: CorpusConfig) -> str:
    """The text of a record; None is blank.

    Raises:
        ValueError: for a value that is no text, or holds a lone surrogate under `strict`.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(
            f"{record.place}: column {config.text_column!r} holds {kind_of(value)}, not text"
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        if config.errors == "strict":
            raise ValueError(
                f"{record.place}: column {config.text_column!r} holds a lone surrogate "
                f"U+{ord(value[error.start]):04X}: mend it or set errors to 'replace'"
            ) from error
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    return value


def mentions(text: str, value: str) -> bool:
    """Whether the text names the value as whole words, letter case aside; "" is never named."""
    pattern = rf"(?<!\w){re.escape(value)}(?!\w)"
    return bool(value) and re.search(pattern, text.lower()) is not None


def plain(record: Record, column: str) -> str:
    """A label or fact as text; "" where it is missing.

    Raises:
        ValueError: for a list, a mapping or whatever else is no single value.
    """
    value = record.values[column]
    if is_missing(value):
        return ""
    if not isinstance(value, str | int | float):
        raise ValueError(
            f"{record.place}: column {column!r} holds a {type(value).__name__}, not a single value"
        )
    return str(value).lower() if isinstance(value, bool) else str(value)
