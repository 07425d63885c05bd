"""The table of causes: what parts the arms and whom it favours, each meaning once, in words."""

import numpy as np
import pandas as pd
import pytest

from workbench.ui.sections.why.causes_table import (
    ACCURACY,
    CAUSES,
    arm_deltas,
    cause_of,
    causes_sentence,
    first_reading,
)
from workbench.ui.sections.why.end_points import far_sentence

ARMS = ("none", "repa")
HIGHER = {ACCURACY: True, "decoder_basin.r50.a": True, "decoder_basin.r50.b": True,
          "scale.log_snr": None, "isotropy.x": False, "isotropy.y": False}  # fmt: skip
SPANS = {
    "none": [(0.9, 1.0), (1, 2), (5, 6), (1, 2), (1, 3), (1, 2)],
    "repa": [(0.9, 1.0), (3, 4), (3, 4), (3, 4), (2, 4), (3, 4)],
}


def causes():
    results = {
        arm: {
            name: {
                "score": (low + high) / 2, "low": low, "high": high, "n": 9, "chance": 0.0,
                "higher_is_better": HIGHER[name],
            }
            for name, (low, high) in zip(HIGHER, own, strict=True)
        }
        for arm, own in SPANS.items()
    }  # fmt: skip
    return arm_deltas(results, ARMS)


def test_at_first_only_the_gate_and_what_parts_are_shown():
    shown = first_reading(causes(), whole=False)
    assert list(shown["measure"]) == [
        "tokens read back",
        "error that the decoder bears: a",
        "error that the decoder bears: b",
        "size against noise",
        "evenness of directions: y",
    ]
    assert "what it means" not in shown
    assert "what it means" in first_reading(causes(), whole=True)


def test_an_arm_is_favoured_where_intervals_part_and_an_end_is_better():
    table = causes().set_index("name")
    assert dict(table["favours"]) == {
        ACCURACY: "neither",
        "decoder_basin.r50.a": "repa",
        "decoder_basin.r50.b": "none",
        "scale.log_snr": "no better end",
        "isotropy.x": "neither",
        "isotropy.y": "none",
    }
    told = causes_sentence(causes(), ARMS)
    assert told == "Of 5 rows 2 favour none, 1 favour repa, and 2 favour neither."


def test_a_space_measured_twice_is_one_row():
    measured = {"score": 5.0, "low": 4.0, "high": 6.0, "n": 9, "chance": 0.0}
    names = ("intrinsic_dimension.mu", "intrinsic_dimension.z", "isotropy.x")
    results = {arm: dict.fromkeys(names, measured) for arm in ARMS}
    assert list(arm_deltas(results, ARMS)["name"]) == ["intrinsic_dimension.mu", "isotropy.x"]


def test_order_is_the_catalogues_whatever_is_found():
    prefixes = [next(p for p in CAUSES if name.startswith(p)) for name in causes()["name"]]
    assert prefixes == sorted(prefixes, key=list(CAUSES).index)


def test_each_meaning_stands_once_where_its_rows_begin():
    whole = first_reading(causes(), whole=True)
    assert isinstance(whole, pd.DataFrame)
    assert list(whole["what it means"] == "″") == [False, False, True, False, False, True]


@pytest.mark.parametrize("prefix", CAUSES)
def test_every_cause_is_in_words(prefix):
    label, cause = cause_of(f"{prefix}.some_part")
    assert label == f"{cause.label}: some part"
    assert not any(mark in cause.label for mark in "._[")


def test_far_words_are_counted_arm_by_arm():
    far = {"none": np.array([1.0, 3.0, 4.0, 0.5]), "repa": np.array([1.0, 2.5])}
    told = far_sentence(far, {"none": {"trajectory.off_manifold": {"chance": 22.2}}, "repa": {}})
    assert told.startswith(
        "Further than 2 end 50% [0%, 100%] in none (n 4), 50% [0%, 100%] in repa"
    )
    assert told.endswith("the mean distance is 22.200 in none, - in repa.")


@pytest.mark.parametrize(("key", "figure"), [("ends", "end-points"), ("loss", "flow-loss")])
def test_closed_expanders_compute_nothing_and_a_link_opens_them(
    key, figure, open_page, example_runs
):
    def figures(**query: str) -> list[str]:
        app = open_page("why", example_runs, **query)
        assert not app.exception
        assert not app.error
        return [chart.proto.id for chart in app.get("plotly_chart")]

    closed = figures()
    opened = figures(**{key: "true"})
    assert not any(f"{figure}-figure" in name for name in closed)
    assert any(f"{figure}-figure" in name for name in opened)
    assert len(opened) == len(closed) + 1
