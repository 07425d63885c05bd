"""The table of causes: what parts the arms, each meaning once, the rest on request."""

import pandas as pd

from workbench.ui.causes import ACCURACY, arm_deltas, first_reading


def result(low, high):
    return {"score": (low + high) / 2, "low": low, "high": high, "n": 9, "chance": 0.0}


def causes():
    names = [ACCURACY, "decoder_basin.r50.a", "decoder_basin.r50.b", "isotropy.x"]
    spans = {
        "none": [(0.9, 1.0), (1, 2), (1, 2), (1, 3)],
        "repa": [(0.9, 1.0), (3, 4), (3, 4), (2, 4)],
    }
    results = {
        arm: {name: result(*span) for name, span in zip(names, own, strict=True)}
        for arm, own in spans.items()
    }
    return arm_deltas(results, ["none", "repa"])


def test_at_first_only_the_gate_and_what_parts_are_shown():
    shown = first_reading(causes(), whole=False)
    assert list(shown["measure"]) == [ACCURACY, "decoder_basin.r50.a", "decoder_basin.r50.b"]
    assert list(shown["intervals"]) == ["overlap", "apart", "apart"]


def test_each_meaning_stands_once_where_its_rows_begin():
    whole = first_reading(causes(), whole=True)
    assert isinstance(whole, pd.DataFrame)
    assert len(whole) == 4
    assert list(whole["what it means"] == "") == [False, False, True, False]
