"""Reading a stored corpus: arrays as memory maps, texts by row group as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data.corpus_writer import DESCRIPTION, SCHEMA, hash_files, write_corpus
from data.npy_files import open_npy
from data.split_texts import SplitTexts
from data.splits import SPLITS
from data.tokenization import EOT_ID, CompactTokenizer

__all__ = ["Corpus", "Split", "hash_files", "open_corpus", "write_corpus"]


class Split:
    """One split: N windows, each a row of 1 to `window - 1` tokens.

    Attributes:
        window: positions L of a padded row.
        flat_token_ids: (n,) uint16 or uint32; the row i is `[starts[i] : starts[i] + lengths[i]]`.
        offsets: (n, 2) int32, characters of each token in its window's text.
        token_labels: label -> (n,) int16 beside `flat_token_ids`, -1 = missing.
        lengths: (N,) int32.
        starts: (N,) int64.
        documents: (N,) int64, number of the document that a window was cut from.
        keys: (N,) uint64, hash of the window's text.
        labels: label -> (N,) int64 class ids, -1 = missing.
    """

    def __init__(
        self,
        directory: Path,
        description: Mapping[str, Any],
        window: int,
        label_names: Sequence[str],
        token_label_names: Sequence[str],
    ) -> None:
        self.window = window
        self.flat_token_ids = open_npy(directory / "token_ids.npy")
        self.offsets = open_npy(directory / "offsets.npy")
        self.lengths = open_npy(directory / "lengths.npy")
        self.starts = open_npy(directory / "starts.npy")
        self.documents = open_npy(directory / "documents.npy")
        self.keys = open_npy(directory / "keys.npy")
        num_rows, num_tokens = len(self.lengths), len(self.flat_token_ids)
        if num_rows != description["windows"] or len(self.starts) != num_rows:
            raise ValueError(f"{directory} holds {num_rows} windows, not {description['windows']}")
        self.labels = _open_labels(
            directory, label_names, description["labels"], np.dtype(np.int64), num_rows
        )
        self.token_labels = _open_labels(
            directory,
            token_label_names,
            description["token_labels"],
            np.dtype(np.int16),
            num_tokens,
        )
        self._texts = SplitTexts(directory)

    def __len__(self) -> int:
        return len(self.lengths)

    def texts(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """Texts of the windows, as they stand in the corpus."""
        return self._texts.column("text", indices)

    def facts(self, indices: Sequence[int] | np.ndarray) -> list[dict[str, str]]:
        """Facts of the windows' documents: field -> value, as the tokeniser gives it back."""
        return [dict(items or ()) for items in self._texts.column("facts", indices)]

    def references(self, indices: Sequence[int] | np.ndarray) -> list[str | None]:
        """Continuations that the corpus itself gives; None where it gives none."""
        return self._texts.column("reference", indices)

    def token_offsets(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Characters of each token, (n_i, 2) int32 a window."""
        return [self.offsets[self.starts[i] : self.starts[i] + self.lengths[i]] for i in indices]

    def token_rows(self) -> list[np.ndarray]:
        """Token ids (n_i,) int64 of every window, without padding."""
        flat = np.asarray(self.flat_token_ids)
        return [
            flat[start : start + length].astype(np.int64)
            for start, length in zip(self.starts, self.lengths, strict=True)
        ]

    def padded(
        self, indices: Sequence[int] | np.ndarray, length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows filled up with end-of-text.

        Args:
            indices: (B,) windows.
            length: positions L; None is `window`.

        Returns:
            `token_ids` (B, L) int64 and `mask` (B, L) bool, True = a real token.

        Raises:
            ValueError: when a window has more tokens than `length`.
        """
        return self._gather(self.flat_token_ids, indices, length, EOT_ID)

    def padded_token_labels(
        self, name: str, indices: Sequence[int] | np.ndarray, length: int | None = None
    ) -> np.ndarray:
        """Token labels (B, L) int64 of the windows, -1 = missing or padding."""
        return self._gather(self.token_labels[name], indices, length, -1)[0]

    def _gather(
        self,
        flat: np.ndarray,
        indices: Sequence[int] | np.ndarray,
        length: int | None,
        fill: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        length = self.window if length is None else length
        indices = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[indices]
        if lengths.max(initial=0) > length:
            raise ValueError(f"length must be >= {lengths.max()}, the longest row, got {length}")
        mask = np.arange(length) < lengths[:, None]
        values = np.full(mask.shape, fill, dtype=np.int64)
        values[mask] = flat[(self.starts[indices][:, None] + np.arange(length))[mask]]
        return values, mask


def _open_labels(
    directory: Path,
    names: Sequence[str],
    files: Mapping[str, str],
    dtype: np.dtype,
    size: int,
) -> dict[str, np.ndarray]:
    """Labels of one split, all missing where the label occurs in other splits only."""
    return {
        name: open_npy(directory / files[name]) if name in files else np.full(size, -1, dtype)
        for name in names
    }


class Corpus:
    """A stored corpus.

    Attributes:
        manifest: what `corpus.json` says: counts, names, hashes, configuration.
        window: positions L that a model sees.
        vocab_size: number of token ids.
        label_names: label of whole texts -> its classes; an id is a position.
        token_label_names: label of tokens -> its classes.
        fact_values: fact -> every value it may take, as the tokeniser gives it back.
    """

    def __init__(self, directory: Path, manifest: dict[str, Any]) -> None:
        self.directory = directory
        self.manifest = manifest
        self.window: int = manifest["window"]
        self.vocab_size: int = manifest["vocab_size"]
        self.label_names = _tuples(manifest["label_names"])
        self.token_label_names = _tuples(manifest["token_label_names"])
        self.fact_values = _tuples(manifest["fact_values"])
        self._splits: dict[str, Split] = {}

    @cached_property
    def tokenizer(self) -> CompactTokenizer:
        """The corpus's tokeniser, refused when it is not the one the tokens were made with."""
        tokenizer = CompactTokenizer.load(self.directory / "tokenizer")
        if tokenizer.fingerprint != self.manifest["tokenizer_fingerprint"]:
            raise ValueError(
                f"{self.directory / 'tokenizer'} has the fingerprint {tokenizer.fingerprint}, "
                f"the corpus was made with {self.manifest['tokenizer_fingerprint']}"
            )
        return tokenizer

    def split(self, name: str) -> Split:
        """The split `train`, `valid` or `test`; the last two may be empty."""
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}")
        if name not in self._splits:
            self._splits[name] = Split(
                self.directory / name,
                self.manifest["splits"][name],
                self.window,
                tuple(self.label_names),
                tuple(self.token_label_names),
            )
        return self._splits[name]


def _tuples(names: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in names.items()}


def open_corpus(directory: Path) -> Corpus:
    """Open what `write_corpus` wrote.

    Raises:
        ValueError: when there is no corpus, or one of another format.
    """
    path = Path(directory) / DESCRIPTION
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{directory} holds no corpus: {error}") from error
    if manifest.get("schema") != SCHEMA:
        raise ValueError(
            f"{path} has the schema {manifest.get('schema')}, this release reads {SCHEMA}: "
            "prepare the corpus again"
        )
    return Corpus(Path(directory), manifest)
