"""Verbs that change nothing: listings, checks, catalogues.

Heavy imports stand inside the functions. Every verb returns its exit code.
"""

from __future__ import annotations

import tyro

from workbench.cli.options import DEFAULTS, Common, CommonOptions, Name, Overrides, settings_given
from workbench.cli.output import Output
from workbench.cli.show_checks import show_examination, show_verification
from workbench.errors import DamagedArtefactError, InputError


def runs(directory: tyro.conf.Positional[str] = "", *, common: CommonOptions = DEFAULTS) -> int:
    """List studies and runs with their state.

    Args:
        directory: where to look; by default the runs directory.
        common: options of every verb.
    """
    from workbench.config.places import absolute
    from workbench.study.listing import list_states

    with Output(common) as output:
        output.table("runs", list_states(absolute(directory) if directory else None))
    return 0


def verify(path: Name, *, common: CommonOptions = DEFAULTS) -> int:
    """Check every file of a run or study, or recompute a finding; exit 3 on damage or drift.

    Args:
        path: a run, a study with its findings, any folder of artefacts, or a kept finding.
        common: options of every verb.
    """
    from workbench.config.places import absolute
    from workbench.pipeline.verify import verify_path

    report = verify_path(absolute(path))
    with Output(common) as output:
        show_verification(output, report)
    return 0 if report.sound else DamagedArtefactError.exit_code


def doctor(*, common: CommonOptions = DEFAULTS) -> int:
    """Say what this machine has and lacks.

    Args:
        common: options of every verb.
    """
    from workbench.machine.doctor import examine

    with Output(common) as output:
        show_examination(output, examine())
    return 0  # the command did its work, whatever the machine lacks


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


def presets(
    name: tyro.conf.Positional[str] = "",
    *,
    overrides: Overrides = (),
    common: CommonOptions = DEFAULTS,
) -> int:
    """List presets with what they cost and reach, or print one as YAML for `study --config`.

    Args:
        name: the preset whose settings are printed, all of them.
        overrides: settings to change in it, as for `study`.
        common: options of every verb.
    """
    if not name:
        if overrides:
            raise InputError("--set changes the settings of one preset: give its NAME too")
        return _catalogue("presets", common)
    from workbench.config.request import study_config
    from workbench.config.settings import dump_yaml, to_dict

    values = to_dict(study_config(preset=name, overrides=settings_given(overrides)))
    with Output(common) as output:
        output.result(values, lambda: print(dump_yaml(values), end=""))
    return 0
