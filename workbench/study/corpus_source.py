"""The source of a corpus, identified by content, so that changes and losses are noticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.corpora import CorpusConfig


def source_hash(config: CorpusConfig) -> str | None:
    """Identity of a corpus's source; None if the source is missing.

    Files, WordNet's folder and local data sets count by their bytes, docstrings by the versions of
    their packages. Generated stories and data sets on a hub count by their settings only, so
    theirs is "".
    """
    place = _place(config)
    if place is None:
        return _package_versions(config.packages) if config.name == "docs" else ""
    try:
        if config.name in ("glosses", "hf") and place.is_dir():
            from data.corpus_store import hash_files

            return hash_files(place)
        if not place.is_file():  # a pipe or a device would never end
            return None
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def source_name(config: CorpusConfig) -> str:
    """The source's name in messages."""
    return str(_place(config) or config.hf_name or f"corpus {config.name!r}")


def _place(config: CorpusConfig) -> Path | None:
    """The source's path on this machine; None if it is not a file or folder."""
    if config.name == "glosses":
        from data.readers.wordnet import DEFAULT_FOLDER

        return Path(config.path or DEFAULT_FOLDER).expanduser()
    path = os.path.expanduser(config.path or config.hf_name)
    is_local = os.path.isabs(path) or os.path.isdir(path)
    return Path(path) if config.name == "file" or (config.name == "hf" and is_local) else None


def _package_versions(packages: Sequence[str]) -> str | None:
    """`name==version` of each distribution that provides one of these import packages.

    None if one of them is not installed.
    """
    from data.readers.docs import DEFAULT_PACKAGES

    holders = packages_distributions()
    if any(package not in holders for package in packages):
        return None
    names = {name for package in packages or DEFAULT_PACKAGES for name in holders.get(package, ())}
    return " ".join(f"{name}=={version(name)}" for name in sorted(names))
