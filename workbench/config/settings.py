"""Settings as nested frozen dataclasses: built strictly from mappings, named by their content.

`load_yaml` and `apply_overrides` give a plain mapping, `build` makes the dataclass of it,
`to_dict` and `as_override` go back, `fingerprint` names it by its `identity` and `differences` says
what sets two apart. Nothing is guessed: an unknown key, a value of another type, NaN and a key
given twice are refused in one line that names the dotted key.
"""

from workbench.config.construct import build
from workbench.config.documents import dump_yaml, load_yaml, parse_yaml
from workbench.config.identity import (
    Difference,
    differences,
    fingerprint,
    format_differences,
)
from workbench.config.overrides import apply_overrides, as_override
from workbench.config.plain import identity, to_dict

__all__ = [
    "Difference",
    "apply_overrides",
    "as_override",
    "build",
    "differences",
    "dump_yaml",
    "fingerprint",
    "format_differences",
    "identity",
    "load_yaml",
    "parse_yaml",
    "to_dict",
]
