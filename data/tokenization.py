"""Tokenisers with a compact vocabulary.

A small model's largest matrix is its vocabulary, and a corpus uses few of a teacher's 30,000 or
150,000 pieces. The original tokeniser keeps on cutting the texts; the pieces the corpus uses are
numbered anew, the most frequent first: 0 is end-of-text (also the padding), 1 is unknown.
Any tokeniser of the `tokenizers` library will do. The alternative, a byte-level BPE trained on the
corpus, is the same thing with every piece kept, and gives back any text exactly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from data.corpus_config import DEFAULT_BPE_VOCABULARY, CorpusConfig
from data.spacing import Pair, Spacing, count_spacing

EOT_ID = 0
UNK_ID = 1
NUM_RESERVED = 2
EOT_TEXT = "<eot>"
UNK_TEXT = "<unk>"
SPACING_TEXTS = 20_000
"""So many texts are enough to learn where white space goes."""

_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])
"""By code point; U+3000 is the last that is white space, so the last entry stands for the rest."""

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """Tokens of one text.

    Attributes:
        token_ids: (n,) int64, end-of-text not among them.
        offsets: (n, 2) int64, half-open characters of the text, white space at the ends left out;
            start equals end where a token stands for white space only.
    """

    token_ids: np.ndarray
    offsets: np.ndarray


class CompactTokenizer:
    """A `tokenizers.Tokenizer` and the pieces of it that are kept.

    Args:
        source: the original tokeniser as JSON, as `Tokenizer.to_str` writes it.
        kept_ids: original ids in the order of their new ids, which start at 2.
        spacing: how pieces are joined where the original forgets white space; None leaves the
            joining to the original's decoder, which is what exact decoders need.
    """

    eot_id = EOT_ID
    unk_id = UNK_ID

    def __init__(self, source: str, kept_ids: Sequence[int], spacing: Spacing | None) -> None:
        self._source = source
        self._spacing = spacing
        self._tokenizer = _plain_tokenizer(source)
        self.kept_ids = np.asarray(kept_ids, dtype=np.int64)
        original = _num_ids(self._tokenizer)
        if len(self.kept_ids) == 0 or len(np.unique(self.kept_ids)) < len(self.kept_ids):
            raise ValueError("kept_ids must be one or more original ids, each once")
        if self.kept_ids.min() < 0 or self.kept_ids.max() >= original:
            raise ValueError(f"kept_ids must lie in [0, {original}), the original vocabulary")
        self._new_ids = np.full(original, UNK_ID, dtype=np.int64)
        self._new_ids[self.kept_ids] = np.arange(len(self.kept_ids)) + NUM_RESERVED
        pieces = (self._tokenizer.id_to_token(int(kept)) or "" for kept in self.kept_ids)
        self._pieces = (EOT_TEXT, UNK_TEXT, *pieces)

    @property
    def vocab_size(self) -> int:
        """Number of ids, end-of-text and unknown included."""
        return len(self._pieces)

    @property
    def kept_pieces(self) -> list[str]:
        """The original tokeniser's spelling of each of `kept_ids`."""
        return list(self._pieces[NUM_RESERVED:])

    @property
    def original_ids(self) -> np.ndarray:
        """(V,) int64: the original tokeniser's id of each id, -1 where it has none."""
        unknown = _unknown_id(self._tokenizer)
        return np.array([-1, -1 if unknown is None else unknown, *self.kept_ids], dtype=np.int64)

    @property
    def _spacing_rows(self) -> list[list[str | bool]] | None:
        return None if self._spacing is None else self._spacing.to_json()

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with anything that changes an id, an offset or a decoding."""
        digest = hashlib.sha256(self._source.encode())
        digest.update(self.kept_ids.tobytes())
        digest.update(json.dumps(self._spacing_rows).encode())
        return digest.hexdigest()[:12]

    def encode_batch(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokens of each text; special tokens that occur as text are cut like any other text."""
        encodings = []
        for text, encoded in zip(texts, _encode(self._tokenizer, texts), strict=True):
            token_ids = self._new_ids[np.asarray(encoded.ids, dtype=np.int64)]
            offsets = np.asarray(encoded.offsets, dtype=np.int64).reshape(-1, 2)
            encodings.append(Encoding(token_ids=token_ids, offsets=_trim(text, offsets)))
        return encodings

    def decode(self, token_ids: Sequence[int] | np.ndarray) -> str:
        """Text of the tokens before the first end-of-text."""
        ids = np.asarray(token_ids, dtype=np.int64)
        ends = np.flatnonzero(ids == EOT_ID)
        ids = ids[: ends[0]] if len(ends) else ids
        pieces = [self._pieces[i] for i in ids.tolist()]
        if self._spacing is not None:
            return self._spacing.join(pieces)
        decoder = self._tokenizer.decoder
        return decoder.decode(pieces) if decoder is not None else " ".join(pieces)

    def decode_tokens(self, token_ids: Sequence[int] | np.ndarray) -> list[str]:
        """Each token by itself, for display: continuation marks (##) and leading spaces stay."""
        return [self._display(self._pieces[int(i)]) for i in token_ids]

    def _display(self, piece: str) -> str:
        if isinstance(self._tokenizer.decoder, decoders.ByteLevel):
            return self._tokenizer.decoder.decode([piece])
        return piece.replace("▁", " ")

    def readable(self, text: str) -> str:
        """The text as it comes back from its own tokens, the form that generated text has."""
        return self.decode(self.encode_batch([text])[0].token_ids)

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` (the original) and `vocabulary.json` (what is kept)."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "tokenizer.json").write_text(self._source, encoding="utf-8")
        vocabulary = {
            "kept_ids": self.kept_ids.tolist(),
            "spacing": self._spacing_rows,
        }
        (directory / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> CompactTokenizer:
        """Read what `save` wrote.

        Raises:
            ValueError: when a file is missing or not what `save` writes.
        """
        try:
            source = (directory / "tokenizer.json").read_text(encoding="utf-8")
            vocabulary = json.loads((directory / "vocabulary.json").read_text(encoding="utf-8"))
            spacing = vocabulary["spacing"]
            kept_ids = vocabulary["kept_ids"]
        except (OSError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{directory} holds no saved tokeniser: {error}") from error
        return cls(source, kept_ids, None if spacing is None else Spacing.from_json(spacing))


def build_tokenizer(
    texts: Iterable[str], config: CorpusConfig, teacher_tokenizer_json: Path | None
) -> CompactTokenizer:
    """Tokeniser for a corpus; reads the texts once, as a stream.

    Args:
        teacher_tokenizer_json: the teacher's `tokenizer.json`; not read for the vocabulary `bpe`.

    Raises:
        ValueError: when the texts hold no token, or the teacher's file is missing or foreign.
    """
    if config.vocabulary == "bpe":
        return _train_bpe(texts, config)
    if teacher_tokenizer_json is None:
        raise ValueError(
            "vocabulary 'teacher' needs a teacher with a tokenizer.json, and this one has none: "
            "set corpus.vocabulary to 'bpe'"
        )
    return _compact(texts, config, _read_tokenizer(teacher_tokenizer_json))


def _compact(texts: Iterable[str], config: CorpusConfig, source: str) -> CompactTokenizer:
    tokenizer = _plain_tokenizer(source)
    counts = np.zeros(_num_ids(tokenizer), dtype=np.int64)
    forgets_spaces = isinstance(tokenizer.decoder, decoders.WordPiece)
    spacing_counts: dict[Pair, int] = {}
    num_texts = 0
    for batch in batched_by_size(texts, len):
        encodings = _encode(tokenizer, batch)
        ids = np.concatenate([np.asarray(encoded.ids, dtype=np.int64) for encoded in encodings])
        counts += np.bincount(ids, minlength=len(counts))
        num_texts += len(batch)
        if forgets_spaces and num_texts <= SPACING_TEXTS:
            for encoded in encodings:
                count_spacing(encoded.tokens, encoded.offsets, spacing_counts)
    unknown = _unknown_id(tokenizer)
    if unknown is not None:
        counts[unknown] = 0
    order = np.lexsort((np.arange(len(counts)), -counts))
    limit = len(counts) if config.vocabulary_size is None else config.vocabulary_size - NUM_RESERVED
    kept = [int(i) for i in order[:limit] if counts[i] >= config.min_count]
    if not kept:
        raise ValueError(
            f"0 documents hold a token that occurs {config.min_count} times or more: "
            "lower min_count or use another vocabulary"
        )
    return CompactTokenizer(
        source, kept, Spacing.from_counts(spacing_counts) if forgets_spaces else None
    )


def _train_bpe(texts: Iterable[str], config: CorpusConfig) -> CompactTokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=(config.vocabulary_size or DEFAULT_BPE_VOCABULARY) - NUM_RESERVED,
        min_frequency=config.min_count,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return CompactTokenizer(tokenizer.to_str(), range(tokenizer.get_vocab_size()), None)


def _read_tokenizer(path: Path) -> str:
    try:
        source = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the teacher's tokeniser {path}: {error}") from error
    try:
        Tokenizer.from_str(source)
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(f"{path} is not a tokenizer.json: {error}") from error
    return source


def _plain_tokenizer(source: str) -> Tokenizer:
    """The tokeniser without truncation, padding, or special tokens cut out of the text."""
    tokenizer = Tokenizer.from_str(source)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _num_ids(tokenizer: Tokenizer) -> int:
    """One past the greatest id; added tokens may leave gaps."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    """The original's own id for what it cannot spell, if it has one."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else tokenizer.token_to_id(token)


def _trim(text: str, offsets: np.ndarray) -> np.ndarray:
    """Offsets (n, 2) without the white space that byte-level and sentence pieces begin with."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    solid = ~_IS_SPACE[np.minimum(codes, len(_IS_SPACE) - 1)]
    places = np.arange(len(text))
    next_solid = np.full(len(text) + 1, len(text))
    next_solid[:-1] = np.minimum.accumulate(np.where(solid, places, len(text))[::-1])[::-1]
    last_solid = np.zeros(len(text) + 1, dtype=np.int64)
    last_solid[1:] = np.maximum.accumulate(np.where(solid, places + 1, 0))
    starts = np.minimum(next_solid[offsets[:, 0]], offsets[:, 1])
    ends = np.maximum(last_solid[offsets[:, 1]], starts)
    return np.stack([starts, ends], axis=1)


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Any]:
    try:
        return tokenizer.encode_batch(list(texts), add_special_tokens=False)
    except TypeError as error:  # what the library says of a str that UTF-8 cannot hold
        raise ValueError("a text holds a lone surrogate, which no encoding of it can") from error


def batched_by_size(
    items: Iterable[Item],
    size: Callable[[Item], int],
    max_items: int = 512,
    max_size: int = 1 << 20,
) -> Iterator[list[Item]]:
    """Consecutive items in groups, bounded in number and, but for one item, in summed size."""
    batch: list[Item] = []
    total = 0
    for item in items:
        if batch and (len(batch) == max_items or total + size(item) > max_size):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch
