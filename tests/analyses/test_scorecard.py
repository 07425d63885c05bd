"""The scorecard on planted relations and on nulls; resampled statistics against scipy."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analyses.figures.foretelling import foretelling_figure
from analyses.scorecard.complements import complements, strongest
from analyses.scorecard.predictors import ScorecardConfig, scorecard, verdict_of
from analyses.scorecard.row import Estimate, ScorecardRow, by_strength
from analyses.scorecard.run_table import RunTable
from analyses.scorecard.selection import selection_regret, top_k_overlap
from analyses.statistics.intervals import BootstrapConfig, resample_counts
from analyses.statistics.rank_correlation import kendall, partial_spearman, spearman

CONTROL = "reconstruction.token_accuracy"
CONFIG = ScorecardConfig(num_permutations=999, bootstrap=BootstrapConfig(num_resamples=400))


def runs(num_arms=16, seeds=3, noise=0.2, seed=0, **extra):
    """A table in which `good` drives the score, `bad` drives it down, `noise` has no part in it."""
    rng = np.random.default_rng(seed)
    quality = rng.standard_normal(num_arms)
    arms = np.repeat(np.arange(num_arms), seeds)

    def column(values, spread=noise):
        return values[arms] + spread * rng.standard_normal(len(arms))

    probes = {
        "good": column(quality),
        "bad": column(-quality),
        "noise": column(rng.standard_normal(num_arms)),
        "cost": column(-quality),
    } | extra.get("probes", {})
    directions = {"good": True, "bad": True, "noise": True, "cost": False}
    return RunTable(
        arms=[f"arm-{a}" for a in arms],
        families=[f"family-{a % 4}" for a in arms],
        seeds=[row % seeds for row in range(len(arms))],
        probes=probes,
        scores={"generation.mauve": column(quality)},
        baselines={CONTROL: column(rng.standard_normal(num_arms)), "parameters": arms * 1.0},
        higher_is_better=dict.fromkeys(("generation.mauve", CONTROL, "parameters"), True)
        | directions
        | dict.fromkeys(extra.get("probes", {}), True),
    )


def by_name(rows):
    return {row.predictor: row for row in rows}


def test_planted_relations_are_found_with_their_sign_and_noise_is_not():
    rows = by_name(scorecard(runs(), CONFIG))
    assert rows["good"].verdict == rows["cost"].verdict == "foretells"
    assert rows["bad"].verdict == "foretells the reverse"
    assert rows["noise"].verdict == "not distinguishable"
    assert rows["good"].spearman.low > 0.7
    assert rows["good"].kendall.value < rows["good"].spearman.value
    assert rows["good"].regret.value == pytest.approx(0.0, abs=0.2)
    assert rows["good"].top_k_overlap.value > rows["good"].top_k_overlap.chance
    assert rows["good"].gain.low > 0.0
    assert min(rows["good"].without_family.values()) > 0.7
    assert set(rows["good"].without_family) == {f"family-{i}" for i in range(4)}
    assert (rows["good"].num_runs, rows["good"].num_arms) == (48, 16)


def two_causes(seed=0):
    """A score of two independent causes; `first.a` and `first.b` tell one, `second` the other."""
    rng = np.random.default_rng(seed)
    one, two = (rng.permutation(np.linspace(-1.7, 1.7, 40)) for _ in range(2))
    arms = [f"arm-{a}" for a in range(40)]
    probes = {
        "first.a": one + 0.02 * rng.standard_normal(40),
        "first.b": one + 0.1 * rng.standard_normal(40),
        "second": -(two + 0.05 * rng.standard_normal(40)),
        "noise": rng.standard_normal(40),
    }
    names = (*probes, "score", CONTROL)
    return RunTable(
        arms=arms, families=arms, seeds=[0] * 40, probes=probes,
        scores={"score": 1.5 * one + two}, baselines={CONTROL: rng.standard_normal(40)},
        higher_is_better=dict.fromkeys(names, True),
    )  # fmt: skip


def test_causes_of_their_own_add_to_each_other_and_noise_adds_nothing():
    table = two_causes()
    found = complements(table, scorecard(table, CONFIG), "score", CONFIG)
    assert found.predictors == ("first.a", "second", "noise")
    assert (found.num_runs, found.num_arms) == (40, 40)
    assert found.partial["second"]["first.a"].high < -0.5  # larger is worse, and so it is counted
    assert found.partial["first.a"]["second"].low > 0.5
    noise = found.partial["noise"]["first.a"]
    assert noise.low < 0.0 < noise.high
    x, y = table.probes["first.a"], table.scores["score"]
    assert found.alone["first.a"].value == pytest.approx(stats.spearmanr(x, y).statistic)


def test_ranks_of_two_causes_together_gain_and_of_one_cause_twice_do_not():
    table, two = two_causes(), replace(CONFIG, top_k=2)
    rows = scorecard(table, CONFIG)
    both = complements(table, rows, "score", two)
    assert both.together.low > 0.9
    assert both.gain.low > 0.0
    one = [row for row in rows if row.predictor in ("first.b", "first.a")]
    renamed = replace(table, probes={"a": table.probes["first.a"], "b": table.probes["first.b"]},
                      higher_is_better=table.higher_is_better | {"a": True, "b": True})  # fmt: skip
    again = [replace(row, predictor=row.predictor[-1]) for row in one]
    assert abs(complements(renamed, again, "score", two).gain.value) < 0.02


def test_too_few_measures_or_arms_add_nothing():
    table = two_causes()
    rows = scorecard(table, CONFIG)
    alone = complements(table, rows, "score", replace(CONFIG, top_k=1))
    assert alone.predictors == ("first.a",)
    assert alone.together.value is None
    few = complements(table, rows, "score", replace(CONFIG, min_arms=41))
    assert few.gain.value is None
    assert strongest([row for row in rows if row.is_baseline], 3) == ()


def row_of(predictor, value, verdict):
    return ScorecardRow(
        predictor=predictor, score="s", is_baseline=False, num_runs=5, num_arms=5,
        spearman=Estimate(value=value), verdict=verdict,
    )  # fmt: skip


def test_a_perfect_rank_of_few_arms_stands_behind_what_is_told_from_zero():
    rows = [
        row_of("few.layer", 1.0, "not distinguishable"),
        row_of("near.class", 0.8, "foretells"),
        row_of("few.word", 0.7, "foretells"),
        row_of("floor", -0.9, "foretells the reverse"),
    ]
    names = [row.predictor for row in sorted(rows, key=by_strength)]
    assert names == ["floor", "near.class", "few.word", "few.layer"]
    assert strongest(rows, 3) == ("floor", "near.class", "few.word")
    drawn = foretelling_figure(rows).layout.yaxis.categoryarray
    assert [list(drawn).index(name) for name in names] == [0, 3, 2, 1]


def test_spearman_and_kendall_equal_scipy():
    table = runs()
    row = by_name(scorecard(table, CONFIG))["good"]
    x, y = table.probes["good"], table.scores["generation.mauve"]
    assert row.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert row.kendall.value == pytest.approx(stats.kendalltau(x, y).statistic, rel=1e-12)


def test_resamples_equal_scipy_on_the_repeated_rows():
    rng = np.random.default_rng(0)
    x, y = rng.integers(6, size=15) * 1.0, rng.integers(6, size=15) * 1.0
    counts = next(resample_counts(15, 20, rng))
    for r in range(20):
        rows = np.repeat(np.arange(15), counts[r].astype(int))
        one = counts[r : r + 1]
        assert spearman(x, y, one)[0] == pytest.approx(stats.spearmanr(x[rows], y[rows])[0])
        assert kendall(x, y, one)[0] == pytest.approx(stats.kendalltau(x[rows], y[rows])[0])


def test_partial_correlation_removes_what_the_control_explains():
    rng = np.random.default_rng(0)
    control = rng.standard_normal(400)
    x, y = (control + 0.5 * rng.standard_normal(400) for _ in range(2))
    one = np.ones((1, 400))
    assert spearman(x, y, one)[0] > 0.6
    assert abs(partial_spearman(x, y, control, one)[0]) < 0.1
    # The textbook route: correlate the residuals of the ranks.
    a, b, c = (stats.rankdata(v) for v in (x, y, control))
    left, right = (v - np.polyval(np.polyfit(c, v, 1), c) for v in (a, b))
    expected = np.corrcoef(left, right)[0, 1]
    assert partial_spearman(x, y, control, one)[0] == pytest.approx(expected, rel=1e-9)
    assert np.isnan(partial_spearman(x, y, x, one)[0])


def test_a_probe_that_only_repeats_reconstruction_has_no_partial_and_no_gain():
    rng = np.random.default_rng(1)
    base = rng.standard_normal(48)
    table = RunTable(
        arms=[f"arm-{i}" for i in range(48)],
        families=["one"] * 48,
        seeds=[0] * 48,
        probes={"echo": base + 0.6 * rng.standard_normal(48)},
        scores={"generation.mauve": base + 0.6 * rng.standard_normal(48)},
        baselines={CONTROL: base},
        higher_is_better=dict.fromkeys(("echo", "generation.mauve", CONTROL), True),
    )
    rows = by_name(scorecard(table, CONFIG))
    assert rows["echo"].verdict == "foretells"
    assert rows["echo"].partial.low < 0.0 < rows["echo"].partial.high
    assert rows["echo"].gain.high < 0.0
    assert rows[CONTROL].is_baseline
    assert rows[CONTROL].partial.value is None
    assert rows[CONTROL].gain.value is None


def null_table(seed):
    """Twelve arms of three seeds in which nothing has to do with anything."""
    rng = np.random.default_rng(seed)
    arms = np.repeat(np.arange(12), 3)
    names = ["s", CONTROL, *(f"p{i}" for i in range(5))]
    columns = {
        name: rng.standard_normal(12)[arms] + 0.3 * rng.standard_normal(36) for name in names
    }
    return RunTable(
        arms=[str(a) for a in arms],
        families=["one"] * 36,
        seeds=[0, 1, 2] * 12,
        probes={name: columns[name] for name in names[2:]},
        scores={"s": columns["s"]},
        baselines={CONTROL: columns[CONTROL]},
        higher_is_better=dict.fromkeys(names, True),
    )


def test_nulls_are_called_at_about_the_nominal_rate():
    called = 0
    for seed in range(60):
        rows = scorecard(null_table(seed), CONFIG)
        called += any(row.verdict != "not distinguishable" for row in rows)
    # Family-wise 5 % of 60 is 3.
    assert called <= 8


def test_seeds_of_an_arm_do_not_count_as_independent():
    table = runs(num_arms=8, seeds=1)
    many = {name: np.repeat(column, 20) for name, column in table.probes.items()}
    repeated = RunTable(
        arms=list(np.repeat(table.arms, 20)),
        families=list(np.repeat(table.families, 20)),
        seeds=list(range(20)) * 8,
        probes=many,
        scores={k: np.repeat(v, 20) for k, v in table.scores.items()},
        baselines={k: np.repeat(v, 20) for k, v in table.baselines.items()},
        higher_is_better=table.higher_is_better,
    )
    once, often = (by_name(scorecard(t, CONFIG))["noise"] for t in (table, repeated))
    assert often.num_runs == 160
    assert often.p_value == once.p_value
    assert often.spearman.low == pytest.approx(once.spearman.low, abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "adjusted_p", "expected"),
    [
        (0.1, 0.9, 0.01, "foretells"),
        (-0.9, -0.1, 0.01, "foretells the reverse"),
        (-0.1, 0.9, 0.01, "not distinguishable"),
        (0.1, 0.9, 0.06, "not distinguishable"),
        (None, None, 0.01, "not distinguishable"),
    ],
)
def test_a_verdict_needs_both_the_interval_and_the_corrected_p(low, high, adjusted_p, expected):
    row = ScorecardRow(
        predictor="p",
        score="s",
        is_baseline=False,
        num_runs=9,
        num_arms=9,
        spearman=Estimate(value=0.4, low=low, high=high),
        p_value=adjusted_p,
    )
    assert verdict_of(row, adjusted_p, alpha=0.05) == expected


def test_one_arm_that_differs_gives_no_interval():
    """A third of the resamples lack it and say nothing; the others hardly vary."""
    odd = {"odd": np.repeat(np.arange(16) == 3, 3) * 1.0}
    row = by_name(scorecard(runs(probes=odd), CONFIG))["odd"]
    assert row.spearman.value is not None
    assert (row.spearman.low, row.spearman.high) == (None, None)
    assert row.verdict == "not distinguishable"


def test_run_order_and_monotone_transforms_do_not_matter():
    table = runs()
    order = np.random.default_rng(0).permutation(48)
    moved = RunTable(
        arms=[table.arms[i] for i in order],
        families=[table.families[i] for i in order],
        seeds=[table.seeds[i] for i in order],
        probes={k: np.exp(v)[order] for k, v in table.probes.items()},
        scores={k: v[order] for k, v in table.scores.items()},
        baselines={k: v[order] for k, v in table.baselines.items()},
        higher_is_better=table.higher_is_better,
    )
    first, second = (by_name(scorecard(t, CONFIG))["good"] for t in (table, moved))
    assert second.spearman.value == pytest.approx(first.spearman.value, rel=1e-12)
    assert second.kendall.value == pytest.approx(first.kendall.value, rel=1e-12)


def test_selection_counts_by_hand():
    probe, score = np.array([5.0, 4.0, 3.0, 2.0, 1.0]), np.array([4.0, 10.0, 0.0, 8.0, 3.0])
    everyone = np.ones((1, 5), bool)
    assert top_k_overlap(probe, score, 2, everyone)[0] == 0.5
    assert selection_regret(probe, score, everyone)[0] == pytest.approx((10 - 4) / (10 - 5))
    tied = np.array([5.0, 5.0, 3.0, 2.0, 1.0])
    assert selection_regret(tied, score, everyone)[0] == pytest.approx((10 - 7) / (10 - 5))
    without_first = np.array([[False, True, True, True, True]])
    assert selection_regret(probe, score, without_first)[0] == 0.0
    assert np.isnan(top_k_overlap(probe, score, 4, without_first)[0])
    assert np.isnan(selection_regret(probe, np.ones(5), everyone)[0])


def test_random_choice_has_regret_one_on_average():
    rng = np.random.default_rng(0)
    score = rng.standard_normal(20)
    everyone = np.ones((1, 20), bool)
    regrets = [selection_regret(rng.permutation(20), score, everyone)[0] for _ in range(2000)]
    assert np.mean(regrets) == pytest.approx(1.0, abs=0.05)


def test_a_row_that_reads_nothing_back_counts_and_has_no_partial():
    """A generator's own space has no decoder, so no reconstruction to be taken out."""
    table = runs()
    whole = by_name(scorecard(table, CONFIG))["good"]
    table.baselines[CONTROL][:3] = np.nan  # the first arm
    rows = by_name(scorecard(table, CONFIG))
    assert (rows["good"].num_runs, rows["good"].num_arms) == (48, 16)
    assert rows["good"].spearman == whole.spearman
    assert rows["good"].partial.value is None
    assert rows["good"].gain.value is None
    assert rows[CONTROL].num_arms == 15


def test_what_cannot_be_ranked_is_undefined_with_its_reason():
    sparse = np.full(48, np.nan)
    sparse[:6] = 1.0
    rows = by_name(scorecard(runs(probes={"flat": np.ones(48), "sparse": sparse}), CONFIG))
    assert rows["flat"].reason == "the predictor is the same in all runs"
    assert rows["sparse"].reason == "2 arms have both values, 5 are needed"
    assert rows["flat"].adjusted_p is None
    assert rows["good"].adjusted_p is not None


def test_rows_are_flat_strict_json():
    flat = [row.flat() for row in scorecard(runs(probes={"flat": np.ones(48)}), CONFIG)]
    text = json.dumps(flat, allow_nan=False)
    assert "spearman_low" in text
    assert len({tuple(row) for row in flat}) == 1
    assert all(not isinstance(value, dict | list) for row in flat for value in row.values())
