"""Death at every operation of a write: what is read afterwards is the old state or the new one."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable

import pytest
from crash_points import deaths
from tiny_training import TinyTraining, restored_bits

from workbench import store
from workbench.store import atomic
from workbench.store.atomic import is_temporary

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_save_of_a_checkpoint_dies_anywhere(tmp_path):
    training = TinyTraining().run(1)
    directory = tmp_path / "vae"
    training.save(tmp_path / "kept" / "vae")
    old = training.bits()
    training.run(1)
    new = training.bits()

    def prepare() -> Callable[[], object]:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(tmp_path / "kept" / "vae", directory)
        return lambda: training.save(directory)

    seen = []
    for _ in deaths(prepare):
        checkpoint = store.load_latest(directory)
        state = restored_bits(checkpoint)
        assert state in (old, new)
        assert not checkpoint.notices
        for path in store.list_checkpoints(directory):
            store.verify(path)  # the old one too is there whole, or not at all
        seen.append(state == new)
    assert len(seen) > 30
    assert seen == sorted(seen), "once the new state is there it never goes back"
    assert seen[-1]


@pytest.mark.parametrize("exchange_works", [True, False])
def test_replacing_an_artefact_dies_anywhere(tmp_path, monkeypatch, exchange_works):
    directory = tmp_path / "probes"
    if not exchange_works:
        monkeypatch.setattr(atomic, "exchange", lambda left, right: False)

    def publish(text: str) -> None:
        with store.publish(directory, meta={"fingerprint": text}) as temporary:
            (temporary / "a.json").write_text(text)
            (temporary / "below").mkdir()
            (temporary / "below" / "b.json").write_text(text)

    def prepare() -> Callable[[], object]:
        for path in tmp_path.iterdir():
            shutil.rmtree(path)
        publish("old")
        return lambda: publish("new")

    points = []
    for point in deaths(prepare):
        points.append(point)
        atomic.sweep(directory)
        assert [path.name for path in tmp_path.iterdir()] == ["probes"]
        text = store.verify(directory).meta["fingerprint"]
        assert text in ("old", "new")
        assert (directory / "below" / "b.json").read_text() == text
    assert len(points) > 20
    assert text == "new"


def test_a_reader_never_finds_neither_when_the_system_can_exchange(tmp_path):
    left, right = tmp_path / "left", tmp_path / "right"
    left.mkdir()
    right.mkdir()
    if not atomic.exchange(left, right):
        pytest.skip("this file system cannot exchange two names")
    directory = tmp_path / "probes"

    def prepare() -> Callable[[], object]:
        shutil.rmtree(directory, ignore_errors=True)
        with store.publish(directory) as temporary:
            (temporary / "a").write_text("old")

        def replace() -> None:
            with store.publish(directory) as temporary:
                (temporary / "a").write_text("new")

        return replace

    for _ in deaths(prepare):
        store.verify(directory)  # without a sweep first, as a reader does it


def test_write_of_a_file_dies_anywhere(tmp_path):
    path = tmp_path / "run.json"

    def prepare() -> Callable[[], object]:
        store.write_json(path, {"state": "old"}, sealed=True)
        return lambda: store.write_json(path, {"state": "new"}, sealed=True)

    states = [store.read_json(path)["state"] for _ in deaths(prepare)]
    assert set(states) == {"old", "new"}
    assert states == sorted(states, reverse=True), "old up to the rename, new from there on"
    assert len(states) > 4
    assert os.listdir(tmp_path) == ["run.json"], "each writer sweeps up after the one that died"


def test_resume_of_a_log_dies_anywhere(tmp_path):
    path = tmp_path / "metrics.jsonl"

    def prepare() -> Callable[[], object]:
        path.write_text("".join(f'{{"step": {step}}}\n' for step in range(6)))

        def resume() -> None:
            with store.MetricsLog(path, resume_step=3) as log:
                log.append({"step": 4})

        return resume

    for _ in deaths(prepare):
        steps = [record["step"] for record in store.read_metrics(path)]
        assert steps in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3], [0, 1, 2, 3, 4])
    assert steps == [0, 1, 2, 3, 4]


def test_thirty_real_kills_at_random_times(tmp_path):
    directory, chance = tmp_path / "flow", random.Random(0)
    TinyTraining().run(1).save(directory)
    reference = TinyTraining().run(1)
    for _ in range(30):
        started, start = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                training = TinyTraining().restore(store.load_latest(directory))
                os.write(start, b"s")
                while True:
                    training.run(1).save(directory)
            finally:
                os._exit(1)
        os.read(started, 1)
        time.sleep(chance.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        os.close(started)
        os.close(start)
        checkpoint = store.load_latest(directory)
        assert not checkpoint.notices
        assert checkpoint.step >= reference.step
        reference.run(checkpoint.step - reference.step)
        assert restored_bits(checkpoint) == reference.bits()
    assert reference.step >= 1  # saves went through before the kills, even on a slow machine
    TinyTraining().restore(checkpoint).run(1).save(directory)
    assert not [path for path in directory.iterdir() if is_temporary(path.name)]
