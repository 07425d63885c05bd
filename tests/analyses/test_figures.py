"""Figures keep colours, say what is missing, and never let corpus text become markup."""

from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import pytest

from analyses.figures.arm_scores import ROWS_APART, scores_figure
from analyses.figures.end_points import end_points_figure
from analyses.figures.foretelling import foretelling_figure
from analyses.figures.loss_floors import logged_curve, loss_figure
from analyses.figures.over_training import CoursePoints, over_training_figure
from analyses.figures.reconstruction_generation import (
    RunPoint,
    Trail,
    reconstruction_generation_figure,
)
from analyses.figures.theme import SURFACES, arm_styles, plain, themed
from analyses.scorecard.row import Estimate, ScorecardRow
from analyses.statistics.intervals import Interval

ARMS = ("none", "repa", "permuted", "random", "beta_0", "wide", "narrow")
SCORES = {
    "none": {
        "mauve": {"mean": 0.6, "low": 0.5, "high": 0.7, "seeds": [0.58, 0.62]},
        "rouge1": {"mean": 0.4, "low": 0.39, "high": 0.41},
    },
    "repa": {
        "mauve": {"mean": 0.8, "low": 0.7, "high": 0.9, "seeds": [0.79, None]},
        "rouge1": {"mean": None, "low": None, "high": None},
    },
}


def interval(mean, half=0.01):
    return Interval(mean=mean, low=mean - half, high=mean + half, n=10)


def course(arm="repa", score=(0.2, np.nan, 0.9), chance=(0.1, 0.1, 0.1)):
    score = np.array(score)
    return CoursePoints(
        arm=arm, seed=0, steps=np.array([0, 7, 63]), score=score, low=score - 0.1,
        high=score + 0.1, chance=np.array(chance),
    )  # fmt: skip


# Severe forms; Machado, Oliveira and Fernandes 2009, table 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear_rgb(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return linear_rgb(colour) @ [0.2126, 0.7152, 0.0722]


def cielab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_arm_colours_differ_for_every_kind_of_vision(theme, vision):
    seen = [
        cielab(np.array(VISION[vision]) @ linear_rgb(style.colour))
        for style in arm_styles(ARMS, theme).values()
    ]
    distances = [np.linalg.norm(a - b) for a, b in combinations(seen, 2)]
    assert min(distances) > 25.0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_arm_colours_stand_out_from_the_paper(theme):
    paper = luminance(SURFACES[theme].paper)
    for style in arm_styles(ARMS, theme).values():
        pair = sorted([luminance(style.colour), paper])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3.0  # WCAG, graphical objects


def test_an_arm_keeps_its_style_whoever_stands_beside_it():
    assert arm_styles(["repa"])["repa"] == arm_styles(ARMS)["repa"]
    assert arm_styles(["wide", "beta_0"]) == arm_styles(["beta_0", "wide"])
    many = arm_styles([f"arm{i}" for i in range(9)])
    assert len({(s.colour, s.symbol) for s in many.values()}) == 9
    # Hues of standard arms that are not there serve before any repeats.
    assert len({s.colour for s in arm_styles(["none", "repa", *"abcde"]).values()}) == 7


def test_loss_fraction_of_the_band_and_gaps():
    floors = {"floor_gaussian": 1.5, "floor_given_mu": 0.5}
    log = [
        {"stage": "flow", "step": 100 * step, "loss": loss, **floors}
        for step, loss in enumerate([2.0, 1.5, None, 1.2, 1.1])
    ]
    log += [{"stage": "vae", "step": 9, "loss": 1.0}, {"stage": "flow", "step": 500, "loss": 1.0}]
    figure = loss_figure([logged_curve(arm, 0, log) for arm in ("none", "repa")])
    assert logged_curve("none", 0, log[5:]) is None
    right = [t for t in figure.data if t.xaxis == "x2"]
    assert len(right) == 2
    np.testing.assert_allclose([right[0].y[i] for i in (0, 1, 3)], [1.5, 1.0, 0.7])
    assert right[0].y[2] is None
    floors = [t for t in figure.data if t.y == (1.5, 1.5)]
    assert len(floors) == 2


def test_dots_draw_intervals_and_seeds():
    figure = scores_figure(SCORES, metrics=["mauve"])
    seeds, dot = figure.data[0], figure.data[1]
    assert seeds.x == (0.58, 0.62)
    assert dot.error_x.array[0] == pytest.approx(0.1)
    assert dot.marker.color == arm_styles(["none"])["none"].colour


def test_rows_of_panels_leave_room_for_their_headings():
    scores = {arm: {f"m{n}": {"mean": 0.5} for n in range(8)} for arm in ("none", "repa")}
    figure = scores_figure(scores)
    layout = figure.layout
    plot = layout.height - layout.margin.t - layout.margin.b
    apart = (layout.yaxis.domain[0] - layout.yaxis4.domain[1]) * plot
    assert apart == pytest.approx(ROWS_APART)
    assert scores_figure(scores, metrics=["m0"]).layout.yaxis.domain == pytest.approx((0, 1))


def test_runs_without_a_number_are_named():
    nothing = Interval(mean=None, low=None, high=None, n=0, reason="no text")
    points = [
        RunPoint(arm="none", seed=0, reconstruction=interval(0.99), generation=interval(0.6)),
        RunPoint(arm="repa", seed=1, reconstruction=interval(0.99), generation=nothing),
    ]
    figure = reconstruction_generation_figure(
        points, reconstruction_name="accuracy", generation_name="mauve"
    )
    assert figure.layout.annotations[0].text == "not defined: repa/seed-1"
    assert figure.data[0].error_y.array[0] == pytest.approx(0.01)


def test_course_draws_bands_gaps_and_one_chance_line():
    figure = over_training_figure([course("none"), course()], y="accuracy", arms=ARMS)
    by_name = {}
    for trace in figure.data:
        by_name.setdefault(trace.name, []).append(trace)
    (line,) = by_name["repa"]
    assert list(line.x) == [0.0, 3.0, 6.0]
    assert list(line.y) == [0.2, None, 0.9]
    assert line.line.color == arm_styles(["repa"])["repa"].colour
    (band,) = by_name["repa, interval"]
    np.testing.assert_allclose(band.y, [0.3, 1.0, 0.8, 0.1])
    assert len(by_name["chance"]) == 1, "arms with the same chance share its line"
    assert list(figure.layout.xaxis.ticktext) == ["0", "7", "63"]
    other = over_training_figure([course(), course("none", chance=(0.3, 0.3, 0.3))], y="accuracy")
    assert sum(trace.name == "chance" for trace in other.data) == 2


def test_checkpoints_lie_under_their_run_and_are_no_runs():
    points = [RunPoint(arm="repa", seed=1, reconstruction=interval(0.99), generation=interval(0.8))]
    trail = Trail(
        arm="repa", seed=1, steps=np.array([0, 52]), reconstruction=0.99,
        generation=np.array([0.1, 0.7]),
    )  # fmt: skip
    options = {"reconstruction_name": "accuracy", "generation_name": "valid"}
    plainly = reconstruction_generation_figure(points, **options)
    figure = reconstruction_generation_figure(points, trails=[trail], **options)
    assert len(figure.data) == len(plainly.data) + 1
    assert figure.data[-1] == plainly.data[-1]
    assert list(figure.data[0].x) == [0.99, 0.99]
    assert list(figure.data[0].text) == ["seed 1, flow step 0", "seed 1, flow step 52"]
    assert not figure.data[0].showlegend


def test_end_points_are_counted_from_the_far_end():
    far = {"none": np.array([4.0, 1.0, np.nan, 2.0, 0.0]), "repa": np.array([])}
    figure = end_points_figure(far, arms=["none", "repa"], borne={"none": 3.0})
    assert list(figure.data[0].x) == [1.0, 2.0, 4.0]
    assert list(figure.data[-1].x) == [3.0, 3.0]
    assert list(figure.data[0].y) == pytest.approx([1.0, 2 / 3, 1 / 3])
    assert figure.data[0].name == "none"
    assert figure.layout.xaxis.type == "log"


def test_markup_in_texts_and_names_is_shown_as_text():
    nasty = "<b>bold</b><script>alert(1)</script> $x^2$\nnext %{x}"
    assert not set("<$\n") & set(plain(nasty))
    assert plain("a & b") == "a &amp; b"


def test_foretelling_sets_baselines_apart_and_leaves_out_what_is_undefined():
    def row(name, value, baseline=False):
        estimate = Estimate(value=value, low=None if value is None else value - 0.1, high=1.0)
        return ScorecardRow(predictor=name, score="s", is_baseline=baseline, num_runs=6,
                            num_arms=6, spearman=estimate)  # fmt: skip

    rows = [row("<b>probe</b>", 0.5), row("none", None), row("accuracy", 0.2, baseline=True)]
    figure = foretelling_figure(rows)
    drawn = {trace.name: trace for trace in figure.data}
    assert list(drawn["probe"].y) == ["&lt;b&gt;probe&lt;/b&gt;"]
    assert list(drawn["trivial baseline"].y) == ["accuracy"]
    assert drawn["probe"].error_x.arrayminus[0] == pytest.approx(0.1)


def test_narrow_differences_are_not_blown_up():
    def arm(mean):
        return {"accuracy": {"mean": mean, "low": mean - 0.001, "high": mean + 0.001}}

    figure = scores_figure({"none": arm(0.998), "repa": arm(0.999)}, titles={"accuracy": "read"})
    assert figure.layout.xaxis.range == pytest.approx([0.982, 1.002]), "a share ends at 1"
    nats = scores_figure({"none": arm(3.001), "repa": arm(3.002)})
    assert nats.layout.xaxis.range == pytest.approx([2.9915, 3.0115])
    assert figure.layout.annotations[0].text == "read"
    broken = scores_figure(
        {"none": arm(0.998)}, titles={"accuracy": "read back, share of tokens ↑"}
    )
    assert broken.layout.annotations[0].text == "read back, share of<br>tokens\N{NO-BREAK SPACE}↑"
    assert scores_figure({"none": arm(0.5), "repa": arm(0.9)}).layout.xaxis.range is None
    points = [
        RunPoint(arm=name, seed=0, reconstruction=interval(mean, 0.001), generation=interval(0.5))
        for name, mean in (("none", 0.998), ("repa", 0.999))
    ]
    options = {"reconstruction_name": "r", "generation_name": "g"}
    drawn = reconstruction_generation_figure(points, **options)
    assert drawn.layout.xaxis.range == pytest.approx([0.982, 1.002])


def test_a_long_legend_has_room_above_the_marks():
    def figure(names):
        drawn = go.Figure([go.Scatter(x=[0], y=[0], name=name) for name in names])
        return themed(drawn, "light")

    one_line, three = figure(["none", "repa"]), figure(["a very long name of a line"] * 3)
    assert one_line.layout.margin.t == 30
    assert (one_line.layout.legend.yref, one_line.layout.legend.y) == ("container", 1)
    assert three.layout.margin.t == 30 + 2 * 20
    assert themed(three.update_layout(showlegend=False), "light").layout.margin.t == 30
