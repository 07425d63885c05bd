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
    ladder_readings,
    trusted_rows,
)
from workbench.report.near_miss_words import near_miss_sentence
from workbench.report.number_text import number_text
from workbench.report.plain_words import plain_names, plain_words
from workbench.report.predictors import metric_direction
from workbench.report.report_tables import UNCLEAR, contrast_rows, report_tables
from workbench.report.writers import COST_NOTE, cost_rows, writers_of
from workbench.score.directions import ACCURACY, FIDELITY, FIDELITY_NOTE, FLOORS_NOTE, NATS_NOTE
from workbench.store.json_files import read_json
from workbench.store.metrics_log import read_metrics

if TYPE_CHECKING:
    from workbench.study.folders import Study

TEMPLATE = Path(__file__).with_name("study_report.html.j2")
NUM_SAMPLES = 12
PAIRED = {"data_order": "data order", "init": "initial weights", "noise": "starting noise"}
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
        why=near_miss_sentence(comparison),
        notes=_notes(comparison),
        ladder=_ladder(comparison),
        tables=report_tables(comparison),
        figures=_figures(study, comparison),
        samples=_samples(study),
        contrasts=contrast_rows(comparison),
        pairing={PAIRED.get(kind, kind): same for kind, same in comparison["paired"].items()},
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
        # Of scores that have a better end, as on the page Study.
        verdicts = [
            row["verdict"]
            for name, row in rows.items()
            if name.startswith("generation.") and metric_direction(name, {}) is not None
        ]
        line = (
            f"{arm} against {first}: {number_text(accuracy[1])} and "
            f"{number_text(accuracy[0])} of tokens read back; of {len(verdicts)} scores of its "
            f"texts, {verdicts.count('better')} are better, {verdicts.count('worse')} worse and "
            f"{verdicts.count(UNCLEAR)} not told apart"
        )
        if score is not None and score in rows:
            line += f"; the headline score, {plain_words(score)}, is {rows[score]['verdict']}"
        lines.append(f"{line}.")
    return lines


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
            "Dots are means, bars 95 % intervals; arrows point at the better end.",
            scores_figure(writers_of(comparison), metrics=panels, titles=titles),
        ),
        (
            "Reconstruction against generation",
            "One point per run. Points that stand above one another read back alike.",
            _scatter(study, comparison, score),
        ),
    ]
    logs = ((run, run.directory / "metrics.jsonl") for run in study.runs)
    logged = (logged_curve(r.arm, r.seed, read_metrics(log)) for r, log in logs if log.is_file())
    if curves := [curve for curve in logged if curve]:
        figures.append(
            (
                "Flow loss against its floors",
                FLOORS_NOTE,
                loss_figure(curves, arms=list(study.config.arms)),
            )
        )
    return [
        {"title": title, "note": note, "html": _html(figure)} for title, note, figure in figures
    ]


def _html(figure: Any) -> str:
    return str(figure.to_html(full_html=False, include_plotlyjs=False, default_width="100%"))


def _ladder(comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ladder's figure and the conclusions from it; None for a study without a ladder."""
    names = plain_names(reading.metric for reading in ladder_readings(comparison))
    figure, score = ladder_of(comparison, titles=names), headline_score(comparison)
    if figure is None or score is None:
        return None
    return {
        "html": _html(figure),
        "rows": trusted_rows(comparison),
        "names": names,
        "headline": plain_words(score),
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

    scale = f"{study.config.base.sampling.guidance_scales[0]:g}"
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


def _corpus_facts(study: Study) -> dict[str, Any]:
    manifest = read_json(study.corpus_dir / "corpus.json")
    return {
        "name": study.config.base.corpus.name,
        "texts": {name: split["windows"] for name, split in manifest["splits"].items()},
        "vocabulary": manifest["vocab_size"],
        "window": manifest["window"],
    }
