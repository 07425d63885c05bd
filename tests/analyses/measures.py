"""Every public measure of `analyses` with arguments it accepts, and what the contract says of it.

`test_contract.py` holds each entry against every clause and refuses a measure without an entry.
"""

import dataclasses
from collections.abc import Callable, Set
from typing import Any

import numpy as np
import pandas as pd

from analyses.figures import arm_curves, arm_scores, linked_maps
from analyses.figures.end_points import end_points_figure
from analyses.figures.foretelling import foretelling_figure
from analyses.figures.ladder import ladder_figure
from analyses.figures.loss_floors import LossCurve, loss_figure
from analyses.figures.over_training import CoursePoints, over_training_figure
from analyses.figures.parting import Gap, parting_figure
from analyses.figures.reconstruction_generation import RunPoint, reconstruction_generation_figure
from analyses.figures.training_log import parts_figure, training_log_figure
from analyses.figures.twin_heat import twin_heat_figure
from analyses.maps.latent_map import LatentMapConfig, latent_map
from analyses.maps.map_faithfulness import map_faithfulness
from analyses.numerics import neighbors
from analyses.paths import onset, trajectory
from analyses.paths import trajectory_reading as reading
from analyses.scorecard.predictors import ScorecardConfig, scorecard
from analyses.scorecard.row import Estimate, ScorecardRow
from analyses.scorecard.run_table import RunTable
from analyses.spaces import alignment, isotropy, learnability, sequence_structure
from analyses.spaces import velocity_information as information
from analyses.spaces.decoder_basin import decoder_basin, decoder_margin
from analyses.spaces.displacement import displacement
from analyses.spaces.intrinsic_dimension import intrinsic_dimension
from analyses.spaces.knn_coherence import knn_coherence
from analyses.spaces.linear_separability import LinearSeparabilityConfig, linear_separability
from analyses.spaces.manifold_continuity import manifold_continuity
from analyses.spaces.near_misses import miss_rate, same_kind_misses
from analyses.spaces.reconstruction import reconstruction
from analyses.spaces.scale import scale
from analyses.spaces.velocity_floor import gaussian_floor
from analyses.statistics import half_samples, intervals, significance
from analyses.texts.c2st import c2st
from analyses.texts.embedding_score import embedding_scores
from analyses.texts.energy import energy_contrast, energy_distance
from analyses.texts.fidelity import fidelity
from analyses.texts.ladder import read_ladder
from analyses.texts.mauve_contrast import mauve_paired_bootstrap
from analyses.texts.mauve_score import MauveConfig, mauve_score
from analyses.texts.ngram_scores import build_ngram_index, diversity_scores, valid_ngram_scores
from analyses.texts.overlap_scores import overlap_scores

N, F = 40, 4


@dataclasses.dataclass(frozen=True)
class Measure:
    """One public function and its part of the contract.

    Attributes:
        call: The function.
        make: Arguments by name, made anew at each call.
        rows: Arguments (N, ...) whose NaN or infinite rows are refused by number.
        same: What may be done to the rows without moving the score: `order`, and `rotation`,
            `shift` and `scale` of the last axis.
        beside: Arguments that follow the rows' order and number without being features.
        axis: The axis of `rows` along which items lie.
        few: Whether fewer than three items are refused or undefined.
        variant: Tells two entries of one function apart.
    """

    call: Callable[..., Any]
    make: Callable[[], dict[str, Any]]
    rows: tuple[str, ...] = ()
    same: Set[str] = frozenset()
    beside: tuple[str, ...] = ()
    axis: int = 0
    few: bool = True
    variant: str = ""


def cloud(*shape: int, seed: int = 0) -> np.ndarray:
    """Correlated float32 features with a mean, (N, F) unless a shape is given."""
    size = shape or (N, F)
    rows = np.random.default_rng(seed).standard_normal(size) * np.arange(1, size[-1] + 1) + 0.5
    return rows.astype(np.float32)


def labels() -> np.ndarray:
    return np.arange(N) % 2


def thirds() -> np.ndarray:
    return np.arange(N) // 3


def space(**more: Any) -> Callable[[], dict[str, Any]]:
    """Arguments of a probe: features, and whatever else it takes (thunks are called)."""
    return lambda: {
        "features": cloud(),
        **{name: value() if callable(value) else value for name, value in more.items()},
    }


def pair(name: str, **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"features": cloud(), name: cloud(seed=0) + cloud(seed=1), **more}


def latents(**more: Any) -> Callable[[], dict[str, Any]]:
    mask = np.arange(6) < 3 + np.arange(N)[:, None] % 4
    return lambda: {"features": cloud(N, 6, F), "mask": mask.copy(), **more}


def read(z: np.ndarray) -> np.ndarray:
    """A decoder of five tokens that take turns along the first column."""
    return np.cos(4.0 * z[..., :1] - np.arange(5.0))


def words(z: np.ndarray) -> list[str]:
    return [" ".join(f"{v:.4f}" for v in row.ravel()) for row in np.atleast_2d(z)]


def numbers(texts: list[str]) -> np.ndarray:
    return np.array([[float(v) for v in text.split()[:3]] for text in texts])


def path() -> np.ndarray:
    return np.cumsum(cloud(6, N, F), axis=0)


def token_lists(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(9, size=n) for n in rng.integers(4, 12, size=N)]


def texts(seed: int = 0) -> list[str]:
    return [" ".join(f"w{t}" for t in ids) for ids in token_lists(seed)]


def mauve(**more: Any) -> Callable[[], dict[str, Any]]:
    config = MauveConfig(num_buckets=5, num_seeds=1)
    return lambda: {"references": cloud(), "config": config, **{k: v() for k, v in more.items()}}


def two_samples(*arms: str, **more: Any) -> Callable[[], dict[str, Any]]:
    one = len(arms) == 1
    return lambda: {
        "human": cloud(),
        **{arm: cloud(seed=s) if one else cloud(2, N, F, seed=s) for s, arm in enumerate(arms, 1)},
        **more,
    }


def curves(rise: float) -> list[onset.ReadingCurve]:
    hits = (np.linspace(0, 1, N)[None] < np.array([0.2, 0.4, rise])[:, None]).astype(float)
    low = hits.mean(axis=1) - 0.1
    steps = np.array([0, 3, 7])
    return [onset.ReadingCurve(steps=steps, hits=hits, rows=np.ones(N), low=low, bar=0.3)]


def run_table() -> RunTable:
    rng = np.random.default_rng(0)
    names = ("probe", "reconstruction.token_accuracy", "score")
    probe, control, score = ({name: rng.standard_normal(12)} for name in names)
    return RunTable(
        arms=[f"arm-{i // 2}" for i in range(12)], families=["one"] * 12,
        seeds=[0, 1] * 6, probes=probe, baselines=control, scores=score,
        higher_is_better=dict.fromkeys(names, True),
    )  # fmt: skip


def interval(mean: float) -> intervals.Interval:
    return intervals.Interval(mean=mean, low=mean - 0.1, high=mean + 0.1, n=10)


def arm_table() -> dict[str, Any]:
    entry = {"mean": 0.6, "low": 0.5, "high": 0.7, "seeds": [0.58, None]}
    return {"scores": {"none": {"mauve": entry}, "repa": {"mauve": {**entry, "mean": None}}}}


def training_course() -> list[CoursePoints]:
    score, steps = np.array([0.2, np.nan, 0.9]), np.array([0, 7, 63])
    bounds = {"low": score - 0.1, "high": score + 0.1, "chance": np.full(3, 0.1)}
    return [CoursePoints(arm="repa", seed=0, steps=steps, score=score, **bounds)]


def drawn(**arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {**arguments, "theme": "light"}


def measured(value: float | None) -> ScorecardRow:
    return ScorecardRow(predictor=f"p{value}", score="s", is_baseline=False, num_runs=6,
                        num_arms=6, spearman=Estimate(value=value, low=0.0, high=1.0))  # fmt: skip


def flow_losses(features: np.ndarray, num_steps: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1.0, 2.0, len(features))


LOSS = {"steps": np.arange(3), "loss": np.array([2.0, np.nan, 1.0])}
POINT = {"arm": "none", "seed": 0, "reconstruction": interval(0.9), "generation": interval(0.6)}
RUNGS = {
    rung: {"mauve": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}}
    for rung, mean in (("human", 0.9), ("swap_2", 0.7), ("shuffled_words", 0.2))
}
MAPS = {"coords": {"none": cloud(N, 2)}, "titles": {"none": "A"}, "hover": ["t"] * N}
COLOURS = linked_maps.Colouring(name="class", codes=labels(), classes=("a", "b"))
LOG = pd.DataFrame({"arm": ["none"] * 3, "step": range(3), "loss": [3.0, 2.0, 1.0]})
HEAT = {"pos": {"0": 0.5, "7": 0.75}}
SCORE = {"score": 0.5, "low": 0.4, "high": 0.6}
COLUMN = cloud()[:, 0]
SAMPLES = {"samples": COLUMN, "config": intervals.BootstrapConfig()}
RIDGE = LinearSeparabilityConfig(method="ridge")
FEW = alignment.AlignmentConfig(
    num_permutations=3, half_samples=half_samples.HalfSampleConfig(num_resamples=4)
)
TIMES = np.linspace(0.01, 0.99, 9)
SENTENCES = np.tile(np.arange(6) // 2, (N, 1))
WORDS = {"meant": np.arange(N) % 7, "written": np.arange(N) % 5, "texts": np.arange(N) // 3}
FACTS = {"facts": [{"hero": "w1"}] * N, "fact_values": {"hero": ["w1", "w2"]}}
ORDER, AFFINE, ISOMETRY = {"order"}, {"shift", "scale"}, {"rotation", "shift", "scale"}
FEATURES = {"rows": ("features",)}
PAIRED = {"rows": ("features", "other"), "same": ORDER | ISOMETRY}
MASKED = {"rows": ("features",), "beside": ("mask", "sentences"), "few": False}
LABELLED = {"rows": ("features",), "beside": ("labels", "exclude", "groups")}
PATH = {"rows": ("path",), "axis": 1, "few": False}

GAPS = [
    Gap(name="size", first=(1.0, 0.5, 1.5), second=(3.0, 2.0, 4.0), higher_is_better=True),
    Gap(name="shape", first=(1.0, 0.0, 2.0), second=(1.5, 0.5, 2.5), higher_is_better=None),
]
TABLE = [
    Measure(alignment.linear_cka, pair("other", config=FEW), **PAIRED),
    Measure(alignment.cknna, pair("other", config=FEW), **PAIRED),
    Measure(alignment.mutual_knn, pair("other"), **PAIRED),
    Measure(displacement, pair("other"), **PAIRED),
    Measure(isotropy.isotropy, space(), **FEATURES, same=ORDER | {"rotation", "scale"}),
    Measure(isotropy.uniformity, space(), **FEATURES, same=ORDER | ISOMETRY),
    Measure(intrinsic_dimension, space(), **FEATURES, same=ORDER | ISOMETRY),
    Measure(knn_coherence, space(labels=labels, exclude=thirds), **LABELLED, same=ORDER | ISOMETRY),
    Measure(linear_separability, space(labels=labels), **LABELLED, same=AFFINE),
    Measure(linear_separability, space(labels=labels, config=RIDGE), **LABELLED, same=AFFINE,
            variant=".ridge"),
    Measure(learnability.context_predictability, pair("target"), ("features", "target"), AFFINE),
    Measure(learnability.flow_excess, space(train=lambda: flow_losses, floor=1.2), **FEATURES),
    Measure(information.velocity_information, space(labels=labels), **LABELLED,
            same=ORDER | AFFINE),
    Measure(information.context_velocity_information, pair("context"), ("features", "context"),
            AFFINE),
    Measure(gaussian_floor, space(t=TIMES), **FEATURES, same=ORDER | {"rotation", "shift"}),
    Measure(scale, pair("logvar"), ("features", "logvar"), ORDER),
    Measure(decoder_basin, latents(decode=read), **MASKED),
    Measure(decoder_margin, latents(decode=read), **MASKED),
    Measure(sequence_structure.cosine_decay, latents(), **MASKED, same=ORDER | ISOMETRY),
    Measure(sequence_structure.sentence_contrast, latents(sentences=SENTENCES), **MASKED,
            same=ORDER | ISOMETRY),
    Measure(sequence_structure.high_frequency_share, latents(), **MASKED, same=ORDER | ISOMETRY),
    Measure(manifold_continuity,
            lambda: {"features": cloud(N, 3, F), "texts": words(cloud(N, 3)), "decode": words,
                     "embed": numbers}, **FEATURES, beside=("texts",)),
    Measure(reconstruction,
            lambda: {"features": np.arange(6 * N).reshape(N, 6) % 5,
                     "labels": np.arange(6 * N).reshape(N, 6) % 4, "mask": latents()()["mask"]}),
    Measure(miss_rate, lambda: dict(WORDS)),
    Measure(same_kind_misses, lambda: {**WORDS, "kinds": thirds() % 4 - 1}),
    Measure(map_faithfulness, pair("coords"), ("features", "coords"), ORDER | ISOMETRY),
    Measure(latent_map, lambda: {"spaces": {"a": cloud(), "b": cloud(seed=1)},
                                 "config": LatentMapConfig(method="pca")}),
    Measure(neighbors.nearest_neighbors, space(), **FEATURES),
    Measure(neighbors.nearest_of_other_group, space(groups=thirds), **FEATURES, beside=("groups",)),
    Measure(neighbors.nearest_in, space(queries=lambda: cloud(seed=1)), ("queries", "features"),
            few=False),
    Measure(trajectory.straightness, lambda: {"path": path()}, **PATH, same=ORDER | ISOMETRY),
    Measure(trajectory.efficiency, lambda: {"path": path()}, **PATH, same=ORDER | ISOMETRY),
    Measure(trajectory.segment_ratio, lambda: {"path": path()}, **PATH, same=ORDER | ISOMETRY),
    Measure(trajectory.off_manifold_distance,
            lambda: {"path": path(), "reference": cloud(30, F, seed=2)}, **PATH),
    Measure(reading.commitment,
            lambda: {"token_ids": np.random.default_rng(0).integers(4, size=(5, N, 6))}),
    Measure(reading.fluency_against_fidelity,
            lambda: {"fluency": path()[..., 0], "fidelity": path()[..., 1]}),
    Measure(onset.compare_onsets, lambda: {"a": curves(0.9), "b": curves(0.7)}),
    Measure(scorecard,
            lambda: {"table": run_table(), "config": ScorecardConfig(num_permutations=99)}),
    Measure(mauve_score,
            mauve(continuations=lambda: cloud(seed=1), featurizer=lambda: "toy"),
            ("references", "continuations")),
    Measure(mauve_paired_bootstrap, mauve(a=lambda: cloud(seed=1), b=lambda: cloud(seed=2)),
            ("references", "a", "b")),
    Measure(c2st, two_samples("written", featurizer="toy"), ("human", "written"), AFFINE),
    Measure(energy_distance, two_samples("written", featurizer="toy"), ("human", "written"),
            AFFINE),
    Measure(energy_contrast, two_samples("a", "b"), ("human",)),
    Measure(overlap_scores, lambda: {"continuations": texts(), "references": texts(1)}),
    Measure(embedding_scores,
            lambda: {"continuations": list(cloud(N, 5, F)), "references": list(cloud(N, 6, F))}),
    Measure(fidelity, lambda: {"continuations": texts(), "prompts": texts(1),
                               "references": texts(2), **FACTS}),
    Measure(valid_ngram_scores,
            lambda: {"texts": token_lists(),
                     "index": build_ngram_index(token_lists(1), vocab_size=9)}),
    Measure(diversity_scores, lambda: {"texts": token_lists()}),
    Measure(intervals.bootstrap, lambda: {"values": COLUMN.copy()}),
    Measure(intervals.grouped_bootstrap, lambda: {"values": COLUMN.copy(), "groups": labels()}),
    Measure(intervals.paired_bootstrap, lambda: {"a": COLUMN.copy(), "b": cloud()[:, 1]}),
    Measure(intervals.hierarchical_bootstrap, lambda: {"values": cloud().T}),
    Measure(intervals.paired_hierarchical_bootstrap,
            lambda: {"a": cloud().T, "b": cloud(seed=1).T}),
    Measure(intervals.seed_interval, lambda: {"values": np.array([1.0, 2.0, 4.0])}),
    Measure(intervals.interval_from_samples, lambda: {"observed": 0.5, "n": N, **SAMPLES}),
    Measure(intervals.contrast_from_samples, lambda: {"observed": 0.5, "n": N, **SAMPLES}),
    Measure(significance.null_from_samples, lambda: {"observed": 0.1, "values": COLUMN.copy()}),
    Measure(half_samples.half_sample_interval,
            lambda: {"statistic": lambda rows: float(rows.mean()), "observed": 19.5, "n": N,
                     "config": half_samples.HalfSampleConfig()}),
    Measure(arm_scores.scores_figure, arm_table),
    Measure(end_points_figure,
            lambda: {"distances": {"none": np.array([1.0, np.nan, 3.0])}, "arms": ["none"]}),
    Measure(foretelling_figure, lambda: {"rows": [measured(0.5), measured(None)]}),
    Measure(ladder_figure,
            lambda: {"readings": read_ladder(RUNGS, {"mauve": True}), "rungs": RUNGS}),
    Measure(loss_figure, lambda: {"curves": [LossCurve(arm="none", seed=0, floor_gaussian=1.5,
                                                       floor_mu=0.5, **LOSS)]}),
    Measure(over_training_figure, lambda: {"points": training_course(), "y": "accuracy"}),
    Measure(reconstruction_generation_figure,
            lambda: {"points": [RunPoint(**POINT)], "reconstruction_name": "accuracy",
                     "generation_name": "mauve"}),
    Measure(arm_curves.curves_figure, drawn(curves={"none": (np.arange(3), np.arange(3.0))},
                                            arms=["none"], x="step", y="loss")),
    Measure(arm_curves.dots_figure, drawn(results={"none": {"kl": SCORE}}, arms=["none"], x="kl")),
    Measure(linked_maps.maps_figure, drawn(**MAPS, colouring=COLOURS)),
    Measure(training_log_figure, drawn(table=LOG, arms=["none"])),
    Measure(parts_figure, drawn(table=LOG, parts={"loss": "loss"}, arms=["none"])),
    Measure(parting_figure, drawn(gaps=GAPS, arms=("none", "repa"), all_arms=["none", "repa"])),
    Measure(twin_heat_figure, drawn(first=HEAT, second=HEAT, titles=("a", "b"), x="step",
                                    value="accuracy")),
]  # fmt: skip
MEASURES = {measure.call.__name__ + measure.variant: measure for measure in TABLE}
