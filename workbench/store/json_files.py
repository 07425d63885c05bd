"""Single JSON documents: replaced in one step, strictly JSON, and sealed by their own digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import DamagedArtefactError, InputError
from workbench.store.atomic import write_file
from workbench.store.seals import SEAL, digest, parse_strict

MAX_BYTES = 200_000_000


def write_json(path: Path, document: Mapping[str, Any], *, sealed: bool = False) -> None:
    """Write a document durably, in one step.

    Args:
        path: The file.
        document: JSON values with str keys; NaN and infinities are refused.
        sealed: Add the sha256 of the content as its last key, which `read_json` then checks.

    Raises:
        InputError: A value that is not JSON, or `path` cannot be written.
        ResourceError: No room; the old file stays.
    """
    try:
        content = {**document, SEAL: digest(document)} if sealed else document
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        encoded = f"{text}\n".encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be written as JSON ({error})") from error
    write_file(path, encoded)


def read_json(path: Path) -> dict[str, Any]:
    """Read a document that `write_json` wrote, without its seal.

    Raises:
        InputError: There is no such file.
        DamagedArtefactError: It is not a JSON object, holds NaN, or does not match its seal.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        if path.stat().st_size > MAX_BYTES:
            raise DamagedArtefactError(f"{path}: larger than any document of ours")
        document = parse_strict(path.read_bytes())
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise DamagedArtefactError(f"{path}: truncated or changed, not readable JSON") from error
    if not isinstance(document, dict):
        raise DamagedArtefactError(f"{path}: changed, it is not a JSON object")
    seal = document.pop(SEAL, None)
    if seal is not None and seal != digest(document):
        raise DamagedArtefactError(f"{path}: changed, it does not match its own sha256")
    return document
