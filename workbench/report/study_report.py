"""A study as one self-contained HTML file: what is equal, what differs, and the texts written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.report.first_texts import sample_files
from workbench.report.ladder import (
    HEADLINE_RULE,
    gate,
    headline_score,
    ladder_of,
    trusted_rows,
)
from workbench.report.number_text import interval_text, number_text
from workbench.report.plain_words import plain_words
from workbench.report.writers import COST_NOTE, all_contrasts, cost_rows, writers_of
from workbench.sample.held_out import scale_name
from workbench.score.directions import ACCURACY, FIDELITY, FIDELITY_NOTE, NATS_NOTE
from workbench.store.json_files import read_json
from workbench.store.metrics_log import read_metrics

if TYPE_CHECKING:
    from workbench.study.folders import Study

TEMPLATE = Path(__file__).with_name("study_report.html.j2")
NUM_SAMPLES = 12
KEY_GENERATION = (
    "valid_4gram",
    "nats_per_token",
    "unigram_entropy",
    "repetition",
    "fidelity",
    "embedding_f1",
    "rouge1",
)


def write_report(study: Study, comparison: Mapping[str, Any] | None = None) -> Path:
    """Write `report.html` and return its path.

    Raises:
        InputError: the study is not finished, so there is no comparison.
    """
    import jinja2
    from plotly.offline import get_plotlyjs

    from workbench.store.atomic import write_file

    comparison = comparison or read_json(study.directory / "comparison.json")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        study=study,
        plotly=get_plotlyjs(),
        gate=gate(comparison),
        headline=headline(comparison),
        notes=_notes(comparison),
        ladder=_ladder(comparison),
        tables=_tables(comparison),
        figures=_figures(study, comparison),
        samples=_samples(study),
        contrasts=_contrast_rows(comparison),
        pairing=comparison["paired"],
        corpus=_corpus_facts(study),
        costs=cost_rows(comparison),
        cost_note=COST_NOTE,
    )
    path = study.directory / "report.html"
    write_file(path, page.encode())
    return path


def headline(comparison: Mapping[str, Any]) -> list[str]:
    """The result in sentences: for each arm against the first, what is equal and what differs."""
    lines = []
    arms, score = comparison["arms"], headline_score(comparison)
    first = next(iter(arms))
    for arm in arms:
        if arm == first:
            continue
        rows = {r["metric"]: r for r in comparison["contrasts"] if (r["a"], r["b"]) == (arm, first)}
        accuracy = [arms[name].get(ACCURACY, {}).get("mean") for name in (first, arm)]
        verdicts = [r["verdict"] for m, r in rows.items() if m.startswith("generation.")]
        line = (
            f"{arm} against {first}: token accuracy {number_text(accuracy[1])} and "
            f"{number_text(accuracy[0])}; of {len(verdicts)} scores of its texts, "
            f"{verdicts.count('better')} are better and {verdicts.count('worse')} worse"
        )
        if score is not None and score in rows:
            line += f"; the headline score, {plain_words(score)}, is {rows[score]['verdict']}"
        lines.append(f"{line}.")
    return lines


def _tables(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arms' metrics by family, with human controls next to generation."""
    arms, baselines = comparison["arms"], comparison.get("baselines", {})
    generators = comparison.get("generators", {})
    first = next(iter(arms))
    grey = {
        (row["a"], row["metric"])
        for row in all_contrasts(comparison)
        if row["b"] == first and row["verdict"] == "not distinguishable"
    }
    metrics = list(dict.fromkeys(metric for values in arms.values() for metric in values))
    families: dict[str, list[str]] = {}
    for metric in metrics:
        families.setdefault(metric.split(".")[0], []).append(metric)
    tables = []
    for family, names in families.items():
        beside = list(baselines) if family == "generation" else []
        # Generators have no space: they stand where texts are scored.
        writers = {**arms, **generators} if family == "generation" else arms
        rows = [
            {
                "metric": metric,
                "words": plain_words(metric),
                "beside": [number_text(baselines[b].get(metric, {}).get("mean")) for b in beside],
                **_table_cells(writers, metric, grey),
            }
            for metric in names
        ]
        tables.append({"family": family, "arms": list(writers), "beside": beside, "rows": rows})
    return tables


def _table_cells(
    arms: Mapping[str, Mapping[str, Any]], metric: str, grey: set[tuple[str, str]]
) -> dict[str, Any]:
    """One metric's cells, one per arm, with its chance level and n."""
    values: dict[str, Mapping[str, Any]] = {arm: v.get(metric, {}) for arm, v in arms.items()}
    measured: Mapping[str, Any] = next((value for value in values.values() if value), {})
    return {
        "cells": [
            {
                "text": interval_text(value),
                "grey": (arm, metric) in grey,
                "seeds": ", ".join(number_text(seed) for seed in value.get("seeds", [])),
            }
            for arm, value in values.items()
        ],
        "chance": number_text(measured.get("chance")),
        "n": measured.get("n", ""),
    }


def _figures(study: Study, comparison: Mapping[str, Any]) -> list[dict[str, str]]:
    from analyses.figures.arm_scores import scores_figure
    from analyses.figures.loss_floors import logged_curve, loss_figure

    arms = comparison["arms"]
    names = list(next(iter(arms.values())))
    score = headline_score(comparison)
    assert score is not None
    wanted = [ACCURACY, score, *(f"generation.{name}" for name in KEY_GENERATION)]
    panels = list(dict.fromkeys(metric for metric in wanted if metric in names))
    titles = {metric: plain_words(metric) for metric in panels}
    figures = [
        (
            "The story in one picture",
            scores_figure(writers_of(comparison), metrics=panels, titles=titles),
        ),
        ("Reconstruction against generation", _scatter(study, comparison, score)),
    ]
    logs = ((run, run.directory / "metrics.jsonl") for run in study.runs)
    logged = (logged_curve(r.arm, r.seed, read_metrics(log)) for r, log in logs if log.is_file())
    if curves := [curve for curve in logged if curve]:
        figures.append(
            ("Flow loss against its floors", loss_figure(curves, arms=list(study.config.arms)))
        )
    return [{"title": title, "html": _html(figure)} for title, figure in figures]


def _html(figure: Any) -> str:
    return str(figure.to_html(full_html=False, include_plotlyjs=False, default_width="100%"))


def _ladder(comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ladder's figure and the conclusions from it; None for a study without a ladder."""
    figure = ladder_of(comparison)
    if figure is None:
        return None
    return {
        "html": _html(figure),
        "rows": trusted_rows(comparison),
        "headline": headline_score(comparison),
        "rule": HEADLINE_RULE,
    }


def _notes(comparison: Mapping[str, Any]) -> list[str]:
    """Notes that some of the scores need."""
    names = {name for own in comparison["arms"].values() for name in own}
    return [NATS_NOTE, *([FIDELITY_NOTE] if FIDELITY in names else [])]


def _scatter(study: Study, comparison: Mapping[str, Any], score: str) -> Any:
    from analyses.figures.reconstruction_generation import (
        RunPoint,
        reconstruction_generation_figure,
    )
    from analyses.statistics.intervals import Interval

    points = []
    for run in study.runs:
        place = study.config.seeds.index(run.seed)
        both = []
        for metric in (ACCURACY, score):
            value = comparison["arms"][run.arm][metric]
            seeds = value.get("seeds") or [None]
            mean = seeds[place] if place < len(seeds) else None
            whole = len(study.config.seeds) == 1
            both.append(
                Interval(
                    mean=mean,
                    low=value["low"] if whole else None,
                    high=value["high"] if whole else None,
                    n=value["n"],
                )
            )
        points.append(
            RunPoint(arm=run.arm, seed=run.seed, reconstruction=both[0], generation=both[1])
        )
    return reconstruction_generation_figure(
        points,
        reconstruction_name=plain_words(ACCURACY),
        generation_name=plain_words(score),
        arms=list(study.config.arms),
    )


def _samples(study: Study) -> dict[str, Any]:
    """The first prompts, each continued by a human, every arm and generator, and the baseline."""
    import pandas as pd

    scale = scale_name(study.config.base.sampling.guidance_scales[0])
    frames = {name: pd.read_parquet(file) for name, file in sample_files(study).items()}
    frames["autoregressive"] = pd.read_parquet(study.baselines_dir / "autoregressive.parquet")
    first = next(iter(frames.values())).head(NUM_SAMPLES)
    rows = [
        [prompt, reference, *(frame["continuation"].iloc[row] for frame in frames.values())]
        for row, (prompt, reference) in enumerate(
            zip(first["prompt"], first["reference"], strict=True)
        )
    ]
    return {"columns": ["prompt", "human", *frames], "rows": rows, "scale": scale}


def _contrast_rows(comparison: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "pair": f"{row['a']} - {row['b']}",
            "metric": row["metric"],
            "words": plain_words(row["metric"]),
            "difference": number_text(row["difference"]),
            "interval": f"[{number_text(row['low'])}, {number_text(row['high'])}]",
            "p": number_text(row.get("p_holm")),
            "n": str(row["n"]),
            "verdict": row["verdict"],
        }
        for row in all_contrasts(comparison)
    ]


def _corpus_facts(study: Study) -> dict[str, Any]:
    manifest = read_json(study.corpus_dir / "corpus.json")
    return {
        "name": study.config.base.corpus.name,
        "texts": {name: split["windows"] for name, split in manifest["splits"].items()},
        "vocabulary": manifest["vocab_size"],
        "window": manifest["window"],
    }
