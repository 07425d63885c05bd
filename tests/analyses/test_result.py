"""A number that does not exist is null with a reason, all the way into JSON."""

import json

import numpy as np
import pytest

from analyses.result import PerText, Result, json_safe, undefined


def test_json_holds_no_nan_and_names_what_was_missing():
    result = Result(
        name="probe", score=0.5, n=3, detail={"per_class": {"cat": np.float32("nan"), "dog": 1}}
    )
    body = result.to_json()
    text = json.dumps(body, allow_nan=False)
    assert json.loads(text)["detail"]["per_class"] == {"cat": None, "dog": 1}
    assert body["reasons"] == {"detail.per_class.cat": "not finite (nan)"}


def test_result_survives_json():
    result = Result(name="probe", score=0.5, chance=0.1, low=0.4, high=0.6, n=3, detail={"k": 10})
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    with pytest.raises(ValueError, match="unknown keys"):
        Result.from_json({**result.to_json(), "scor": 1})


def test_a_score_and_a_reason_exclude_each_other():
    assert undefined("probe", "one class", 4).score is None
    with pytest.raises(ValueError, match="needs a reason"):
        Result(name="probe", score=None, n=0)
    with pytest.raises(ValueError, match="needs a reason"):
        Result(name="probe", score=1.0, n=0, reason="why")
    with pytest.raises(ValueError, match="finite"):
        Result(name="probe", score=float("nan"), n=0)


def test_columns_of_one_length():
    with pytest.raises(ValueError, match="differ in length"):
        Result(name="p", score=1.0, n=2, per_item={"a": np.zeros(2), "b": np.zeros(3)})


def test_json_safe_refuses_what_has_no_form():
    with pytest.raises(ValueError, match="x has no JSON form: object"):
        json_safe(object(), path="x")


def test_per_text_intervals():
    scores = PerText(values={"f1": np.array([0.0, 1.0, np.nan])})
    assert scores.intervals()["f1"].mean == 0.5
    assert scores.intervals()["f1"].n == 2
