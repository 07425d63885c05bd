"""Writing a corpus to disk: texts in, windows of token ids out, as a stream.

    corpus.json                     counts, label and fact names, config, hashes
    tokenizer/                      see `data.tokenization`
    <split>/token_ids.npy           flat, uint16 or uint32; offsets.npy (n, 2) and
            token-label-<k>.npy     stand beside each token
    <split>/lengths.npy starts.npy  one entry a window, like documents.npy (its document's number),
            keys.npy label-<k>.npy  the hash of its text, and its labels
    <split>/texts.parquet           text, facts and reference of each window

Memory holds one batch, the hashes of held-out documents, and at the end one split's row arrays.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.corpora import known_fact_values
from data.corpus_config import CorpusConfig
from data.documents import Document
from data.split_writer import Row, SplitWriter, drop_rows
from data.splits import SPLITS, TEST, TRAIN, VALID, Splitter, content_key
from data.token_labels import LabelIndex, token_labels
from data.tokenization import UNK_ID, UNK_TEXT, CompactTokenizer, Encoding, batched_by_size
from data.windows import cut_windows

SCHEMA = 1
DESCRIPTION = "corpus.json"
MAX_CLASSES = 4096
MAX_FACT_VALUES = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A stretch of a document that fits the model: its place, text and tokens."""

    document: int
    start: int
    text: str
    encoding: Encoding


def write_corpus(
    documents: Iterable[Document],
    tokenizer: CompactTokenizer,
    config: CorpusConfig,
    directory: Path,
) -> None:
    """Tokenise, cut, split and store documents in an existing, empty directory.

    Raises:
        ValueError: when no document has a token, or a label or fact has too many values.
    """
    tokenizer.save(directory / "tokenizer")
    writer = _CorpusWriter(tokenizer, config, directory)
    for batch in batched_by_size(documents, lambda document: len(document.text)):
        writer.add(batch)
    writer.close()


def make_windows(
    texts: Sequence[str], tokenizer: CompactTokenizer, max_tokens: int
) -> list[Window]:
    """Windows of each text in order, each with 1 to `max_tokens` tokens.

    A stretch without tokens (control characters, say) or that cannot be cut further is left out.
    """
    done: list[Window] = []
    pending = [(number, 0, text) for number, text in enumerate(texts)]
    while pending:
        encodings = tokenizer.encode_batch([text for _, _, text in pending])
        too_long: list[tuple[int, int, str]] = []
        for (number, start, text), encoding in zip(pending, encodings, strict=True):
            if len(encoding.token_ids) <= max_tokens:
                window = Window(document=number, start=start, text=text, encoding=encoding)
                done.extend([window] if len(encoding.token_ids) else [])
                continue
            cuts = cut_windows(text, encoding.offsets, max_tokens)
            too_long += [(number, start + a, text[a:b]) for a, b in cuts if b - a < len(text)]
        pending = too_long
    return sorted(done, key=lambda window: (window.document, window.start))


class _CorpusWriter:
    """State of a corpus being written."""

    def __init__(self, tokenizer: CompactTokenizer, config: CorpusConfig, directory: Path) -> None:
        self._tokenizer, self._config, self._directory = tokenizer, config, directory
        self._splitter = Splitter(
            valid_fraction=config.valid_fraction, test_fraction=config.test_fraction
        )
        dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32)
        self._labels = LabelIndex(MAX_CLASSES)
        self._token_labels = LabelIndex(MAX_CLASSES)
        self._facts = LabelIndex(MAX_FACT_VALUES)
        self._splits = {name: SplitWriter(directory / name, dtype) for name in SPLITS}
        self._counts: Counter[str] = Counter()
        self._readable: dict[str, str] = {}

    def add(self, batch: Sequence[Document]) -> None:
        """Deal, cut and write some documents."""
        first = self._counts["documents"]
        self._counts["documents"] += len(batch)
        sides = [self._splitter.deal(document.text) for document in batch]
        kept = [number for number, side in enumerate(sides) if side is not None]
        rows: dict[str, list[Row]] = {name: [] for name in SPLITS}
        texts = [batch[number].text for number in kept]
        windows = make_windows(texts, self._tokenizer, self._config.window - 1)
        last = {window.document: window for window in windows}
        for window in windows:
            number = kept[window.document]
            row = self._row(batch[number], first + number, window, window is last[window.document])
            rows[sides[number] or TRAIN].append(row)
        self._counts["documents_without_tokens"] += len(kept) - len(last)
        for name, writer in self._splits.items():
            writer.append(rows[name])

    def _row(self, document: Document, number: int, window: Window, is_last: bool) -> Row:
        read = {field: self._fact(value) for field, value in document.facts.items()}
        facts = {field: value for field, value in read.items() if value}
        for field, value in facts.items():
            self._facts.id_of(field, value)
        self._counts["unknown_tokens"] += int((window.encoding.token_ids == UNK_ID).sum())
        return Row(
            document=number,
            key=int.from_bytes(content_key(window.text)[:8], "big"),
            text=window.text,
            encoding=window.encoding,
            labels={k: self._labels.id_of(k, value) for k, value in document.labels.items()},
            token_labels=token_labels(
                document.spans, window.start, window.encoding.offsets, self._token_labels
            ),
            facts=facts,
            reference=document.reference if is_last else None,
        )

    def _fact(self, value: str) -> str:
        """A fact as the tokeniser gives it back, so that generated text can match; "" if it cannot.

        A cased byte-level tokeniser has other pieces for `anna` than for ` Anna`, as texts have it.
        """
        if value not in self._readable:
            spelt = (value, value.capitalize(), value.title())
            forms = dict.fromkeys((*spelt, *(f" {form}" for form in spelt)))
            read = (self._tokenizer.readable(form).strip().lower() for form in forms)
            self._readable[value] = next((text for text in read if UNK_TEXT not in text), "")
        return self._readable[value]

    def close(self) -> None:
        """Finish the splits, then describe them."""
        for writer in self._splits.values():
            writer.close()
        self._counts["copies_left_out"] = self._splitter.num_copies
        self._counts["windows_left_out"] = self._drop_known_windows()
        splits = {name: self._describe_split(name) for name in SPLITS}
        if splits[TRAIN]["windows"] == 0:
            raise ValueError(
                f"0 documents with tokens: none of {self._counts['documents']} has any, "
                "the corpus needs at least one text"
            )
        description = self._describe(splits)
        path = self._directory / DESCRIPTION
        path.write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")

    def _drop_known_windows(self) -> int:
        """Leave out held-out windows that repeat one of the training or another held-out text."""
        known = np.unique(np.load(self._directory / TRAIN / "keys.npy"))
        dropped = 0
        for name in (TEST, VALID):
            keys = np.load(self._directory / name / "keys.npy")
            keep = ~np.isin(keys, known)
            _, firsts = np.unique(keys, return_index=True)
            keep &= np.isin(np.arange(len(keys)), firsts)
            if not keep.all():
                drop_rows(self._directory / name, keep)
            dropped += int((~keep).sum())
            known = np.union1d(known, keys)
        return dropped

    def _describe_split(self, name: str) -> dict[str, Any]:
        lengths = np.load(self._directory / name / "lengths.npy")
        documents = np.load(self._directory / name / "documents.npy")
        return {
            "windows": len(lengths),
            "documents": len(np.unique(documents)),
            "tokens": int(lengths.sum()),
            "labels": self._splits[name].label_files,
            "token_labels": self._splits[name].token_label_files,
        }

    def _describe(self, splits: dict[str, Any]) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "window": self._config.window,
            "vocab_size": self._tokenizer.vocab_size,
            "tokenizer_fingerprint": self._tokenizer.fingerprint,
            "content_hash": hash_files(self._directory),
            "counts": dict(self._counts),
            "splits": splits,
            "label_names": self._labels.names(),
            "token_label_names": self._token_labels.names(),
            "fact_values": self._fact_values(),
            "config": dataclasses.asdict(self._config),
        }

    def _fact_values(self) -> dict[str, list[str]]:
        """Values that each fact may take, declared or seen; a fact that has none is left out."""
        values = {field: list(seen) for field, seen in self._facts.names().items()}
        for field, declared in known_fact_values(self._config).items():
            values[field] = [*values.get(field, ()), *map(self._fact, declared)]
        writable = {field: list(filter(None, dict.fromkeys(v))) for field, v in values.items()}
        return {field: known for field, known in writable.items() if known}


def hash_files(directory: Path) -> str:
    """SHA-256 over the names and bytes of all files below a directory, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(directory)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
