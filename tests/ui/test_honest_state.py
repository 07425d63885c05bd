"""The app says what is not there: studies gone, links that ask for nothing, stopped jobs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.test_findings_pages import keep
from workbench.machine.jobs import Job
from workbench.study.listing import list_states
from workbench.ui.kit.link_notice import ignored_values
from workbench.ui.sections.shared.job_cards import resumable


def notices(app: AppTest) -> list[str]:
    """Warnings about the link or a study that is gone."""
    told = [warning.value for warning in app.warning]
    return [text for text in told if "is gone" in text or "ignored" in text]


@pytest.mark.parametrize("page", ["study", "geometry", "runs"])
def test_a_study_deleted_while_open_is_named_on_every_page(page, open_page, copied_runs):
    shutil.copytree(copied_runs / "smoke", copied_runs / "other")
    app = open_page(page, copied_runs, study="smoke")
    assert not notices(app)
    shutil.rmtree(copied_runs / "smoke")
    time.sleep(2.1)  # the scan of the disk is remembered for two seconds
    app.run()
    assert not app.exception
    (told,) = notices(app)
    assert "**smoke** is gone" in told
    assert "This shows other" in told


def test_a_link_says_which_of_its_values_were_ignored(open_page, smoke_runs):
    app = open_page("study", smoke_runs, study="smoke", a="nobody", family="no_such")
    (told,) = notices(app)
    assert "nobody" in told
    assert "such" in told
    assert "study" not in told


@pytest.mark.parametrize("query", [{}, {"study": "smoke", "a": "repa", "family": "alignment"}])
def test_a_link_that_is_honoured_says_nothing(query, open_page, smoke_runs):
    assert not notices(open_page("study", smoke_runs, **query))


def test_values_are_compared_as_numbers_and_words():
    held = {"steps": 8, "guidance": 2.0, "forked": True, "score": "x", "none": None}
    asked = {"steps": "8", "guidance": "2", "forked": "true", "score": "y", "none": "z", "u": "1"}
    assert ignored_values(asked, held) == {"score": "y"}


def test_a_refused_sentence_stays_in_its_box_and_a_kept_one_goes(open_page, copied_runs):
    app = keep(open_page("study", copied_runs), "see <b>this</b>")
    assert app.error
    assert app.text_input(key="sentence").value == "see <b>this</b>"
    keep(app, "Plain words.")
    assert not app.error
    assert app.text_input(key="sentence").value == ""


def test_a_study_with_a_damaged_comparison_is_not_done(copied_runs):
    assert {row["name"]: row["state"] for row in list_states(copied_runs)}["smoke"] == "done"
    (copied_runs / "smoke" / "comparison.json").write_text("{")
    state = {row["name"]: row["state"] for row in list_states(copied_runs)}["smoke"]
    assert state.startswith("damaged")


def test_the_last_stopped_job_of_a_study_can_be_resumed(tmp_path, monkeypatch):
    states = {"one": "stopped", "two": "done", "three": "stopped", "four": "stopped"}
    monkeypatch.setattr(Job, "state", property(lambda job: states[job.name]))
    (tmp_path / "a").mkdir()

    def job(name: str, study: Path) -> Job:
        return Job(directory=tmp_path / name, title=name, study=study, part="", created=0.0)

    kept, gone = tmp_path / "a", tmp_path / "deleted"
    jobs = [job("one", kept), job("two", kept), job("four", gone)]
    assert resumable(jobs) == []
    assert [found.name for found in resumable([*jobs, job("three", kept)])] == ["three"]
