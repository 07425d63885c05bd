"""What the browser gets of a map: every point where it stands, in few bytes, and no more."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyses.figures.linked_maps import CLASS_COLOURS, Colouring, no_class_colour
from analyses.figures.theme import SURFACES
from analyses.maps.linear_basis import fit_linear_basis
from tests.ui.conftest import ROOT
from tests.ui.mapped import CLASSES, synthetic_view, unpacked
from workbench.ui.map import packing
from workbench.ui.map.class_peaks import class_peaks
from workbench.ui.map.look import Look
from workbench.ui.map.packing import pack
from workbench.ui.map.view import MARGIN, WHOLE, fitting_frame
from workbench.ui.map.view import Path as Way
from workbench.ui.sections.latent_map.denoising_paths import affine_map

FRONTEND = ROOT / "workbench/ui/map/frontend"


@pytest.mark.parametrize("n", [3, 5000])
def test_points_words_and_colours_arrive_row_by_row(n):
    view = synthetic_view(n)
    header, columns = unpacked(pack(view, Look(find="noun"), "dark"))
    assert header["rows"] == n
    assert header["look"]["find"] == "noun"
    assert header["surface"]["paper"] == SURFACES["dark"].paper
    assert [header["names"][i] for i in columns["name"]] == view.items.names
    assert [header["texts"][i] for i in columns["text"]] == view.items.texts
    for space, coords in view.coords.items():
        unit = np.stack([columns[space, axis] for axis in "xy"], axis=1) / WHOLE
        assert np.abs(unit).max() <= MARGIN + 1e-4
        frame = fitting_frame(coords)
        back = unit * frame.half / MARGIN + frame.middle
        np.testing.assert_allclose(back, coords, atol=2 * frame.half / WHOLE)
        shown = [header["colours"][place] for place in columns[space, "colour"]]
        colour_of = dict(header["legend"])
        assert shown == [colour_of[CLASSES[code]] for code in view.colouring.codes]


def test_axes_share_one_scale():
    points = np.array([[0.0, 0.0], [10.0, 1.0], [5.0, 0.5]])
    whole = fitting_frame(points).whole(points).astype(int)
    assert np.ptp(whole[:, 0]) == pytest.approx(10 * np.ptp(whole[:, 1]), abs=5)
    assert fitting_frame(np.zeros((3, 2))).whole(np.zeros((3, 2))).tolist() == [[0, 0]] * 3


def test_fifty_thousand_points_of_three_spaces_stay_below_two_megabytes():
    view = synthetic_view(50_000, ("none", "repa", "teacher"))
    assert len(pack(view, Look(), "light")) < 2e6


def test_nine_hundred_thousand_points_of_three_spaces_stay_under_the_message_limit():
    known = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    component = (ROOT / "workbench" / "ui" / "map" / "build" / "map.js").stat().st_size
    packed = len(pack(synthetic_view(900_000, ("none", "repa", "teacher")), Look(), "light"))
    assert packed + component < known["server"]["maxMessageSize"] * 1e6


def test_texts_beyond_the_limit_are_left_out_and_words_stay(monkeypatch):
    view = synthetic_view(200)
    monkeypatch.setattr(packing, "MOST_CHARACTERS", 50)
    header, columns = unpacked(pack(view, Look(), "light"))
    assert header["texts"] == [""]
    assert [header["names"][i] for i in columns["name"]] == view.items.names


def test_more_words_than_a_short_number_counts():
    view = synthetic_view(70_000)
    names = [f"word {row}" for row in range(70_000)]
    view = replace(view, items=replace(view.items, names=names, texts=names))
    header, columns = unpacked(pack(view, Look(), "light"))
    assert columns["name"].dtype == np.uint32
    assert header["names"][columns["name"][69_999]] == "word 69999"
    assert header["texts"] == [""]  # the words are the texts


def test_a_measure_has_one_scale_and_what_is_unknown_is_grey():
    view = synthetic_view(10)
    rising = {"none": np.linspace(0, 1, 10), "repa": np.linspace(1, 3, 10)}
    rising["none"][4] = np.nan
    view = replace(view, colouring=Colouring(name="trust", values=rising))
    header, columns = unpacked(pack(view, Look(), "light"))
    none, repa = columns["none", "colour"], columns["repa", "colour"]
    assert none[4] == 0
    assert header["colours"][0] == no_class_colour("light")
    assert none[0] == 1
    assert repa[-1] == len(header["colours"]) - 1
    assert none[-1] == repa[0]  # both are 1
    assert [name for name, _ in header["legend"]] == ["0", "0.75", "1.5", "2.25", "3"]
    assert header["spaces"][0]["labels"] == []


def test_rare_classes_share_the_grey():
    codes = np.repeat(np.arange(13), np.arange(13, 0, -1))
    colouring = Colouring(name="x", codes=codes, classes=[f"c{i}" for i in range(13)])
    view = replace(synthetic_view(len(codes)), colouring=colouring)
    header, columns = unpacked(pack(view, Look(), "light"))
    assert header["colours"][1:] == list(CLASS_COLOURS)
    assert header["legend"][-1] == ["other or none", header["colours"][0]]
    assert set(columns["none", "colour"][codes >= 10]) == {0}


def test_classes_are_named_where_they_are_densest():
    view = synthetic_view(3000)
    points = view.whole("none") / WHOLE
    peaks = {code: (x, y) for code, x, y in class_peaks(points, view.colouring.codes, 3)}
    for code, peak in peaks.items():
        middle = np.median(points[view.colouring.codes == code], axis=0)
        np.testing.assert_allclose(peak, middle, atol=0.15)
    assert class_peaks(points[:4], np.zeros(4, int), 1) == []  # too few to name


def test_a_path_stands_where_the_linear_map_puts_it():
    rng = np.random.default_rng(1)
    space, way = rng.normal(size=(400, 8)), rng.normal(size=(5, 3, 8))
    basis = fit_linear_basis([space])
    coords = basis.project(space) @ np.array([[0.6, -0.8], [0.8, 0.6]]) * 1.7 + 3
    placed = affine_map(space, coords)(way)
    np.testing.assert_allclose(
        placed, basis.project(way) @ np.array([[0.6, -0.8], [0.8, 0.6]]) * 1.7 + 3, atol=1e-4
    )
    view = replace(synthetic_view(400), coords={"none": coords}, titles={"none": "none"},
                   paths={"none": [Way("a prompt", placed)]})  # fmt: skip
    header, columns = unpacked(pack(view, Look(), "light"))
    assert header["prompts"] == ["a prompt"]
    expected = view.frames["none"].whole(placed)
    np.testing.assert_array_equal(columns["none", "path", 0], expected)


def test_the_bundle_is_built_from_a_locked_source_without_addresses():
    lock = json.loads((FRONTEND / "package-lock.json").read_text())
    wanted = json.loads((FRONTEND / "package.json").read_text())["devDependencies"]
    assert lock["packages"][""]["devDependencies"] == wanted
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
    bundle = Path(ROOT / "workbench/ui/map/build/map.js").read_text()
    assert "npm run build" in bundle.splitlines()[0]
    licences = (ROOT / "workbench/ui/map/build/LICENSES.txt").read_text()
    bundled = [name.removeprefix("node_modules/") for name in lock["packages"] if name]
    assert all(name in licences for name in bundled if "esbuild" not in name)
