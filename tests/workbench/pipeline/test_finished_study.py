"""A study that release 0.1.0 finished, before the engine had rooms: it is still what it was.

`fixtures/finished-study.tar.xz` is the preset `smoke` at its smallest (24 stories, widths of 8, two
steps a training). Were the identity of a stage to change, it would be trained again.
"""

import dataclasses
import shutil

import pytest

from data.corpora import CorpusConfig
from workbench.pipeline.fork import fork_study
from workbench.pipeline.stages import STAGES, owners
from workbench.pipeline.verify import verify_path
from workbench.store.json_files import read_json
from workbench.store.manifest import MANIFEST, read_manifest, write_manifest
from workbench.study.corpus import SOURCE, corpus_fingerprint
from workbench.study.corpus_source import source_hash
from workbench.study.folders import Study

# Cheap, and made anew whenever what is scored or how it is scored changes.
MADE_ANEW = {"baselines", "evaluation"}
PROBES_THEN = 16  # quick ones of that release; later ones are added to a finished study


@pytest.mark.parametrize(
    "stage",
    [s for name, s in STAGES.items() if name not in MADE_ANEW and s.of != "generator"],
    ids=lambda stage: stage.name,
)
def test_a_finished_stage_is_still_done(stage, finished):
    assert owners(finished, stage)
    for owner in owners(finished, stage):
        state = stage.state(owner)
        assert state.total > 0
        wanted = PROBES_THEN if stage.name == "probes" else state.total
        assert state.done == wanted, f"{owner}: {state}"


def test_it_is_done_without_the_file_that_its_corpus_was_read_from(finished, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(finished.directory, folder)
    file = tmp_path / "texts.txt"
    file.write_text("a text\n")
    corpus = CorpusConfig(name="file", path=str(file), window=finished.config.base.corpus.window)
    base = dataclasses.replace(finished.config.base, corpus=corpus)
    study = Study(folder, dataclasses.replace(finished.config, base=base))
    meta = dict(read_manifest(study.corpus_dir).meta)
    meta |= {"fingerprint": corpus_fingerprint(base, source_hash(corpus) or "")}
    meta |= {SOURCE: source_hash(corpus)}
    (study.corpus_dir / MANIFEST).unlink()
    write_manifest(study.corpus_dir, meta)
    file.unlink()
    stages = [stage for name, stage in STAGES.items() if name not in {*MADE_ANEW, "probes"}]
    assert all(stage.state(o).is_done for stage in stages for o in owners(study, stage))
    assert verify_path(folder).sound
    file.write_text("another text\n")
    assert not STAGES["corpus"].state(study).is_done


def test_it_is_sound(finished):
    report = verify_path(finished.directory)
    assert report.sound
    assert report.artefacts > 10


def test_a_fork_takes_over_every_training(finished, tmp_path, context):
    """Also of the aligned arm, though its teacher's folder is named otherwise now."""
    base = finished.config.base
    fewer = dataclasses.replace(base.sampling, num_traces=0)
    config = dataclasses.replace(finished.config, base=dataclasses.replace(base, sampling=fewer))
    fork_study(finished, config, tmp_path / "fork", context)
    reused = read_json(tmp_path / "fork" / "study.json")["forked_from"]["reused"]
    assert {
        "language_model/step-2",
        *(f"arms/{arm}/seed-0/{stage}/step-2" for arm in config.arms for stage in ("vae", "flow")),
    } <= set(reused)
