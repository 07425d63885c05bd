"""Contrasts of probes: intervals in quadrature, a p that agrees with them, Holm over a family."""

import pytest

from workbench.report.compare import compared_pairs
from workbench.report.contrasts import probe_contrast, probe_contrasts
from workbench.report.verdicts import with_verdicts


def value(mean: float, half: float) -> dict[str, object]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": 50}


def verdicts(names: list[str], better: bool | None) -> list[str]:
    shared = {"higher_is_better": better}
    arms = {
        "repa": {name: {**value(0.532, 0.02), **shared} for name in names},
        "none": {name: {**value(0.5, 0.02), **shared} for name in names},
    }
    return [row["verdict"] for row in with_verdicts(probe_contrasts(arms, "repa", "none"))]


def test_the_p_of_an_interval_that_just_touches_zero_is_one_in_twenty():
    found = probe_contrast(value(0.5, 0.03), value(0.45, 0.04))
    assert (found.low, found.high) == (pytest.approx(0.0), pytest.approx(0.1))
    assert found.p_value == pytest.approx(0.05)
    assert probe_contrast(value(0.5, 0.03), value(0.5, 0.04)).p_value == pytest.approx(1.0)


def test_without_intervals_there_is_no_p():
    known = {**value(0.5, 0.1), "low": None, "high": None}
    found = probe_contrast(known, value(0.4, 0.1))
    assert (found.difference, found.low, found.p_value) == (pytest.approx(0.1), None, None)


@pytest.mark.parametrize(
    ("better", "alone"), [(True, "better"), (False, "worse"), (None, "higher")]
)
def test_many_contrasts_of_one_probe_ask_for_more(better, alone):
    assert verdicts(["scale.a"], better) == [alone]
    assert verdicts([f"scale.{n}" for n in range(20)], better) == ["not distinguishable"] * 20
    several = [f"{family}.a" for family in ("scale", "isotropy", "floor")]
    assert verdicts(several, better) == [alone] * 3


def test_contrasts_grow_as_the_arms_do_and_not_by_their_square():
    assert compared_pairs(["none", "repa"]) == [("none", "repa")]
    assert compared_pairs(["none", "repa", "own"]) == [
        ("none", "repa"), ("none", "own"), ("repa", "own"),
    ]  # fmt: skip
    arms = [f"arm-{number}" for number in range(25)]
    pairs = compared_pairs(arms)
    assert len(pairs) == 24 + 23
    assert {first for first, _ in pairs} == {"arm-0", "arm-1"}
    assert compared_pairs(["alone"]) == []
