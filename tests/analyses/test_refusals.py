"""One table of what is refused, and one of what is not defined, each with its message.

Rows that are not finite, too few items and settings out of range are in the contracts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from measures import MEASURES, F, N, cloud, curves, path

from analyses.figures.arm_scores import scores_figure
from analyses.figures.end_points import end_points_figure
from analyses.figures.loss_floors import LossCurve
from analyses.figures.over_training import CoursePoints
from analyses.figures.theme import themed
from analyses.maps.map_faithfulness import MapFaithfulnessConfig
from analyses.paths.onset import ReadingCurve
from analyses.result import Result, json_safe
from analyses.scorecard.predictors import ScorecardConfig
from analyses.scorecard.run_table import RunTable
from analyses.spaces.decoder_basin import DecoderBasinConfig
from analyses.spaces.knn_coherence import KnnCoherenceConfig
from analyses.spaces.linear_separability import LinearSeparabilityConfig
from analyses.spaces.manifold_continuity import ManifoldContinuityConfig
from analyses.spaces.near_misses import miss_rate
from analyses.spaces.velocity_floor import floor_curve
from analyses.statistics.significance import holm
from analyses.texts.generation_controls import control_texts
from analyses.texts.ngram_scores import build_ngram_index
from analyses.texts.overlap_scores import OverlapConfig

ONES = np.ones((N, F))


def given(name: str, **changes: Any) -> Callable[[], Any]:
    """The call of `name` in the table of measures, with some arguments changed."""
    return lambda: MEASURES[name].call(**{**MEASURES[name].make(), **changes})


def table(**changes: Any) -> Callable[[], RunTable]:
    empty = {key: {} for key in ("probes", "scores", "baselines", "higher_is_better")}
    runs = {"arms": ["a", "b"], "families": ["x", "x"], "seeds": [0, 0]}
    return lambda: RunTable(**{**runs, **empty, **changes})


def result(**fields: Any) -> Callable[[], Result]:
    return lambda: Result(**{"name": "probe", "score": 1.0, "n": 2, **fields})


def nan_logits(z: np.ndarray) -> np.ndarray:
    return np.full((*z.shape[:2], 3), np.nan)


def curve(**fields: Any) -> Callable[[], Any]:
    shape = {"steps": np.array([0, 3]), "hits": np.ones((2, 4)), "rows": np.ones(4)}
    return lambda: ReadingCurve(**{**shape, "low": np.zeros(2), "bar": 0.3, **fields})


COURSE = dict.fromkeys(("low", "high", "chance", "steps"), np.zeros(3))

REFUSED = [
    # Arguments that do not pair.
    (given("linear_cka", other=cloud(9, F)), "other must pair with features row by row"),
    (given("displacement", other=cloud(9, F)), "other must pair with features row by row"),
    (given("context_predictability", target=cloud(9, F)), "target must pair with features"),
    (given("context_velocity_information", context=cloud(9, F)), "context must pair with"),
    (given("map_faithfulness", coords=cloud(9, 2)), "coords must pair with features"),
    (given("knn_coherence", labels=np.zeros(9, int)), r"labels must have shape \(40,\)"),
    (given("linear_separability.ridge", labels=np.zeros(9, int)), r"labels must have shape"),
    (given("linear_separability.ridge", baseline_features=cloud(9, F)),
     "baseline_features must have 40 rows, got 9"),
    (given("scale", logvar=cloud(N, 3)), r"logvar must have shape \(40, 4\)"),
    (given("reconstruction", features=np.zeros((2, 6))), "features must have shape"),
    (given("miss_rate", written=np.zeros(9, int)), r"written must have shape \(40,\)"),
    (given("same_kind_misses", kinds=np.zeros(9, int)), r"kinds must have shape \(40,\)"),
    (given("manifold_continuity", texts=["a"] * 3), "texts must pair with features"),
    (given("cosine_decay", mask=np.ones((N, 3), bool)), "mask must have shape"),
    (given("sentence_contrast", sentences=np.zeros((N, 3))), "sentences must have shape"),
    (given("decoder_basin", mask=np.ones((N, 2), bool)), "mask must have shape"),
    (given("straightness", path=path()[:2]), r"path must have shape \(S \+ 1, N, F\) with S >= 2"),
    (given("off_manifold_distance", reference=cloud(9, 3)), "reference must have 4 columns, got 3"),
    (given("fluency_against_fidelity", fidelity=np.zeros((5, N))), "must share a shape"),
    (given("latent_map", spaces={"a": cloud(), "b": cloud(30, F)}), "must hold the same items"),
    (given("compare_onsets", a=curves(0.9) * 2), "equally many seeds"),
    (given("compare_onsets", a=[curve()()]), "the same texts"),
    (given("mauve_paired_bootstrap", a=np.stack([cloud()] * 2)), "equal run seeds, got 2, 1"),
    (given("c2st", written=cloud(9, F)), r"written must have shape \(40, 4\)"),
    (given("energy_distance", written=cloud(9, F)), r"written must have shape \(40, 4\)"),
    (given("energy_contrast", a=cloud()), r"one shape \(S, n, F\)"),
    (given("overlap_scores", references=["a"]), "40 continuations do not pair with 1 references"),
    (given("embedding_scores", references=[]), "40 continuations do not pair with 0 references"),
    (given("fidelity", prompts=[]), "do not pair"),
    (given("paired_bootstrap", b=np.zeros(4)), "paired arms must have equal shapes"),
    # Values that make no sense.
    (given("nearest_of_other_group", groups=np.arange(N) - 1), "groups must be >= 0"),
    (given("nearest_of_other_group", groups=np.zeros(N, int)), "2 distinct"),
    (given("knn_coherence", exclude=None, config=KnnCoherenceConfig(level="token.other_id")),
     "token.other_id needs exclude"),
    (given("scale", logvar=np.full((N, F), 900.0)), "logvar must be <= 80"),
    (given("cosine_decay", mask=np.zeros((N, 6), bool)), "mask holds no real token"),
    (given("decoder_basin", decode=lambda z: z[..., 0]), "logits of shape"),
    (given("decoder_basin", decode=nan_logits), r"NaN logits for text\(s\) 0"),
    (given("manifold_continuity", decode=lambda z: ["1"]), "decode must return 40 texts, got 1"),
    (given("manifold_continuity", embed=lambda t: np.full((len(t), 2), np.nan)),
     "embeddings holds NaN"),
    (given("flow_excess", floor=0.0), "floor must be finite and > 0"),
    (given("flow_excess", train=lambda *_: np.array([np.nan])), "not finite under seed 0"),
    (given("flow_excess", train=lambda *_: np.zeros((2, 2))), r"losses of shape \(M,\)"),
    (given("segment_ratio", times=np.zeros(6)), "times must rise"),
    (given("fluency_against_fidelity", fluency=np.full((6, N), np.inf)), "finite or NaN"),
    (given("commitment", token_ids=np.zeros((3, 2, 2))), "token_ids must be integers"),
    (given("latent_map", spaces={}), "at least one array"),
    (given("latent_map", spaces={"a": cloud(), "b": np.full((N, F), np.nan)}), "b holds NaN"),
    (given("embedding_scores", continuations=[*cloud(N - 1, 5, F), np.full((1, F), np.nan)]),
     r"in 1 text\(s\): \[39\]"),
    (given("embedding_scores", references=[*cloud(N - 1, 5, F), np.ones((1, 2))]), "one width"),
    (given("fidelity", facts=[{"mood": "sad"}] * N), r"facts\[0\] has field 'mood'"),
    (given("fidelity", facts=[{"hero": "bob"}] * N), r"facts\[0\].hero = 'bob'"),
    (given("valid_ngram_scores", texts=[np.array([9])]), r"\[0, 9\), got 9..9"),
    (lambda: build_ngram_index([np.arange(5)], vocab_size=3), r"\[0, 3\)"),
    (given("bootstrap", values=np.array([1.0, np.inf])), "1 infinite"),
    (lambda: holm(np.array([1.2])), r"\[0, 1\]"),
    (lambda: floor_curve([-1.0], [0.5]), "variances must be finite, >= 0"),
    (lambda: floor_curve([1.0], [1.5]), r"times in \[0, 1\]"),
    (lambda: control_texts("humans", ["p"], ["r"]), "unknown control .humans."),
    (curve(steps=np.array([3, 3])), "steps must ascend"),
    # The table of runs.
    (given("scorecard", config=ScorecardConfig(control="x")), "control 'x' is no baseline"),
    (table(arms=["a", "a"], families=["x", "y"]), "two families"),
    (table(families=["x"]), "families must have 2 entries, got 1"),
    (table(seeds=[0]), "seeds must have 2 entries, got 1"),
    (table(arms=["a", "a"]), "arm 'a' has seed 0 twice"),
    (table(probes={"p": [1.0, np.inf]}), r"p is infinite in run\(s\) 1"),
    (table(probes={"p": np.ones(2)}), "no entry for 'p'"),
    (table(probes={"p": np.ones(2)}, baselines={"p": np.ones(2)}), "both a probe and a baseline"),
    # Results and figures.
    (result(score=None), "needs a reason"),
    (result(reason="why"), "needs a reason"),
    (result(score=float("nan")), "score must be finite or None"),
    (result(per_item={"a": np.zeros(2), "b": np.zeros(3)}), "differ in length"),
    (lambda: Result.from_json({**result()().to_json(), "scor": 1}), "unknown keys"),
    (lambda: json_safe(object(), path="x"), "x has no JSON form: object"),
    (lambda: LossCurve(arm="none", seed=0, steps=np.arange(2), loss=np.zeros(3),
                       floor_gaussian=1.0), "steps and loss of none/seed-0"),
    (lambda: CoursePoints(arm="repa", seed=0, score=np.zeros(2), **COURSE), "differ in length"),
    (given("scores_figure", metrics=["bleu"]), r"metrics \['bleu'\] are in no arm"),
    (lambda: scores_figure({}), "at least one arm"),
    (lambda: end_points_figure({"none": np.array([np.nan])}, arms=["none"]), "finite number"),
    (lambda: themed(scores_figure(MEASURES["scores_figure"].make()["scores"]), "sepia"),
     "theme must be one of light, dark"),
    # Settings that a number alone does not show to be wrong.
    (lambda: DecoderBasinConfig(radii=(1.0, 0.5)), "radii must rise from above 0"),
    (lambda: ManifoldContinuityConfig(sweep=(1.5,)), r"alpha and sweep must lie in \[0, 1\]"),
    (lambda: MapFaithfulnessConfig(k=()), "k must hold sizes >= 1"),
    (lambda: LinearSeparabilityConfig(num_folds=1), "num_folds must be >= 2, got 1"),
    (lambda: OverlapConfig(stem=True, words="unicode"), "Porter knows English only"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_refused_is_named_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


ONE_TOKEN = {"mask": np.arange(6) < np.ones((N, 1))}

UNDEFINED = [
    (given("linear_cka", other=ONES), "a space has no variance beyond its bias"),
    (given("isotropy", features=0 * ONES), "fewer than two rows differ from zero"),
    (given("uniformity", features=ONES), "fewer than three rows differ from their mean"),
    (given("intrinsic_dimension", features=ONES), "only 0 of 40 points have a neighbour"),
    (given("displacement", features=cloud(8, F), other=cloud(8, F)), "all 7 other items"),
    (given("knn_coherence", labels=np.zeros(N, int)), "one class: "),
    (given("knn_coherence", labels=np.full(N, -1)), r"0 row\(s\) carry a label"),
    (given("knn_coherence", exclude=np.zeros(N, int)), "one value of exclude"),
    (given("linear_separability.ridge", labels=np.zeros(N, int)), r"1 class\(es\) among 40 "),
    (given("linear_separability", labels=np.zeros(N, int)), r"1 class\(es\) among 40 "),
    (given("linear_separability.ridge", labels=np.full(N, -1)), r"0 class\(es\) among 0 "),
    (given("linear_separability", labels=np.full(N, -1)), r"0 class\(es\) among 0 "),
    (given("velocity_information", labels=np.zeros(N, int)), "all rows are of one class"),
    (given("velocity_information", labels=np.arange(N)), "no class has 8 rows"),
    (given("velocity_information", labels=np.full(N, -1)), "no class has 8 rows"),
    (given("context_predictability", target=ONES), "the target has no variance"),
    (given("scale", features=ONES), "mu has no variance"),
    (given("reconstruction", mask=np.zeros((N, 6), bool)), "no real token"),
    (lambda: miss_rate(*[np.zeros(0, int)] * 3), "there is no word to write"),
    (given("same_kind_misses", kinds=np.full(N, -1)), "no word of a known kind was missed"),
    (given("same_kind_misses", written=np.arange(N) % 7), "no word of a known kind was missed"),
    (given("decoder_basin", decode=lambda z: np.tile([1.0, 0.0], (*z.shape[:2], 1)),
           config=DecoderBasinConfig(direction="boundary")), "all tokens decode alike"),
    (given("cosine_decay", **ONE_TOKEN), "no text has two real tokens"),
    (given("sentence_contrast", **ONE_TOKEN), "no text has pairs within and across sentences"),
    (given("high_frequency_share", **ONE_TOKEN), "no text has 4 real tokens"),
    (given("map_faithfulness", coords=np.zeros((N, 2))), "all points of the map coincide"),
    (given("straightness", path=np.repeat(path()[:1], 5, axis=0)), "no trajectory moves"),
    (given("off_manifold_distance", reference=ONES), "more than half of the real latents are"),
    (given("commitment", mask=np.zeros((N, 6), bool)), "mask holds no target token"),
    (given("fluency_against_fidelity", fidelity=-np.arange(6)[:, None] * np.ones(N)),
     "fidelity never rises above its start"),
    (given("mauve_score", references=cloud(2, F), continuations=cloud(2, F)),
     "4 texts cannot fill 5 buckets"),
    (given("energy_distance", human=ONES, written=ONES), "differs from the human text"),
    (given("bootstrap", values=np.array([np.nan])), "no item is defined"),
    (given("seed_interval", values=np.array([1.0])), "one seed has no spread"),
    (given("half_sample_interval", statistic=lambda rows: None), "half samples"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "reason"), UNDEFINED, ids=[reason for _, reason in UNDEFINED])
def test_what_does_not_exist_says_why(call, reason):
    found = call()
    assert getattr(found, "score", None) is None
    assert getattr(found, "low", None) is None
    with pytest.raises(ValueError, match=reason):
        raise ValueError(found.reason)
