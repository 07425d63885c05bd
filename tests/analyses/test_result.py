"""A number that does not exist is null with a reason, all the way into JSON."""

import json

import numpy as np

from analyses.result import PerText, Result
from analyses.statistics.intervals import Interval


def test_json_holds_no_nan_and_names_what_was_missing():
    result = Result(
        name="probe", score=0.5, n=3, detail={"per_class": {"cat": np.float32("nan"), "dog": 1}}
    )
    body = result.to_json()
    text = json.dumps(body, allow_nan=False)
    assert json.loads(text)["detail"]["per_class"] == {"cat": None, "dog": 1}
    assert body["reasons"] == {"detail.per_class.cat": "not finite (nan)"}


def test_a_result_takes_its_numbers_from_an_interval_unless_told_otherwise():
    interval = Interval(mean=0.5, low=0.25, high=0.75, n=12)
    result = Result.of("probe", interval, n=40, chance=0.1)
    assert (result.score, result.low, result.high) == (0.5, 0.25, 0.75)
    assert (result.n, result.chance) == (40, 0.1)
    assert Result.of("probe", interval).n == 12


def test_result_survives_json():
    result = Result(name="probe", score=0.5, chance=0.1, low=0.4, high=0.6, n=3, detail={"k": 10})
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_per_text_intervals():
    scores = PerText(values={"f1": np.array([0.0, 1.0, np.nan])})
    assert scores.intervals()["f1"].mean == 0.5
    assert scores.intervals()["f1"].n == 2
