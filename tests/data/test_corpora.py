"""The registry, the configuration, and the sources that are not files."""

import json
import sys
from itertools import islice

import datasets
import pytest
from wordnet_files import write_wordnet

from data import corpora
from data.corpora import CORPORA, CorpusConfig, known_fact_values, load_documents
from data.corpus_config import SOURCES
from data.documents import Document
from data.readers.docs import prose
from data.readers.wordnet import CLASSES, FILES


def test_every_corpus_has_a_reader_and_declares_its_settings():
    assert set(CORPORA) == set(SOURCES)


def test_stories_are_deterministic_and_declare_their_facts():
    config = CorpusConfig(num_documents=5)
    first, again = list(load_documents(config)), list(load_documents(config))
    assert first == again
    assert len(first) == 5
    assert first != list(load_documents(CorpusConfig(num_documents=5, seed=1)))
    known = known_fact_values(config)
    for document in first:
        for field, value in document.facts.items():
            assert value in known[field]


def test_docstrings_are_prose_labelled_by_package():
    config = CorpusConfig(name="docs", packages=("tokenizers", "numpy"), num_documents=20)
    documents = list(load_documents(config))
    assert {document.labels["package"] for document in documents} == {"tokenizers", "numpy"}
    assert {document.labels["kind"] for document in documents} <= {"module", "class", "function"}
    assert all(">>>" not in document.text and "\n" not in document.text for document in documents)
    assert documents == list(load_documents(config))
    default = islice(load_documents(CorpusConfig(name="docs")), 4)
    assert len({document.labels["package"] for document in default}) > 1


def test_packages_that_are_not_there_are_named():
    for name in ("no_such_package", "os.path", "../x"):
        with pytest.raises(ValueError, match="is not an installed package"):
            list(load_documents(CorpusConfig(name="docs", packages=(name,))))


def test_prose_leaves_lists_examples_and_markup_out():
    docstring = (
        "Compute the mean of `values`.\n\nThe :func:`~a.mean` of ``x`` is a number.\n\n"
        ">>> mean([1])\n1\n\nheading\n-------\n\nParameters\n----------\nx : int\n  A value here."
    )
    assert prose(docstring) == "Compute the mean of values. The a.mean of x is a number."


def test_glosses_are_definitions_labelled_by_their_class(tmp_path):
    config = CorpusConfig(name="glosses", path=str(write_wordnet(tmp_path)))
    found = {document.text: document.labels for document in load_documents(config)}
    assert len(found) == 9, "one is too short"
    dog = found["a small animal that barks and wags its tail"]
    assert dog == {"class": "noun.animal", "headword": "noun"}
    assert found["a tall tree with hard wood; its seeds are acorns"]["class"] == "noun.plant"
    assert {labels["headword"] for labels in found.values()} == set(FILES.values())
    assert {len(CLASSES), len(set(CLASSES))} == {45}
    assert not any('"' in text for text in found), "examples are left out"
    kinds = [document.labels["headword"] for document in load_documents(config)]
    assert kinds != sorted(kinds, key=list(FILES.values()).index), "the classes come mixed"


def test_without_wordnet_the_corpus_says_what_to_install(tmp_path):
    config = CorpusConfig(name="glosses", path=str(write_wordnet(tmp_path)))
    (tmp_path / "data.verb").unlink()
    with pytest.raises(ValueError, match=r"data\.verb: .*package wordnet-base, or name"):
        list(load_documents(config))
    (tmp_path / "data.verb").write_text("00000000 77 v 01 go 0 000 | move\n")
    with pytest.raises(ValueError, match=r"data\.verb:1: not a line of WordNet's database"):
        list(load_documents(config))


def test_a_document_too_long_for_memory_comes_in_pieces(monkeypatch):
    document = Document(text="One fox ran. " * 20, labels={"k": "a"})
    monkeypatch.setattr(corpora, "MAX_DOCUMENT_CHARACTERS", 50)
    monkeypatch.setitem(CORPORA, "stories", lambda config: iter([document]))
    pieces = list(load_documents(CorpusConfig()))
    assert [piece.text for piece in pieces[:2]] == ["One fox ran. One fox ran. One fox ran."] * 2
    assert all(piece.labels == {"k": "a"} for piece in pieces)


def test_the_hub_reader_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"pip install -r requirements-hf\.txt"):
        list(load_documents(CorpusConfig(name="hf", hf_name="any")))


def test_the_hub_reader_streams_local_data_sets(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    rows = [{"text": f"text {n}", "kind": ["even", "odd"][n % 2]} for n in range(6)]
    (tmp_path / "set" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = {"name": "hf", "hf_name": str(tmp_path / "set"), "num_documents": 4}
    documents = list(load_documents(CorpusConfig(**settings, label_columns=("kind",))))
    assert [document.text for document in documents] == [f"text {n}" for n in range(4)]
    assert documents[1].labels == {"kind": "odd"}
    with pytest.raises(ValueError, match=r"'topic' is missing in 6 of 6 records"):
        list(load_documents(CorpusConfig(**settings, label_columns=("topic",))))
    with pytest.raises(ValueError, match="split 'dev', cannot be had"):
        list(load_documents(CorpusConfig(**settings, hf_split="dev")))


@pytest.mark.parametrize("several", [False, True])
def test_the_hub_reader_takes_what_was_saved_on_disk(tmp_path, several):
    features = datasets.Features(
        {"body": datasets.Value("string"), "k": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = {"body": ["NA", "", "a\u2028b", "007"], "k": [1, 0, -1, 0]}
    saved = datasets.Dataset.from_dict(rows, features=features, split="dev")
    kept = datasets.DatasetDict({"dev": saved, "rest": saved.select([0])}) if several else saved
    kept.save_to_disk(tmp_path / "Project #1")
    place = {"name": "hf", "hf_name": str(tmp_path / "Project #1"), "text_column": "body"}
    config = CorpusConfig(**place, hf_split="dev", label_columns=("k",))
    found = [(document.text, document.labels) for document in load_documents(config)]
    assert found == [("NA", {"k": "yes"}), ("a\u2028b", {}), ("007", {"k": "no"})]
    with pytest.raises(ValueError, match=r"Project #1', split 'train', cannot be had: .* dev"):
        list(load_documents(CorpusConfig(**place)))
    with pytest.raises(ValueError, match="no configurations or revisions"):
        list(load_documents(CorpusConfig(**place, hf_split="dev", hf_revision="main")))


def test_hub_classes_come_back_by_name(monkeypatch):
    features = datasets.Features(
        {"text": datasets.Value("string"), "k": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = {"text": ["a", "b", "c"], "k": [1, 0, -1]}
    stream = datasets.Dataset.from_dict(rows, features=features).to_iterable_dataset()
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **settings: stream)
    config = CorpusConfig(name="hf", hf_name="any", label_columns=("k",))
    assert [d.labels for d in load_documents(config)] == [{"k": "yes"}, {"k": "no"}, {}]
