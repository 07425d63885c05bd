"""The tables of the HTML report: every measure of every arm, family by family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.report.number_text import MISSING, interval_text, number_text
from workbench.report.plain_words import family_words, plain_words
from workbench.report.writers import all_contrasts

UNCLEAR = "not distinguishable"


def report_tables(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arms' metrics by family, with human controls next to generation."""
    from analyses.figures.ladder import RUNG_NAMES

    arms, baselines = comparison["arms"], comparison.get("baselines", {})
    generators = comparison.get("generators", {})
    first = next(iter(arms))
    grey = {
        (row["a"], row["metric"])
        for row in all_contrasts(comparison)
        if row["b"] == first and row["verdict"] == UNCLEAR
    }
    families: dict[str, list[str]] = {}
    for metric in dict.fromkeys(metric for values in arms.values() for metric in values):
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
                **_cells(writers, metric, grey),
            }
            for metric in names
        ]
        tables.append(
            {
                "family": family,
                "words": family_words(family),
                "arms": list(writers),
                "beside": [RUNG_NAMES.get(name, name.replace("_", " ")) for name in beside],
                "rows": rows,
            }
        )
    return tables


def _cells(
    arms: Mapping[str, Mapping[str, Any]], metric: str, grey: set[tuple[str, str]]
) -> dict[str, Any]:
    """One metric's cells, one per arm, with its chance level and n."""
    values: dict[str, Mapping[str, Any]] = {arm: v.get(metric, {}) for arm, v in arms.items()}
    measured: Mapping[str, Any] = next((value for value in values.values() if value), {})
    return {
        "cells": [
            {
                "text": interval_text(value) if value else MISSING,
                "grey": (arm, metric) in grey,
                "seeds": ", ".join(number_text(seed) for seed in value.get("seeds", [])),
            }
            for arm, value in values.items()
        ],
        "chance": number_text(measured.get("chance")),
        "n": measured.get("n", MISSING),
    }


def contrast_rows(comparison: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every difference with its interval, p and verdict."""
    return [
        {
            "pair": f"{row['a']} - {row['b']}",
            "metric": row["metric"],
            "words": plain_words(row["metric"]),
            "difference": number_text(row["difference"]),
            "interval": MISSING
            if row["low"] is None
            else f"[{number_text(row['low'])}, {number_text(row['high'])}]",
            "p": number_text(row.get("p_holm")),
            "n": str(row["n"]),
            "verdict": row["verdict"],
        }
        for row in all_contrasts(comparison)
    ]
