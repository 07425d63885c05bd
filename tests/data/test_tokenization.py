"""Compact tokenisers: ids, offsets, decoding, for each family of teacher and for BPE."""

from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from data.corpora import CorpusConfig
from data.tokenization import CompactTokenizer, batched_by_size, build_tokenizer
from tests.data.conftest import SENTENCES

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
BPE = build_tokenizer(SENTENCES, CorpusConfig(vocabulary="bpe", vocabulary_size=300), None)


def teacher_tokenizer(path: Path, **settings: int) -> CompactTokenizer:
    return build_tokenizer(SENTENCES, CorpusConfig(**settings), path)


def test_ids_are_compact_and_frequent_pieces_come_first(any_json):
    tokenizer = teacher_tokenizer(any_json)
    ids = np.concatenate([e.token_ids for e in tokenizer.encode_batch(SENTENCES)])
    used = np.unique(ids)
    assert (tokenizer.eot_id, tokenizer.unk_id) == (0, 1)
    assert set(used) == set(range(2, tokenizer.vocab_size))
    counts = np.bincount(ids)[2:]
    assert (np.diff(counts) <= 0).all()


def test_offsets_point_at_the_characters_of_each_token(any_json):
    tokenizer = teacher_tokenizer(any_json)
    for text, encoding in zip(SENTENCES, tokenizer.encode_batch(SENTENCES), strict=True):
        assert encoding.token_ids.dtype == encoding.offsets.dtype == np.int64
        assert encoding.offsets.shape == (len(encoding.token_ids), 2)
        covered = set()
        for start, end in encoding.offsets:
            assert text[start:end] == text[start:end].strip()
            covered |= set(range(start, end))
        assert covered == {place for place, character in enumerate(text) if not character.isspace()}


def test_long_texts_are_neither_cut_nor_padded(minilm_json):
    text = "the red fox " * 200
    assert len(teacher_tokenizer(minilm_json).encode_batch([text])[0].token_ids) == 600


def test_special_tokens_in_a_text_are_text(minilm_json, byte_level_json):
    for path, text in ((minilm_json, "a [SEP] b"), (byte_level_json, "a<|endoftext|>b")):
        tokenizer = build_tokenizer([text], CorpusConfig(), path)
        assert len(tokenizer.encode_batch([text])[0].token_ids) > 4
        assert tokenizer.readable(text).replace(" ", "").lower() == text.replace(" ", "").lower()


def test_word_pieces_read_as_the_corpus_writes_them(minilm_json):
    tokenizer = teacher_tokenizer(minilm_json)
    expected = [text.lower().replace("é", "e") for text in SENTENCES]
    assert [tokenizer.readable(text) for text in SENTENCES] == expected


def test_spaced_signs_stay_spaced_where_the_corpus_spaces_them(minilm_json):
    text = "north @-@ eastern , in 1 @.@ 5 – 4 kg ( 2 lb ) . fine"
    assert build_tokenizer([text], CorpusConfig(), minilm_json).readable(text) == text


@pytest.mark.parametrize("text", SENTENCES)
def test_exact_decoders_give_the_text_back(byte_level_json, unigram_json, text):
    for path in (byte_level_json, unigram_json):
        assert teacher_tokenizer(path).readable(text) == text


@given(ANY_TEXT)
@settings(max_examples=200, deadline=None)
def test_bpe_gives_any_text_back(text):
    encoding = BPE.encode_batch([text])[0]
    assert BPE.decode(encoding.token_ids) == text
    assert (encoding.token_ids >= 2).all()
    assert (encoding.offsets[:, 0] <= encoding.offsets[:, 1]).all()
    assert encoding.offsets.max(initial=0) <= len(text)


@pytest.fixture(scope="module")
def latin_tokenizer(minilm_json) -> CompactTokenizer:
    """Knows every piece that short Latin texts fall into."""
    letters = [chr(code) for code in range(32, 0x180)]
    pairs = [a + b for a in ascii_lowercase for b in ascii_lowercase]
    words = [*letters, *pairs, *(f"a{letter}" for letter in letters)]
    return build_tokenizer(words, CorpusConfig(), minilm_json)


@pytest.fixture(scope="module")
def normalise(minilm_json) -> Callable[[str], str]:
    """The normaliser of the original itself."""
    return Tokenizer.from_file(str(minilm_json)).normalizer.normalize_str


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_teacher_gives_back_the_text_it_normalises(latin_tokenizer, normalise, text):
    normalised = normalise(text)
    read = latin_tokenizer.readable(text)
    assume("<unk>" not in read)
    assert _letters(read) == _letters(normalised)


def _letters(text: str) -> str:
    return "".join(text.split())


def test_decode_stops_at_the_first_end_of_text(minilm_json):
    tokenizer = teacher_tokenizer(minilm_json)
    ids = tokenizer.encode_batch(["the red fox", "the dog"])
    joined = np.concatenate([ids[0].token_ids, [0], ids[1].token_ids])
    assert tokenizer.decode(joined) == "the red fox"
    assert tokenizer.decode([0]) == tokenizer.decode([]) == ""
    assert tokenizer.decode([1, 0]) == "<unk>"


def test_decode_tokens_shows_each(minilm_json):
    bpe_ids = BPE.encode_batch(["the hill"])[0].token_ids
    assert "".join(BPE.decode_tokens(bpe_ids)) == "the hill"
    assert BPE.decode_tokens([0, 1]) == ["<eot>", "<unk>"]


def test_unseen_and_rare_pieces_become_unknown(minilm_json):
    assert 1 in teacher_tokenizer(minilm_json).encode_batch(["the zebra"])[0].token_ids
    small = teacher_tokenizer(minilm_json, vocabulary_size=6)
    assert small.vocab_size == 6
    assert teacher_tokenizer(minilm_json, min_count=2).vocab_size < (
        teacher_tokenizer(minilm_json).vocab_size
    )
    with pytest.raises(ValueError, match=r"0 documents hold a token that occurs 99 times"):
        teacher_tokenizer(minilm_json, min_count=99)


def test_the_originals_own_unknown_is_not_kept(minilm_json):
    tokenizer = build_tokenizer(["fox \U0001f98a \U0001f98a"], CorpusConfig(), minilm_json)
    ids = tokenizer.encode_batch(["fox \U0001f98a"])[0].token_ids
    assert ids.tolist() == [2, 1]
    assert tokenizer.vocab_size == 3


@pytest.mark.parametrize("vocabulary", ["teacher", "bpe"])
def test_saved_and_loaded_is_the_same(tmp_path, minilm_json, vocabulary):
    config = CorpusConfig(vocabulary=vocabulary)
    tokenizer = build_tokenizer(SENTENCES, config, minilm_json)
    tokenizer.save(tmp_path)
    loaded = CompactTokenizer.load(tmp_path)
    assert loaded.fingerprint == tokenizer.fingerprint
    for text in SENTENCES:
        assert loaded.readable(text) == tokenizer.readable(text)
    assert build_tokenizer(SENTENCES, config, minilm_json).fingerprint == tokenizer.fingerprint
    assert build_tokenizer(SENTENCES[:2], config, minilm_json).fingerprint != tokenizer.fingerprint


def test_loading_what_is_no_tokeniser_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no saved tokeniser"):
        CompactTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "vocabulary.json").write_text('{"kept_ids": [1]}')
    with pytest.raises(ValueError, match="holds no saved tokeniser"):
        CompactTokenizer.load(tmp_path)


def test_teachers_without_a_usable_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"set corpus\.vocabulary to 'bpe'"):
        build_tokenizer(SENTENCES, CorpusConfig(), None)
    with pytest.raises(ValueError, match="cannot read the teacher's tokeniser"):
        build_tokenizer(SENTENCES, CorpusConfig(), tmp_path / "absent.json")
    (tmp_path / "tokenizer.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match=r"is not a tokenizer.json"):
        build_tokenizer(SENTENCES, CorpusConfig(), tmp_path / "tokenizer.json")


def test_a_lone_surrogate_is_refused():
    with pytest.raises(ValueError, match="lone surrogate"):
        BPE.encode_batch(["a\ud800"])


def test_foreign_ids_are_refused(minilm_json):
    source = minilm_json.read_text()
    for kept in ([], [5, 5], [-1], [10**6]):
        with pytest.raises(ValueError, match="kept_ids"):
            CompactTokenizer(source, kept, None)


def test_groups_are_bounded_in_number_and_size():
    items = [1, 1, 1, 9, 20, 1]
    groups = list(batched_by_size(items, lambda item: item, max_items=2, max_size=10))
    assert groups == [[1, 1], [1, 9], [20], [1]]
