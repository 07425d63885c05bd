"""Pages over a study that was handed to Slurm: asked for, listed, and its tasks' logs shown."""

from __future__ import annotations

import os

from workbench.machine.jobs import ENDED
from workbench.machine.schedulers import FOLDER, task_of, write_tasks
from workbench.store.json_files import write_json
from workbench.study.listing import list_states


def test_a_study_can_be_asked_of_slurm_where_there_is_one(open_page, smoke_runs, monkeypatch):
    place = "workbench.ui.sections.new_study.study_form.has_slurm"
    monkeypatch.setattr(place, lambda: False)
    page = open_page("new_study", smoke_runs)
    assert "--executor" not in "".join(code.value for code in page.code)
    monkeypatch.setattr(place, lambda: True)
    page = open_page("new_study", smoke_runs)
    page.segmented_control(key="executor").set_value("slurm").run()
    assert not page.exception
    (asked,) = [field for field in page.text_input if field.label == "What each task asks for"]
    asked.set_value("timeout_min=90 slurm_partition=gpu").run()
    assert page.code[-1].value.endswith(
        "--executor slurm --resources timeout_min=90 slurm_partition=gpu"
    )


def handed_over(runs) -> None:
    study = runs / "smoke"
    names = {"prepare": "3", "none/seed-0": "4_0", "repa/seed-0": "4_1", "conclude": "5"}
    tasks = [task_of(study, name, number) for name, number in names.items()]
    for task in tasks:
        task.clear()
    write_tasks(study, "slurm", tasks)
    write_json(tasks[0].directory / ENDED, {"code": 0, "message": ""})
    log = study / FOLDER / "submitit" / "4_1" / "4_1_0_log.out"
    log.parent.mkdir(parents=True)
    log.write_text("<b>training</b>\n")


def test_what_waits_at_slurm_is_listed(copied_runs, tmp_path, monkeypatch):
    handed_over(copied_runs)
    (copied_runs / "smoke/comparison.json").unlink()
    (copied_runs / "smoke/arms/repa/seed-0/evaluation.json").unlink()
    fake = tmp_path / "bin/squeue"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "4_1 PENDING"\necho "5 PENDING"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    states = {row["name"]: row["state"] for row in list_states(copied_runs)}
    assert states["smoke"] == "slurm: 2 pending"
    assert states["smoke/arms/repa/seed-0"] == "pending (slurm 4_1)"
    assert states["smoke/arms/none/seed-0"] == "done"
    fake.write_text("#!/bin/sh\nexit 1\n")  # no answer: what the disk tells
    states = {row["name"]: row["state"] for row in list_states(copied_runs)}
    assert states["smoke"] == states["smoke/arms/repa/seed-0"] == "unfinished"


def test_logs_of_its_tasks_are_shown(open_page, copied_runs):
    handed_over(copied_runs)
    page = open_page("runs", copied_runs, section="Logs")
    assert not page.exception
    labels = [expander.label for expander in page.expander]
    assert "prepare ended with 0" in labels
    assert r"repa/seed\-0 has not ended" in labels
    assert "<b>training</b>" in [code.value.strip() for code in page.code]
