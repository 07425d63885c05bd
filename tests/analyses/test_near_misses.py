"""Misses counted by hand: how many, of which kind, and what another word would do by chance."""

import numpy as np
import pytest

from analyses.spaces.near_misses import miss_rate, same_kind_misses

DOG, CAT, RUNS, SITS, NEW = range(5)
ANIMAL, VERB, NONE = 0, 1, -1
MEANT = np.array([DOG, CAT, RUNS, SITS, DOG, RUNS])
KINDS = np.array([ANIMAL, ANIMAL, VERB, VERB, ANIMAL, NONE])
TEXTS = np.array([0, 0, 0, 1, 1, 1])


def test_a_miss_is_of_the_same_kind_where_its_word_usually_is():
    written = np.array([CAT, RUNS, RUNS, NEW, DOG, DOG])
    found = same_kind_misses(MEANT, written, KINDS, TEXTS)
    assert found.per_item["row"].tolist() == [0, 1, 3]  # the last one's kind is not known
    assert found.per_item["same"].tolist() == [True, False, False]
    assert (found.score, found.n) == (pytest.approx(1 / 3), 3)
    # Of other words: for dog 1 animal of 3, for cat 2 of 4, for sits 1 verb of 4.
    assert found.chance == pytest.approx((1 / 3 + 2 / 4 + 1 / 4) / 3)


def test_the_usual_kind_of_a_word_is_its_most_frequent():
    kinds = np.array([VERB, ANIMAL, VERB, VERB, ANIMAL, VERB])
    meant = np.array([DOG, DOG, RUNS, SITS, DOG, RUNS])
    written = np.where(meant == SITS, DOG, meant)
    assert same_kind_misses(meant, written, kinds, TEXTS).score == 0.0
    kinds[[1, 4]] = VERB
    assert same_kind_misses(meant, written, kinds, TEXTS).score == 1.0


def test_words_missed_are_counted_over_all():
    found = miss_rate(MEANT, np.where(TEXTS == 1, NEW, MEANT), TEXTS)
    assert (found.score, found.n) == (0.5, 6)
    assert found.chance == pytest.approx(1 - (2 * (2 / 6) ** 2 + 2 * (1 / 6) ** 2))


def test_one_word_alone_has_no_chance_of_another():
    found = same_kind_misses(np.zeros(3, int), np.ones(3, int), np.zeros(3, int), np.arange(3))
    assert (found.score, found.chance) == (0.0, None)
