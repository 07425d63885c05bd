"""Settings documents: strict YAML.

YAML is read by the rules of version 1.2, not PyYAML's 1.1: `no` and `2024-01-01` stay text,
`1e-3` is a number, `010` is ten. Repeated keys, aliases and tags (`!!int`) are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import InputError

MAX_BYTES = 1_000_000
MAX_DEPTH = 40


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2 scalars; refuses repeated keys, aliases and tags."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node, refusing aliases (their expansion is unbounded), tags, deep nesting."""
        if self.check_event(yaml.AliasEvent):
            raise self._problem("aliases are not supported, write the value out")
        if self.peek_event().tag is not None:
            # PyYAML's constructors raise errors of many kinds for values that do not fit their tag.
            raise self._problem(f"the tag {self.peek_event().tag!r} is not supported, leave it out")
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > MAX_DEPTH:
            raise self._problem(f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing keys that are not text and keys given twice."""
        lines: dict[str, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if key_node.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(
                    problem="keys must be text (quote it)", problem_mark=key_node.start_mark
                )
            if key in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} is given twice, first in line {lines[key]}",
                    problem_mark=key_node.start_mark,
                )
            lines[key] = line
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Read a whole number in base ten, or sixteen after `0x`."""
        text = self.construct_scalar(node)
        return int(text, 16 if text.startswith("0x") else 10)

    def _problem(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)


for _name, _pattern, _first in [
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]{1,400}|0x[0-9a-fA-F]{1,400}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
]:
    # The empty scalar is looked up under "", which PyYAML spells as an empty first character.
    _characters = ["" if character == "\0" else character for character in _first]
    StrictLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), _characters
    )
StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_yaml_int)


class TextLoader(StrictLoader):
    """The same, but every plain scalar is text: `007` and `null` are what they look like."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


def parse_yaml(text: str, where: str, loader: type[StrictLoader] = StrictLoader) -> Any:
    """Read one YAML document.

    Raises:
        InputError: Not YAML, or a key given twice, with `where` and the line.
    """
    try:
        reader = loader(text)  # strict, so that no tag builds an object
        try:
            return reader.get_single_data()
        finally:
            reader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        raise InputError(f"{where}{line}: {problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        problem = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{where}: not readable as YAML: {problem}") from error


class StrictDumper(yaml.SafeDumper):
    """Quotes the texts that `StrictLoader` would take for a number, and writes no aliases."""

    yaml_implicit_resolvers = StrictLoader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out."""
        return True


def dump_yaml(document: Mapping[str, Any]) -> str:
    """A plain mapping as YAML in ASCII; `parse_yaml` gives it back."""
    return yaml.dump(document, Dumper=StrictDumper, sort_keys=False, width=100)


def load_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping; an empty file is an empty mapping.

    Raises:
        InputError: The file is missing, too large, not UTF-8, not YAML, or not a mapping.
    """
    path = Path(os.path.expanduser(path))
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file, give the path of a YAML file")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES:,} bytes, not a settings file")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}, save it as UTF-8") from error
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read ({error})") from error
    document = parse_yaml(text, str(path))
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InputError(f"{path}: must hold `key: value` lines, got a {type(document).__name__}")
    return document
