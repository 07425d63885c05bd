"""What does not belong to a run is refused: tokenisers, corpora, schemas, broken teachers."""

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from short_training import (
    NUM_STEPS,
    StopAfter,
    context,
    future,
    new_run,
    short_config,
    train,
    with_training,
)

from data.corpora import CorpusConfig
from data.corpus_store import write_corpus
from data.documents import Document
from data.tokenization import build_tokenizer
from models.text_vae import TextVAE
from workbench.config import settings
from workbench.errors import (
    DamagedArtefactError,
    InputError,
    NumericalError,
    ResourceError,
    StopRequested,
    exit_code,
)
from workbench.store.checkpoints import list_checkpoints, load_latest
from workbench.study import corpus as corpus_stage
from workbench.study.folders import Run, Study, open_study
from workbench.study.record import create_study
from workbench.train import teacher_states
from workbench.train.teacher_states import prepare_teacher
from workbench.train.vae import load_vae, train_vae

FIXTURES = Path(__file__).parent / "fixtures"


def write_other_corpus(directory: Path) -> None:
    """A corpus of other texts with a tokeniser of its own."""
    documents = [Document(text=f"{n} green bottles hang on wall {n * n}.") for n in range(40)]
    config = CorpusConfig(window=56, vocabulary="bpe", vocabulary_size=300)
    tokenizer = build_tokenizer((d.text for d in documents), config, None)
    write_corpus(iter(documents), tokenizer, config, directory)


def open_study_again(run: Run) -> Run:
    """The run of a study that has opened nothing yet."""
    return Study(run.study.directory, run.study.config).run(run.arm, run.seed)


def no_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a forward pass of the VAE fails."""
    monkeypatch.delattr(TextVAE, "encode")


def test_a_foreign_tokeniser_is_refused_before_the_first_forward(tmp_path, monkeypatch):
    run = new_run(tmp_path / "study")
    write_other_corpus(tmp_path / "other")
    shutil.rmtree(run.study.corpus_dir / "tokenizer")
    shutil.copytree(tmp_path / "other" / "tokenizer", run.study.corpus_dir / "tokenizer")
    no_forward(monkeypatch)
    with pytest.raises(ValueError, match=r"has the fingerprint .*, the corpus was made with"):
        train_vae(run, context())
    assert list_checkpoints(run.vae_dir) == []


def test_weights_of_another_corpus_are_refused_before_the_first_forward(tmp_path, monkeypatch):
    run = new_run(tmp_path / "study")
    train(run)
    known = list_checkpoints(run.vae_dir)
    write_other_corpus(tmp_path / "other")
    shutil.rmtree(run.study.corpus_dir)
    shutil.move(tmp_path / "other", run.study.corpus_dir)
    run = open_study_again(run)
    no_forward(monkeypatch)
    with pytest.raises(ValueError, match="another configuration") as caught:
        train_vae(run, context())
    assert exit_code(caught.value) == 2
    with pytest.raises(ValueError, match="another configuration"):
        load_vae(run, context().place)
    assert list_checkpoints(run.vae_dir) == known


def test_a_corpus_that_changed_under_a_run_is_refused(tmp_path):
    run = new_run(tmp_path)
    train(run)
    stored = (run.study.corpus_dir / "manifest.json").read_bytes()
    config = run.study.config
    base = dataclasses.replace(
        config.base, corpus=dataclasses.replace(config.base.corpus, num_documents=41)
    )
    changed = Study(tmp_path, dataclasses.replace(config, base=base))
    with pytest.raises(InputError, match="changed after the study trained on it"):
        corpus_stage.prepare_corpus(changed, context())
    assert (run.study.corpus_dir / "manifest.json").read_bytes() == stored


def test_arms_that_differ_in_what_twins_share_are_refused(tmp_path):
    arms = {"none": {}, "other": {"corpus.num_documents": 41}}
    config = dataclasses.replace(short_config(), arms=arms)
    with pytest.raises(InputError, match=r"arm 'other' overrides corpus\.num_documents"):
        create_study(config, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_study_made_with_other_settings_is_refused_with_a_table(tmp_path):
    create_study(short_config(), tmp_path)
    trained = Study(tmp_path, short_config()).run("none", 0).vae_dir
    (trained / "step-2").mkdir(parents=True)  # before that, a study may still be changed
    stored = (tmp_path / "study.json").read_bytes()
    with pytest.raises(InputError, match=r"\(base\.vae_training\.beta1: 0\.9 -> 0\.5\); use --out"):
        create_study(short_config(beta1=0.5), tmp_path)
    assert (tmp_path / "study.json").read_bytes() == stored
    create_study(short_config(log_every=1), tmp_path)
    assert open_study(tmp_path).config == short_config(log_every=1)


def test_a_study_stored_before_schemas_still_opens(tmp_path):
    stored = FIXTURES / "study-schema-0"
    assert "schema" not in json.loads((stored / "study.json").read_text())
    study = open_study(stored)
    assert study.config.name == "smoke"
    assert list(study.config.arms) == ["none", "repa"]
    assert study.config.base.vae.latent_width == 8
    assert study.config.base.language_model.init_std == 1.0, "as its judge was trained"


def test_a_study_of_a_newer_release_is_refused_by_name(tmp_path):
    create_study(short_config(), tmp_path)
    file = tmp_path / "study.json"
    document = json.loads(file.read_text())
    assert settings.build(type(short_config()), document["config"]) == short_config()
    file.write_text(json.dumps({**document, "schema": 3, "needs_release": "7.1.0"}))
    with pytest.raises(InputError, match=r"schema 3 is newer than 2, .* install release 7\.1\.0"):
        open_study(tmp_path)
    with pytest.raises(InputError, match=r"7\.1\.0"):
        create_study(short_config(), tmp_path)
    file.write_text(json.dumps({**document, "schema": "one"}))
    with pytest.raises(DamagedArtefactError, match="no schema version"):
        open_study(tmp_path)


def random_teacher_run(folder: Path) -> Any:
    """A run whose teacher is an untrained network, so that nothing need be downloaded."""
    run = new_run(folder)
    overrides = {"vae_loss.repa_weight": 1.0, "teacher.name": "random"}
    config = settings.to_dict(run.study.config)
    config["arms"] = {"random": overrides}
    study = type(run.study)(run.study.directory, settings.build(type(short_config()), config))
    return study.run("random", 0)


@pytest.mark.parametrize(("broken_texts", "refused"), [(1, False), (20, True)])
def test_a_teacher_with_broken_states_ends_with_five(broken_texts, refused, tmp_path, monkeypatch):
    """Up to 0.1 % of the states may be masked and counted; beyond that nothing is published.

    The network hands back NaN for the first word piece of some texts, as one that overflows does.
    """
    run = random_teacher_run(tmp_path)
    left = {"texts": broken_texts}
    load = teacher_states._load_teacher

    def load_broken(*arguments: Any) -> Any:
        teacher = load(*arguments)
        hidden_states = teacher.backbone.hidden_states

        def overflowing(*given: Any) -> Any:
            states = hidden_states(*given)
            rows = min(left["texts"], len(given[0]))
            left["texts"] -= rows
            for layer in states.values():
                layer[:rows, 1] = torch.nan
            return states

        teacher.backbone.hidden_states = overflowing
        return teacher

    monkeypatch.setattr(teacher_states, "_load_teacher", load_broken)
    if refused:
        with pytest.raises(NumericalError, match="zero or not finite; use another") as caught:
            prepare_teacher(run.study, run.config, context())
        assert exit_code(caught.value) == 5
        assert list(tmp_path.rglob("report.json")) == []
    else:
        directory = prepare_teacher(run.study, run.config, context())
        assert json.loads((directory / "report.json").read_text())["masked_tokens"] >= 1
    assert left["texts"] == 0


def test_room_for_teacher_states_is_looked_at_first(tmp_path, monkeypatch):
    run = random_teacher_run(tmp_path)
    disk = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk._replace(free=1000))
    monkeypatch.setattr(teacher_states, "_write_states", None)
    with pytest.raises(ResourceError, match=r"teacher/random.*: needs"):
        prepare_teacher(run.study, run.config, context())


def test_order_is_by_step_whatever_the_clock_says(tmp_path, monkeypatch):
    """The clock runs backwards a day a call, and the older checkpoint looks newer."""
    days = iter(range(10**6, 0, -1))
    monkeypatch.setattr(time, "time", lambda: next(days) * 86400.0)
    run, whole = new_run(tmp_path / "a"), new_run(tmp_path / "b")
    train(whole)
    with pytest.raises(StopRequested):
        train(with_training(run, keep_checkpoints=3), StopAfter(5))
    paths = list_checkpoints(run.vae_dir)
    assert len(paths) == 3
    for age, path in enumerate(paths):
        for file in (path, *path.iterdir()):
            os.utime(file, (10**9 - 1000 * age, 10**9 - 1000 * age))
    latest = load_latest(run.vae_dir)
    assert latest is not None
    assert latest.step == 5
    train(run)
    found, expected = load_latest(run.vae_dir), load_latest(whole.vae_dir)
    assert found is not None
    assert expected is not None
    assert found.step == NUM_STEPS
    assert future(found) == future(expected)
    records = [json.loads(line) for line in (run.directory / "metrics.jsonl").open()]
    assert all(0 < record["tokens_per_second"] < 1e8 for record in records)
