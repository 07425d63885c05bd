"""Results of studies and runs on stdout: the closing table, contrasts, courses, continuations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.output import ALREADY_DONE, Output
from workbench.cli.table import print_table
from workbench.report.number_text import baseline_text, interval_text, number_text, onset_sentence
from workbench.report.writers import COST_NOTE, all_contrasts, cost_rows, writers_of

if TYPE_CHECKING:
    from workbench.sample.continued import Continuations

CLOSING_ROWS = (
    ("reconstruction.token_accuracy", "token accuracy (mu)"),
    ("scale.log_snr", "log SNR (nats)"),
    ("floor.velocity", "velocity floor"),
    ("generation.grammar_sentences", "sentences of the grammar"),
    ("generation.grammar_texts", "whole stories of the grammar"),
    ("generation.tense_agreement", "sentences in the prompt's tense"),
    ("generation.c2st[", "C2ST (.5 is human)"),
    ("generation.energy[", "energy distance (z)"),
    ("generation.mauve[", "MAUVE"),
    ("generation.valid_4gram", "valid 4-grams"),
    ("generation.nats_per_token", "nats per token (judge)"),
    ("generation.nats[", "nats per token"),
    ("generation.unigram_entropy", "unigram entropy (nats)"),
    ("generation.repetition", "repetition"),
    ("generation.fidelity", "fidelity to the prompt"),
    ("generation.embedding_f1", "embedding F1"),
    ("generation.rouge1", "ROUGE-1"),
    ("knn_coherence.token.other_id", "kNN coherence, other id"),
    ("linear_separability", "linear separability"),
)
FIRST_TEXTS = 3  # prompts, shown above the closing table
MARKS = {"better": " +", "worse": " -"}


def show_comparison(
    output: Output, comparison: Mapping[str, Any], directory: Path, already_done: bool = False
) -> None:
    """The closing table of a study, and whether there was anything left to do."""

    def for_people() -> None:
        if already_done:
            print(f"{directory}: {ALREADY_DONE}")
        print_first_texts(directory)
        print_comparison(comparison)
        print(f"report: {directory / 'report.html'}")

    values = {"study": str(directory), "already_done": already_done, **comparison}
    output.result(values, for_people)


def print_first_texts(directory: Path) -> None:
    """The first prompts of a study, and what a human and each arm wrote after them."""
    from workbench.report.first_texts import first_texts
    from workbench.study.folders import open_study

    for found in first_texts(open_study(directory), FIRST_TEXTS):
        lines = {"prompt": found.prompt, "human": found.reference, **found.written}
        for name, text in lines.items():
            print(f"{name:>8}  {text or '(nothing)'}")
        print()


def print_comparison(comparison: Mapping[str, Any]) -> None:
    """One row per closing metric, one column per arm, and what people's own texts score."""
    arms, first = writers_of(comparison), next(iter(comparison["arms"]))
    verdicts = {
        (row["a"], row["metric"]): row["verdict"]
        for row in all_contrasts(comparison)
        if row["b"] == first
    }
    rows = []
    for metric, label in closing_metrics(arms[first]):
        cells = [
            interval_text(values.get(metric, {})) + MARKS.get(verdicts.get((arm, metric), ""), "")
            if metric in values or arm in comparison["arms"]
            else ""
            for arm, values in arms.items()
        ]
        rows.append([label, *cells, baseline_text(comparison.get("baselines", {}), metric)])
    print_table(["", *arms, "human"], rows)
    print(f"+ better, - worse than {first}, by an interval that excludes zero and Holm's p <= .05")
    for line in _said_beside(comparison):
        print(line)
    if costs := cost_rows(comparison):
        print_table(list(costs[0]), [list(row.values()) for row in costs])
        print(COST_NOTE)
    shared = [name for name, is_shared in comparison["paired"].items() if is_shared]
    print(f"twins share {', '.join(shared) or 'nothing'}")


def _said_beside(comparison: Mapping[str, Any]) -> list[str]:
    """What the closing table's reader must know: the gate, the headline, what fidelity is."""
    from workbench.report.ladder import gate, headline_score, ladder_readings
    from workbench.score.directions import FIDELITY, FIDELITY_NOTE

    closed, score = gate(comparison), headline_score(comparison)
    lines = [closed] if closed else []
    if score is not None and ladder_readings(comparison):
        name = score.removeprefix("generation.")
        lines.append(f"headline score: {name}, which orders the most of the ladder of known damage")
    if any(FIDELITY in values for values in comparison["arms"].values()):
        lines.append(FIDELITY_NOTE)
    return lines


def closing_metrics(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The metrics of the closing table among `metrics`, each with its label, in its order."""
    rows = []
    for prefix, label in CLOSING_ROWS:
        for metric in metrics:
            if metric == prefix:
                rows.append((metric, label))
            elif metric.startswith(prefix) and prefix.endswith("["):
                rows.append((metric, f"{label}[{metric.split('[', 1)[1]}"))
            elif metric.startswith(prefix + "."):
                rows.append((metric, f"{label}: {metric[len(prefix) + 1 :]}"))
    return rows


def show_contrasts(output: Output, rows: Sequence[Mapping[str, Any]]) -> None:
    """Contrasts of two runs."""
    cells = [
        [
            str(row["metric"]),
            number_text(row["difference"]),
            f"[{number_text(row['low'])}, {number_text(row['high'])}]",
            str(row["n"]),
            str(row["verdict"]),
        ]
        for row in rows
    ]
    from workbench.study.pairing import NO_TWIN

    header = ["metric", "difference", "interval", "n", "verdict"]
    pairing = {str(row["pairing"]) for row in rows if "pairing" in row}

    def for_people() -> None:
        print_table(header, cells)
        for mark in pairing:
            print(mark if mark == NO_TWIN else f"an arm came from a bundle: {mark}")

    output.result({"contrasts": list(rows)}, for_people)


def show_course(output: Output, document: Mapping[str, Any]) -> None:
    """Measures over a run's trainings, and when labels become readable against other arms."""
    output.result(document, lambda: print_course(document))


def print_course(document: Mapping[str, Any]) -> None:
    """One table per training, one row per measure, one column per milestone."""
    for stage in dict.fromkeys(point["stage"] for point in document["points"]):
        points = [point for point in document["points"] if point["stage"] == stage]
        names = dict.fromkeys(name for point in points for name in point["results"])
        cells = [
            [
                name,
                *(number_text(point["results"].get(name, {}).get("score")) for point in points),
            ]
            for name in names
        ]
        print_table([f"{stage}, step", *(str(point["step"]) for point in points)], cells)
        print()
    for row in document["onsets"]:
        print(onset_sentence(row))
    print(f"stored under {document['run']}/over_training")


def show_samples(output: Output, result: Continuations) -> None:
    """Continuations of a user's prompts, one per line."""
    rows = list(zip(result.prompts, result.texts, result.ended, strict=True))
    samples = [
        {"prompt": prompt, "continuation": text, "ended": bool(ended)}
        for prompt, text, ended in rows
    ]
    output.result(
        {"samples": samples, "nfe": result.nfe, "seconds": result.seconds},
        lambda: print(*(f"{prompt} {text}" for prompt, text, _ in rows), sep="\n"),
    )
