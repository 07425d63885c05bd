"""Coherence and separability: blobs near 1, shuffles at chance, and what is not defined."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analyses.numerics.features import centred
from analyses.numerics.neighbors import NeighborConfig, nearest_neighbors
from analyses.spaces.knn_coherence import KnnCoherenceConfig, _random_eligible, knn_coherence
from analyses.spaces.linear_separability import LinearSeparabilityConfig, linear_separability
from analyses.statistics.intervals import BootstrapConfig

QUICK = BootstrapConfig(num_resamples=200)
KNN = KnnCoherenceConfig(k=8, num_permutations=40, bootstrap=QUICK)
RIDGE = LinearSeparabilityConfig(method="ridge", bootstrap=QUICK)
LOGISTIC = LinearSeparabilityConfig(method="logistic", bootstrap=QUICK)


def coherence(features, labels, *, config=KNN, **more):
    return knn_coherence(features, labels, config, **more)


def ridge(features, labels, *, config=RIDGE, **more):
    return linear_separability(features, labels, config, **more)


def logistic(features, labels, **more):
    return linear_separability(features, labels, LOGISTIC, **more)


PROBES = [coherence, ridge, logistic]


def blobs(n=240, spread=0.3, classes=4, width=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    features = 3 * rng.normal(size=(classes, width))[labels] + spread * rng.normal(size=(n, width))
    return features.astype(np.float32), labels


@pytest.mark.parametrize("probe", PROBES)
def test_separated_blobs_score_one(probe):
    result = probe(*blobs())
    assert result.score > 0.99
    assert result.score > result.chance + 0.5
    assert result.low <= result.score <= result.high
    null = result.detail.get("null") or result.detail["shuffled"]
    assert null.mean < 0.4
    json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize("probe", PROBES)
def test_shuffled_labels_score_at_chance(probe):
    features, labels = blobs(n=600)
    result = probe(features, np.random.default_rng(1).permutation(labels))
    assert abs(result.score - result.chance) < 0.06
    null = result.detail.get("null") or result.detail["shuffled"]
    assert abs(null.mean - result.score) < 0.06


@pytest.mark.parametrize("probe", PROBES)
def test_rotation_and_translation_change_little(probe):
    features, labels = blobs(spread=2.0)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    moved = probe(features.astype(np.float64) @ rotation + 500.0, labels)
    # Logistic and ridge standardise columns, so a rotation moves their penalty a little.
    assert moved.score == pytest.approx(probe(features, labels).score, abs=0.03)


@pytest.mark.parametrize("probe", PROBES)
def test_missing_labels_are_left_out(probe):
    features, labels = blobs()
    labels[::3] = -1
    result = probe(features, labels)
    assert result.n == (labels >= 0).sum()
    assert set(result.per_item["row"]) == set(np.flatnonzero(labels >= 0))


@pytest.mark.parametrize("probe", PROBES)
def test_rows_of_a_text_widen_the_interval(probe):
    rng = np.random.default_rng(0)
    texts = np.repeat(np.arange(30), 20)
    labels = rng.integers(2, size=30)[texts]
    good = rng.random(30)[texts] < 0.6  # whole texts are clear or hopeless
    features = np.where(good, 2.0 * labels - 1, 0.0)[:, None] + 0.7 * rng.normal(size=(600, 3))
    by_row, by_text = probe(features, labels), probe(features, labels, groups=texts)
    assert by_text.high - by_text.low > 1.4 * (by_row.high - by_row.low)


def test_coherence_equals_a_scikit_learn_reference():
    features, labels = blobs(spread=3.0)
    result = coherence(features, labels)
    _, found = (
        NearestNeighbors(n_neighbors=9, metric="cosine")
        .fit(centred(features))
        .kneighbors(centred(features))
    )
    assert result.score == pytest.approx((labels[found[:, 1:]] == labels[:, None]).mean())


def test_chance_is_the_exact_expectation_with_and_without_exclusion():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, p=[0.6, 0.3, 0.1], size=150)
    barred = rng.integers(20, size=150)
    features = rng.normal(size=(150, 4))
    for exclude in (None, barred):
        own = np.arange(150) if exclude is None else exclude
        allowed = own[:, None] != own[None]
        same = labels[:, None] == labels[None]
        direct = ((same & allowed).sum(1) / allowed.sum(1)).mean()
        result = coherence(features, labels, exclude=exclude)
        assert result.chance == pytest.approx(direct)
        assert result.detail["null"].mean == pytest.approx(direct, abs=0.02)


def test_random_eligible_rows_are_of_another_group_and_evenly_drawn():
    barred = np.array([2, 0, 1, 0, 2, 2, 1])
    drawn = _random_eligible(barred, 6000, np.random.default_rng(0))
    for row, group in enumerate(barred):
        shares = np.bincount(drawn[row], minlength=7) / 6000
        eligible = barred != group
        np.testing.assert_allclose(shares, eligible / eligible.sum(), atol=0.03)


def test_token_identity_explains_coherence_unless_excluded():
    rng = np.random.default_rng(0)
    token_ids = rng.integers(40, size=800)
    label_of_token = rng.integers(4, size=40)
    features = rng.normal(size=(40, 8))[token_ids] + 0.05 * rng.normal(size=(800, 8))
    labels = label_of_token[token_ids]
    plain = coherence(features, labels)
    config = KnnCoherenceConfig(level="token.other_id", k=8, num_permutations=40, bootstrap=QUICK)
    other = coherence(features, labels, config=config, exclude=token_ids)
    assert plain.score > 0.95
    assert abs(other.score - other.chance) < 0.2
    assert other.name == "knn_coherence.token.other_id"
    grouped = 3 * rng.normal(size=(4, 8))[labels] + features
    assert coherence(grouped, labels, config=config, exclude=token_ids).score > 0.95


def test_k_beyond_n_is_clipped_and_shown():
    features, labels = blobs(n=20)
    result = coherence(features, labels, config=KnnCoherenceConfig(k=500, bootstrap=QUICK))
    assert (result.detail["k"], result.detail["requested_k"]) == (19, 500)
    assert result.score == pytest.approx(result.chance)


def test_identical_rows_do_not_break_coherence():
    labels = np.arange(60) % 2
    for metric in ("cosine", "euclidean"):
        found = nearest_neighbors(np.ones((60, 3)), NeighborConfig(metric=metric))
        assert (found.distances == 0.0).all()
        assert (found.indices >= 0).all()
        assert (found.indices != np.arange(60)[:, None]).all()
        result = coherence(np.ones((60, 3)), labels, config=replace(KNN, metric=metric))
        assert 0.0 <= result.score <= 1.0
        assert result.n == 60


def test_logistic_equals_scikit_learn():
    features, labels = blobs(spread=3.0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    expected = cross_val_predict(model, features.astype(np.float64), labels, cv=folds)
    result = logistic(features, labels)
    np.testing.assert_array_equal(result.per_item["predicted"], expected)
    assert result.detail["num_unconverged_fits"] == 0
    per_class = result.detail["per_class"]
    assert per_class["0"]["accuracy"] == pytest.approx((expected == labels)[labels == 0].mean())


@pytest.mark.parametrize("probe", [ridge, logistic])
def test_singletons_are_left_out_and_more_classes_than_samples_undefined(probe):
    features, labels = blobs()
    labels[0] = 77
    result = probe(features, labels)
    assert result.detail["classes_left_out"] == {"77": 1}
    assert result.n == len(labels) - 1
    every = probe(features[:20], np.arange(20))
    assert every.score is None
    assert every.reason.startswith("of 20 classes among 20 labelled rows fewer than two")


@pytest.mark.parametrize("probe", [ridge, logistic])
def test_texts_do_not_leak_across_folds(probe):
    rng = np.random.default_rng(0)
    texts = np.repeat(np.arange(40), 10)
    labels = rng.integers(2, size=40)[texts]
    features = rng.normal(size=(40, 60))[texts] + 0.01 * rng.normal(size=(400, 60))
    assert probe(features, labels).score > 0.95  # a row's own text gives it away
    assert probe(features, labels, groups=texts).score < 0.75


@pytest.mark.parametrize("probe", [ridge, logistic])
def test_token_embedding_baseline_shows_what_context_adds(probe):
    rng = np.random.default_rng(0)
    token, labels = rng.normal(size=(500, 4)), rng.integers(2, size=500)
    contextual = np.c_[token, 3.0 * labels + rng.normal(size=500)]
    baseline = probe(contextual, labels, baseline_features=token).detail["baseline"]
    assert baseline["accuracy"].mean < 0.6
    assert baseline["contrast_by_text"].low > 0.2


def test_large_inputs_are_subsampled_and_shown():
    features, labels = blobs(n=900)
    config = LinearSeparabilityConfig(method="ridge", max_rows=300, bootstrap=QUICK)
    result = linear_separability(features, labels, config)
    assert (result.n, result.detail["num_rows_given"]) == (300, 900)
