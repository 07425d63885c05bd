"""Verbs that look and change nothing: listings, checks, catalogues.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

from pathlib import Path

import tyro

from workbench.cli.options import DEFAULTS, Common, CommonOptions, Name
from workbench.cli.output import Output


def runs(directory: tyro.conf.Positional[str] = "", *, common: CommonOptions = DEFAULTS) -> int:
    """List studies and runs with their state.

    Args:
        directory: where to look; by default the runs directory.
        common: options of every verb.
    """
    from workbench.study.listing import list_states

    with Output(common) as output:
        output.table("runs", list_states(Path(directory) if directory else None))
    return 0


def verify(path: Name, *, common: CommonOptions = DEFAULTS) -> int:
    """Check every file of a run or study, or recompute a finding; exit 3 on damage or drift.

    Args:
        path: a run, a study with its findings, any folder of artefacts, or a kept finding.
        common: options of every verb.
    """
    from workbench.pipeline.verify import verify_path

    with Output(common) as output:
        return output.verification(verify_path(Path(path)))


def doctor(*, common: CommonOptions = DEFAULTS) -> int:
    """Say what this machine has and lacks.

    Args:
        common: options of every verb.
    """
    from workbench.machine.doctor import examine

    with Output(common) as output:
        return output.examination(examine())


def _catalogue(name: str, common: Common) -> int:
    from workbench.pipeline import catalog

    with Output(common) as output:
        output.table(name, catalog.describe(name))
    return 0


def generators(*, common: CommonOptions = DEFAULTS) -> int:
    """List generators and samplers.

    Args:
        common: options of every verb.
    """
    return _catalogue("generators", common)


def probes(*, common: CommonOptions = DEFAULTS) -> int:
    """List probes.

    Args:
        common: options of every verb.
    """
    return _catalogue("probes", common)


def presets(*, common: CommonOptions = DEFAULTS) -> int:
    """List presets with what they cost and reach.

    Args:
        common: options of every verb.
    """
    return _catalogue("presets", common)
