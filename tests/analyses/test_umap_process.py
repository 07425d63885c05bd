"""The kept process: started once, asked again, ended when it fails, takes too long or is left."""

import queue
import time

import pytest

from analyses.maps.umap_process import UmapProcess

READS = """import os, sys, time
from pathlib import Path
print("warm", flush=True)
for line in sys.stdin:
"""
DRAWS = f"""{READS}    (Path(line.strip()) / "by").write_text(str(os.getpid()))
    print("chatter", flush=True)
    print("drawn", flush=True)
"""


@pytest.fixture
def process_of(tmp_path):
    """A process that runs a small script in UMAP's place."""
    started = []

    def made(script):
        (tmp_path / "worker.py").write_text(script)
        started.append(UmapProcess(tmp_path / "worker.py"))
        return started[-1]

    yield made
    for each in started:
        if each._process is not None:
            each._process.kill()
            each._process.wait()


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_warm_process_draws_every_map(process_of, tmp_path):
    process = process_of(DRAWS)
    assert not process.is_warm
    process.warm_up()
    until(lambda: process.is_warm)
    drawn_by = []
    for _ in range(2):
        assert process.draw(tmp_path, 20) == ""
        drawn_by.append((tmp_path / "by").read_text())
        process.warm_up()
    assert set(drawn_by) == {str(process._process.pid)}


def test_a_process_that_ended_is_started_anew(process_of, tmp_path):
    process = process_of(DRAWS)
    assert process.draw(tmp_path, 20) == ""
    first = (tmp_path / "by").read_text()
    process._process.kill()
    process._process.wait()
    until(lambda: not process.is_warm)
    assert process.draw(tmp_path, 20) == ""
    assert (tmp_path / "by").read_text() != first


def test_a_failure_says_the_last_words_and_the_next_map_is_drawn_anew(process_of, tmp_path):
    process = process_of(READS + "    raise ImportError('no umap')\n")
    assert process.draw(tmp_path, 20) == "UMAP ended with code 1 (ImportError: no umap)"
    (tmp_path / "worker.py").write_text(DRAWS)
    assert process.draw(tmp_path, 20) == ""


def test_a_process_that_takes_too_long_is_ended(process_of, tmp_path):
    process = process_of(READS + "    time.sleep(60)\n")
    assert process.draw(tmp_path, 0.3) == "UMAP took more than 0.3 s"
    assert process._process.poll() is not None


def test_an_interrupted_map_leaves_no_answer_for_the_next(process_of, tmp_path, monkeypatch):
    process = process_of(DRAWS)
    process.warm_up()

    class Interrupted(queue.SimpleQueue):
        def get(self, *arguments, **options):
            raise KeyboardInterrupt

    monkeypatch.setattr(process, "_answers", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        process.draw(tmp_path, 20)
    assert process._process.poll() is not None
