"""A stop breaks into work that never looks for one, and nothing half made is kept."""

import dataclasses
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.corpus_store import Corpus
from workbench.errors import StopRequested, exit_code
from workbench.machine.context import StageContext
from workbench.machine.stopping import StopSignal
from workbench.pipeline import run_study as study
from workbench.probes import pair as probe_pair
from workbench.probes import run as probe
from workbench.sample import references
from workbench.score import evaluate
from workbench.study import corpus as corpus_stage
from workbench.study.folders import Study
from workbench.train import flow as train_flow
from workbench.train import teacher_states

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
LIMIT_SECONDS = 20.0


def deaf(tell: int) -> Callable[..., Any]:
    """Stands for a long computation: says that it runs, and never looks at the stop."""

    def work(*arguments: Any, **options: Any) -> Any:
        os.write(tell, b"1")
        end = time.monotonic() + 4 * LIMIT_SECONDS
        while time.monotonic() < end:
            sum(range(1000))

    return work


def stop_within(work: Callable[[StopSignal], Any], ready: int) -> tuple[int, float]:
    """Run `work` in a child and send SIGTERM once `ready` says that it is busy.

    Returns:
        Its exit code, and the seconds from the signal to its end.
    """
    child = os.fork()
    if child == 0:
        code = 99
        try:
            work(StopSignal().listen())
        except BaseException as error:
            code = exit_code(error)
        finally:
            os._exit(code)
    assert os.read(ready, 1) == b"1"
    asked = time.monotonic()
    os.kill(child, signal.SIGTERM)
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() - asked > 2 * LIMIT_SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(ended[1]), time.monotonic() - asked


@dataclasses.dataclass(frozen=True)
class Phase:
    """What of a study is computed by `work`, in which `deep` takes long, and stored at `kept`."""

    deep: str
    kept: Callable[[Study], Path]
    work: Callable[[Study, Corpus, StageContext], Any]


def first(made: Study) -> Any:
    return made.run("none", 0)


PHASES = {
    "tokenizer": Phase(
        "data.tokenization.build_tokenizer",
        lambda made: made.corpus_dir,
        lambda made, corpus, context: corpus_stage.prepare_corpus(made, context),
    ),
    "corpus": Phase(
        "data.corpus_store.write_corpus",
        lambda made: made.corpus_dir,
        lambda made, corpus, context: corpus_stage.prepare_corpus(made, context),
    ),
    "teacher": Phase(
        "models.teachers.load_teacher",
        lambda made: made.teacher_dir(made.run("repa", 0).config),
        lambda made, corpus, context: teacher_states.prepare_teacher(
            made, made.run("repa", 0).config, context
        ),
    ),
    "references": Phase(
        "models.text_encoder.TextEncoder.embed",
        lambda made: made.references_dir,
        lambda made, corpus, context: references.prepare_references(made, context),
    ),
    "baselines": Phase(
        "workbench.score.judge.Judge.score",
        lambda made: made.baselines_dir,
        lambda made, corpus, context: evaluate.prepare_baselines(made, context),
    ),
    "floors": Phase(
        "workbench.train.flow.flow_floors",
        lambda made: first(made).flow_dir,
        lambda made, corpus, context: train_flow.train_flow(first(made), context),
    ),
    "scores": Phase(
        "workbench.score.judge.Judge.score",
        lambda made: first(made).scores_dir,
        lambda made, corpus, context: evaluate.evaluate_run(first(made), context),
    ),
    "probes": Phase(
        "analyses.spaces.scale.scale",
        lambda made: first(made).probes_dir / "scale.json",
        lambda made, corpus, context: probe.probe_run(first(made), context, ["scale"]),
    ),
    "pairs": Phase(
        "workbench.probes.pair.pair_results",
        lambda made: made.directory / "pairs" / "none-repa-seed-0.json",
        lambda made, corpus, context: probe_pair.probe_pairs(made, context),
    ),
    "comparison": Phase(
        "workbench.report.compare.compare_study",
        lambda made: made.directory / "comparison.json",
        lambda made, corpus, context: study.conclude(made, context),
    ),
}


@pytest.mark.parametrize("name", PHASES)
def test_a_stop_ends_the_phase_and_it_keeps_nothing(name, copy_smoke, corpus, context, monkeypatch):
    phase, made = PHASES[name], copy_smoke()
    kept = phase.kept(made)
    moved = kept.with_name(f"moved-{kept.name}")
    kept.rename(moved)
    ready, tell = os.pipe()
    monkeypatch.setattr(phase.deep, deaf(tell))

    def work(stop: StopSignal) -> None:
        phase.work(made, corpus, dataclasses.replace(context, stop=stop))

    code, seconds = stop_within(work, ready)
    assert code == StopRequested.exit_code
    assert seconds < LIMIT_SECONDS
    assert not kept.exists()
    assert not list(kept.parent.glob(".tmp-*"))


def test_a_body_that_swallows_it_is_not_believed():
    """Whoever catches everything ends the phase none the less."""
    ready, tell = os.pipe()

    def work(stop: StopSignal) -> None:
        with stop.interrupting("work"):
            os.write(tell, b"1")
            try:
                time.sleep(60)
            except Exception:
                os.write(tell, b"2")
        os.write(tell, b"3")

    code, _ = stop_within(work, ready)
    assert code == StopRequested.exit_code
    assert os.read(ready, 8) == b"2", "swallowed, and nothing after the body"


def test_timers_and_handlers_are_put_back():
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 1000.0)
        with StopSignal().listen().interrupting("work"):
            inside = signal.getitimer(signal.ITIMER_REAL)[0]
        outside = signal.getitimer(signal.ITIMER_REAL)[0]
        sound = inside < 1 and outside > 900
        os.write(
            tell, b"1" if sound and signal.getsignal(signal.SIGALRM) == signal.SIG_IGN else b"0"
        )
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(ready, 1) == b"1"


def test_without_listening_it_looks_at_both_ends(tmp_path):
    stop, reached = StopSignal(tmp_path / "stop"), []
    with pytest.raises(StopRequested, match="work: stopped"), stop.interrupting("work"):
        reached.append((tmp_path / "stop").touch())
    assert reached
    with pytest.raises(StopRequested), stop.interrupting("work"):
        raise AssertionError("the body is not entered")
