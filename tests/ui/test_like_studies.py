"""Runs of several studies stand in one figure only where their scores have a common order."""

from __future__ import annotations

import shutil

from workbench.store.json_files import read_json, write_json


def copy_of(runs, name, part=None, **changes):
    folder = shutil.copytree(runs / "smoke", runs / name)
    document = read_json(folder / "study.json")
    if part:
        document["config"]["base"][part] |= changes
    write_json(folder / "study.json", document)


def test_runs_of_another_flow_or_judge_are_no_points(open_page, copied_runs):
    copy_of(copied_runs, "again")
    copy_of(copied_runs, "longer", "flow_training", num_steps=16)
    copy_of(copied_runs, "judged", "language_model", width=64)
    app = open_page("why", copied_runs, study="smoke")
    assert not app.error
    said = next(caption.value for caption in app.caption if "too few for a rank" in caption.value)
    assert said.startswith("4 runs of 4 arms")
    assert said.endswith("2 other studies are left out: another corpus, judge, flow or sampler.")
