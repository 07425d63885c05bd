"""Settings of a corpus: where its texts come from, how they are tokenised, windowed and split."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields

_COLUMNS = ("text_column", "label_columns", "fact_columns", "id_column", "errors")
SOURCES: dict[str, tuple[str, ...]] = {
    "stories": ("seed",),
    "docs": ("packages",),
    "glosses": ("path",),
    "file": ("path", "separator", "columns", *_COLUMNS),
    "hf": ("hf_name", "hf_config", "hf_split", "hf_revision", *_COLUMNS),
}
"""Corpus name -> the settings that only some corpora read; one set elsewhere is refused."""

SEPARATORS = ("line", "paragraph", "passage")
CHOICES: dict[str, tuple[str, ...]] = {
    "name": tuple(SOURCES),
    "separator": SEPARATORS,
    "errors": ("strict", "replace"),
    "vocabulary": ("teacher", "bpe"),
}
MIN_WINDOW = 8
MIN_BPE_VOCABULARY = 258
DEFAULT_BPE_VOCABULARY = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """Which texts, in which pieces.

    Attributes:
        name: `stories` (generated), `docs` (docstrings of installed packages), `glosses`
            (definitions of WordNet, see `data.readers.wordnet`), `file` or `hf`.
        num_documents: at most this many; None is every one (of `stories`: 12,000).
        min_characters: shorter texts are left out.
        seed: of the generated stories.
        packages: import names whose docstrings `docs` reads; empty is a built-in choice.
        path: a .txt, .jsonl, .csv, .tsv or .parquet file, UTF-8; of `glosses` the folder of
            WordNet's files, empty for where Debian's package `wordnet-base` puts them.
        separator: what parts the documents of a .txt: `line`; `paragraph` (blank lines); or
            `passage` (running text, cut into stretches of about 8,000 characters).
        errors: undecodable bytes are refused (`strict`) or become U+FFFD (`replace`).
        columns: names of the columns of a .csv or .tsv without a header, in order; empty reads
            them from its first line.
        text_column: column with the text.
        label_columns: columns with classes of the whole text.
        fact_columns: columns with values that a faithful continuation must keep.
        id_column: column that must be unique; empty is none.
        hf_name: data set on the Hugging Face hub, or a local directory.
        hf_config: its configuration; empty is the only one.
        hf_split: its split; the corpus is split anew by content.
        hf_revision: branch, tag or commit; empty is the newest.
        window: positions L that a model sees; longer texts are cut into several.
        vocabulary: `teacher` (its pieces that the corpus uses) or `bpe` (trained on the corpus).
        vocabulary_size: at most this many, end-of-text and unknown included; None is no limit for
            `teacher` and 4,096 for `bpe`.
        min_count: a rarer piece of the teacher becomes unknown; for `bpe`, the least count of a
            merge.
        valid_fraction: share of the documents held out for validation.
        test_fraction: share of the documents held out for testing.
    """

    name: str = "stories"
    num_documents: int | None = None
    min_characters: int = 1
    seed: int = 0
    packages: tuple[str, ...] = ()
    path: str = ""
    separator: str = "line"
    errors: str = "strict"
    # Fingerprints leave it out while it is empty, as they were before it existed.
    columns: tuple[str, ...] = field(default=(), metadata={"before": ()})
    text_column: str = "text"
    label_columns: tuple[str, ...] = ()
    fact_columns: tuple[str, ...] = ()
    id_column: str = ""
    hf_name: str = ""
    hf_config: str = ""
    hf_split: str = "train"
    hf_revision: str = ""
    window: int = 64
    vocabulary: str = "teacher"
    vocabulary_size: int | None = None
    min_count: int = 1
    valid_fraction: float = 0.05
    test_fraction: float = 0.05

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be >= {least}, got {value}")
        self._check_split()
        self._check_vocabulary()
        self._check_source()

    def _check_split(self) -> None:
        for name in ("valid_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.valid_fraction + self.test_fraction >= 1:
            raise ValueError(
                "valid_fraction + test_fraction must be < 1, got "
                f"{self.valid_fraction} + {self.test_fraction}"
            )

    def _check_vocabulary(self) -> None:
        size = self.vocabulary_size or DEFAULT_BPE_VOCABULARY
        if self.vocabulary == "bpe" and size < MIN_BPE_VOCABULARY:
            raise ValueError(
                f"vocabulary_size must be >= {MIN_BPE_VOCABULARY} for bpe (every byte, "
                f"end-of-text and unknown), got {self.vocabulary_size}"
            )

    def _check_source(self) -> None:
        own = SOURCES[self.name]
        somebodys = {setting for settings in SOURCES.values() for setting in settings}
        for one in fields(self):
            assert one.default is not MISSING
            if one.name in somebodys - set(own) and getattr(self, one.name) != one.default:
                readers = [name for name, settings in SOURCES.items() if one.name in settings]
                raise ValueError(
                    f"{one.name} is read by the corpus {' and '.join(readers)} only, "
                    f"not by {self.name!r}: leave it out"
                )
        if self.name == "file" and not self.path:
            raise ValueError("path must name a file for the corpus 'file'")
        if self.name == "hf" and not self.hf_name:
            raise ValueError("hf_name must name a data set for the corpus 'hf'")
        columns = (self.text_column, *self.label_columns, *self.fact_columns)
        if not all(columns):
            raise ValueError("text_column, label_columns and fact_columns must not be empty names")


_LEAST = {
    "num_documents": 1,
    "min_characters": 1,
    "seed": 0,
    "window": MIN_WINDOW,
    "vocabulary_size": 3,
    "min_count": 1,
}
