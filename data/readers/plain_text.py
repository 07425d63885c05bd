"""Documents of a .txt file: lines, paragraphs between blank lines, or passages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from data.documents import Document
from data.readers.lines import Line, read_lines
from data.windows import cut_passages

PASSAGE_CHARACTERS = 8_000
_BLOCK_CHARACTERS = 1 << 20


def read_plain_text(path: Path, separator: str, errors: str) -> Iterator[Document]:
    """Documents of the file; what is blank is left out.

    Args:
        separator: `line`, `paragraph` or `passage`, see `CorpusConfig`.
    """
    for text in _SEPARATORS[separator](read_lines(path, errors, split_long=True)):
        if text := text.strip():
            yield Document(text=text)


def _lines(lines: Iterator[Line]) -> Iterator[str]:
    return (line.text for line in lines)


def _paragraphs(lines: Iterator[Line]) -> Iterator[str]:
    """Lines up to a blank one; an endless paragraph is handed over in blocks."""
    return _blocks(lines, _BLOCK_CHARACTERS, ends=lambda line: not line.text.strip())


def _passages(lines: Iterator[Line]) -> Iterator[str]:
    """Stretches of running text, cut where sentences end; blank lines stay inside."""
    left = ""
    for block in _blocks(lines, _BLOCK_CHARACTERS, ends=lambda line: False):
        *passages, left = [*cut_passages(left + block, PASSAGE_CHARACTERS)] or [""]
        yield from passages
        left += "\n"
    yield left


def _blocks(
    lines: Iterator[Line], max_characters: int, ends: Callable[[Line], bool]
) -> Iterator[str]:
    """Joined lines, up to one that ends a block or until there is enough."""
    parts: list[str] = []
    size = 0
    for line in lines:
        parts += [line.text, "\n"] if line.whole else [line.text]
        size += len(line.text) + 1
        if size >= max_characters or ends(line):
            yield "".join(parts)
            parts, size = [], 0
    yield "".join(parts)


_SEPARATORS: dict[str, Callable[[Iterator[Line]], Iterator[str]]] = {
    "line": _lines,
    "paragraph": _paragraphs,
    "passage": _passages,
}
