"""What runs stored about themselves, as metrics of an arm: means over seeds, intervals, chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError
from workbench.sample.held_out import scale_name
from workbench.score.directions import chance_of
from workbench.score.evaluate import evaluation_fingerprint
from workbench.score.two_samples import Sample, featurizer_name
from workbench.store.json_files import read_json
from workbench.study.folders import Run
from workbench.study.generators import GeneratorRun

if TYPE_CHECKING:
    from analyses.statistics.intervals import BootstrapConfig
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


def headline_scale(run: Run | GeneratorRun) -> str:
    """Name of the guidance scale whose texts stand for a run or a generator."""
    if isinstance(run, Run):
        return scale_name(run.config.sampling.guidance_scales[0])
    return scale_name(run.config.guidance_scale)


def adapted_metrics(run: Run) -> dict[str, dict[str, Any]]:
    """Metrics of an arm that an adapter encoded and that was scored, as in the comparison."""
    scores = load_scores(run, scale_name(run.config.sampling.guidance_scales[0]))
    return {
        **arm_probes([scores.probes]),
        **arm_generation([scores], run.study, "generation"),
    }


def space_metrics(run: Run, writer: GeneratorRun) -> dict[str, dict[str, Any]]:
    """Metrics of an arm that is a scored generator's own space: its probes and those scores."""
    return {
        **arm_probes([stored_probes(run)]),
        **arm_generation([load_scores(writer, headline_scale(writer))], run.study, "generation"),
    }


def stored_probes(run: Run) -> dict[str, Any]:
    """Every stored probe result of a run: result name -> result as JSON."""
    probes: dict[str, Any] = {}
    for file in sorted(run.probes_dir.glob("*.json")):
        probes.update(read_json(file).get("results", {}))
    return probes


def bootstrap_config(study: Study) -> BootstrapConfig:
    from analyses.statistics.intervals import BootstrapConfig

    evaluation = study.config.base.evaluation
    return BootstrapConfig(num_resamples=evaluation.num_resamples, seed=evaluation.seed)


def text_table(runs: Sequence[RunScores], name: str) -> np.ndarray:
    """One score of several runs (S, N); NaN in runs that were scored before it existed."""
    prompts = len(next(iter(runs[0].per_text.values())))
    return np.stack([run.per_text.get(name, np.full(prompts, np.nan)) for run in runs])


def arm_generation(runs: Sequence[RunScores], study: Study, family: str) -> dict[str, Any]:
    """Generation scores of an arm over its seeds, with intervals.

    For scores of all texts together, the stored intervals are used.
    """
    from analyses.statistics.intervals import hierarchical_bootstrap

    config = bootstrap_config(study)
    metrics = {}
    for name in dict.fromkeys(name for run in runs for name in run.per_text):
        table = text_table(runs, name)
        interval = asdict(hierarchical_bootstrap(table, config))
        interval["seeds"] = [_mean(row) for row in table]
        metrics[f"{family}.{name}"] = interval
    for name in dict.fromkeys(name for run in runs for name in run.whole):
        stored = [run.whole.get(name, {}) for run in runs]
        metrics[f"{family}.{name}"] = over_seeds(
            [{**own, "score": own.get("mean")} for own in stored]
        )
    for name, interval in metrics.items():
        interval["chance"] = chance_of(name.removeprefix(f"{family}."))
    return metrics


def arm_probes(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Metrics of an arm from the stored probe results of its seeds."""
    metrics = {}
    for name in dict.fromkeys(name for probes in seeds for name in probes):
        first = next(probes[name] for probes in seeds if name in probes)
        metrics[metric_name(name)] = {
            **over_seeds([probes.get(name, {}) for probes in seeds]),  # each seed at its place
            "chance": first.get("chance"),
            "higher_is_better": first.get("higher_is_better"),
        }
    return metrics


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


def _mean(values: np.ndarray) -> float | None:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else None
