"""Runs of like studies as points: how well each reads back against how well it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyses.figures.reconstruction_generation import (
    RunPoint,
    Trail,
    reconstruction_generation_figure,
)
from analyses.statistics.intervals import Interval
from workbench.report.ladder import headline_score
from workbench.report.plain_words import plain_words
from workbench.report.predictors import RankCorrelation, reconstruction_correlation
from workbench.score.directions import ACCURACY, FIDELITY, FIDELITY_NOTE
from workbench.study.conditions import writing_conditions
from workbench.ui.kit.cached import comparison_of, course_of
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.named_choice import choose_named
from workbench.ui.kit.scan import found_studies, study_of
from workbench.ui.kit.theme import theme
from workbench.ui.sections.study.score_tables import metric_names

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from analyses.figures.theme import Theme
    from workbench.study.folders import Study

CHECKPOINTS = (
    " Small open marks are the same run's flow at its milestones, from step 0 on, scored on the "
    "first 64 prompts: reconstruction stays where the autoencoder left it, generation moves. They "
    "are no independent runs, so the rank correlation does not count them. An autoencoder's own "
    "milestones are not here, for no generator was trained on them."
)


@dataclass(frozen=True)
class Scatter:
    """What the figure shows: study -> its runs, and their rank correlation."""

    points: dict[str, list[RunPoint]]
    correlated: RankCorrelation


def choose_score(comparison: Mapping[str, Any], where: Any) -> str:
    """A generation score; that which the study's ladder of damage chose stands first."""
    scores = [name for name in metric_names(comparison) if name.startswith("generation.")]
    first = headline_score(comparison) or scores[0]
    return choose_named(
        "How writing is scored", scores, "score", words=plain_words, first=first,
        help="The arrow points at the better end.", where=where, width=380,
    )  # fmt: skip


def show_scatter(study: Study, score: str, where: Any, height: int) -> Scatter:
    """Draw every compared run of the study and of those that rank together with it.

    A switch in `where` adds the flow's checkpoints.
    """
    points, others = run_points(study, score)
    correlated = correlation(points)
    steps = trails(points, score)
    with_steps = where.toggle(
        "Show the flow's checkpoints", key="checkpoints", bind="query-params",
        disabled=not steps, help="By `python -m workbench probe RUN --checkpoints`, for valid "
        "n-grams, nats per token and fidelity.",
    )  # fmt: skip
    show_figure(
        kept_figure(
            _figure,
            [point for own in points.values() for point in own],
            plain_words(score),
            theme(),
            steps if with_steps else (),
            height,
        ),
        "reconstruction-generation",
        caption=correlation_sentence(correlated)
        + _others_sentence(others)
        + (f" {FIDELITY_NOTE}" if score == FIDELITY else "")
        + (CHECKPOINTS if with_steps and steps else ""),
    )
    return Scatter(points, correlated)


def _figure(
    points: Sequence[RunPoint], score: str, theme: Theme, trails: Sequence[Trail], height: int
) -> go.Figure:
    return reconstruction_generation_figure(
        points,
        reconstruction_name="share of tokens read back",
        generation_name=score,
        theme=theme,
        trails=trails,
    ).update_layout(height=height, yaxis_title_font_size=12)


def run_points(study: Study, score: str) -> tuple[dict[str, list[RunPoint]], int]:
    """Study -> its compared runs: reconstruction against one generation score.

    Beside it, how many compared studies were left out: what they score has no common order with
    the scores of `study`.
    """
    points: dict[str, list[RunPoint]] = {}
    others, conditions = 0, writing_conditions(study)
    for found in found_studies():
        if found.problem:
            continue
        own = study_of(found)
        comparison = comparison_of(own)
        if comparison is None:
            continue
        if writing_conditions(own) == conditions:
            points[found.name] = _study_points(own, comparison, score)
        else:
            others += 1
    return points, others


def _others_sentence(others: int) -> str:
    """That studies were left out, and why; empty if none was."""
    if not others:
        return ""
    what = "1 other study is" if others == 1 else f"{others} other studies are"
    return f" {what} left out: another corpus, judge, flow or sampler."


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


def trails(points: Mapping[str, Sequence[RunPoint]], score: str) -> list[Trail]:
    """Flow milestones of all probed runs: their VAE's reconstruction against their own score.

    A VAE's milestones have no generator of their own, so they have no place in this picture.
    """
    drawn = []
    for found in found_studies():
        if found.problem:
            continue
        for point in points.get(found.name, ()):
            table = course_of(study_of(found).run(point.arm, point.seed))
            if table is None or point.reconstruction.mean is None:
                continue
            own = table[(table["stage"] == "flow") & (table["measure"] == score)]
            own = own.dropna(subset="score").sort_values("step")
            if len(own):
                drawn.append(
                    Trail(
                        arm=point.arm,
                        seed=point.seed,
                        steps=own["step"].to_numpy(np.int64),
                        reconstruction=point.reconstruction.mean,
                        generation=own["score"].to_numpy(np.float64),
                    )
                )
    return drawn
