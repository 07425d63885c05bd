"""Settings as nested frozen dataclasses: built strictly from mappings, named by their content.

`load_yaml` and `apply_overrides` return a plain mapping and `build` turns it into a dataclass;
`to_dict` and `as_override` are the way back. `fingerprint` hashes the `identity` of settings, and
`differences` lists what two of them do not share. Nothing is guessed: an unknown key, a value of
the wrong type, NaN and a repeated key are refused in one line that names the dotted key.
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
