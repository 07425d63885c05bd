"""Labels that a bundle brings: probed, drawn, and never mistaken for others of the same name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.machine.context import StageContext
from workbench.probes.inputs.probe_inputs import ProbeInputs
from workbench.probes.run import probe_run
from workbench.probes.spaces import held_out_items, read_space
from workbench.study.bundle import Bundle, held_out_texts, write_bundle
from workbench.study.bundle_labels import read_labels
from workbench.study.folders import Run, Study
from workbench.train.bundle_arms import import_bundle


@pytest.fixture
def texts(study: Study) -> list[str]:
    return held_out_texts(str(study.directory))


@pytest.fixture
def study(copy_smoke) -> Study:
    return copy_smoke()


def halves(texts: list[str], names: tuple[str, str] = ("one", "two")) -> list[str | None]:
    """A class for each text, missing for the first; the latents below know it."""
    classes: list[str | None] = [names[i % 2] for i in range(len(texts))]
    return [None, *classes[1:]]


def brought(study: Study, folder: Path, arm: str, **labels: list[str | None]) -> Run:
    texts = held_out_texts(str(study.directory))
    z = np.random.default_rng(1).normal(size=(len(texts), 4)).astype(np.float32)
    z[:, 0] += 9 * (np.arange(len(texts)) % 2)
    bundle = Bundle(texts=texts, z=z, labels=labels)
    return import_bundle(write_bundle(folder / arm, bundle), study, arm)


def test_probes_read_them(
    study: Study, tmp_path: Path, texts: list[str], context: StageContext
) -> None:
    run = brought(study, tmp_path, "guest", half=halves(texts))
    results = probe_run(run, context, ("linear_separability", "knn_coherence"))
    known = results["linear_separability.half"]
    assert known["score"] > 0.95, known
    assert known["n"] == len(ProbeInputs(run, context.place).rows) - 1  # one has no class
    assert results["knn_coherence.text.half"]["score"] > 0.75


def test_the_map_colours_every_space_by_them(
    study: Study, tmp_path: Path, texts: list[str], context: StageContext
) -> None:
    run = brought(study, tmp_path, "guest", half=halves(texts))
    spaces = {"none": read_space(study.run("none", 0), context.place)}
    before = held_out_items(spaces, None, study.corpus, "texts").labels
    spaces["guest"] = read_space(run, context.place)
    labels = held_out_items(spaces, None, study.corpus, "texts").labels
    assert [*labels] == [*before, "half"]
    codes, classes = labels["half"]
    assert classes == ("one", "two")
    assert [classes[code] if code >= 0 else None for code in codes] == halves(texts)[: len(codes)]


def test_one_name_means_one_label(study: Study, tmp_path: Path, texts: list[str]) -> None:
    split, corpus = study.corpus.split("test"), study.corpus
    names, codes = corpus.label_names["mood"], split.labels["mood"]
    ours = [names[code] if code >= 0 else None for code in codes]
    first = brought(study, tmp_path, "first", mood=list(ours), half=halves(texts))
    assert [*read_labels(first)] == ["half"]  # the study's own label is no news
    same = brought(study, tmp_path, "same", half=halves(texts))
    other = brought(study, tmp_path, "other", half=halves(texts, ("two", "one")), mood=ours[::-1])
    assert [*read_labels(same)] == ["half"]
    assert [*read_labels(other)] == ["half (other)", "mood (other)"]
    again = brought(study, tmp_path, "first", half=halves(texts))
    assert [*read_labels(again)] == ["half"]


@pytest.mark.parametrize(
    ("name", "classes", "wanted"),
    [
        ("../up", ["a", "b"], "a label's name is"),
        ("", ["a", "b"], "a label's name is"),
        ("half", ["a"], "1 rows for 2 texts"),
        ("half", ["a", 1], "must hold class names, one is 1"),
    ],
)
def test_a_label_that_does_not_fit_is_refused(name: str, classes: list, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        Bundle(texts=["x", "y"], z=np.zeros((2, 3), np.float32), labels={name: classes})
