"""How good are scores? Measures of labels (0 or 1) and scores with bootstrap intervals, and paired tests of two scores.

`*_score` up is better, `*_loss` and `*_error` down. A pair is called where its score is at or above the threshold. A
measure that the labels cannot give (a specificity without negatives, a ranking of one class) is NaN, never 0 or 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mirscope.errors import InputError, UsageError

Array = NDArray[np.float64]

METRICS = (
    "auroc",
    "average_precision",
    "accuracy",
    "sensitivity",
    "specificity",
    "f1",
    "ppv",
    "npv",
    "mcc",
    "brier_loss",
    "calibration_error",
)
"""Rows of `summarise`, in its order."""
PROBABILITY_METRICS = ("brier_loss", "calibration_error")
"""Measures that mean something only where a score is a probability."""

N_BINS = 10
_Z = 1.959963984540054  # the 97.5 % point of the unit normal
_CHUNK = 2_000_000  # counts held at once by the bootstrap: 16 MB


class _Tally:
    """Examples counted by distinct score, best first: all measures are sums and cumulative sums of these counts."""

    def __init__(self, labels: ArrayLike, scores: ArrayLike) -> None:
        y, s = np.asarray(labels), np.asarray(scores, dtype=float)
        if y.shape != s.shape or y.ndim != 1:
            raise InputError(f"labels {y.shape} and scores {s.shape}; expected two columns of one length")
        if not np.isin(y, (0, 1)).all():
            raise InputError("a label is neither 0 nor 1")
        if not np.isfinite(s).all():
            raise InputError(f"score {s[~np.isfinite(s)][0]}; expected a finite number")
        values, place = np.unique(-s, return_inverse=True)
        self.n = len(s)
        self.values: Array = -values + 0.0  # (G,), descending; + 0.0 turns -0.0 into 0.0
        self.cell = 2 * place + y.astype(np.int64)  # (n,): even cells count negatives, odd ones positives

    @property
    def are_probabilities(self) -> bool:
        """Whether all scores lie from 0 to 1."""
        return self.n > 0 and bool(self.values[0] <= 1 and self.values[-1] >= 0)

    def counts(self) -> tuple[Array, Array]:
        """Positives and negatives at each distinct score, (1, G) each."""
        return self._split(np.bincount(self.cell, minlength=2 * len(self.values))[None])

    def resamples(self, n_resamples: int, random_state: int) -> Iterator[tuple[Array, Array]]:
        """The same of bootstrap resamples, (rows, G) each; the drawn rows depend on `n` and `random_state` only."""
        rng = np.random.default_rng(random_state)
        cells = 2 * len(self.values)
        size = max(1, _CHUNK // max(cells, self.n, 1))
        for start in range(0, n_resamples, size):
            rows = min(size, n_resamples - start)
            drawn = self.cell[rng.integers(0, self.n, size=(rows, self.n))]
            drawn += cells * np.arange(rows)[:, None]
            yield self._split(np.bincount(drawn.ravel(), minlength=rows * cells).reshape(rows, cells))

    @staticmethod
    def _split(counts: NDArray[np.int64]) -> tuple[Array, Array]:
        return counts[:, 1::2].astype(float), counts[:, ::2].astype(float)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """The quotient; NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def _auroc(positives: Array, negatives: Array) -> Array:
    above = np.cumsum(positives, axis=1) - positives / 2  # positives above each negative, ties half
    return _ratio((negatives * above).sum(1), positives.sum(1) * negatives.sum(1))


def _average_precision(positives: Array, negatives: Array) -> Array:
    true = np.cumsum(positives, axis=1)
    called = true + np.cumsum(negatives, axis=1)
    precision = np.divide(true, called, out=np.zeros_like(true), where=called > 0)
    found = _ratio((positives * precision).sum(1), positives.sum(1))
    return np.where(negatives.sum(1) > 0, found, np.nan)


def _mcc(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    spread = np.sqrt((tp + fn) * (fp + tn)) * np.sqrt((tp + fp) * (fn + tn))
    one_way = (tp + fp) * (fn + tn) == 0  # all called or none: by convention 0
    return np.where(one_way & ((tp + fn) * (fp + tn) > 0), 0.0, _ratio(tp * tn - fp * fn, spread))


def _bins(values: Array, n_bins: int) -> NDArray[np.int64]:
    """Bin of each score among `n_bins` of equal width from 0 to 1; a score on an edge belongs to the upper bin."""
    return np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], values, side="right")


def _calibration(positives: Array, negatives: Array, values: Array, n_bins: int) -> Array:
    member = np.eye(n_bins)[_bins(values, n_bins)]  # (G, bins)
    total = positives + negatives
    gap = np.abs(positives @ member - (total * values) @ member)
    return _ratio(gap.sum(1), total.sum(1))


def _measure(
    counts: tuple[Array, Array], values: Array, *, threshold: float, n_bins: int, probabilities: bool
) -> dict[str, Array]:
    """Every measure of each row of the counts: arrays (rows,)."""
    positives, negatives = counts
    called = int(np.searchsorted(-values, -threshold, side="right"))
    tp, fp = positives[:, :called].sum(1), negatives[:, :called].sum(1)
    fn, tn = positives[:, called:].sum(1), negatives[:, called:].sum(1)
    n = tp + fp + fn + tn
    undefined = np.full(len(n), np.nan)
    squares = positives @ (1 - values) ** 2 + negatives @ values**2
    return {
        "auroc": _auroc(positives, negatives),
        "average_precision": _average_precision(positives, negatives),
        "accuracy": _ratio(tp + tn, n),
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "f1": np.where(tp + fn > 0, _ratio(2 * tp, 2 * tp + fp + fn), np.nan),
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "mcc": _mcc(tp, fp, fn, tn),
        "brier_loss": _ratio(squares, n) if probabilities else undefined,
        "calibration_error": _calibration(positives, negatives, values, n_bins) if probabilities else undefined,
    }


def _one(name: str, labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5, n_bins: int = N_BINS) -> float:
    tally = _Tally(labels, scores)
    found = _measure(tally.counts(), tally.values, threshold=threshold, n_bins=n_bins, probabilities=True)
    return float(found[name][0])


def accuracy_score(labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5) -> float:
    """The share of examples called rightly."""
    return _one("accuracy", labels, scores, threshold=threshold)


def sensitivity_score(labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5) -> float:
    """The share of positives that are called; NaN without positives."""
    return _one("sensitivity", labels, scores, threshold=threshold)


def specificity_score(labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5) -> float:
    """The share of negatives that are not called; NaN without negatives."""
    return _one("specificity", labels, scores, threshold=threshold)


def f1_score(labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5) -> float:
    """The harmonic mean of PPV and sensitivity; NaN without positives."""
    return _one("f1", labels, scores, threshold=threshold)


def ppv_score(labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5) -> float:
    """The share of calls that are positives (precision); NaN without calls."""
    return _one("ppv", labels, scores, threshold=threshold)


def npv_score(labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5) -> float:
    """The share of examples not called that are negatives; NaN where all are called."""
    return _one("npv", labels, scores, threshold=threshold)


def mcc_score(labels: ArrayLike, scores: ArrayLike, *, threshold: float = 0.5) -> float:
    """Matthews' correlation of calls and labels; 0 where all or none are called, NaN for labels of one class."""
    return _one("mcc", labels, scores, threshold=threshold)


def auroc_score(labels: ArrayLike, scores: ArrayLike) -> float:
    """The chance that a positive scores above a negative, ties counted half; NaN for labels of one class."""
    return _one("auroc", labels, scores)


def average_precision_score(labels: ArrayLike, scores: ArrayLike) -> float:
    """PPV averaged over the positives as the threshold falls, ties together; NaN for labels of one class."""
    return _one("average_precision", labels, scores)


def brier_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """The mean squared difference of score and label."""
    return _one("brier_loss", labels, scores)


def calibration_error(labels: ArrayLike, scores: ArrayLike, *, n_bins: int = N_BINS) -> float:
    """Expected calibration error: |share of positives - mean score| of equal-width bins, weighted by their examples."""
    return _one("calibration_error", labels, scores, n_bins=n_bins)


def best_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """The score at or above which to call for the best accuracy; the highest such; infinite where calling none is best.

    Raises:
        InputError: there are no examples.
    """
    tally = _Tally(labels, scores)
    if not tally.n:
        raise InputError("no examples to choose a threshold on")
    positives, negatives = tally.counts()
    gain = np.cumsum(positives[0] - negatives[0])  # right calls won by calling down to each score
    best = int(gain.argmax())
    return float(tally.values[best]) if gain[best] > 0 else float("inf")


def summarise(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    threshold: float = 0.5,
    n_resamples: int = 1000,
    random_state: int = 0,
    n_bins: int = N_BINS,
    probabilities: bool = True,
) -> pd.DataFrame:
    """Every measure with its 95 % interval (percentiles of bootstrap resamples of the examples).

    Two sets of scores of the same examples meet the same resamples. Resamples in which a measure is undefined do not
    count for its interval. Examples are taken as independent; pairs that share a miRNA or a site are not quite.

    Args:
        labels: 0 or 1, (n,).
        scores: (n,).
        threshold: examples at or above it are called.
        n_resamples: 0 leaves the intervals NaN.
        random_state: of the resamples.
        n_bins: bins of the calibration error.
        probabilities: False for scores such as energies: Brier loss and calibration error are NaN, as they also are
            where a score lies outside 0-1.

    Returns:
        A row for each of `METRICS`: metric, value, low, high.

    Raises:
        InputError: no examples, lengths differ, or a value is no label or no number.
    """
    tally = _Tally(labels, scores)
    if not tally.n:
        raise InputError("no examples to evaluate; expected at least one labelled pair")
    probabilities = probabilities and tally.are_probabilities

    def measure(counts: tuple[Array, Array]) -> dict[str, Array]:
        return _measure(counts, tally.values, threshold=threshold, n_bins=n_bins, probabilities=probabilities)

    point = measure(tally.counts())
    drawn = [measure(counts) for counts in tally.resamples(n_resamples, random_state)]
    rows = []
    for name in METRICS:
        values = np.concatenate([found[name] for found in drawn]) if drawn else np.empty(0)
        values = values[~np.isnan(values)]
        low, high = np.percentile(values, [2.5, 97.5]) if len(values) and n_resamples else (np.nan, np.nan)
        rows.append((name, float(point[name][0]), float(low), float(high)))
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high"])


@dataclass(frozen=True)
class Difference:
    """A measure of scores a less that of scores b on the same examples: 95 % interval, standard error, two-sided p."""

    value: float
    low: float
    high: float
    standard_error: float
    p: float


def delong(labels: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike) -> Difference:
    """The difference of two AUROCs by the method of DeLong et al. (1988, Biometrics 44:837), from normal theory.

    In time n log n by midranks (Sun and Xu 2014, IEEE Signal Processing Letters 21:1389). NaN throughout where labels
    are of one class, and all but the value where a class has one example. Where neither AUROC can vary, p is 1 if they
    are equal, else 0.

    Args:
        labels: 0 or 1, (n,).
        scores_a: (n,).
        scores_b: (n,).
    """
    is_positive = np.asarray(labels) == 1
    areas, placements = [], []
    for scores in (scores_a, scores_b):
        tally = _Tally(labels, scores)
        positives, negatives = tally.counts()
        areas.append(_auroc(positives, negatives)[0])
        above = np.cumsum(positives[0]) - positives[0] / 2  # positives above each distinct score, ties half
        below = negatives.sum() - np.cumsum(negatives[0]) + negatives[0] / 2
        group = tally.cell // 2
        placements.append(np.where(is_positive, below[group], above[group]))
    value, n_positive = float(areas[0] - areas[1]), int(is_positive.sum())
    n_negative = len(is_positive) - n_positive
    if min(n_positive, n_negative) < 2:
        return Difference(value, *[math.nan] * 4)
    # Each example's share of the difference; both AUROCs are means of such shares, of positives and of negatives.
    gap = placements[0] - placements[1]
    variance = (gap[is_positive] / n_negative).var(ddof=1) / n_positive
    variance += (gap[~is_positive] / n_positive).var(ddof=1) / n_negative
    error = math.sqrt(variance)
    p = math.erfc(abs(value) / error / math.sqrt(2)) if error else float(value == 0)
    return Difference(value, value - _Z * error, value + _Z * error, error, p)


def paired_bootstrap(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    metric: str = "auroc",
    threshold: float = 0.5,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> Difference:
    """The difference of any measure of two scores, from bootstrap resamples of the examples that both meet.

    The interval is of percentiles. p is twice the share of resamples on the other side of 0, counted with the
    difference itself (Davison and Hinkley 1997), so never below 2 / (n_resamples + 1). Resamples in which the measure
    is undefined do not count.

    Args:
        labels: 0 or 1, (n,).
        scores_a: (n,).
        scores_b: (n,).
        metric: one of `METRICS`.
        threshold: examples at or above it are called, by either.
        n_resamples: 0 leaves all but the value NaN.
        random_state: of the resamples.

    Raises:
        UsageError: no such measure.
        InputError: as `summarise`.
    """
    if metric not in METRICS:
        raise UsageError(f"no metric {metric!r}; expected one of {', '.join(METRICS)}")
    points, drawn = [], []
    for scores in (scores_a, scores_b):
        tally = _Tally(labels, scores)
        if not tally.n:
            raise InputError("no examples to compare; expected at least one labelled pair")
        values = [
            _measure(counts, tally.values, threshold=threshold, n_bins=N_BINS, probabilities=tally.are_probabilities)[
                metric
            ]
            for counts in itertools.chain([tally.counts()], tally.resamples(n_resamples, random_state))
        ]
        points.append(values[0][0])
        drawn.append(np.concatenate([np.empty(0), *values[1:]]))
    value, differences = float(points[0] - points[1]), drawn[0] - drawn[1]
    differences = differences[~np.isnan(differences)]
    if math.isnan(value) or len(differences) < 2:
        return Difference(value, *[math.nan] * 4)
    low, high = np.percentile(differences, [2.5, 97.5])
    beyond = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
    p = min(1.0, 2 * beyond / (len(differences) + 1))
    return Difference(value, float(low), float(high), float(differences.std(ddof=1)), float(p))


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's correlation of two columns without gaps; NaN where either is the same everywhere."""
    from scipy.stats import rankdata

    x, y = rankdata(one), rankdata(other)
    return float(np.corrcoef(x, y)[0, 1]) if x.std() and y.std() else math.nan


def mean_interval(
    values: ArrayLike, groups: ArrayLike | None = None, *, n_resamples: int = 1000, random_state: int = 0
) -> tuple[Array, Array]:
    """The 95 % intervals of the means of columns: percentiles of bootstrap resamples of the rows, or of groups of rows.

    Args:
        values: (n, ...); NaN is left out of a mean, and NaN comes out of a column that has nothing else.
        groups: (n,) numbers from 0 of what is drawn together, such as the sites of a miRNA; default each row alone.
        n_resamples: how many.
        random_state: of the resamples.

    Returns:
        Low and high, (...).
    """
    each = np.asarray(values, dtype=float)
    rows, number = each.reshape(len(each), -1), np.arange(len(each)) if groups is None else np.asarray(groups)
    known, n_groups = ~np.isnan(rows), int(number.max(initial=-1)) + 1
    sums, n = np.zeros((2, n_groups, rows.shape[1]))
    np.add.at(sums, number, np.where(known, rows, 0))
    np.add.at(n, number, known)
    generator = np.random.default_rng(random_state)
    drawn = generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), n_resamples).astype(float)
    with np.errstate(invalid="ignore"):
        means = (drawn @ sums) / (drawn @ n)
    bounds = np.full((2, rows.shape[1]), np.nan)
    some = known.any(0)
    bounds[:, some] = np.nanpercentile(means[:, some], [2.5, 97.5], axis=0)
    low, high = bounds.reshape(2, *each.shape[1:])
    return low, high


def curves(labels: ArrayLike, scores: ArrayLike, *, n_bins: int = N_BINS, n_points: int = 400) -> pd.DataFrame:
    """The curves that plots show.

    Args:
        labels: 0 or 1, (n,).
        scores: (n,); the reliability curve is left out unless all lie from 0 to 1.
        n_bins: bins of the reliability curve; empty ones have no point.
        n_points: points nearer than 1 / n_points to the last one kept are left out.

    Returns:
        Columns curve, x, y, n. `roc`: 1 - specificity, sensitivity, calls; `precision_recall`: sensitivity, PPV, calls,
        each PPV holding from the point before (the area of these steps is the average precision); `reliability`: mean
        score, share of positives, examples of the bin. No rows of a curve that labels of one class cannot give.
    """
    tally = _Tally(labels, scores)
    counts = tally.counts()
    positives, negatives = counts[0][0], counts[1][0]
    parts = []
    if positives.sum() and negatives.sum():
        tp, fp = np.cumsum(positives), np.cumsum(negatives)
        recall, ppv, called = np.append(0, tp / tp[-1]), tp / (tp + fp), np.append(0, tp + fp)
        parts.append(_thin("roc", np.append(0, fp / fp[-1]), recall, called, n_points))
        parts.append(_thin("precision_recall", recall, np.append(ppv[0], ppv), called, n_points))
    if tally.are_probabilities:
        member = np.eye(n_bins)[_bins(tally.values, n_bins)]
        total = (positives + negatives) @ member
        held = total > 0
        mean, share = ((positives + negatives) * tally.values) @ member, positives @ member
        x, y = mean[held] / total[held], share[held] / total[held]
        parts.append(pd.DataFrame({"curve": "reliability", "x": x, "y": y, "n": total[held].astype(int)}))
    columns = ["curve", "x", "y", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _thin(name: str, x: Array, y: Array, n: Array, n_points: int) -> pd.DataFrame:
    cell = np.round(x * n_points) * (n_points + 1) + np.round(y * n_points)
    kept = np.append(np.flatnonzero(np.diff(cell)), len(x) - 1)  # the last point of each cell of a fine grid
    kept = np.union1d([0], kept)
    return pd.DataFrame({"curve": name, "x": x[kept], "y": y[kept], "n": n[kept].astype(int)})
