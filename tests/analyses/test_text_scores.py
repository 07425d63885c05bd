"""Known answers, parity with rouge-score, and what empty texts do."""

import numpy as np
import pytest
from rouge_score import rouge_scorer

from analyses.texts.embedding_score import EmbeddingScoreConfig, embedding_scores
from analyses.texts.ngram_scores import build_ngram_index, diversity_scores, valid_ngram_scores
from analyses.texts.overlap_scores import OverlapConfig, overlap_scores

REFERENCES = ["The cat sat on the mat.", "Sam ran home!", "A dog barked at two cats."]
TEXTS = ["the cat lay on a mat", "", "dogs barked at cats, two of them"]


@pytest.mark.parametrize("stem", [False, True])
def test_rouge_equals_the_package(stem):
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stem)
    scores = overlap_scores(TEXTS, REFERENCES, OverlapConfig(stem=stem))
    for name, values in scores.values.items():
        direct = [scorer.score(r, t)[name].fmeasure for r, t in zip(REFERENCES, TEXTS, strict=True)]
        np.testing.assert_allclose(values, direct)
    assert scores.values["rouge1"][1] == 0.0
    assert scores.detail["num_empty"] == 1


def test_rouge_of_other_scripts_needs_the_unicode_rule():
    plain = overlap_scores(["кот спит"], ["кот ест"])
    assert np.isnan(plain.values["rouge1"][0])
    assert plain.detail["num_references_without_words"] == 1
    unicode = overlap_scores(["кот спит"], ["кот ест"], OverlapConfig(words="unicode"))
    assert unicode.values["rouge1"][0] == pytest.approx(0.5)


def test_one_word_reference_has_no_rouge2():
    scores = overlap_scores(["yes"], ["yes"])
    assert scores.values["rouge1"][0] == 1.0
    assert np.isnan(scores.values["rouge2"][0])


def test_greedy_matching_known_answer():
    text, target = np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    scores = embedding_scores([text], [target]).values
    half = np.sqrt(0.5)
    assert scores["embedding_precision"][0] == pytest.approx((1 + half) / 2)
    assert scores["embedding_recall"][0] == pytest.approx((1 + half) / 2)
    assert scores["embedding_f1"][0] == pytest.approx((1 + half) / 2)


def test_greedy_matching_equals_a_direct_loop():
    rng = np.random.default_rng(0)
    text, target = rng.normal(size=(5, 7)), rng.normal(size=(8, 7))
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in target] for a in text]
    scores = embedding_scores([text], [target]).values
    assert scores["embedding_precision"][0] == pytest.approx(np.mean([max(r) for r in cosine]))
    columns = zip(*cosine, strict=True)
    assert scores["embedding_recall"][0] == pytest.approx(np.mean([max(c) for c in columns]))


def test_embedding_score_chance_rescaling_and_empty_texts():
    rng = np.random.default_rng(0)
    common = 3 * rng.normal(size=16)
    targets = [common + rng.normal(size=(6, 16)) for _ in range(40)]
    texts = [target.copy() for target in targets]
    texts[0] = np.empty((0, 16))
    raw = embedding_scores(texts, targets)
    assert raw.detail["chance"]["f1"] > 0.85
    assert raw.detail["num_empty"] == 1
    assert raw.values["embedding_f1"][0] == 0.0
    scaled = embedding_scores(texts, targets, EmbeddingScoreConfig(rescale=True))
    assert scaled.values["embedding_f1"][0] == 0.0
    np.testing.assert_allclose(scaled.values["embedding_f1"][1:], 1.0)
    unrelated = [common + rng.normal(size=(6, 16)) for _ in range(40)]
    chance_level = embedding_scores(unrelated, targets, EmbeddingScoreConfig(rescale=True))
    assert abs(chance_level.values["embedding_f1"].mean()) < 0.1


def known_ngrams(sequences, order):
    return {tuple(s[i : i + order]) for s in sequences for i in range(len(s) - order + 1)}


@pytest.mark.parametrize("vocab_size", [6, 151_936])
def test_valid_ngrams_equal_a_set_of_tuples(vocab_size, monkeypatch):
    rng = np.random.default_rng(0)
    ids = rng.choice(vocab_size, size=6, replace=False)
    training = [rng.choice(ids, size=n) for n in rng.integers(0, 12, size=40)]
    texts = [rng.choice(ids, size=n) for n in (4, 9, 15, 30)]
    monkeypatch.setattr("analyses.texts.ngram_scores._BLOCK_TOKENS", 25)
    index = build_ngram_index(training, vocab_size=vocab_size)
    scores = valid_ngram_scores(texts, index).values
    for order in (2, 3, 4):
        known = known_ngrams([tuple(s) for s in training], order)
        assert len(index.keys[order]) == len(known)
        expected = [
            np.mean([tuple(t[i : i + order]) in known for i in range(len(t) - order + 1)])
            for t in texts
        ]
        np.testing.assert_allclose(scores[f"valid_{order}gram"], expected)
        assert 0 < np.mean(expected) < 1


def test_ngrams_do_not_reach_across_texts():
    index = build_ngram_index([np.array([1, 2]), np.array([3, 4])], vocab_size=5)
    assert valid_ngram_scores([np.array([2, 3])], index).values["valid_2gram"][0] == 0.0
    assert valid_ngram_scores([np.array([3, 4])], index).values["valid_2gram"][0] == 1.0


def test_training_texts_are_valid_and_shuffled_ones_less_so():
    rng = np.random.default_rng(0)
    training = [np.arange(20) + 3 * k for k in range(10)]
    index = build_ngram_index(training, vocab_size=60)
    assert all(v.min() == 1.0 for v in valid_ngram_scores(training, index).values.values())
    shuffled = valid_ngram_scores([rng.permutation(t) for t in training], index)
    assert shuffled.values["valid_3gram"].mean() < 0.1


def test_empty_texts_score_zero_and_short_ones_are_undefined():
    index = build_ngram_index([np.arange(9)], vocab_size=9)
    scores = valid_ngram_scores([np.empty(0, dtype=int), np.array([1, 2])], index)
    assert scores.values["valid_2gram"].tolist() == [0.0, 1.0]
    assert scores.values["valid_4gram"][0] == 0.0
    assert np.isnan(scores.values["valid_4gram"][1])
    assert (scores.detail["num_empty"], scores.detail["num_shorter_than_4"]) == (1, 1)


def test_an_empty_training_text_makes_everything_invalid():
    index = build_ngram_index([], vocab_size=5)
    assert valid_ngram_scores([np.arange(5)], index).values["valid_2gram"][0] == 0.0


def test_diversity_known_answers():
    scores = diversity_scores([np.array([1, 1, 1, 1, 1, 1]), np.arange(6)])
    np.testing.assert_allclose(scores.values["distinct_1"], [1 / 6, 1.0])
    np.testing.assert_allclose(scores.values["distinct_2"], [1 / 5, 1.0])
    np.testing.assert_allclose(scores.values["repetition"], [2 / 3, 0.0])
    np.testing.assert_allclose(scores.values["unigram_entropy"], [0.0, np.log(6)], atol=1e-12)
    assert scores.detail["pooled"]["distinct_1"] == pytest.approx(6 / 12)


def test_pooled_diversity_is_not_fooled_by_texts_that_all_say_the_same():
    one = diversity_scores([np.arange(10)] * 5)
    assert one.values["distinct_2"].mean() == 1.0
    assert one.detail["pooled"]["distinct_2"] == pytest.approx(0.2)
    empty = diversity_scores([np.empty(0, dtype=int)])
    assert np.isnan(empty.values["distinct_1"][0])
    assert empty.detail["num_empty"] == 1
