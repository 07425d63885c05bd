"""Geometry opens on what parts the arms, and says plainly where none wins."""

from __future__ import annotations

import html
import json

from analyses.figures.parting import Gap, parting_figure, sorted_gaps
from workbench.ui.sections.geometry.overview import gaps_of, verdict

ARMS = ("none", "repa")
WIDE = Gap(name="wide", first=(1, 0.5, 1.5), second=(4, 3.5, 4.5), higher_is_better=True)
LESS = Gap(name="less", first=(4, 3.8, 4.2), second=(3, 2.8, 3.2), higher_is_better=True)
NO_END = Gap(name="no end", first=(0, 0, 0.1), second=(1, 0.9, 1), higher_is_better=None)
NEAR = Gap(name="near", first=(1, 0, 2), second=(1.9, 1, 3), higher_is_better=False)


def test_a_gap_beyond_one_is_a_gap_between_intervals():
    for gap in (WIDE, LESS, NO_END, NEAR):
        assert gap.parts == (abs(gap.size) > 1)
    skewed = Gap(name="s", first=(1, 0.9, 3), second=(2, 0, 2.1), higher_is_better=True)
    assert not skewed.parts
    assert abs(skewed.size) < 1
    assert Gap(name="p", first=(1, 1, 1), second=(1, 1, 1), higher_is_better=True).size == 0


def test_what_parts_stands_first_the_widest_gap_at_the_top():
    assert [gap.name for gap in sorted_gaps([NEAR, LESS, NO_END, WIDE])] == [
        "no end", "wide", "less", "near"
    ]  # fmt: skip


def test_the_verdict_counts_who_wins_and_where_nobody_does():
    assert [gap.winner(ARMS) for gap in (WIDE, LESS, NO_END, NEAR)] == ["repa", "none", None, None]
    told = verdict([WIDE, LESS, NO_END, NEAR], ARMS)
    assert told == (
        "Of 4 measures 1 favour none, 1 favour repa, 1 part without a better end, and 1 cannot be "
        "told apart: there neither arm wins."
    )


def test_rows_are_coloured_by_the_winner():
    figure = parting_figure([WIDE, LESS, NO_END, NEAR], ARMS, all_arms=ARMS, theme="light")
    rows = {trace.name: [-y for y in trace.y] for trace in figure.data}
    assert rows == {
        "favours none": [1], "favours repa": [0],
        "parts, with no better end": [2], "cannot be told apart": [3],
    }  # fmt: skip


def test_measures_without_an_interval_in_both_arms_are_left_out():
    known = {"score": 1.0, "low": 0.5, "high": 1.5, "higher_is_better": True}
    first = {"scale.a": known, "scale.b": known, "scale.c": {**known, "low": None}, "x": known}
    second = {"scale.a": known, "scale.c": known, "x": known}
    assert len(gaps_of({"none": first, "repa": second}, ["scale."])) == 1


def test_the_page_opens_on_the_overview_in_its_order(open_page, smoke_runs):
    app = open_page("geometry", smoke_runs)
    assert not app.error
    (chart,) = app.get("plotly_chart")
    drawn = json.loads(chart.proto.spec)["layout"]["yaxis"]["ticktext"]
    results = {
        arm: {
            name: result
            for file in (smoke_runs / "smoke" / "arms" / arm / "seed-0" / "probes").glob("*.json")
            for name, result in json.loads(file.read_text())["results"].items()
        }
        for arm in ARMS
    }
    from workbench.ui.sections.geometry.topics import PREFIXES

    gaps = gaps_of(results, PREFIXES)
    assert [gap.name for gap in gaps[: len(drawn)]] == [html.unescape(name) for name in drawn]
    assert any(verdict(gaps, ARMS) in caption.value for caption in app.caption)
