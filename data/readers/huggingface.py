"""Data sets of the Hugging Face hub, streamed; the `datasets` package is needed for these only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data.corpus_config import CorpusConfig
from data.documents import Document
from data.readers.records import records_to_documents
from data.readers.tally import Record


def read_hugging_face(config: CorpusConfig) -> Iterator[Document]:
    """Documents of a data set; classes stored as numbers come back by name.

    Raises:
        ValueError: when `datasets` is missing, the data set cannot be had, or its columns fail.
    """
    stream = _open_stream(config)
    yield from records_to_documents(_records(stream, config), config, config.hf_name)


def _open_stream(config: CorpusConfig) -> Any:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ValueError(
            "the corpus 'hf' needs the package datasets: pip install datasets"
        ) from error
    try:
        return load_dataset(
            config.hf_name,
            config.hf_config or None,
            split=config.hf_split,
            revision=config.hf_revision or None,
            streaming=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(_unavailable(config, error)) from error


def _unavailable(config: CorpusConfig, error: Exception) -> str:
    message = str(error).partition("\n")[0]
    return (
        f"hf_name {config.hf_name!r}, split {config.hf_split!r}, cannot be had: {message} "
        "(check name and network, or save the data set as a file and use the corpus 'file')"
    )


def _records(stream: Any, config: CorpusConfig) -> Iterator[Record]:
    class_names = {
        name: feature.names
        for name, feature in (stream.features or {}).items()
        if hasattr(feature, "int2str")
    }
    try:
        for number, values in enumerate(stream, start=1):
            named = {
                name: names[values[name]]
                if values[name] is not None and values[name] >= 0
                else None
                for name, names in class_names.items()
            }
            yield Record(f"{config.hf_name}, record {number}", {**values, **named})
    except (OSError, RuntimeError) as error:
        raise ValueError(_unavailable(config, error)) from error
