"""What embeds texts for their scores is known by its content: all that it made is made again."""

import dataclasses
from pathlib import Path

import numpy as np
from short_training import context, new_run
from tiny_pretrained import save_tiny_bert

from workbench.probes import run as probe
from workbench.sample.references import prepare_references
from workbench.score import evaluate
from workbench.store.manifest import read_manifest
from workbench.study.folders import Run, Study
from workbench.study.model_content import ENCODER_CONTENT, stored_content


def embedded_study(run: Run, embedder: Path) -> Study:
    """The run's study, scored by an embedder in a folder."""
    config = run.study.config
    scored = dataclasses.replace(config.base.evaluation, encoder=f"hf:{embedder}")
    base = dataclasses.replace(config.base, evaluation=scored)
    return Study(run.study.directory, dataclasses.replace(config, base=base))


def test_references_are_embedded_again(tmp_path):
    study = embedded_study(new_run(tmp_path / "study"), tmp_path / "tiny")
    save_tiny_bert(tmp_path / "tiny")
    vectors = study.references_dir / "embeddings.npy"
    prepare_references(study, context())
    before, made = np.load(vectors), vectors.stat().st_ino
    prepare_references(study, context())
    assert vectors.stat().st_ino == made, "nothing to do"
    _exchange(tmp_path / "tiny")
    prepare_references(study, context())
    assert not np.allclose(np.load(vectors), before)
    made = vectors.stat().st_ino
    (tmp_path / "tiny").rename(tmp_path / "gone")
    prepare_references(study, context())
    assert vectors.stat().st_ino == made, "they stay usable where the embedder is not"


def test_scores_and_baselines_are_made_again(copy_smoke, corpus, context, monkeypatch):
    study = copy_smoke()
    run = study.run("repa", study.config.seeds[0])
    made = {
        run.scores_dir: lambda: evaluate.evaluate_run(run, context),
        study.baselines_dir: lambda: evaluate.prepare_baselines(study, context),
    }
    for folder, make in made.items():
        known = evaluate.encoder_content(study.config.base.evaluation)
        assert stored_content(folder, ENCODER_CONTENT) == known is not None
        stored, fingerprint = folder.stat().st_ino, read_manifest(folder).meta["fingerprint"]
        make()
        assert folder.stat().st_ino == stored, "nothing to do"
        with monkeypatch.context() as patched:
            patched.setattr(evaluate, "encoder_content", lambda config: "of other files")
            make()
        assert folder.stat().st_ino != stored
        assert stored_content(folder, ENCODER_CONTENT) == "of other files"
        assert read_manifest(folder).meta["fingerprint"] == fingerprint


def test_probes_that_embed_texts_are_made_again(copy_smoke, corpus, context, monkeypatch):
    study = copy_smoke()
    run = study.run("none", study.config.seeds[0])
    names = ("manifold_continuity", "scale")
    probe.probe_run(run, context, names)
    files = [run.probes_dir / f"{name}.json" for name in names]
    made = [file.stat().st_ino for file in files]
    probe.probe_run(run, context, names)
    assert [file.stat().st_ino for file in files] == made, "nothing to do"
    monkeypatch.setattr(probe, "encoder_content", lambda config: "of other files")
    probe.probe_run(run, context, names)
    now = [file.stat().st_ino for file in files]
    assert now[0] != made[0]
    assert now[1] == made[1], "it embeds no text"


def _exchange(directory: Path) -> None:
    """Other weights of the same shapes under the same name."""
    from safetensors.torch import load_file, save_file

    file = directory / "model.safetensors"
    weights = {
        name: tensor.flip(0) if tensor.ndim else tensor for name, tensor in load_file(file).items()
    }
    save_file(weights, file, metadata={"format": "pt"})
