"""A study's numbers and a scorecard as Markdown tables: for a README, an issue or a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.report.complement_rows import complement_rows
from workbench.report.number_text import MISSING, baseline_text, interval_text, number_text
from workbench.report.writers import COST_NOTE, all_contrasts, cost_rows, writers_of
from workbench.store.atomic import write_file
from workbench.store.json_files import read_json

if TYPE_CHECKING:
    from analyses.scorecard.complements import Complements
    from analyses.scorecard.row import ScorecardRow
    from workbench.study.folders import Study

UNDECIDED = "not distinguishable"


def write_markdown(study: Study) -> Path:
    """Write `report.md`, the tables of a finished study, and return its path.

    Raises:
        InputError: the study is not finished, so there is no comparison.
    """
    path = study.directory / "report.md"
    write_file(path, study_tables(read_json(study.directory / "comparison.json")).encode())
    return path


def study_tables(comparison: Mapping[str, Any]) -> str:
    """One table per family of metrics: arms and generators, differences, chance, human, n.

    Differences are those from the first arm. Generators add a table of what each one costs.

    A difference is followed by its verdict, or by "not distinguishable" if its interval or Holm's p
    does not allow one.
    """
    arms = writers_of(comparison)
    first, *others = arms
    contrasts = {(row["a"], row["b"], row["metric"]): row for row in all_contrasts(comparison)}
    header = ["metric", *arms, *(f"{arm} - {first}" for arm in others), "chance", "human", "n"]
    families: dict[str, list[list[str]]] = {}
    for metric in dict.fromkeys(metric for values in arms.values() for metric in values):
        measured = next(values[metric] for values in arms.values() if metric in values)
        family = families.setdefault(metric.split(".")[0], [])
        human = baseline_text(comparison.get("baselines", {}), _without_guidance(metric))
        family.append(
            [
                metric,
                *(interval_text(values.get(metric, {})) for values in arms.values()),
                *(_difference(contrasts.get((arm, first, metric))) for arm in others),
                number_text(measured.get("chance")),
                human or MISSING,
                str(measured["n"]),
            ]
        )
    parts = [f"### {name}\n\n{table(header, rows)}" for name, rows in families.items()]
    if costs := cost_rows(comparison):
        body = table(list(costs[0]), [list(row.values()) for row in costs])
        parts.append(f"### costs\n\n{COST_NOTE}\n\n{body}")
    return "\n".join(parts)


def _without_guidance(metric: str) -> str:
    """The metric's name without a guidance scale, because human scores do not depend on one."""
    family, _, name = metric.partition("].")
    return f"generation.{name}" if family.startswith("generation[") else metric


def _difference(row: Mapping[str, Any] | None) -> str:
    if row is None or row["difference"] is None:
        return MISSING
    text = interval_text({**row, "mean": row["difference"]})
    return f"{text} {UNDECIDED}" if row["verdict"] == UNDECIDED else f"{text} **{row['verdict']}**"


def scorecard_tables(rows: Sequence[ScorecardRow], added: Sequence[Complements]) -> str:
    """For each generation score every predictor, the strongest rank correlation first.

    Below it stands what the strongest probes add to each other, where enough arms are known.
    """
    from workbench.report.scorecard import table_rows

    parts = []
    for one in added:
        tables = [table_rows(rows, one.score), complement_rows(one)]
        bodies = [table(list(t[0]), [list(row.values()) for row in t]) for t in tables if t]
        parts.append(f"### {one.score}\n\n" + "\n".join(bodies))
    return "\n".join(parts)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in pipe syntax; special characters in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
