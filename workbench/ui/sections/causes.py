"""Numbers for the page on reconstruction: points over all studies, causes, pairs to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.figures.loss_floors import LossCurve
from analyses.figures.reconstruction_generation import RunPoint
from analyses.statistics.intervals import Interval
from workbench.report.number_text import interval_text, number_text
from workbench.report.predictors import RankCorrelation, reconstruction_correlation
from workbench.score.directions import ACCURACY
from workbench.ui.kit.cached import comparison_of, read_table, samples_of, scores_of
from workbench.ui.kit.scan import found_studies, study_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.study.folders import Run, Study
    from workbench.ui.kit.sidebar import Selection


FAR = 2.0  # twice the usual distance between real latents


@dataclass(frozen=True, slots=True)
class Cause:
    """What two spaces may differ in, for someone who never read the paper.

    Attributes:
        label: its name in plain words.
        meaning: what it is, its unit, and its better end.
    """

    label: str
    meaning: str


# Result name, or its beginning -> what it is; the order is fixed, whatever a study finds.
CAUSES: Mapping[str, Cause] = {
    ACCURACY: Cause(
        "tokens read back", "The gate: share of tokens read back. Equal here is where the story "
        "starts."
    ),
    "knn_coherence.token.other_id": Cause(
        "neighbours that mean alike", "Share of a word's nearest latents, those of other words "
        "only, that have its label. Where it is high, a near miss still lands on a word of the "
        "right kind. Chance is the same for shuffled labels; below it, words of other kinds "
        "stand nearer than by luck."
    ),
    "learnability": Cause(
        "foretold by the prompt", "How much of the next latents a linear map of the prompt's "
        "foretells (R², 1 = all). More is easier to learn."
    ),
    "velocity_information": Cause(
        "left open once known", "Variance a dimension that the ways from noise to the latents "
        "still have once the label, or the context, is known; no flow is trained for it. Less is "
        "an easier path."
    ),
    "decoder_basin.r50": Cause(
        "error that the decoder bears", "How far, in standard deviations of the latents, a latent "
        "may be off before half of the words are read as others. More forgives more."
    ),
    "decoder_basin.margin": Cause(
        "decoder's certainty", "How far its first choice is ahead of the second, in nats "
        "(natural-log units: 1 nat is 2.7 to 1). More is surer."
    ),
    "manifold_continuity": Cause(
        "between two texts", "Whether the middle between two texts is still text: Fréchet distance "
        "and nats a token (less is better), share of valid 4-grams (more is)."
    ),
    "scale.log_snr": Cause(
        "size against noise", "How large the latents are against the encoder's own noise, in nats. "
        "Neither end is better by itself."
    ),
    "floor.velocity": Cause(
        "loss of a Gaussian guess", "Loss (velocity variance a dimension) of an ideal flow that "
        "knows only how the latents spread. Neither end is better by itself."
    ),
    "intrinsic_dimension": Cause(
        "directions around a point", "How many directions a point's neighbourhood has. Neither end "
        "is better by itself."
    ),
    "isotropy": Cause(
        "evenness of directions", "Whether all directions are used alike (a cosine, or a log "
        "potential): lower is more even."
    ),
}  # fmt: skip


def cause_of(name: str) -> tuple[str, Cause]:
    """A result's name in plain words, and what it is."""
    prefix = next(p for p in CAUSES if name.startswith(p))
    rest = name.removeprefix(prefix).strip(".").replace("_", " ")
    cause = CAUSES[prefix]
    return (f"{cause.label}: {rest}" if rest else cause.label), cause


def run_points(score: str) -> dict[str, list[RunPoint]]:
    """Study -> its compared runs: reconstruction against one generation score."""
    points: dict[str, list[RunPoint]] = {}
    for found in found_studies():
        if found.problem:
            continue
        study = study_of(found)
        comparison = comparison_of(study)
        if comparison is not None:
            points[found.name] = _study_points(study, comparison, score)
    return points


def _study_points(study: Study, comparison: Mapping[str, Any], score: str) -> list[RunPoint]:
    points = []
    for run in study.runs:
        place = study.config.seeds.index(run.seed)
        values = [comparison["arms"].get(run.arm, {}).get(name) for name in (ACCURACY, score)]
        both = [_interval(value, place, len(study.config.seeds)) for value in values]
        points.append(
            RunPoint(arm=run.arm, seed=run.seed, reconstruction=both[0], generation=both[1])
        )
    return points


def _interval(value: Mapping[str, Any] | None, place: int, num_seeds: int) -> Interval:
    """One seed's number; the stored interval belongs to it where there is one seed."""
    seeds = (value or {}).get("seeds") or []
    mean = seeds[place] if place < len(seeds) else None
    if value is None or mean is None:
        return Interval(mean=None, low=None, high=None, n=0, reason="not measured")
    own = num_seeds == 1
    return Interval(
        mean=mean, low=value["low"] if own else None, high=value["high"] if own else None,
        n=value["n"],
    )  # fmt: skip


def correlation(points: Mapping[str, Sequence[RunPoint]]) -> RankCorrelation:
    """Rank correlation of reconstruction with the score over the runs that are shown."""
    return reconstruction_correlation(
        [
            (f"{study}/{p.arm}", p.reconstruction.mean, p.generation.mean)
            for study, own in points.items()
            for p in own
            if p.reconstruction.mean is not None and p.generation.mean is not None
        ]
    )


def correlation_sentence(found: RankCorrelation) -> str:
    """The rank correlation with its interval, or why there is none."""
    if found.value is None:
        return f"{found.num_runs} runs of {found.num_arms} arms: {found.reason}."
    return (
        f"Rank correlation {found.value:.2f} [{found.low:.2f}, {found.high:.2f}] over "
        f"{found.num_arms} arms."
    )


def arm_deltas(results: Mapping[str, Mapping[str, Any]], arms: Sequence[str]) -> pd.DataFrame:
    """A row a cause that both arms have measured: each arm's number, and whether they part."""
    import pandas as pd

    names = [
        name
        for prefix in CAUSES
        for name in sorted(results[arms[0]])
        if name.startswith(prefix) and name in results[arms[-1]]
    ]
    rows = []
    for name in dict.fromkeys(names):
        values = [results[arm][name] for arm in arms]
        if any(value.get("score") is None for value in values):
            continue
        label, cause = cause_of(name)
        rows.append(
            {
                "measure": label,
                **{
                    arm: interval_text({**v, "mean": v["score"]})
                    for arm, v in zip(arms, values, strict=True)
                },
                "intervals": _parted(values),
                "favours": _favoured(arms, values),
                "chance": number_text(values[0].get("chance")),
                "what it means": cause.meaning,
                "name": name,
            }
        )
    return pd.DataFrame(rows)


def _favoured(arms: Sequence[str], values: Sequence[Mapping[str, Any]]) -> str:
    """The arm at the better end, where there is one and the intervals part."""
    if _parted(values) != "apart":
        return "neither"
    higher = values[0].get("higher_is_better")
    if higher is None:
        return "no better end"
    return arms[0] if (values[0]["score"] > values[-1]["score"]) == higher else arms[-1]


def causes_sentence(table: pd.DataFrame, arms: Sequence[str]) -> str:
    """How many rows favour which arm, so that nobody reads a proof into a list."""
    rows = table[table["name"] != ACCURACY]
    counts = [f"{int((rows['favours'] == arm).sum())} favour {arm}" for arm in arms]
    rest = int((~rows["favours"].isin(arms)).sum())
    return f"Of {len(rows)} rows {', '.join(counts)}, and {rest} favour neither."


def first_reading(table: pd.DataFrame, *, whole: bool) -> pd.DataFrame:
    """The table of causes as it is read: each meaning once, where its rows begin, then ditto marks.

    Unless `whole`, only the gate and the rows in which the arms part.
    """
    kept = table[whole | (table["name"] == ACCURACY) | (table["intervals"] == "apart")]
    repeated = kept["what it means"] == kept["what it means"].shift()
    shown = kept.assign(**{"what it means": kept["what it means"].mask(repeated, "″")})
    return shown.drop(columns=["intervals", "name"])


def _parted(values: Sequence[Mapping[str, Any]]) -> str:
    first, last = values[0], values[-1]
    if None in (first.get("low"), first.get("high"), last.get("low"), last.get("high")):
        return "unknown"
    apart = first["high"] < last["low"] or last["high"] < first["low"]
    return "apart" if apart else "overlap"


def end_distances(runs: Mapping[str, Run]) -> dict[str, np.ndarray]:
    """Arm -> how far each written word's end point lies from real latents; others are absent."""
    files = {arm: run.probes_dir / "trajectory.off_manifold.parquet" for arm, run in runs.items()}
    return {
        arm: read_table(file)["end"].to_numpy(np.float64)
        for arm, file in files.items()
        if file.is_file()
    }


def far_sentence(distances: Mapping[str, np.ndarray], results: Mapping[str, Any]) -> str:
    """The share of words that end far from every real latent, with interval, n and chance."""
    from analyses.statistics.intervals import bootstrap

    shares, chances = [], []
    for arm, values in distances.items():
        share = bootstrap((values > FAR).astype(np.float64))
        shares.append(
            f"{share.mean:.0%} [{share.low:.0%}, {share.high:.0%}] in {arm} (n {share.n})"
        )
        chance = results.get(arm, {}).get("trajectory.off_manifold", {}).get("chance")
        chances.append(f"{number_text(chance)} in {arm}")
    return (
        f"Further than {FAR:g} end {', '.join(shares)}. By chance, as points of a Gaussian of the "
        f"same spread, the mean distance is {', '.join(chances)}."
    )


def loss_curves(runs: Mapping[str, tuple[Run, Sequence[Mapping[str, Any]]]]) -> list[LossCurve]:
    """The flow's loss of each run, with the floors of its latents."""
    curves = []
    for run, records in runs.values():
        flow = [r for r in records if r.get("stage") == "flow" and "floor_gaussian" in r]
        if flow:
            curves.append(
                LossCurve(
                    arm=run.arm,
                    seed=run.seed,
                    steps=np.array([r["step"] for r in flow]),
                    loss=np.array([np.nan if r["loss"] is None else r["loss"] for r in flow]),
                    floor_gaussian=flow[-1]["floor_gaussian"],
                    floor_mu=flow[-1]["floor_given_mu"],
                )
            )
    return curves


def worse_written_pairs(selection: Selection, score: str) -> pd.DataFrame | None:
    """Prompts where the better reconstructor wrote worse, the widest gap first.

    A score without a value a prompt, as MAUVE, is stood in for by the judge's nats per token;
    `attrs["score"]` of the table says which it is; `count` of `known` prompts are such.
    """
    import pandas as pd

    comparison = comparison_of(selection.study)
    if comparison is None or len(selection.arms) < 2:
        return None
    accuracy = {a: comparison["arms"][a].get(ACCURACY, {}).get("mean") or 0 for a in selection.arms}
    better = max(selection.arms, key=lambda arm: accuracy[arm])
    other = next(arm for arm in selection.arms if arm != better)
    name = score.removeprefix("generation.")
    scores = {arm: scores_of(run) for arm, run in selection.runs.items()}
    column = name if name in scores[better] else "nats_per_token"
    from workbench.score.directions import HIGHER_IS_BETTER

    sign = 1.0 if HIGHER_IS_BETTER.get(column, True) else -1.0
    gap = sign * (scores[other][column].to_numpy(float) - scores[better][column].to_numpy(float))
    texts = {arm: samples_of(run) for arm, run in selection.runs.items()}
    frame = pd.DataFrame(
        {
            "prompt": texts[better]["prompt"],
            "reference": texts[better]["reference"],
            **{arm: texts[arm]["continuation"] for arm in selection.arms},
            **{f"{arm} score": scores[arm][column] for arm in selection.arms},
            "score gap": gap,
        }
    )
    known = int(np.isfinite(gap).sum())
    frame = frame[np.isfinite(gap) & (gap > 0)]
    count = len(frame)
    frame = frame.sort_values("score gap", ascending=False).head(40).reset_index(drop=True)
    frame.attrs |= {"score": column, "better": better, "count": count, "known": known}
    return frame
