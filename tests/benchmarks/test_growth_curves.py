"""Growth is measured with its memory, drawn from its own numbers, and arms x seeds are compared."""

import dataclasses
import json
import re

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks.catalog import BENCHMARKS
from benchmarks.comparing import SHAPES, compared, multiplied
from benchmarks.growth_pictures import draw_growth, picture_name
from benchmarks.measuring import growth_of
from benchmarks.processes import python
from benchmarks.reports import save
from benchmarks.running import as_record
from workbench.pipeline.many_machines import unfinished
from workbench.store.json_files import read_json

TABLE = [[0.1, 0.4, 1.6], [0.2, 0.8, 3.2], [0.3, 1.2, 4.8]]
COMMON = {"benchmark": "growth_of_length", "threads": 1, "load": 0.1}


def record(**more: object) -> dict:
    found = growth_of("DiT step, 128 x 4", "length", (10, 20, 40), TABLE, (0.0, 20.0, 80.0))
    return {**as_record(dataclasses.replace(found, **more)), **COMMON}


def coordinates(svg: str, group: str, tag: str = "path") -> np.ndarray:
    """Points of a drawn line (its path), or of a group's markers (their `use` elements)."""
    inside = re.search(rf'<g id="{group}">(.*?)</g>', svg, re.DOTALL)
    assert inside is not None, f"no {group}"
    if tag == "use":
        return np.array(re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', inside[1]), float)
    return np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", inside[1]), float)


def test_a_picture_shows_the_points_the_line_the_exponent_and_the_memory(tmp_path):
    (file,) = draw_growth([record()], tmp_path)
    assert file.name == picture_name("DiT step, 128 x 4") == "growth-dit-step-128-x-4.svg"
    svg = file.read_text()
    for words in ("size^2.00 (2.00 to 2.00), last two 2.00", "memory", "processor time (s)"):
        assert words in svg
    points, line = coordinates(svg, "measured", "use"), coordinates(svg, "law")
    np.testing.assert_allclose(points, line, atol=0.1)  # an exact power law: the line meets all
    steeper = draw_growth([record(exponent=3.0)], tmp_path)[0].read_text()
    other = coordinates(steeper, "law")
    assert abs(other - coordinates(steeper, "measured", "use"))[:, 1].max() > 10
    assert len(coordinates(svg, "memory", "use")) == 2  # 0 was hidden by an earlier peak
    once = draw_growth([record(repeats=1)], tmp_path)[0].read_text()
    assert "size^2.00, last two 2.00" in once
    assert "measured once" in once
    without = draw_growth([record(megabytes=None)], tmp_path)[0].read_text()
    assert "memory" not in without


def test_the_same_numbers_give_the_same_picture_and_the_table_shows_it(tmp_path):
    save([record()], tmp_path)
    picture = tmp_path / picture_name("DiT step, 128 x 4")
    first = picture.read_bytes()
    save([record()], tmp_path)
    assert picture.read_bytes() == first
    assert f"({picture.name})" in (tmp_path / "README.md").read_text()


HOLDING = """
import json
import numpy as np
from benchmarks.measuring import measure_growth
held = []
def make(megabytes):
    return lambda: held.append(np.ones((megabytes, 131_072)))  # 2^20 bytes a row
found = measure_growth("a stage", "MB", (600, 150), make, repeats=2)
print(json.dumps([found.sizes, found.megabytes]))
"""


def test_memory_is_what_a_size_adds_to_the_process():
    """In a process of its own: what other tests held before would hide it."""
    sizes, megabytes = json.loads(python("-c", HOLDING).splitlines()[-1])
    assert sizes == [150, 600]
    assert megabytes == pytest.approx((150, 750), abs=60)


def test_growth_needs_no_prepared_study(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("benchmarks.workload.prepared", lambda quick: pytest.fail("prepared"))
    monkeypatch.setattr(
        "benchmarks.running.measure", lambda names, *_, **__: seen.append(names) or []
    )
    bench.main(only="growth_of_rows,growth_of_arms", quick=True)
    assert seen == [["growth_of_rows", "growth_of_arms"]]
    assert BENCHMARKS["guidance"].prepared


def test_a_multiplied_study_compares_every_arm_and_seed(smoke, tmp_path):
    study = multiplied(smoke, tmp_path / "larger", arms=3, seeds=2)
    assert len(study.runs) == 6
    assert unfinished(study) == []
    pairs, whole = compared(smoke, (2, 8))
    assert (pairs.sizes, whole.sizes) == ((1, 6), (2, 8))
    assert SHAPES[8] == (4, 2)


def test_the_finished_study_is_left_as_it_was(smoke, tmp_path):
    before = {run.name: read_json(run.evaluation_file) for run in smoke.runs}
    multiplied(smoke, tmp_path / "larger", arms=2, seeds=2)
    assert {run.name: read_json(run.evaluation_file) for run in smoke.runs} == before
