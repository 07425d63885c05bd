"""Compare arms: means with intervals, paired contrasts, and whether the arms really are twins.

Arms share prompts, starting noise, initial weights and data order, so contrasts are paired over
prompts and seeds. A probe without one value per point cannot be paired. Its interval adds both
arms' intervals in quadrature, which is wider than a paired one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.config.run import in_teacher_space
from workbench.errors import InputError
from workbench.report.verdicts import with_verdicts
from workbench.sample.held_out import scale_name
from workbench.score.directions import chance_of, direction
from workbench.score.evaluate import evaluation_fingerprint
from workbench.score.two_samples import Sample, featurizer_name, sample_contrasts
from workbench.store.json_files import read_json
from workbench.study.folders import Run
from workbench.study.generators import GeneratorRun
from workbench.study.pairing import NO_TWIN, NOT_PROVED, compare_pairing

if TYPE_CHECKING:
    from analyses.statistics.intervals import BootstrapConfig, Contrast
    from workbench.study.folders import Study


@dataclass(frozen=True)
class RunScores:
    """What one run stored about itself.

    Attributes:
        per_text: `generation` metric -> (N,) float64 over prompts.
        sample: features of its continuations, and which are empty.
        whole: scores of all texts together, as JSON, by name.
        probes: result name -> result as JSON.
    """

    per_text: dict[str, np.ndarray]
    sample: Sample
    whole: Mapping[str, Mapping[str, Any]]
    probes: dict[str, Any]


def load_scores(run: Run | GeneratorRun, scale: str) -> RunScores:
    """Read the stored scores of a run or a generator at one guidance scale.

    Raises:
        InputError: the run has not been evaluated, or not since its settings changed.
    """
    import pandas as pd

    if not run.evaluation_file.is_file():
        raise InputError(f"{run.directory}: not evaluated yet; run `evaluate` first")
    stored = read_json(run.evaluation_file)
    if stored["fingerprint"] != evaluation_fingerprint(run):
        raise InputError(
            f"{run.directory}: its scores were made with other settings than the study has now "
            "(more steps?); run the study again"
        )
    evaluation = stored["guidance"]
    if scale not in evaluation:
        raise InputError(f"{run.evaluation_file}: no scores at {scale}; it has {list(evaluation)}")
    frame = pd.read_parquet(run.scores_dir / f"{scale}.parquet")
    empty = frame.pop("empty").to_numpy(bool)
    metrics = evaluation[scale]["metrics"]
    return RunScores(
        per_text={str(column): frame[column].to_numpy(np.float64) for column in frame},
        sample=Sample(_features(run, scale), empty),
        whole={name: value for name, value in metrics.items() if name not in frame},
        probes={} if isinstance(run, GeneratorRun) else stored_probes(run),
    )


def _features(run: Run | GeneratorRun, scale: str) -> dict[str, np.ndarray]:
    """Featurizer -> stored features; the embedder of MAUVE comes first."""
    first = featurizer_name(run.study.config.base.evaluation.encoder)
    stored = {
        file.name.removeprefix(f"{scale}@").removesuffix(".npy"): np.load(file)
        for file in sorted(run.scores_dir.glob(f"{scale}@*.npy"))
    }
    return {first: stored.pop(first), **stored}


def compare_study(study: Study) -> dict[str, Any]:
    """The content of `comparison.json`.

    Returns:
        `arms`, `contrasts`, `paired`, `pairing_by_seed`, and the `baselines` of the study.
    """
    sampling = study.config.base.sampling
    scales = [scale_name(scale) for scale in sampling.guidance_scales]
    arms: dict[str, dict[str, Any]] = {arm: {} for arm in study.config.arms}
    contrasts: list[dict[str, Any]] = []
    pairs = list(itertools.combinations(study.config.arms, 2))
    for number, scale in enumerate(scales):
        family = "generation" if number == 0 else f"generation[{scale}]"
        scores = {
            arm: [load_scores(study.run(arm, seed), scale) for seed in study.config.seeds]
            for arm in study.config.arms
        }
        for arm, runs in scores.items():
            arms[arm].update(arm_generation(runs, study, family))
            if number == 0:
                arms[arm].update(_arm_probes([run.probes for run in runs]))
        for a, b in pairs:
            rows = generation_contrasts(scores, b, a, study, family)
            if number == 0:
                rows += _probe_contrasts(arms, b, a)
            contrasts += _marked(rows, *(study.run(arm, study.config.seeds[0]) for arm in (a, b)))
    return {
        "arms": arms,
        "contrasts": with_verdicts(contrasts),
        "paired": _pairing(study),
        "baselines": _baselines(study),
    }


def compare_runs(a: Run | GeneratorRun, b: Run | GeneratorRun) -> list[dict[str, Any]]:
    """Paired contrasts a - b of two runs or generators on the same prompts.

    With an arm from a bundle each row says that no pairing is proved.

    Raises:
        InputError: a run was not scored, or the two were scored on different prompts; or one from
            a bundle was not probed, belongs to another study, or stands beside a generator.
    """
    if any(isinstance(run, Run) and run.imported is not None for run in (a, b)):
        if not (isinstance(a, Run) and isinstance(b, Run)):
            raise InputError(f"{a.name} and {b.name} cannot be compared: one wrote, one did not")
        return _compare_probed(a, b)
    if _references_print(a.study) != _references_print(b.study):
        raise InputError(f"{a.name} and {b.name} cannot be compared: they got different prompts")
    scores = {run.name: [load_scores(run, headline_scale(run))] for run in (a, b)}
    arms = {name: _arm_probes([run.probes for run in runs]) for name, runs in scores.items()}
    rows = generation_contrasts(scores, a.name, b.name, a.study, "generation")
    return _marked(with_verdicts(rows + _probe_contrasts(arms, a.name, b.name)), a, b)


def _marked(rows: list[dict[str, Any]], *runs: Run | GeneratorRun) -> list[dict[str, Any]]:
    """The rows, each saying so where one of the `runs` is a reference."""
    if not any(isinstance(run, Run) and in_teacher_space(run.config) for run in runs):
        return rows
    return [{**row, "pairing": NO_TWIN} for row in rows]


def headline_scale(run: Run | GeneratorRun) -> str:
    """Name of the guidance scale whose texts stand for a run or a generator."""
    if isinstance(run, Run):
        return scale_name(run.config.sampling.guidance_scales[0])
    return scale_name(run.config.guidance_scale)


def _compare_probed(a: Run, b: Run) -> list[dict[str, Any]]:
    """Contrasts with an arm from a bundle: of probes, and of scores where both were scored."""
    if a.study.directory != b.study.directory:
        raise InputError(f"{a.name} and {b.name} cannot be compared: they are of different studies")
    arms = {run.name: _arm_probes([stored_probes(run)]) for run in (a, b)}
    for name, probes in arms.items():
        if not probes:
            raise InputError(f"{name}: not probed yet; run `probe` first")
    rows = _probe_contrasts(arms, a.name, b.name)
    if a.evaluation_file.is_file() and b.evaluation_file.is_file():
        scale = scale_name(a.config.sampling.guidance_scales[0])
        scores = {run.name: [load_scores(run, scale)] for run in (a, b)}
        rows = generation_contrasts(scores, a.name, b.name, a.study, "generation") + rows
    return [{**row, "pairing": NOT_PROVED} for row in with_verdicts(rows)]


def adapted_metrics(run: Run) -> dict[str, dict[str, Any]]:
    """Metrics of an arm that an adapter encoded and that was scored, as in the comparison."""
    scores = load_scores(run, scale_name(run.config.sampling.guidance_scales[0]))
    return {
        **_arm_probes([scores.probes]),
        **arm_generation([scores], run.study, "generation"),
    }


def space_metrics(run: Run, writer: GeneratorRun) -> dict[str, dict[str, Any]]:
    """Metrics of an arm that is a scored generator's own space: its probes and those scores."""
    return {
        **_arm_probes([stored_probes(run)]),
        **arm_generation([load_scores(writer, headline_scale(writer))], run.study, "generation"),
    }


def stored_probes(run: Run) -> dict[str, Any]:
    """Every stored probe result of a run: result name -> result as JSON."""
    probes: dict[str, Any] = {}
    for file in sorted(run.probes_dir.glob("*.json")):
        probes.update(read_json(file).get("results", {}))
    return probes


def _references_print(study: Study) -> Any:
    return read_json(study.references_dir / "manifest.json")["meta"]["fingerprint"]


def _bootstrap(study: Study) -> BootstrapConfig:
    from analyses.statistics.intervals import BootstrapConfig

    evaluation = study.config.base.evaluation
    return BootstrapConfig(num_resamples=evaluation.num_resamples, seed=evaluation.seed)


def arm_generation(runs: Sequence[RunScores], study: Study, family: str) -> dict[str, Any]:
    """Generation scores of an arm over its seeds, with intervals.

    For scores of all texts together, the stored intervals are used.
    """
    from analyses.statistics.intervals import hierarchical_bootstrap

    config = _bootstrap(study)
    metrics = {}
    for name in runs[0].per_text:
        table = np.stack([run.per_text[name] for run in runs])
        interval = asdict(hierarchical_bootstrap(table, config))
        interval["seeds"] = [_mean(row) for row in table]
        metrics[f"{family}.{name}"] = interval
    for name in runs[0].whole:
        metrics[f"{family}.{name}"] = over_seeds(
            [{**run.whole[name], "score": run.whole[name]["mean"]} for run in runs]
        )
    for name, interval in metrics.items():
        interval["chance"] = chance_of(name.removeprefix(f"{family}."))
    return metrics


def _arm_probes(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Metrics of an arm from the stored probe results of its seeds."""
    names = dict.fromkeys(name for probes in seeds for name in probes)
    return {
        metric_name(name): {
            **over_seeds([probes[name] for probes in seeds if name in probes]),
            "chance": seeds[0].get(name, {}).get("chance"),
            "higher_is_better": seeds[0].get(name, {}).get("higher_is_better"),
        }
        for name in names
    }


def metric_name(result_name: str) -> str:
    """The name that a probe's result has in the comparison."""
    renamed = {
        "reconstruction": "reconstruction.token_accuracy",
        "scale": "scale.log_snr",
        "velocity_floor": "floor.velocity",
    }
    group, _, rest = result_name.partition(".")
    if group == "manifold_continuity":
        return f"interpolation.{rest}"
    return renamed.get(result_name, result_name)


def over_seeds(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean over seeds; the interval is the mean of the seeds' own intervals over points.

    With few seeds, the spread over seeds says little; the value of each seed is given as well.
    """
    defined = [r for r in results if r.get("score") is not None]
    if not defined:
        reason = next((r.get("reason") for r in results if r.get("reason")), "not measured")
        return {"mean": None, "low": None, "high": None, "n": 0, "seeds": [], "reason": reason}

    def mean(key: str) -> float | None:
        values = [r[key] for r in defined if r.get(key) is not None]
        return float(np.mean(values)) if len(values) == len(defined) else None

    return {
        "mean": mean("score"),
        "low": mean("low"),
        "high": mean("high"),
        "n": int(defined[0]["n"]),
        "seeds": [r.get("score") for r in results],
    }


def generation_contrasts(
    scores: Mapping[str, Sequence[RunScores]], a: str, b: str, study: Study, family: str
) -> list[dict[str, Any]]:
    rows = []
    for name in scores[a][0].per_text:
        contrast = text_contrast(scores[a], scores[b], study, name)
        rows.append(_row(a, b, f"{family}.{name}", contrast, direction(name)))
    found = sample_contrasts(
        _human_features(study),
        [run.sample for run in scores[a]],
        [run.sample for run in scores[b]],
        study.config.base.evaluation,
    )
    for name, contrast in found.items():
        rows.append(_row(a, b, f"{family}.{name}", contrast, direction(name)))
    return rows


def _human_features(study: Study) -> dict[str, np.ndarray]:
    """Featurizer -> features of the human continuations, as stored with the baselines."""
    return {
        file.name.removeprefix("human.").removesuffix(".npy"): np.load(file)
        for file in study.baselines_dir.glob("human.*.npy")
    }


def text_contrast(
    a: Sequence[RunScores], b: Sequence[RunScores], study: Study, name: str
) -> Contrast:
    """Difference a - b of a score with one value per prompt, paired over prompts and seeds."""
    from analyses.statistics.intervals import paired_hierarchical_bootstrap

    tables = [np.stack([run.per_text[name] for run in runs]) for runs in (a, b)]
    return paired_hierarchical_bootstrap(tables[0], tables[1], _bootstrap(study))


def _probe_contrasts(arms: Mapping[str, Mapping[str, Any]], a: str, b: str) -> list[dict[str, Any]]:
    rows = []
    for name, first in arms[a].items():
        second = arms[b].get(name)
        if name.startswith("generation") or second is None:
            continue
        if first["mean"] is None or second["mean"] is None:
            continue
        contrast = probe_contrast(first, second)
        rows.append(_row(a, b, name, contrast, first.get("higher_is_better")))
    return rows


def probe_contrast(first: Mapping[str, Any], second: Mapping[str, Any]) -> Contrast:
    """Difference of two metrics' means; their 95 % intervals are added in quadrature.

    The two-sided p-value is that of a normal distribution with this interval.
    """
    from scipy.stats import norm

    from analyses.statistics.intervals import Contrast

    difference, half = first["mean"] - second["mean"], _quadrature(first, second)
    return Contrast(
        difference=difference,
        low=None if half is None else difference - half,
        high=None if half is None else difference + half,
        n=min(first["n"], second["n"]),
        p_value=float(2 * norm.sf(abs(difference) * norm.ppf(0.975) / half)) if half else None,
    )


def _quadrature(first: Mapping[str, Any], second: Mapping[str, Any]) -> float | None:
    ends = [first["low"], first["high"], second["low"], second["high"]]
    if any(end is None for end in ends):
        return None
    return 0.5 * math.hypot(ends[1] - ends[0], ends[3] - ends[2])


def _row(
    a: str, b: str, metric: str, contrast: Contrast, higher_is_better: bool | None
) -> dict[str, Any]:
    return {
        "a": a,
        "b": b,
        "metric": metric,
        **asdict(contrast),
        "higher_is_better": higher_is_better,
    }


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


def _mean(values: np.ndarray) -> float | None:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else None
