"""What verbs share: names, overrides and common options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

Name = tyro.conf.Positional[str]
# `--set a=1 b=2` and `--set a=1 --set b=2` are the same.
Overrides = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(name="set", metavar="KEY=VALUE"),
]
Resources = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(metavar="KEY=VALUE"),
]


def settings_given(overrides: tuple[tuple[str, ...], ...]) -> list[str]:
    """All KEY=VALUE settings, in the order given."""
    return [setting for group in overrides for setting in group]


@dataclass(frozen=True)
class Common:
    """Options of every verb.

    Attributes:
        json: print one JSON object on stdout.
        quiet: no progress on stderr.
        debug: show the traceback of an error.
    """

    json: bool = False
    quiet: bool = False
    debug: bool = False


CommonOptions = tyro.conf.OmitArgPrefixes[Common]
DEFAULTS = Common()
