"""Identity of a model's files by their content, so that files exchanged under one name show."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

PIECES = ("tokenizer.json",)
ARCHITECTURE = ("*.json", "*.txt", "*.model")
EVERYTHING = (*ARCHITECTURE, "*.safetensors")
DIGITS = 16


def content_hash(directory: Path, patterns: tuple[str, ...] = EVERYTHING) -> str:
    """16 hex digits over names and bytes of a model's files, those of subfolders left out.

    Each file is read once a process, as long as its size and time of change stay.

    Args:
        directory: holds `config.json`, the tokenizer and the weights; links are followed.
        patterns: which of its files count.
    """
    files = {file for pattern in patterns for file in directory.glob(pattern) if file.is_file()}
    digest = hashlib.sha256()
    for file in sorted(files):
        status = file.stat()
        known = _file_hash(file.resolve(), status.st_size, status.st_mtime_ns)
        digest.update(f"{file.name}\0{known}\n".encode())
    return digest.hexdigest()[:DIGITS]


@functools.lru_cache(maxsize=256)
def _file_hash(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
