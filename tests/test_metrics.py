"""Metrics against answers counted by hand, scikit-learn, and an obvious bootstrap."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import metrics
from mirscope.errors import InputError

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
