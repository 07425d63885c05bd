"""Documents of one file; the kind is told by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from data.corpus_config import CorpusConfig
from data.documents import Document
from data.readers.plain_text import read_plain_text
from data.readers.records import records_to_documents
from data.readers.tables import read_csv, read_jsonl, read_parquet
from data.readers.tally import Record


def _columns(config: CorpusConfig) -> list[str]:
    """Columns that a corpus reads, each once."""
    columns = (config.text_column, *config.label_columns, *config.fact_columns, config.id_column)
    return [name for name in dict.fromkeys(columns) if name]


RECORD_READERS: dict[str, Callable[[Path, CorpusConfig], Iterator[Record]]] = {
    ".jsonl": lambda path, config: read_jsonl(path, config.errors),
    ".csv": lambda path, config: read_csv(path, config.errors, _columns(config), config.columns),
    ".tsv": lambda path, config: read_csv(path, config.errors, _columns(config), config.columns),
    ".parquet": lambda path, config: read_parquet(path, _columns(config)),
}
SUFFIXES = (".txt", *RECORD_READERS)


def read_file(config: CorpusConfig) -> Iterator[Document]:
    """Documents of `config.path`, streamed.

    Raises:
        ValueError: for an unknown suffix, columns of a .txt, or whatever the file's reader refuses.
    """
    path = Path(config.path).expanduser()
    suffix = path.suffix.lower()
    if suffix == ".txt":
        _refuse_columns(config)
        yield from read_plain_text(path, config.separator, config.errors)
    elif suffix in RECORD_READERS:
        if config.columns and suffix not in (".csv", ".tsv"):
            raise ValueError(f"columns names those of a .csv or .tsv, not of {path}: leave it out")
        if config.separator != "line":
            raise ValueError(f"separator is read for a .txt only, not for {path}: leave it out")
        records = RECORD_READERS[suffix](path, config)
        yield from records_to_documents(records, config, str(path))
    else:
        raise ValueError(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}")


def _refuse_columns(config: CorpusConfig) -> None:
    if config.columns or config.label_columns or config.fact_columns or config.id_column:
        raise ValueError(
            f"{config.path} is plain text and has no columns: leave columns, label_columns, "
            "fact_columns and id_column out"
        )
