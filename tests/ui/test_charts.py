"""Figures of the pages: rows travel with points, big maps are sampled, gaps stay gaps."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analyses.figures import linked_maps as maps
from analyses.figures.arm_curves import curves_figure, dots_figure
from analyses.figures.arm_scores import scores_figure
from analyses.figures.linked_maps import Colouring, maps_figure, rows_of
from analyses.figures.theme import SURFACES
from analyses.figures.twin_heat import twin_heat_figure
from tests.analyses.test_figures import VISION, cielab, linear_rgb, luminance
from workbench.ui.kit.exhibits import drawn_points

RNG = np.random.default_rng(0)


def spaces(n: int) -> dict[str, np.ndarray]:
    return {
        name: RNG.normal(size=(n, 2)).astype(np.float32) for name in ("none", "repa", "teacher")
    }


def titles(coords: dict[str, np.ndarray]) -> dict[str, str]:
    return {name: name for name in coords}


def test_every_row_is_drawn_once_a_panel_whatever_its_class():
    coords, codes = spaces(40), RNG.integers(-1, 14, 40)
    colouring = Colouring(name="label", codes=codes, classes=[f"c{i}" for i in range(14)])
    drawn = maps_figure(coords, titles(coords), ["t"] * 40, colouring, theme="light")
    for trace, points in zip(drawn.figure.data, coords.values(), strict=False):
        np.testing.assert_array_equal(trace.x, points[:, 0])
    assert drawn.rows.tolist() == list(range(40))
    named = [trace.name for trace in drawn.figure.data if trace.showlegend is not False]
    assert len(named) <= maps.MOST_CLASSES + 1
    assert {trace.type for trace in drawn.figure.data} == {"scatter"}  # no WebGL is needed


def test_a_selection_becomes_rows_whichever_panel_it_was_made_in(monkeypatch):
    monkeypatch.setattr(maps, "MOST_POINTS", 25)
    coords, codes = spaces(30), np.arange(30) % 2
    colouring = Colouring(name="label", codes=codes, classes=["even", "odd"])
    drawn = maps_figure(coords, titles(coords), ["t"] * 30, colouring, theme="light")
    assert len(drawn.rows) == 25
    for curve in range(3):
        assert rows_of([{"curve_number": curve, "point_index": 4}] * 2, drawn, 3) == [drawn.rows[4]]
    assert rows_of([{"curve_number": 3, "point_index": 0}], drawn, 3) == []  # a ring


def test_chosen_rows_are_ringed_in_every_panel_whatever_the_sample(monkeypatch):
    monkeypatch.setattr(maps, "MOST_POINTS", 5)
    coords, one = spaces(20), Colouring(name="v", codes=np.zeros(20, int), classes=["all"])
    left_out = sorted(set(range(20)) - set(maps.drawn_rows(20)))[:2]
    drawn = maps_figure(
        coords, titles(coords), ["t"] * 20, one, theme="light", chosen=reversed(left_out)
    )
    assert set(left_out) < set(drawn.rows)
    rings = [trace for trace in drawn.figure.data if trace.marker.size == 9]
    for ring, points in zip(rings, coords.values(), strict=True):
        np.testing.assert_array_equal(ring.x, points[left_out, 0])


def test_heat_map_leaves_out_what_one_arm_lacks():
    first = {"mood": {"0.1": 0.2, "0.9": 0.5}}
    second = {"mood": {"0.1": 0.1}, "plot": {"0.1": 0.3}}
    figure = twin_heat_figure(
        first, second, ("repa", "none"), x="t", value="accuracy", theme="light"
    )
    difference = figure.data[2].z
    assert difference[0][0] == pytest.approx(0.1)
    assert difference[0][1] is None
    assert difference[1][0] is None


def test_dots_leave_out_undefined_scores_and_mark_chance():
    results = {
        "none": {"a": {"score": 0.5, "low": 0.4, "high": 0.6}, "b": {"score": None}},
        "repa": {"a": {"score": 0.7, "low": None, "high": None}},
    }
    figure = dots_figure(
        results, arms=["none", "repa"], x="accuracy", theme="dark", marks={"chance": {"a": 0.1}}
    )
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name["none"].x) == [0.5]
    assert list(figure.layout.yaxis.ticktext) == ["a", "b"]
    assert by_name["none"].y[0] != by_name["repa"].y[0]
    assert list(by_name["chance"].x) == [0.1]
    assert list(by_name["repa"].error_x.array) == [0.0]


def test_drawn_points_are_the_figure_as_a_table():
    figure = curves_figure(
        {"none": ([1, 2], [0.5, None])}, arms=["none"], x="step", y="loss", theme="light"
    )
    table = drawn_points(figure)
    assert table.to_dict("records")[0] == {"trace": "none", "x": 1, "y": 0.5}
    assert pd.isna(table["y"][1])


def faded(colour: str, paper: str) -> str:
    """What a marker of the opacity of `no label` looks like on a paper."""
    share = maps.NO_CLASS_OPACITY
    parts = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (colour, paper)]
    mixed = [round(share * a + (1 - share) * b) for a, b in zip(*parts, strict=True)]
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_class_colours_differ_from_each_other_and_from_no_class(theme, vision):
    surface = SURFACES[theme]
    shown = [*maps.CLASS_COLOURS, faded(surface.muted, surface.paper)]
    seen = [cielab(np.array(VISION[vision]) @ linear_rgb(colour)) for colour in shown]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15.0


def test_no_class_colour_is_grey_or_lost_on_a_paper():
    assert len(maps.CLASS_COLOURS) == maps.MOST_CLASSES
    for colour in maps.CLASS_COLOURS:
        assert np.hypot(*cielab(linear_rgb(colour))[1:]) > 25.0
        for surface in SURFACES.values():
            pair = sorted([luminance(colour), luminance(surface.paper)])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) > 2.0


def test_titles_of_panels_stand_below_the_toolbar():
    coords = spaces(8)
    colouring = Colouring(name="label", codes=np.zeros(8, int), classes=["a"])
    grid = {"mood": {"0.1": 0.2}}
    entry = {"mean": 0.5, "low": 0.4, "high": 0.6}
    figures = [
        maps_figure(coords, titles(coords), ["t"] * 8, colouring, theme="light").figure,
        twin_heat_figure(grid, grid, ("repa", "none"), x="t", value="accuracy", theme="light"),
        scores_figure({"none": {"mauve": entry}}),
    ]
    # The toolbar is 30 pixels high, a title some 20 and stands on the panel.
    assert all(figure.layout.margin.t >= 52 for figure in figures)
