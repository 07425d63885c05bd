"""A finding's document: what it holds, and what is refused.

A finding may come from a stranger. It is small, strictly typed and sealed by its own sha256. The
names in it are only compared with existing studies, arms and measures; none becomes a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.config import settings
from workbench.errors import DamagedArtefactError, InputError
from workbench.report.findings.sources import check_source
from workbench.store.json_files import read_json
from workbench.store.schema import Schema

FOLDER = "findings"
KIND = "finding"
SCHEMA = Schema(name="finding", version=1, needs_release="0.1.0")
MOST_BYTES = 4_000_000
MOST_NUMBERS, MOST_ROWS = 2000, 200_000
LONGEST_SENTENCE, LONGEST_NAME = 400, 400
HEAD_BYTES = 4096
LEVELS = ("tokens", "texts", "prompts")

_MARK = re.compile(rb'"kind"\s*:\s*"finding"')
_TAG = re.compile(r"<[a-zA-Z/!?]")
_PAGE = re.compile(r"[a-z_]{1,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A page, and the query that reopens it as it was."""

    page: str
    query: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selected:
    """Chosen items: `tokens`, `texts` or `prompts`, their rows, and the sha256 of their texts."""

    level: str
    rows: tuple[int, ...]
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number as it was shown.

    Attributes:
        name: what readers see.
        source: `kind`, a key of `SOURCES`, and the fields that this kind needs to recompute it.
        value: the number; None if it was not defined.
        low: lower end of its interval.
        high: upper end.
        n: number of points behind it.
        chance: the score of a space without the property.
    """

    name: str
    source: Mapping[str, Any]
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    chance: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was seen, where, and what it is based on.

    Attributes:
        sentence: the reader's own words.
        date: when it was kept, ISO 8601, UTC.
        study: the study's name in the runs directory.
        fingerprint: of the study's configuration.
        view: page and query.
        selection: chosen items, if any.
        numbers: the numbers that were shown.
        runs: run name -> fingerprints of its configuration, weights and stages.
        versions: library -> version.
    """

    sentence: str
    date: str
    study: str
    fingerprint: str
    view: View
    selection: Selected | None
    numbers: tuple[Number, ...]
    runs: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        check_sentence(self.sentence)
        if not _PAGE.fullmatch(self.view.page):
            raise ValueError(f"view.page must be the address of a page, got {self.view.page!r}")
        if len(self.numbers) > MOST_NUMBERS:
            raise ValueError(f"numbers must be at most {MOST_NUMBERS}, got {len(self.numbers)}")
        for number in self.numbers:
            _check_name("numbers.name", number.name)
            check_source(number.source)
        if self.selection is not None:
            _check_selection(self.selection)
        for name in (self.study, self.date, *self.runs, *self.view.query):
            _check_name("study, date, runs and view.query", name)


def check_sentence(sentence: str) -> None:
    """Refuse a sentence that is not one plain line.

    Raises:
        ValueError: it is empty, too long, has several lines, or contains a tag.
    """
    if not sentence.strip():
        raise ValueError("sentence is empty: say what was found")
    if len(sentence) > LONGEST_SENTENCE:
        raise ValueError(
            f"sentence must have at most {LONGEST_SENTENCE} characters, got {len(sentence)}"
        )
    if not sentence.isprintable():
        raise ValueError("sentence must be one line without control characters")
    if _TAG.search(sentence):
        raise ValueError("sentence must not contain a tag: write `<` with a space after it")


def is_finding(path: Path) -> bool:
    """Whether a file's first lines say that it is a finding."""
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(_MARK.search(file.read(HEAD_BYTES)))


def read_finding(path: Path) -> Finding:
    """Read a finding.

    Raises:
        InputError: the file is too large, not a finding, or from a newer release.
        DamagedArtefactError: the file does not match its own sha256.
    """
    if path.is_symlink():
        raise InputError(f"{path}: is a link; give the finding itself")
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: larger than any finding ({MOST_BYTES // 1_000_000} MB)")
    document = SCHEMA.migrate(read_json(path), str(path))
    body = {k: v for k, v in document.items() if k not in ("kind", "schema", "needs_release")}
    if document.get("kind") != KIND:
        raise InputError(f"{path}: not a finding file (kind: {str(document.get('kind'))[:40]!r})")
    try:
        return settings.build(Finding, body)
    except DamagedArtefactError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: not a valid finding: {error}") from error


def finding_files(study: Path) -> list[Path]:
    """Findings in a study's folder, sorted by name (which starts with the day), without links."""
    folder = study / FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return []
    files = [f for f in folder.glob("*.json") if f.is_file() and not f.is_symlink()]
    return sorted(files, key=lambda file: file.stem)


def _check_selection(selection: Selected) -> None:
    if selection.level not in LEVELS:
        raise ValueError(f"selection.level must be one of {', '.join(LEVELS)}")
    if len(selection.rows) > MOST_ROWS or any(row < 0 for row in selection.rows):
        raise ValueError(f"selection.rows must be at most {MOST_ROWS} row numbers >= 0")
    if not _SHA256.fullmatch(selection.sha256):
        raise ValueError("selection.sha256 must be 64 hex digits")


def _check_name(where: str, text: str) -> None:
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"{where} must be one line of at most {LONGEST_NAME} characters")
