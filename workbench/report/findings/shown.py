"""Turn what a page shows into the numbers of a finding, each with its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.report.findings.finding import Number
from workbench.report.findings.places import playback_readings

if TYPE_CHECKING:
    from analyses.figures.over_training import CoursePoints
    from analyses.scorecard.row import ScorecardRow
    from workbench.probes.spaces import Company
    from workbench.report.predictors import RankCorrelation
    from workbench.sample.playback import Following, PlaybackView


def arm_numbers(
    comparison: Mapping[str, Any], arms: Iterable[str], metrics: Sequence[str]
) -> list[Number]:
    """Each arm's metrics as in the comparison, without those that were not measured."""
    return [
        Number(
            name=f"{arm}: {metric}",
            source={"kind": "arm", "arm": arm, "metric": metric},
            value=own["mean"], low=own["low"], high=own["high"], n=own["n"],
            chance=own.get("chance"),
        )
        for metric in dict.fromkeys(metrics)
        for arm in arms
        if (own := comparison["arms"].get(arm, {}).get(metric)) and own["mean"] is not None
    ]  # fmt: skip


def contrast_numbers(
    comparison: Mapping[str, Any], arms: Sequence[str], metrics: Sequence[str]
) -> list[Number]:
    """Differences between two arms."""
    return [
        Number(
            name=f"{row['a']} - {row['b']}: {row['metric']}",
            source={"kind": "contrast", "a": row["a"], "b": row["b"], "metric": row["metric"]},
            value=row["difference"], low=row["low"], high=row["high"], n=row["n"],
        )
        for row in comparison["contrasts"]
        if row["metric"] in metrics and {row["a"], row["b"]} == set(arms) and len(set(arms)) == 2
    ]  # fmt: skip


def probe_numbers(
    results: Mapping[str, Mapping[str, Mapping[str, Any]]], seed: int, prefixes: tuple[str, ...]
) -> list[Number]:
    """Stored results whose names begin with a prefix: arm -> result name -> result."""
    return [
        Number(
            name=f"{arm}: {name}",
            source={"kind": "probe", "arm": arm, "seed": seed, "result": name},
            value=result["score"], low=result.get("low"), high=result.get("high"),
            n=result.get("n"), chance=result.get("chance"),
        )
        for arm, own in results.items()
        for name, result in own.items()
        if name.startswith(prefixes) and result.get("score") is not None
    ]  # fmt: skip


def text_numbers(values: Mapping[str, float], seed: int, metric: str, row: int) -> list[Number]:
    """Each arm's score for one prompt."""
    return [
        Number(
            name=f"{arm}: {metric} of prompt {row + 1}",
            source={"kind": "text", "arm": arm, "seed": seed, "metric": metric, "row": row},
            value=float(value),
        )
        for arm, value in values.items()
    ]


def trust_numbers(
    trust: Mapping[str, float | None], arms: Sequence[str], seed: int, level: str, method: str
) -> list[Number]:
    """How far the map of each space can be trusted."""
    where = {"arms": list(arms), "seed": seed, "level": level, "method": method}
    return [
        Number(
            name=f"{space}: trust in the {method} map",
            source={"kind": "trust", **where, "space": space},
            value=value,
        )
        for space, value in trust.items()
    ]


def displacement_numbers(
    moved: Mapping[int, float], arms: Sequence[str], seed: int, level: str
) -> list[Number]:
    """How far some items, by row, moved relative to their neighbours."""
    where = {"arms": list(arms), "seed": seed, "level": level}
    return [
        Number(
            name=f"displacement of row {row}",
            source={"kind": "displacement", **where, "row": int(row)},
            value=_defined(value),
            chance=0.5,
        )
        for row, value in moved.items()
    ]


def neighbour_numbers(
    found: Mapping[str, Company],
    *,
    arms: Sequence[str],
    seed: int,
    level: str,
    row: int | None,
    typed: str,
    count: int,
    other_words: bool,
) -> list[Number]:
    """Row and distance of every neighbour in every space; `row` is None for a typed sentence."""
    asked = {
        "kind": "neighbour", "arms": list(arms), "seed": seed, "level": level,
        "row": -1 if row is None else int(row), "typed": typed if row is None else "",
        "count": count, "other_words": bool(other_words),
    }  # fmt: skip
    return [
        Number(
            name=f"{space}: {what} of neighbour {rank}",
            source={**asked, "space": space, "rank": rank, "what": what},
            value=float(values[rank - 1]),
        )
        for space, company in found.items()
        for rank in range(1, len(company.rows) + 1)
        for what, values in (("row", company.rows), ("distance", company.distances))
    ]


def playback_numbers(
    followed: Mapping[str, Following], view: PlaybackView, seed: int
) -> list[Number]:
    """What was measured on one prompt in each arm."""
    asked = {
        "kind": "playback", "seed": seed, "row": max(0, view.row), "typed": view.typed,
        "sampler": view.sampler, "num_steps": view.num_steps,
        "guidance_scale": float(view.guidance_scale), "noise": view.seed,
    }  # fmt: skip
    return [
        Number(
            name=f"{arm}: {what}",
            source={**asked, "arm": arm, "what": what},
            value=value,
            n=int(found.is_text[-1].sum()),
        )
        for arm, found in followed.items()
        for what, value in playback_readings(found).items()
    ]


def foretelling_numbers(rows: Sequence[ScorecardRow], studies: Sequence[str]) -> list[Number]:
    """Correlation of each predictor with a score."""
    return [
        Number(
            name=f"Spearman of {row.predictor} with {row.score}",
            source={
                "kind": "foretelling", "score": row.score, "predictor": row.predictor,
                "studies": sorted(studies),
            },
            value=row.spearman.value, low=row.spearman.low, high=row.spearman.high,
            n=row.num_runs,
        )
        for row in rows
        if row.spearman.value is not None
    ]  # fmt: skip


def correlation_numbers(found: RankCorrelation, score: str, studies: Sequence[str]) -> list[Number]:
    """Rank correlation of reconstruction with a score over the runs of these studies."""
    if found.value is None:
        return []
    return [
        Number(
            name=f"Spearman of reconstruction with {score}",
            source={"kind": "rank_correlation", "score": score, "studies": sorted(studies)},
            value=found.value, low=found.low, high=found.high, n=found.num_runs,
        )
    ]  # fmt: skip


def course_numbers(drawn: Sequence[CoursePoints], stage: str, measure: str) -> list[Number]:
    """A measure at every step of every training shown."""
    return [
        Number(
            name=f"{own.arm}, seed {own.seed}: {measure} at {stage} step {step}",
            source={
                "kind": "course", "arm": own.arm, "seed": own.seed,
                "stage": stage, "step": int(step), "measure": measure,
            },
            value=_defined(own.score[i]), low=_defined(own.low[i]), high=_defined(own.high[i]),
            chance=_defined(own.chance[i]),
        )
        for own in drawn
        for i, step in enumerate(own.steps)
    ]  # fmt: skip


def _defined(value: float) -> float | None:
    return float(value) if value == value else None


def onset_numbers(rows: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> list[Number]:
    """How much earlier each label became readable in the first of two arms."""
    return [
        Number(
            name=f"{arms[0]} / {arms[-1]}: step at which {row['label']} is half readable",
            source={"kind": "onset", "a": arms[0], "b": arms[-1], "label": row["label"]},
            value=row["ratio"], low=row["low"], high=row["high"], n=row["texts"],
        )
        for row in rows
        if row["ratio"] is not None
    ]  # fmt: skip
