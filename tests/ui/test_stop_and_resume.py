"""A study that is stopped on the page can be resumed there, with the same words."""

from __future__ import annotations

import pytest

from tests.ui.browsing import wait_for
from workbench.machine.jobs import Job, list_jobs


def only_open() -> Job:
    (job,) = [job for job in list_jobs() if job.is_open]
    return job


def stopped(app, job: Job) -> None:
    """Press Stop on the card and wait for the process to end; the page is drawn again."""
    app.button(key=f"stop-{job.name}").click().run()
    wait_for(lambda: job.state == "stopped")
    app.run()


@pytest.mark.long
def test_stop_is_followed_by_resume(open_page, tmp_path):
    app = open_page("new_study", tmp_path, preset="smoke")
    app.text_input[0].set_value("mine").run()
    next(button for button in app.button if button.label == "Start").click().run()
    assert not app.exception
    first = only_open()
    wait_for(lambda: first.state == "running" and (tmp_path / "mine" / "study.json").is_file())
    stopped(app.run(), first)
    assert not any(button.key == f"stop-{first.name}" for button in app.button)

    app.button(key=f"resume-{first.name}").click().run()
    again = only_open()
    assert again.name != first.name
    assert (again.study, again.arguments) == (first.study, first.arguments)
    wait_for(lambda: again.state == "running")
    app.run()
    assert not any(button.label.startswith("Resume") for button in app.button)
    stopped(app, again)
    assert [button.key for button in app.button if button.label.startswith("Resume")] == [
        f"resume-{again.name}"
    ]
