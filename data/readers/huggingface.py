"""Data sets of the Hugging Face hub, streamed, or saved on disk; only these need `datasets`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from data.corpus_config import CorpusConfig
from data.documents import Document
from data.readers.records import records_to_documents
from data.readers.tally import Record

_SAVED = ("state.json", "dataset_dict.json")  # what `save_to_disk` leaves


def read_hugging_face(config: CorpusConfig) -> Iterator[Document]:
    """Documents of a data set; classes stored as numbers come back by name.

    Raises:
        ValueError: when `datasets` is missing, the data set cannot be had, or its columns fail.
    """
    stream = _open_stream(config)
    yield from records_to_documents(_records(stream, config), config, config.hf_name)


def _open_stream(config: CorpusConfig) -> Any:
    try:
        from datasets import load_dataset, load_from_disk
    except ImportError as error:
        raise ValueError(
            "the corpus 'hf' needs the package datasets: pip install -r requirements-hf.txt"
        ) from error
    name = os.path.expanduser(config.hf_name)
    try:
        if any(os.path.isfile(os.path.join(name, mark)) for mark in _SAVED):
            return _saved_split(load_from_disk(name), config)
        return load_dataset(
            name,
            config.hf_config or None,
            split=config.hf_split,
            revision=config.hf_revision or None,
            streaming=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(_unavailable(config, error)) from error


def _saved_split(saved: Any, config: CorpusConfig) -> Any:
    """The split of what `save_to_disk` wrote: one data set, or several by name."""
    if config.hf_config or config.hf_revision:
        raise ValueError("it was saved on disk and has no configurations or revisions")
    splits = saved if isinstance(saved, dict) else {str(saved.split or config.hf_split): saved}
    if config.hf_split not in splits:
        raise ValueError(f"it has the splits {', '.join(splits)}")
    return splits[config.hf_split]


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
