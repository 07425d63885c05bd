"""Models from outside, through a small Python file of the user's: an adapter.

An adapter defines `load(model)`, which returns an object with `encode(texts)` and, if it can,
`decode(z, mask)`. It is ordinary Python with all rights of the user, so it runs only when it is
named on the command line, never because a study, a bundle or a model asks for it.
"""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import InputError
from workbench.study.bundle import Bundle

ENCODE_BATCH = 64
RETURNS = "(z, mask, offsets) or (z, mask, offsets, std)"


def load_adapter(file: Path, model: str) -> Any:
    """Run an adapter's file and let it load its model.

    Raises:
        InputError: there is no such file, it has no `load`, or what that returns has no `encode`.
    """
    if not file.is_file():
        raise InputError(f"--adapter {file}: no such file")
    load = runpy.run_path(str(file)).get("load")
    if not callable(load):
        raise InputError(f"--adapter {file}: defines no function load(model)")
    loaded = load(model)
    if not callable(getattr(loaded, "encode", None)):
        raise InputError(f"--adapter {file}: load() returned no object with encode(texts)")
    return loaded


def encode_texts(adapter: Any, texts: Sequence[str], file: Path, model: str) -> Bundle:
    """A bundle of texts from an adapter, with the share of them that it reads back.

    Raises:
        InputError: what `encode` returned does not fit its texts.
    """
    parts = [
        _checked(adapter.encode(list(some)), some, file)
        for i in range(0, len(texts), ENCODE_BATCH)
        for some in [texts[i : i + ENCODE_BATCH]]
    ]
    longest = max(part[1].shape[1] for part in parts)
    z, mask = (np.concatenate([_padded(part[k], longest) for part in parts]) for k in (0, 1))
    std = None
    if parts[0][3] is not None:
        std = np.concatenate([_padded(part[3], longest) for part in parts])
    provenance: dict[str, Any] = {
        "adapter": file.name,
        "adapter_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "model": model,
    }
    if callable(getattr(adapter, "decode", None)):
        provenance |= read_back(adapter.decode, z, mask, texts)
    return Bundle(
        texts=list(texts),
        z=z,
        mask=mask,
        std=std,
        offsets=[offsets for part in parts for offsets in part[2]],
        about={"provenance": provenance},
    )


def _checked(found: Any, texts: Sequence[str], file: Path) -> tuple[Any, Any, Any, Any]:
    if not isinstance(found, tuple) or len(found) not in (3, 4):
        raise InputError(f"--adapter {file}: encode() must return {RETURNS}")
    z, mask, offsets, std = (*found, None)[:4]
    z, mask = np.asarray(z, np.float32), np.asarray(mask, bool)
    if z.ndim != 3 or z.shape[:2] != mask.shape or len(z) != len(texts) != 0:
        raise InputError(
            f"--adapter {file}: encode() of {len(texts)} texts returned z {z.shape} and mask "
            f"{mask.shape}; they must be (N, L, D) and (N, L)"
        )
    spans = [np.asarray(rows, np.int64).reshape(-1, 2) for rows in offsets]
    return z, mask, spans, None if std is None else np.asarray(std, np.float32)


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    """Zeros, or False, appended along the second axis."""
    space = [(0, 0)] * values.ndim
    space[1] = (0, length - values.shape[1])
    return np.pad(values, space)


def read_back(
    decode: Callable[..., Sequence[str]], z: np.ndarray, mask: np.ndarray, texts: Sequence[str]
) -> dict[str, Any]:
    """How many texts a decoder gives back exactly, white space at the ends aside."""
    decoded: list[str] = []
    for i in range(0, len(texts), ENCODE_BATCH):
        decoded += decode(z[i : i + ENCODE_BATCH], mask[i : i + ENCODE_BATCH])
    same = sum(a.strip() == b.strip() for a, b in zip(decoded, texts, strict=True))
    return {"texts_read_back": same, "texts": len(texts)}
