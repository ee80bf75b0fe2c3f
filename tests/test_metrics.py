"""Metrics against answers counted by hand, scikit-learn, and an obvious bootstrap."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import metrics
from mirscope.errors import InputError, UsageError

LABELS = [1, 1, 0, 1, 0, 0]
SCORES = [0.9, 0.8, 0.7, 0.5, 0.5, 0.1]
#         called: 0.5 and above: TP 3, FP 2, FN 0, TN 1


@st.composite
def examples(draw, grid=12):
    """Labels of both classes and scores with ties."""
    n = draw(st.integers(2, 60))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    labels[:2] = [0, 1]
    scores = draw(st.lists(st.integers(0, grid), min_size=n, max_size=n))
    return np.array(labels), np.array(scores) / grid


def test_toy():
    assert metrics.accuracy_score(LABELS, SCORES) == 4 / 6
    assert metrics.sensitivity_score(LABELS, SCORES) == 1
    assert metrics.specificity_score(LABELS, SCORES) == 1 / 3
    assert metrics.ppv_score(LABELS, SCORES) == 3 / 5
    assert metrics.npv_score(LABELS, SCORES) == 1
    assert metrics.f1_score(LABELS, SCORES) == 6 / 8
    assert metrics.mcc_score(LABELS, SCORES) == pytest.approx(3 / np.sqrt(3 * 3 * 5 * 1))
    assert metrics.auroc_score(LABELS, SCORES) == 7.5 / 9  # of 9 pairs one is wrong, one tied
    assert metrics.average_precision_score(LABELS, SCORES) == pytest.approx((1 + 1 + 3 / 5) / 3)
    assert metrics.brier_loss(LABELS, SCORES) == pytest.approx((0.01 + 0.04 + 0.49 + 0.25 + 0.25 + 0.01) / 6)
    # bins .9: (.9, 1); .8: (.8, 1); .7: (.7, 0); .5: (.5, .5), two; .1: (.1, 0)
    assert metrics.calibration_error(LABELS, SCORES) == pytest.approx((0.1 + 0.2 + 0.7 + 0 + 0.1) / 6)


@given(examples(), st.integers(0, 12))
def test_agrees_with_scikit_learn(data, step):
    labels, scores = data
    threshold = step / 12
    calls = scores >= threshold
    confusion = sk.confusion_matrix(labels, calls, labels=[0, 1])
    (tn, fp), (fn, tp) = confusion
    expected = {
        "auroc": sk.roc_auc_score(labels, scores),
        "average_precision": sk.average_precision_score(labels, scores),
        "accuracy": sk.accuracy_score(labels, calls),
        "sensitivity": sk.recall_score(labels, calls),
        "specificity": sk.recall_score(labels, calls, pos_label=0),
        "f1": sk.f1_score(labels, calls),
        "ppv": sk.precision_score(labels, calls) if tp + fp else np.nan,
        "npv": sk.precision_score(labels, calls, pos_label=0) if tn + fn else np.nan,
        "mcc": sk.matthews_corrcoef(labels, calls),
        "brier_loss": sk.brier_score_loss(labels, scores),
    }
    found = metrics.summarise(labels, scores, threshold=threshold, n_resamples=0).set_index("metric")["value"]
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name
        measure = next(getattr(metrics, name + end) for end in ("_score", "") if hasattr(metrics, name + end))
        at = {} if name in ("auroc", "average_precision", "brier_loss") else {"threshold": threshold}
        assert measure(labels, scores, **at) == pytest.approx(value, abs=1e-12, nan_ok=True), name


@given(examples(grid=40), st.integers(1, 12))
def test_calibration_error_is_the_obvious_loop(data, n_bins):
    labels, scores = data
    error = 0.0
    for low in range(n_bins):
        edges = np.linspace(0, 1, n_bins + 1)[low : low + 2]
        held = (scores >= edges[0]) & ((scores < edges[1]) | (low == n_bins - 1))
        if held.any():
            error += held.mean() * abs(labels[held].mean() - scores[held].mean())
    assert metrics.calibration_error(labels, scores, n_bins=n_bins) == pytest.approx(error, abs=1e-12)


@given(examples(), st.randoms())
def test_order_does_not_matter(data, random):
    labels, scores = data
    order = list(range(len(labels)))
    random.shuffle(order)
    before = metrics.summarise(labels, scores, n_resamples=0)["value"]
    after = metrics.summarise(labels[order], scores[order], n_resamples=0)["value"]
    np.testing.assert_allclose(before, after, atol=1e-12)


@given(examples())
def test_ranking_is_blind_to_the_scale(data):
    labels, scores = data
    energies = 30 * scores**3 - 40
    assert metrics.auroc_score(labels, energies) == pytest.approx(metrics.auroc_score(labels, scores), abs=1e-12)
    assert metrics.auroc_score(labels, -energies) == pytest.approx(1 - metrics.auroc_score(labels, scores), abs=1e-12)


def obvious_bootstrap(labels, scores, measure, n_resamples, random_state):
    rng = np.random.default_rng(random_state)
    values = []
    for _ in range(n_resamples):
        rows = rng.integers(0, len(labels), size=len(labels))
        values.append(measure(labels[rows], scores[rows]))
    values = np.array(values)
    values = values[~np.isnan(values)]
    return np.percentile(values, [2.5, 97.5]) if len(values) else [np.nan, np.nan]


@settings(max_examples=10, deadline=None)
@given(examples())
def test_bootstrap_is_the_obvious_one(data):
    labels, scores = data
    found = metrics.summarise(labels, scores, n_resamples=40, random_state=3).set_index("metric")
    for name in ("auroc", "average_precision", "mcc", "ppv", "brier_loss", "calibration_error"):
        measure = next(getattr(metrics, name + end) for end in ("_score", "") if hasattr(metrics, name + end))
        expected = obvious_bootstrap(labels, scores, measure, 40, 3)
        np.testing.assert_allclose(found.loc[name, ["low", "high"]].to_numpy(float), expected, atol=1e-12)


def test_bootstrap_does_not_depend_on_the_chunk(monkeypatch):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 101), rng.random(101)
    whole = metrics.summarise(labels, scores, n_resamples=50)
    monkeypatch.setattr(metrics, "_CHUNK", 700)
    pd.testing.assert_frame_equal(metrics.summarise(labels, scores, n_resamples=50), whole, rtol=1e-12)


def test_the_same_resamples_for_every_predictor():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 80), rng.random(80)
    one = metrics.summarise(labels, scores, n_resamples=50).set_index("metric").loc["auroc"]
    turned = metrics.summarise(labels, 1 - scores, n_resamples=50).set_index("metric").loc["auroc"]
    assert turned["low"] == pytest.approx(1 - one["high"], abs=1e-12)


def test_interval_covers_at_its_nominal_rate():
    rng = np.random.default_rng(1)
    truth, covered = 0.7602, 0  # AUROC of two unit normals one apart
    for _ in range(200):
        labels = np.repeat([0, 1], 75)
        scores = 1 / (1 + np.exp(-rng.normal(labels, 1)))
        row = metrics.summarise(labels, scores, n_resamples=200).set_index("metric").loc["auroc"]
        covered += row["low"] <= truth <= row["high"]
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_gives_nan_and_no_warning(label):
    found = metrics.summarise([label] * 4, [0.9, 0.2, 0.6, 0.6], n_resamples=20).set_index("metric")
    assert found.loc[["auroc", "average_precision", "mcc"]].isna().all().all()
    assert found["value"].isna()["sensitivity"] == (label == 0)
    assert found["value"].isna()["specificity"] == (label == 1)
    assert found["value"].isna()["f1"] == (label == 0)
    assert found["value"]["accuracy"] == (0.75 if label else 0.25)


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_constant_scores(score):
    found = metrics.summarise([0, 1, 1], [score] * 3, n_resamples=30).set_index("metric")["value"]
    assert found["auroc"] == 0.5
    assert found["average_precision"] == pytest.approx(2 / 3)
    assert found["mcc"] == 0
    assert np.isnan(found["ppv"]) == (score < 0.5)
    assert np.isnan(found["npv"]) == (score >= 0.5)


def test_energies_have_no_brier_loss():
    found = metrics.summarise([0, 1, 1], [-3.0, 12.0, 20.0], threshold=10, n_resamples=10).set_index("metric")
    assert found.loc[list(metrics.PROBABILITY_METRICS)].isna().all().all()
    assert found["value"]["accuracy"] == 1
    ranks = metrics.summarise([0, 1], [0, 1], probabilities=False, n_resamples=0).set_index("metric")
    assert np.isnan(ranks["value"]["brier_loss"])


@pytest.mark.parametrize(
    ("labels", "scores", "problem"),
    [
        ([], [], "no examples to evaluate"),
        ([0, 1], [0.5], r"labels \(2,\) and scores \(1,\)"),
        ([0, 2], [0.5, 0.5], "neither 0 nor 1"),
        ([0, 1], [0.5, np.nan], "score nan"),
    ],
)
def test_bad_input_is_one_line(labels, scores, problem):
    with pytest.raises(InputError, match=problem) as error:
        metrics.summarise(labels, scores)
    assert "\n" not in str(error.value)


@given(examples())
def test_best_threshold_is_the_best(data):
    labels, scores = data
    best = metrics.accuracy_score(labels, scores, threshold=metrics.best_threshold(labels, scores))
    assert best == pytest.approx(max(metrics.accuracy_score(labels, scores, threshold=t) for t in [*scores, 2]))


def test_best_threshold_may_call_none():
    assert metrics.best_threshold([0, 0, 1], [0.5, 0.5, 0.5]) == np.inf
    with pytest.raises(InputError, match="no examples"):
        metrics.best_threshold([], [])


@given(examples())
def test_curves_have_the_areas_of_the_scores(data):
    labels, scores = data
    lines = metrics.curves(labels, scores, n_points=10**6)
    roc, pr, bins = (lines[lines["curve"] == name] for name in ("roc", "precision_recall", "reliability"))
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(metrics.auroc_score(labels, scores), abs=1e-9)
    steps = (np.diff(pr["x"]) * pr["y"].to_numpy()[1:]).sum()
    assert steps == pytest.approx(metrics.average_precision_score(labels, scores), abs=1e-9)
    error = (bins["n"] * (bins["x"] - bins["y"]).abs()).sum() / len(labels)
    assert error == pytest.approx(metrics.calibration_error(labels, scores), abs=1e-9)


def test_curves_are_thinned_and_end_in_the_corners():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 5000)
    scores = rng.random(5000) * 0.5 + labels * 0.3
    lines = metrics.curves(labels, scores, n_points=50)
    roc = lines[lines["curve"] == "roc"]
    assert len(roc) <= 102
    assert roc[["x", "y"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(metrics.auroc_score(labels, scores), abs=0.02)


def test_curves_of_one_class_and_of_energies():
    assert set(metrics.curves([1, 1], [0.2, 0.4])["curve"]) == {"reliability"}
    assert set(metrics.curves([0, 1], [-9, 4])["curve"]) == {"roc", "precision_recall"}
    assert metrics.curves([1], [7]).empty


def test_import_is_light():
    heavy = ("sklearn", "torch", "matplotlib", "RNA")
    code = f"import sys, mirscope.metrics; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The 43 patients of DeLong et al. (1988) with all three tests: albumin, total protein, K-G score (lower is better),
# and whether surgery helped.
OVARIAN = """
3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1 3.8 5.7 5 1
3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0 2.3 4.4 6 1 4.2 7.6 4 0
4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1 3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1 3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1
4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0 3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1
2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1 3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1"""


def test_delong_on_their_data():
    albumin, protein, kg, helped = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4).T
    areas = [metrics.auroc_score(helped, scores) for scores in (albumin, protein, -kg)]
    assert areas == pytest.approx([0.7366, 0.6478, 0.7258], abs=5e-5)
    found = metrics.delong(helped, protein, -kg)
    assert vars(found) == pytest.approx(
        {"value": -0.0780, "low": -0.2830, "high": 0.1271, "standard_error": 0.1046, "p": 0.4561}, abs=5e-5
    )
    assert (found.value, found.standard_error) == pytest.approx(brute_delong(helped, protein, -kg))
    assert metrics.delong(helped, albumin, -kg).standard_error == pytest.approx(0.0953, abs=5e-5)


def brute_delong(labels, a, b):
    """DeLong's covariance by his own sums over all pairs of a positive and a negative."""
    wins = []
    for scores in (a, b):
        x, y = scores[labels == 1][:, None], scores[labels == 0][None]
        wins.append((x > y) + 0.5 * (x == y))
    m, n = wins[0].shape
    gap = wins[0] - wins[1]
    difference = gap.mean()
    by_positive = ((gap.mean(1) - difference) ** 2).sum() / (m - 1)
    by_negative = ((gap.mean(0) - difference) ** 2).sum() / (n - 1)
    return difference, np.sqrt(by_positive / m + by_negative / n)


@given(examples(), st.data())
def test_delong_is_the_sum_over_all_pairs(data, more):
    labels, a = data
    b = np.array(more.draw(st.lists(st.integers(0, 12), min_size=len(a), max_size=len(a)))) / 12
    found = metrics.delong(labels, a, b)
    assert found.value == pytest.approx(metrics.auroc_score(labels, a) - metrics.auroc_score(labels, b), abs=1e-12)
    if min(np.bincount(labels, minlength=2)) > 1:
        assert (found.value, found.standard_error) == pytest.approx(brute_delong(labels, a, b), abs=1e-9)
        assert 0 <= found.p <= 1
        other = metrics.delong(labels, b, a)
        assert (other.value, other.low, other.p) == pytest.approx((-found.value, -found.high, found.p), abs=1e-9)
    else:
        assert np.isnan(found.standard_error)


def test_delong_rejects_at_its_level():
    rng = np.random.default_rng(5)
    rejected = 0
    for _ in range(300):
        labels = np.repeat([0, 1], 60)
        shared = labels + rng.normal(size=120)
        a, b = shared + rng.normal(size=120), shared + rng.normal(size=120)
        found = metrics.delong(labels, a, b)
        rejected += found.p < 0.05
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    assert 0.02 <= rejected / 300 <= 0.09


@settings(max_examples=10, deadline=None)
@given(examples(), st.data())
@pytest.mark.parametrize("metric", ["auroc", "average_precision", "mcc", "accuracy"])
def test_paired_bootstrap_is_the_obvious_one(metric, data, more):
    labels, a = data
    b = np.array(more.draw(st.lists(st.integers(0, 12), min_size=len(a), max_size=len(a)))) / 12
    found = metrics.paired_bootstrap(labels, a, b, metric=metric, n_resamples=40, random_state=3)
    measure = getattr(metrics, f"{metric}_score")
    rng = np.random.default_rng(3)
    drawn = [rng.integers(0, len(labels), size=len(labels)) for _ in range(40)]
    values = np.array([measure(labels[rows], a[rows]) - measure(labels[rows], b[rows]) for rows in drawn])
    values = values[~np.isnan(values)]
    assert found.value == pytest.approx(measure(labels, a) - measure(labels, b), abs=1e-12)
    if len(values) > 1:
        low, high = np.percentile(values, [2.5, 97.5])
        expected = (low, high, values.std(ddof=1))
        assert (found.low, found.high, found.standard_error) == pytest.approx(expected, abs=1e-12)


def test_paired_bootstrap_agrees_with_delong():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    shared = labels + rng.normal(size=600)
    a, b = shared + rng.normal(size=600), shared + 1.5 * rng.normal(size=600)
    theory, drawn = metrics.delong(labels, a, b), metrics.paired_bootstrap(labels, a, b, n_resamples=2000)
    assert drawn.value == theory.value
    assert drawn.standard_error == pytest.approx(theory.standard_error, rel=0.1)
    assert (drawn.low, drawn.high) == pytest.approx((theory.low, theory.high), abs=0.2 * theory.standard_error)


def test_no_difference():
    labels, scores = np.array(LABELS), np.array(SCORES)
    nothing = metrics.Difference(0.0, 0.0, 0.0, 0.0, 1.0)
    assert metrics.delong(labels, scores, 2 * scores) == nothing
    assert metrics.paired_bootstrap(labels, scores, scores, n_resamples=50) == nothing
    assert metrics.delong([0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]).p == 0


def test_paired_tests_of_one_class_and_bad_input():
    assert np.isnan(list(vars(metrics.delong([1, 1], [0, 1], [1, 0])).values())).all()
    assert np.isnan(metrics.paired_bootstrap([1, 1], [0, 1], [1, 0], n_resamples=9).p)
    assert np.isnan(metrics.paired_bootstrap(LABELS, SCORES, SCORES, n_resamples=0).p)
    energies = 20 * np.array(SCORES)
    assert np.isnan(metrics.paired_bootstrap(LABELS, SCORES, energies, metric="brier_loss", n_resamples=9).value)
    with pytest.raises(UsageError, match="no metric 'auc'"):
        metrics.paired_bootstrap(LABELS, SCORES, SCORES, metric="auc")
    with pytest.raises(InputError, match="scores"):
        metrics.delong(LABELS, SCORES, SCORES[:2])
    with pytest.raises(InputError, match="no examples"):
        metrics.paired_bootstrap([], [], [])


def test_the_interval_of_a_mean_is_of_resampled_groups():
    """Five groups of one row and one of ninety-five: of the rows alone the interval is narrow, of the groups wide."""
    values = np.array([1.0, 3.0, 1.0, 3.0, 5.0, *[2.0] * 95])
    groups = np.array([0, 1, 2, 3, 4, *[5] * 95])
    low, high = metrics.mean_interval(values)
    assert 1.9 < low < values.mean() < high < 2.2
    low, high = metrics.mean_interval(values, groups)
    assert low < 1.9
    assert high > 2.5  # the large group is not drawn in a third of the resamples
    assert metrics.mean_interval(np.full(6, 2.0), [0, 0, 1, 1, 2, 2]) == (2, 2)


def test_the_interval_of_a_mean_leaves_out_what_is_not_known():
    values = np.array([[1.0, math.nan, math.nan], [3.0, 2.0, math.nan], [math.nan, 2.0, math.nan]])
    low, high = metrics.mean_interval(values)
    assert (low[0], high[0]) == (1, 3)
    assert (low[1], high[1]) == (2, 2)
    assert math.isnan(low[2])
    assert math.isnan(high[2])


def test_the_interval_of_a_mean_covers_at_its_nominal_rate():
    generator = np.random.default_rng(0)
    bounds = [metrics.mean_interval(generator.normal(size=40), n_resamples=200) for _ in range(300)]
    assert 0.89 <= np.mean([low <= 0 <= high for low, high in bounds]) <= 0.97


def test_rank_correlation():
    """Ranks of 1 2 2 9 are 1, 2.5, 2.5, 4; of 4 8 6 7 they are 1, 4, 2, 3: covariance 3 / sqrt(4.5 x 5)."""
    assert metrics.rank_correlation([1, 2, 2, 9], [4, 8, 6, 7]) == pytest.approx(3 / math.sqrt(4.5 * 5))
    assert metrics.rank_correlation([1, 2, 3], [9, 4, 1]) == pytest.approx(-1)
    assert math.isnan(metrics.rank_correlation([1, 1, 1], [9, 4, 1]))
    assert math.isnan(metrics.rank_correlation([9, 4, 1], [1, 1, 1]))
