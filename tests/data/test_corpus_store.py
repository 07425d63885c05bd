"""The corpus on disk: what goes in comes out, whatever the documents are like."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data import corpus_writer, split_writer
from data.corpora import CorpusConfig, load_documents
from data.corpus_store import Corpus, hash_files, open_corpus, write_corpus
from data.documents import Document
from data.splits import SPLITS, TRAIN, content_key, split_of
from data.tokenization import build_tokenizer
from tests.data.conftest import labelled_documents

CONFIG = CorpusConfig(
    name="file",
    path="a.csv",
    vocabulary="bpe",
    vocabulary_size=300,
    window=64,
    valid_fraction=0.2,
    test_fraction=0.2,
)


def store(directory: Path, documents: Iterable[Document], config: CorpusConfig = CONFIG) -> Corpus:
    documents = list(documents)
    tokenizer = build_tokenizer((d.text for d in documents), config, None)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    write_corpus(iter(documents), tokenizer, config, directory)
    return open_corpus(directory)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return store(tmp_path_factory.mktemp("store") / "corpus", labelled_documents(300))


def everything(corpus: Corpus) -> dict[str, list[str]]:
    return {name: corpus.split(name).texts(range(len(corpus.split(name)))) for name in SPLITS}


def test_all_texts_come_back_each_on_one_side(corpus):
    texts = [text for found in everything(corpus).values() for text in found]
    assert sorted(texts) == sorted(document.text for document in labelled_documents(300))
    assert all(len(corpus.split(name)) > 30 for name in SPLITS)


def test_tokens_decode_to_the_texts(corpus):
    for name in SPLITS:
        split = corpus.split(name)
        token_ids, mask = split.padded(range(len(split)))
        assert token_ids.dtype == np.int64
        assert mask.dtype == bool
        assert token_ids.shape == mask.shape == (len(split), corpus.window)
        assert (token_ids[~mask] == 0).all()
        assert (token_ids[mask] >= 2).all()
        assert np.array_equal(mask.sum(axis=1), split.lengths)
        assert [corpus.tokenizer.decode(row) for row in token_ids] == everything(corpus)[name]


def test_labels_facts_and_offsets_stand_beside_their_texts(corpus):
    split = corpus.split("train")
    indices = np.random.default_rng(0).permutation(len(split))
    animals = [corpus.label_names["animal"][i] for i in split.labels["animal"][indices]]
    texts = split.texts(indices)
    for text, animal, facts in zip(texts, animals, split.facts(indices), strict=True):
        assert text.split()[1] == animal == facts["animal"]
    for text, offsets in zip(texts, split.token_offsets(indices), strict=True):
        assert "".join(text[a:b] for a, b in offsets) == text.replace(" ", "")
    assert set(corpus.fact_values["animal"]) == {"fox", "dog", "owl"}
    assert set(split.references(indices)) == {None}


def test_token_labels_follow_the_spans(corpus):
    split = corpus.split("valid")
    indices = np.arange(len(split))
    labels = split.padded_token_labels("pos", indices)
    names = corpus.token_label_names["pos"]
    assert labels.shape == (len(split), corpus.window)
    assert split.token_labels["pos"].dtype == np.int16
    assert len(split.token_labels["pos"]) == len(split.flat_token_ids)
    rows = zip(split.texts(indices), split.token_offsets(indices), labels, strict=True)
    for text, offsets, row in rows:
        for (start, _), label in zip(offsets, row, strict=False):
            in_noun, in_adjective = 4 <= start < 7, len(text) - 5 <= start < len(text) - 1
            expected = "noun" if in_noun else "adj" if in_adjective else None
            assert (names[label] if label >= 0 else None) == expected
        assert (row[len(offsets) :] == -1).all()


def test_rows_too_long_for_a_width_are_refused(corpus):
    split = corpus.split("train")
    longest = int(split.lengths.max())
    assert split.padded([0, 1], longest)[0].shape == (2, longest)
    assert split.padded([])[0].shape == (0, corpus.window)
    with pytest.raises(ValueError, match=f"length must be >= {longest}"):
        split.padded(range(len(split)), longest - 1)


def test_arrays_are_memory_maps_and_ids_small(corpus):
    split = corpus.split("train")
    assert isinstance(split.flat_token_ids, np.memmap)
    assert split.flat_token_ids.dtype == np.uint16
    assert not split.flat_token_ids.flags.writeable
    assert split.offsets.dtype == np.int32


def test_the_same_documents_give_the_same_bytes(tmp_path):
    a = store(tmp_path / "a", labelled_documents(40))
    b = store(tmp_path / "b", labelled_documents(40))
    assert hash_files(tmp_path / "a") == hash_files(tmp_path / "b")
    assert a.manifest["content_hash"] == b.manifest["content_hash"]
    c = store(tmp_path / "c", labelled_documents(41))
    assert c.manifest["content_hash"] != a.manifest["content_hash"]


def test_batches_of_any_size_give_the_same_corpus(tmp_path, monkeypatch):
    whole = store(tmp_path / "a", labelled_documents(60))
    by_size = corpus_writer.batched_by_size
    monkeypatch.setattr(corpus_writer, "batched_by_size", lambda d, size: by_size(d, size, 7))
    monkeypatch.setattr(split_writer, "ROW_GROUP", 5)
    pieces = store(tmp_path / "b", labelled_documents(60))
    assert everything(whole) == everything(pieces)
    for name in SPLITS:
        for label in ("animal", "half"):
            a, b = whole.split(name).labels[label], pieces.split(name).labels[label]
            assert np.array_equal(a, b)
        assert np.array_equal(whole.split(name).starts, pieces.split(name).starts)
        assert np.array_equal(whole.split(name).documents, pieces.split(name).documents)


def test_labels_that_turn_up_late_are_missing_before(tmp_path, monkeypatch):
    by_size = corpus_writer.batched_by_size
    monkeypatch.setattr(corpus_writer, "batched_by_size", lambda d, size: by_size(d, size, 2))
    plain = [Document(text=f"plain {n}") for n in range(20)]
    corpus = store(tmp_path / "c", [*plain, *labelled_documents(20), *plain[:3]])
    split = corpus.split("train")
    labelled = np.array([text.startswith("The") for text in split.texts(range(len(split)))])
    assert np.array_equal(split.labels["animal"] >= 0, labelled)
    with_labels = (split.padded_token_labels("pos", range(len(split))) >= 0).any(axis=1)
    assert np.array_equal(with_labels, labelled)


def test_a_label_of_some_splits_is_missing_in_the_others(tmp_path):
    documents = [Document(text="first", labels={"k": "a"})]
    documents += [Document(text=f"text {n}") for n in range(30)]
    corpus = store(tmp_path / "c", documents)
    assert (corpus.split("valid").labels["k"] == -1).all()
    assert len(corpus.split("valid").labels["k"]) == len(corpus.split("valid")) > 0


def test_label_names_make_no_paths(tmp_path):
    documents = [Document(text=f"t{n}", labels={"../../x": "a/b"}) for n in range(5)]
    corpus = store(tmp_path / "c", documents)
    assert corpus.label_names == {"../../x": ("a/b",)}
    assert (corpus.split("train").labels["../../x"] == 0).all()


def test_one_document_trains_and_the_rest_is_empty(tmp_path):
    text = "A single fox 0."
    assert split_of(content_key(text), 0.2, 0.2) != TRAIN, "its hash would hold it out"
    corpus = store(tmp_path / "c", [Document(text=text)] * 3)
    assert [len(corpus.split(name)) for name in SPLITS] == [3, 0, 0]
    empty = corpus.split("test")
    assert empty.texts([]) == []
    assert empty.facts([]) == []
    assert empty.flat_token_ids.shape == (0,)
    assert empty.offsets.shape == (0, 2)
    assert empty.padded([])[1].shape == (0, 64)


def test_nothing_to_train_on_is_refused(tmp_path):
    tokenizer = build_tokenizer(["fox"], CONFIG, None)
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match=r"^0 documents with tokens"):
        write_corpus(iter([Document(text="")]), tokenizer, CONFIG, tmp_path / "c")


def test_texts_without_tokens_are_counted(tmp_path, minilm_json):
    config = CorpusConfig(name="file", path="a.txt")
    documents = [Document(text="a fox"), Document(text="\x00\u200b")]
    tokenizer = build_tokenizer((d.text for d in documents), config, minilm_json)
    write_corpus(documents, tokenizer, config, tmp_path)
    counts = open_corpus(tmp_path).manifest["counts"]
    assert counts["documents"] == 2
    assert counts["documents_without_tokens"] == 1


def test_long_documents_become_windows_of_one_document(tmp_path):
    long = " ".join(document.text for document in labelled_documents(40))
    spans = labelled_documents(1)[0].spans
    document = Document(text=long, labels={"k": "a"}, spans=spans, reference="the end")
    corpus = store(tmp_path / "c", [document])
    split = corpus.split("train")
    assert len(split) > 5
    assert set(split.documents) == {0}
    assert split.lengths.max() <= corpus.window - 1
    assert " ".join(everything(corpus)["train"]) == long
    assert (split.labels["k"] == 0).all()
    references = split.references(range(len(split)))
    assert references == [None] * (len(split) - 1) + ["the end"]
    assert (split.padded_token_labels("pos", [0]) >= 0).any()
    assert (split.padded_token_labels("pos", range(1, len(split))) == -1).all()


def test_held_out_windows_that_repeat_trained_ones_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(split_writer, "ROW_GROUP", 4)
    refrain = "And so they all went home to the town by the sea in the end."
    documents = [
        Document(text=f"{d.text} Then {n} foxes came along and played. {refrain}", labels=d.labels)
        for n, d in enumerate(labelled_documents(100))
    ]
    chorus = "But not one of the owls ever came back, and nobody knows why that is."
    for n in range(90):
        animal = ("fox", "dog", "owl")[n % 3]
        text = f"The {animal} left the town by the sea in the year {n}. "
        text += chorus if n % 2 else chorus.upper()
        if split_of(content_key(text), 0.3, 0.2) != TRAIN:
            documents.append(Document(text=text, labels={"animal": animal}))
    config = CorpusConfig(
        name="file", path="a", vocabulary="bpe", vocabulary_size=258, window=90,
        valid_fraction=0.3, test_fraction=0.2,
    )  # fmt: skip
    corpus = store(tmp_path / "c", documents, config)
    texts = everything(corpus)
    assert corpus.manifest["counts"]["windows_left_out"] > 20
    assert refrain in texts["train"]
    trained = {text.lower() for text in texts["train"]}
    held_out = [text.lower() for text in texts["valid"] + texts["test"]]
    assert not trained & set(held_out)
    assert len(set(held_out)) == len(held_out)
    assert held_out.count(chorus.lower()) == 1
    for name in ("valid", "test"):
        split = corpus.split(name)
        token_ids, _ = split.padded(range(len(split)))
        assert [corpus.tokenizer.decode(row) for row in token_ids] == texts[name]
        firsts = [text for text in texts[name] if text.startswith("The ")]
        labels = [corpus.label_names["animal"][i] for i in split.labels["animal"]]
        by_text = dict(zip(texts[name], labels, strict=True))
        assert all(by_text[text] == text.split()[1] for text in firsts)


def test_facts_take_the_form_that_the_tokeniser_gives_back(tmp_path, minilm_json):
    text = "It is near Café Sicilia and costs £20-25."
    facts = {"near": "café sicilia", "price": "£20-25"}
    config = CorpusConfig(name="file", path="a.csv")
    tokenizer = build_tokenizer([text], config, minilm_json)
    write_corpus([Document(text=text, facts=facts)], tokenizer, config, tmp_path)
    corpus = open_corpus(tmp_path)
    split = corpus.split("train")
    assert split.facts([0]) == [{"near": "cafe sicilia", "price": "£20-25"}]
    assert all(v in tokenizer.decode(split.padded([0])[0][0]) for v in split.facts([0])[0].values())


def test_a_cased_tokeniser_reads_facts_as_the_text_spells_them(tmp_path, byte_level_json):
    known = Document(text="One day Anna the fox met Ben.", facts={"hero": "anna", "kind": "fox"})
    rare = Document(text="One day Zq met Ben.", facts={"hero": "zq", "friend": "ben"})
    lost = Document(text="One day 77 came.", facts={"number": "77"})
    config = CorpusConfig(name="file", path="a.csv", valid_fraction=0.0, test_fraction=0.0)
    tokenizer = build_tokenizer([known.text], config, byte_level_json)
    write_corpus([known, rare, lost], tokenizer, config, tmp_path)
    corpus = open_corpus(tmp_path)
    assert corpus.fact_values == {"hero": ("anna",), "kind": ("fox",), "friend": ("ben",)}
    assert corpus.split("train").facts(range(3)) == [known.facts, {"friend": "ben"}, {}]


def test_stories_declare_all_values_of_their_facts(tmp_path, minilm_json):
    config = CorpusConfig(num_documents=60)
    documents = list(load_documents(config))
    tokenizer = build_tokenizer((d.text for d in documents), config, minilm_json)
    write_corpus(documents, tokenizer, config, tmp_path)
    corpus = open_corpus(tmp_path)
    assert all("<unk>" not in v for values in corpus.fact_values.values() for v in values)
    assert {"pos", "semantic_class"} <= set(corpus.token_label_names)
    for facts in corpus.split("train").facts(range(20)):
        assert all(value in corpus.fact_values[field] for field, value in facts.items())


def test_a_column_of_names_is_no_label(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_writer, "MAX_CLASSES", 10)
    documents = [Document(text=f"t{n}", labels={"id": str(n)}) for n in range(11)]
    with pytest.raises(ValueError, match="label 'id' has more than 10 distinct values"):
        store(tmp_path / "c", documents)


def test_damage_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no corpus"):
        open_corpus(tmp_path)
    store(tmp_path / "c", labelled_documents(20))
    path = tmp_path / "c" / "corpus.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "schema": 2}))
    with pytest.raises(ValueError, match=r"has the schema 2, this release reads 1"):
        open_corpus(tmp_path / "c")
    path.write_text(json.dumps({**manifest, "tokenizer_fingerprint": "0"}))
    with pytest.raises(ValueError, match="has the fingerprint"):
        _ = open_corpus(tmp_path / "c").tokenizer
    path.write_text(json.dumps(manifest))
    ids = tmp_path / "c" / "train" / "token_ids.npy"
    ids.write_bytes(ids.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"token_ids.npy is damaged"):
        open_corpus(tmp_path / "c").split("train")
    ids.unlink()
    with pytest.raises(ValueError, match=r"token_ids.npy cannot be read"):
        open_corpus(tmp_path / "c").split("train")
    with pytest.raises(ValueError, match="split must be one of train, valid, test, got 'dev'"):
        open_corpus(tmp_path / "c").split("dev")


def test_rows_out_of_range_are_refused(corpus):
    split = corpus.split("train")
    for index in (-1, len(split)):
        with pytest.raises(IndexError, match="rows must lie in"):
            split.texts([index])


def test_texts_are_read_by_row_group(tmp_path):
    documents = [Document(text=f"text {n}") for n in range(2500)]
    config = CorpusConfig(
        name="file", path="a", vocabulary="bpe", vocabulary_size=258,
        valid_fraction=0, test_fraction=0,
    )  # fmt: skip
    split = store(tmp_path / "c", documents, config).split("train")
    metadata = pq.ParquetFile(tmp_path / "c" / "train" / "texts.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(3)] == [1024, 1024, 452]
    order = np.random.default_rng(0).permutation(2500)
    assert split.texts(order) == [f"text {n}" for n in order]
