"""Docstrings of installed packages: real prose that every machine has, labelled by package.

Sources are parsed, never imported. Of each docstring the running prose is kept; parameter lists,
tables, examples and headings are left out.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from data.corpus_config import CorpusConfig
from data.documents import Document

DEFAULT_PACKAGES = ("numpy", "scipy", "sklearn", "pandas", "torch", "transformers", "matplotlib")
MIN_CHARACTERS = 40
_MAX_SOURCE_BYTES = 1 << 21
_SENTENCES = re.compile(r"^[A-Z][^|]*[a-z)][.!?]$")
_NO_PROSE = re.compile(r">>>|::|https?:|--|==|\\")
_MARKUP = re.compile(r":[\w:]+:`[~!]?([^`]*)`|`+([^`]*)`+_?|\*\*([^*]*)\*\*")
_SECTION = re.compile(r"^(Args|Parameters|Returns|Examples?|Notes|References|Attributes)\b", re.M)
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_KINDS = {ast.Module: "module", ast.ClassDef: "class"}


def read_docs(config: CorpusConfig) -> Iterator[Document]:
    """Docstrings of the packages in turn, so that even the first few come from all of them.

    Raises:
        ValueError: when a package named in `config.packages` is not installed, or none of the
            built-in choice is.
    """
    names = config.packages or tuple(name for name in DEFAULT_PACKAGES if _folder(name))
    if not names:
        raise ValueError(
            f"packages: none of {', '.join(DEFAULT_PACKAGES)} is installed; name some that are"
        )
    return _in_turn([_package_documents(name, _installed(name)) for name in names])


def _installed(name: str) -> Path:
    folder = _folder(name)
    if folder is None:
        raise ValueError(f"packages: {name!r} is not an installed package with Python sources")
    return folder


def _folder(name: str) -> Path | None:
    """Folder of a top-level package, found without importing it."""
    if not name.isidentifier():
        return None
    spec = find_spec(name)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) if locations else None


def _package_documents(name: str, folder: Path) -> Iterator[Document]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if any(part in ("tests", "testing", "_vendor", "externals") for part in parts):
            continue
        for kind, docstring in _docstrings(path):
            text = prose(docstring)
            if len(text) >= MIN_CHARACTERS:
                yield Document(text=text, labels={"package": name, "kind": kind})


def _docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Kind and docstring of everything documented in a source; nothing from one that is broken."""
    if path.stat().st_size > _MAX_SOURCE_BYTES:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, _Documented) and (docstring := ast.get_docstring(node)):
            yield _KINDS.get(type(node), "function"), docstring


def prose(docstring: str) -> str:
    """Paragraphs of whole sentences that stand before the first section, as one line."""
    section = _SECTION.search(docstring)
    head = docstring[: section.start()] if section else docstring
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", head))
    plain = (_MARKUP.sub(lambda m: m[1] or m[2] or m[3] or "", part) for part in paragraphs)
    return " ".join(part for part in plain if _SENTENCES.match(part) and not _NO_PROSE.search(part))


def _in_turn(streams: Sequence[Iterable[Document]]) -> Iterator[Document]:
    """One item of each stream in turn, until all have ended."""
    running = [iter(stream) for stream in streams]
    while running:
        still: list[Iterator[Document]] = []
        for stream in running:
            for document in stream:
                yield document
                still.append(stream)
                break
        running = still
