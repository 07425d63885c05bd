"""Compare arms: means with intervals, paired contrasts, and whether the arms really are twins.

Arms share prompts, starting noise, initial weights and data order, so contrasts are paired over
prompts and seeds. A probe without one value per point cannot be paired. Its interval adds both
arms' intervals in quadrature, which is wider than a paired one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.config.run import in_teacher_space
from workbench.errors import InputError
from workbench.report.arm_metrics import (
    arm_generation,
    arm_probes,
    headline_scale,
    load_scores,
    stored_probes,
)
from workbench.report.contrasts import NUM_COMPARED_WITH, generation_contrasts, probe_contrasts
from workbench.report.verdicts import with_verdicts
from workbench.sample.held_out import scale_name
from workbench.store.json_files import read_json
from workbench.study.conditions import JUDGED_BY, differing_conditions
from workbench.study.folders import Run
from workbench.study.generators import GeneratorRun
from workbench.study.pairing import NO_TWIN, NOT_PROVED, compare_pairing

if TYPE_CHECKING:
    from workbench.study.folders import Study


def compare_study(study: Study) -> dict[str, Any]:
    """The content of `comparison.json`.

    Returns:
        `arms`, `contrasts`, `paired`, and the `baselines` of the study.
    """
    sampling = study.config.base.sampling
    scales = [scale_name(scale) for scale in sampling.guidance_scales]
    arms: dict[str, dict[str, Any]] = {arm: {} for arm in study.config.arms}
    contrasts: list[dict[str, Any]] = []
    pairs = compared_pairs(list(study.config.arms))
    for number, scale in enumerate(scales):
        family = "generation" if number == 0 else f"generation[{scale}]"
        scores = {
            arm: [load_scores(study.run(arm, seed), scale) for seed in study.config.seeds]
            for arm in study.config.arms
        }
        for arm, runs in scores.items():
            arms[arm].update(arm_generation(runs, study, family))
            if number == 0:
                arms[arm].update(arm_probes([run.probes for run in runs]))
        for a, b in pairs:
            rows = generation_contrasts(scores, b, a, study, family)
            if number == 0:
                rows += probe_contrasts(arms, b, a)
            contrasts += _marked(rows, *(study.run(arm, study.config.seeds[0]) for arm in (a, b)))
    return {
        "arms": arms,
        "contrasts": with_verdicts(contrasts),
        "paired": _pairing(study),
        "baselines": _baselines(study),
    }


def compared_pairs(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Each of the first arms with every later one, so that contrasts grow as the arms do."""
    return [
        (first, later)
        for place, first in enumerate(arms[:NUM_COMPARED_WITH])
        for later in arms[place + 1 :]
    ]


def compare_runs(a: Run | GeneratorRun, b: Run | GeneratorRun) -> list[dict[str, Any]]:
    """Paired contrasts a - b of two runs or generators on the same prompts.

    With an arm from a bundle each row says that no pairing is proved.

    Raises:
        InputError: a run was not scored, or the two were scored on different prompts or by
            different judges; or one from a bundle was not probed, belongs to another study, or
            stands beside a generator.
    """
    if any(isinstance(run, Run) and run.imported is not None for run in (a, b)):
        if not (isinstance(a, Run) and isinstance(b, Run)):
            raise InputError(f"{a.name} and {b.name} cannot be compared: one wrote, one did not")
        return _compare_probed(a, b)
    if _references_print(a.study) != _references_print(b.study):
        raise InputError(f"{a.name} and {b.name} cannot be compared: they got different prompts")
    judges = differing_conditions(a.study, b.study, JUDGED_BY)
    if judges:
        raise InputError(
            f"{a.name} and {b.name} cannot be compared: what scores their texts differs "
            f"({', '.join(judges)})"
        )
    first, second = _distinct_names(a, b)
    scores = {
        name: [load_scores(run, headline_scale(run))] for name, run in ((first, a), (second, b))
    }
    arms = {name: arm_probes([run.probes for run in runs]) for name, runs in scores.items()}
    rows = generation_contrasts(scores, first, second, a.study, "generation")
    return _marked(with_verdicts(rows + probe_contrasts(arms, first, second)), a, b)


def _distinct_names(a: Run | GeneratorRun, b: Run | GeneratorRun) -> tuple[str, str]:
    """The names of two runs, with their folders' where two studies have the same arm and seed."""
    if a.name != b.name:
        return a.name, b.name
    return str(a.directory), str(b.directory)


def _marked(rows: list[dict[str, Any]], *runs: Run | GeneratorRun) -> list[dict[str, Any]]:
    """The rows, each saying so where one of the `runs` is a reference."""
    if not any(isinstance(run, Run) and in_teacher_space(run.config) for run in runs):
        return rows
    return [{**row, "pairing": NO_TWIN} for row in rows]


def _compare_probed(a: Run, b: Run) -> list[dict[str, Any]]:
    """Contrasts with an arm from a bundle: of probes, and of scores where both were scored."""
    if a.study.directory != b.study.directory:
        raise InputError(f"{a.name} and {b.name} cannot be compared: they are of different studies")
    arms = {run.name: arm_probes([stored_probes(run)]) for run in (a, b)}
    for name, probes in arms.items():
        if not probes:
            raise InputError(f"{name}: not probed yet; run `probe` first")
    rows = probe_contrasts(arms, a.name, b.name)
    if a.evaluation_file.is_file() and b.evaluation_file.is_file():
        scale = scale_name(a.config.sampling.guidance_scales[0])
        scores = {run.name: [load_scores(run, scale)] for run in (a, b)}
        rows = generation_contrasts(scores, a.name, b.name, a.study, "generation") + rows
    return [{**row, "pairing": NOT_PROVED} for row in with_verdicts(rows)]


def _references_print(study: Study) -> Any:
    return read_json(study.references_dir / "manifest.json")["meta"]["fingerprint"]


def _pairing(study: Study) -> dict[str, bool]:
    """Whether all twins of each seed started from equal weights and saw the same data and noise."""
    twins = [run for run in study.runs if not in_teacher_space(run.config)]
    verdicts = [
        compare_pairing(
            {run.arm: run.describe().get("pairing", {}) for run in twins if run.seed == seed}
        )
        for seed in study.config.seeds
    ]
    return {kind: all(v[kind] for v in verdicts) for kind in ("data_order", "init", "noise")}


def _baselines(study: Study) -> dict[str, Any]:
    file = study.baselines_dir / "baselines.json"
    if not file.is_file():
        return {}
    return {
        name: {
            f"generation.{metric}": {key: value.get(key) for key in ("mean", "low", "high", "n")}
            for metric, value in scores["metrics"].items()
        }
        for name, scores in read_json(file).items()
    }
