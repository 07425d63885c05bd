"""Any sequence of training, stops, deaths, damage and changed settings keeps one trajectory.

Every sound checkpoint must be, bit for bit, the one that an uninterrupted training has at that
step. Loading must hand back the newest sound one, and refuse where only damaged ones are left. The
log has every step once. A training whose last checkpoint has lost all but its weights is finished:
nothing that it is for needs the rest.

A kill at a time of the clock leaves what it happens to leave, so nothing that Hypothesis draws may
depend on the folder: rules have no precondition but do nothing where they do not apply, and a drawn
number is folded onto the files and bytes that are there.
"""

import contextlib
import functools
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from crash_points import die_at
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from short_training import NUM_STEPS, StopAfter, bits, future, new_run, train, with_training

from workbench.errors import DamagedArtefactError, StopRequested
from workbench.store.checkpoints import list_checkpoints, load_checkpoint, load_latest
from workbench.store.metrics_log import read_metrics

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
DAMAGE = ("flip", "truncate", "delete", "extra")
ANY = st.integers(0, 2**32)


@functools.cache
def reference() -> dict[int, dict[str, Any]]:
    """Step -> what an uninterrupted training has then."""
    folder = Path(tempfile.mkdtemp(prefix="reference-"))
    run = new_run(folder, checkpoint_every=1, keep_checkpoints=NUM_STEPS)
    train(run)
    found = [load_checkpoint(path) for path in list_checkpoints(run.vae_dir)]
    shutil.rmtree(folder)
    assert [checkpoint.step for checkpoint in found] == list(range(1, NUM_STEPS + 1))
    return {checkpoint.step: future(checkpoint) for checkpoint in found}


class TrainingMachine(RuleBasedStateMachine):
    """One run directory and everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        reference()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.run = new_run(self.folder)

    def teardown(self) -> None:
        """Whatever happened, training on reaches the weights of the uninterrupted one."""
        try:
            if self._is_finished() and NUM_STEPS not in self._sound():
                weights = load_checkpoint(self.paths[-1], model_only=True).model
                assert bits(weights) == reference()[NUM_STEPS]["model"]
                shutil.rmtree(self.paths[-1])
            self._train(self.run)
            latest = load_latest(self.run.vae_dir)
            assert latest is not None
            assert future(latest) == reference()[NUM_STEPS]
        finally:
            shutil.rmtree(self.folder)

    @property
    def paths(self) -> list[Path]:
        return list_checkpoints(self.run.vae_dir)

    def _sound(self) -> list[int]:
        found = []
        for path in self.paths:
            with contextlib.suppress(DamagedArtefactError):
                found.append(load_checkpoint(path).step)
        return found

    def _is_finished(self) -> bool:
        """Whether the weights of the last step are there, whatever else is damaged."""
        last = [path for path in self.paths if path.name == f"step-{NUM_STEPS}"]
        with contextlib.suppress(DamagedArtefactError):
            return bool(last and load_checkpoint(last[0], model_only=True))
        return False

    def _train(self, run: Any, **options: Any) -> None:
        """Go on; where every checkpoint is damaged this is refused, and only then restarted."""
        if self.paths and not self._sound() and not self._is_finished():
            with pytest.raises(DamagedArtefactError, match="--restart"):
                train(run)
            options["restart"] = True
        train(run, **options)

    @rule(steps=st.integers(1, 5), log_every=st.sampled_from([1, 2]))
    def stop_politely(self, steps: int, log_every: int) -> None:
        before = max(self._sound(), default=0)
        with contextlib.suppress(StopRequested):
            self._train(with_training(self.run, log_every=log_every), stop=StopAfter(steps))
        assert self._is_finished() or max(self._sound()) == min(NUM_STEPS, before + steps)

    @rule(operation=st.integers(1, 120))
    def die_at_an_operation(self, operation: int) -> None:
        before = max(self._sound(), default=0)
        die_at(lambda: self._train(self.run), operation)
        assert max(self._sound(), default=0) >= before

    @rule(milliseconds=st.integers(0, 300))
    def be_killed(self, milliseconds: int) -> None:
        before = max(self._sound(), default=0)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                self._train(self.run)
            os._exit(0)
        time.sleep(milliseconds / 1000)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert max(self._sound(), default=0) >= before

    @rule(kind=st.sampled_from(DAMAGE), which=ANY, place=ANY, bit=st.integers(0, 7))
    def damage_the_newest(self, kind: str, which: int, place: int, bit: int) -> None:
        if not self.paths:
            return
        newest = self.paths[-1]
        files = sorted(path for path in newest.iterdir() if path.stat().st_size)
        if files:
            damage(files[which % len(files)], kind, place, bit)
        with pytest.raises(DamagedArtefactError):
            load_checkpoint(newest)

    @rule()
    def delete_the_newest(self) -> None:
        if self.paths:
            shutil.rmtree(self.paths[-1])

    @rule()
    def change_the_settings(self) -> None:
        known = self.paths
        if not self._sound():
            return
        with pytest.raises(ValueError, match="another configuration"):
            train(with_training(self.run, learning_rate=0.5))
        assert self.paths == known

    @invariant()
    def every_sound_checkpoint_lies_on_the_trajectory(self) -> None:
        sound = self._sound()
        for path in self.paths:
            with contextlib.suppress(DamagedArtefactError):
                checkpoint = load_checkpoint(path)
                assert future(checkpoint) == reference()[checkpoint.step]
        if sound:
            latest = load_latest(self.run.vae_dir)
            assert latest is not None
            assert latest.step == sound[-1]
            assert len(latest.notices) == len(self.paths) - self.paths.index(latest.path) - 1
        elif self.paths:
            with pytest.raises(DamagedArtefactError):
                load_latest(self.run.vae_dir)

    @invariant()
    def the_log_has_every_step_once(self) -> None:
        steps = [row["step"] for row in read_metrics(self.run.directory / "metrics.jsonl")]
        assert steps == sorted(set(steps))


def damage(file: Path, kind: str, place: int, bit: int) -> None:
    content = file.read_bytes()
    place %= len(content)
    if kind == "flip":
        flipped = content[place] ^ (1 << bit)
        file.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
    elif kind == "truncate":
        file.write_bytes(content[:place])
    elif kind == "delete":
        file.unlink()
    else:
        file.with_name("foreign.safetensors").write_bytes(content)


def run_machine(examples: int, steps: int) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        TrainingMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 10,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_a_few_histories_keep_one_trajectory():
    run_machine(examples=4, steps=8)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_many_histories_keep_one_trajectory():
    run_machine(examples=120, steps=20)
