"""The ladder: damage is what it says, and scores are read by the pairs they order."""

import numpy as np
import pytest

from analyses.figures.ladder import RUNG_NAMES, ladder_figure
from analyses.texts.generation_controls import control_texts
from analyses.texts.ladder import ORDERS, RUNGS, expected_pairs, headline, read_ladder
from analyses.texts.ngram_chain import NgramChain

TEXTS = [" ".join(f"w{i}" for i in range(200))] * 50
EOT = 9


@pytest.mark.parametrize(("name", "share"), [("swap_2", 0.02), ("swap_10", 0.1), ("swap_30", 0.3)])
def test_swaps_move_the_share_they_name(name, share):
    damaged = control_texts(name, TEXTS, TEXTS, seed=1)
    moved = [
        np.mean([a != b for a, b in zip(one.split(), two.split(), strict=True)])
        for one, two in zip(TEXTS, damaged, strict=True)
    ]
    # Every swap moves two words; swaps that would overlap are one.
    assert share * 1.4 < np.mean(moved) <= share * 2.1
    assert all(sorted(a.split()) == sorted(b.split()) for a, b in zip(TEXTS, damaged, strict=True))


def test_short_texts_survive_swaps():
    assert control_texts("swap_30", ["", "a"], ["", "b"]) == ["", "b"]


def test_a_chain_says_only_what_was_said():
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 9, 30) for _ in range(40)]
    for order in (2, 4):
        chain = NgramChain(texts, vocab_size=10, eot_id=EOT, order=order)
        written = chain.continuations([text[:10] for text in texts], [20] * 40, rng)
        known = {
            tuple(row[i : i + order])
            for row in (np.append(text, EOT) for text in texts)
            for i in range(len(row) - order + 1)
        }
        for text, ids in zip(texts, written, strict=True):
            assert len(ids) <= 20
            assert EOT not in ids
            whole = np.concatenate([text[:10], ids])
            grams = {tuple(whole[i : i + order]) for i in range(len(whole) - order + 1)}
            assert grams <= known


def test_a_chain_of_higher_order_keeps_more():
    rng = np.random.default_rng(0)
    texts = [np.array([0, 1, 2, 3, 4]), np.array([5, 1, 2, 6])] * 3
    chain = NgramChain(texts, vocab_size=10, eot_id=EOT, order=4)
    assert [len(ids) for ids in chain.continuations([texts[0][:3]], [8], rng)] == [2]
    assert chain.continuations([np.array([8, 1, 2])], [1], rng)[0] in (3, 6)
    unknown = chain.continuations([np.array([8, 8, 8])], [1], rng)[0]
    assert set(unknown) <= {0, 1, 2, 3, 4, 5, 6}
    with pytest.raises(ValueError, match="at least 1 text"):
        NgramChain([], vocab_size=10, eot_id=EOT, order=4)
    with pytest.raises(ValueError, match="order"):
        NgramChain(texts, vocab_size=10, eot_id=EOT, order=1)


def entry(mean, half=0.01):
    return {"mean": mean, "low": mean - half, "high": mean + half}


def ladder(**metrics):
    return {
        rung: {name: entry(values[place]) for name, values in metrics.items()}
        for place, rung in enumerate(RUNGS)
    }


# In the order of RUNGS: human, three swaps, two chains, shuffled, wrong source, copy, likely text.
GOOD = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.1, 0.3, 0.2, 0.4]
BLIND = [0.5] * 10


def test_expected_pairs_follow_the_orders():
    pairs = expected_pairs()
    assert len(pairs) == len(set(pairs)) == 18
    assert ("swap_2", "shuffled_words") in pairs
    assert ("wrong_source", "prompt_copy") not in pairs
    assert set(RUNG_NAMES) == set(RUNGS)


def test_readings_count_and_rank():
    rungs = ladder(good=GOOD, backwards=GOOD, blind=BLIND, rouge2=GOOD, loose=BLIND)
    for rung in RUNGS:
        rungs[rung]["loose"] = {"mean": 0.5, "low": None, "high": None}
    better = {"good": True, "backwards": False, "blind": True, "rouge2": True, "loose": True}
    readings = {reading.metric: reading for reading in read_ladder(rungs, better)}
    assert readings["good"].right == expected_pairs()
    assert readings["good"].trusted == tuple(ORDERS)
    assert readings["backwards"].wrong == expected_pairs()
    assert readings["blind"].unclear == readings["loose"].unclear == expected_pairs()
    assert not readings["blind"].trusted
    assert headline(read_ladder(rungs, better)) == "good"
    # As good, but made from the text that it is compared with.
    assert len(readings["rouge2"].right) == 18
    assert not readings["rouge2"].candidate


def test_ties_go_to_the_wider_margin():
    rungs = ladder(a=GOOD, b=GOOD)
    for rung in RUNGS:
        rungs[rung]["a"] = entry(rungs[rung]["a"]["mean"], 0.04)
    readings = read_ladder(rungs, {"a": True, "b": True})
    assert [reading.metric for reading in readings] == ["b", "a"]
    assert readings[0].margin == pytest.approx(5.0)
    assert headline(readings) == "b"


def test_one_pair_that_touches_costs_its_kind():
    values = GOOD.copy()
    values[1] = 0.99
    (reading,) = read_ladder(ladder(good=values), {"good": True})
    assert reading.unclear == (("human", "swap_2"),)
    assert reading.trusted == tuple(ORDERS)[1:]


def test_without_a_good_end_the_distance_from_human_counts():
    values = [2.0, 2.1, 1.8, 2.3, 1.6, 2.5, 1.0, 1.3, 3.0, 2.6]
    (reading,) = read_ladder(ladder(entropy=values), {})
    assert reading.right == expected_pairs()
    assert not reading.candidate
    assert headline([reading]) is None


def test_a_missing_rung_is_unclear():
    rungs = ladder(good=GOOD)
    del rungs["wrong_source"]
    (reading,) = read_ladder(rungs, {"good": True})
    assert reading.unclear == (("human", "wrong_source"),)
    assert read_ladder({}, {}) == ()


def test_the_figure_places_arms_beside_the_rungs():
    rungs = ladder(good=GOOD, blind=BLIND)
    readings = read_ladder(rungs, {"good": True, "blind": True})
    figure = ladder_figure(readings, rungs, written={"repa": {"good": entry(0.4)}})
    (heat,) = figure.data
    assert next(iter(heat.x)) == "human"
    assert list(heat.x)[-1] == "repa"
    assert heat.text[0][-1] == "0.4"
    assert heat.text[1][-1] == ""
    assert heat.z[0][0] == 0.0
    assert max(heat.z[0]) == 1.0
    assert "<b>18</b> of 18" in heat.y[0]
    with pytest.raises(ValueError, match="at least one score"):
        ladder_figure((), rungs)
