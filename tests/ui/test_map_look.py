"""A choice on a map: the same rows in the browser, in Python and from a link."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.ui.mapped import synthetic_view, unpacked
from workbench.ui.map.look import Look, asked_of_link, chosen_rows, look_of_link, rows_inside
from workbench.ui.map.packing import pack
from workbench.ui.map.view import WHOLE

VIEW = synthetic_view(600, ("none", "guest:arm"))
SQUARE = ((-0.5, -0.5), (0.25, -0.5), (0.25, 0.5), (-0.5, 0.5))


def test_a_word_late_in_a_text_is_found_on_both_sides():
    texts = [f"{'a long story goes on ' * 12} and ends with {row}" for row in range(600)]
    view = replace(VIEW, items=replace(VIEW.items, names=texts, texts=texts))
    header, columns = unpacked(pack(view, Look(), "light"))
    in_browser = [
        row for row, at in enumerate(columns["name"]) if "with 599" in header["names"][at]
    ]
    assert in_browser == chosen_rows(Look(find="with 599"), view) == [599]


def test_names_too_long_to_travel_are_cut_alike(monkeypatch):
    monkeypatch.setattr("workbench.ui.map.view.MOST_CHARACTERS", 0)
    texts = [f"{'x' * 200} {row}" for row in range(600)]
    view = replace(VIEW, items=replace(VIEW.items, names=texts, texts=texts))
    header, _ = unpacked(pack(view, Look(), "light"))
    assert header["names"] == ["x" * 160]
    assert chosen_rows(Look(find="599"), view) == []


@pytest.mark.parametrize(
    "look",
    [
        Look(),
        Look(find="noun 7"),
        Look(space="guest:arm", polygon=SQUARE),
        Look(find="a,b:c&d", space="none", polygon=SQUARE, points=(3, 599)),
    ],
)
def test_a_link_reopens_the_choice(look):
    again, ignored = look_of_link(look.to_link(), VIEW)
    assert (again, ignored) == (look, [])
    assert Look.from_browser(look.for_browser()) == look


@pytest.mark.parametrize(
    ("link", "ignored"),
    [
        ({"lasso": "gone:1,2,3,4,5,6"}, ["lasso"]),
        ({"lasso": "none:1,2,3"}, ["lasso"]),
        ({"lasso": "none:a,b,c,d,e,f"}, ["lasso"]),
        ({"lasso": "none:0,0,1,1"}, ["lasso"]),
        ({"lasso": "none:" + ",".join(["1"] * 1000)}, ["lasso"]),
        ({"points": "1,600"}, ["points"]),
        ({"points": "-1"}, ["points"]),
        ({"points": "x", "lasso": ""}, ["lasso", "points"]),
    ],
)
def test_what_cannot_be_read_is_named_and_ignored(link, ignored):
    assert look_of_link(link, VIEW) == (Look(), ignored)


def test_the_item_asked_about_must_exist():
    assert asked_of_link({"asked": "599"}, 600) == 599
    assert [asked_of_link({"asked": bad}, 600) for bad in ("600", "-1", "x", "")] == [None] * 4


def test_a_lasso_holds_what_lies_inside():
    points = VIEW.whole("none") / WHOLE
    low, high = np.array(SQUARE[0]), np.array(SQUARE[2])
    expected = np.flatnonzero(((points > low) & (points < high)).all(axis=1)).tolist()
    assert 0 < len(expected) < 600
    assert chosen_rows(Look(space="none", polygon=SQUARE), VIEW) == expected


def test_a_hole_of_a_lasso_that_crosses_itself_is_outside():
    bow = [(-1, -1), (1, 1), (1, -1), (-1, 1)]
    points = np.array([[0.8, 0.0], [-0.8, 0.0], [0.0, 0.8], [0.0, -0.8]])
    assert rows_inside(points, bow).tolist() == [True, True, False, False]


def test_words_lasso_and_points_add_up():
    names = VIEW.items.names
    words = [row for row, name in enumerate(names) if "verb 1" in name]
    look = Look(find=" VERB 1", space="none", polygon=SQUARE, points=(0, 1))
    lassoed = chosen_rows(Look(space="none", polygon=SQUARE), VIEW)
    assert chosen_rows(look, VIEW) == sorted({0, 1, *words, *lassoed})
