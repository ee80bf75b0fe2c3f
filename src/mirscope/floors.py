"""Floors: predictors that see only part of the question, to stand beside every figure of a model.

A floor that reads the miRNA alone cannot know a target; where it scores high, the set can be answered without one. The
floors of hairpins see a few numbers, and not the order of letters and pairs.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import metrics, rna
from mirscope.errors import UsageError

Array = NDArray[np.float64]

SIX_MER = len(rna.SEED_TYPES) - [kind.name for kind in rna.SEED_TYPES].index("6mer")
"""`seed_class` of a 6mer: the threshold of the seed rule."""

SITE_GAP = "N" * 31
"""Parts several sites in one `target_seq`: no k-mer, no seed match and no loop of a duplex (30 nt) reaches over it."""

_THRESHOLD_ROWS = 4000  # training rows whose energy is computed to choose a threshold
_CHUNK = 500  # pairs sent to a worker at once
_MAX_K = 4
_NT_AT_ONCE = 4_000_000  # padded nt whose k-mers are counted at once


def mirna_identity(pairs: pd.DataFrame, train: pd.DataFrame) -> Array:
    """The share of positives among the training rows of the same miRNA sequence; the mean label where it is unseen."""
    return _frequency(pairs, train, "mirna_seq")


def gene_identity(pairs: pd.DataFrame, train: pd.DataFrame) -> Array:
    """The share of positives among the training rows of the same gene; a row without a gene counts as unseen."""
    return _frequency(pairs, train, "gene_id")


def _frequency(pairs: pd.DataFrame, train: pd.DataFrame, column: str) -> Array:
    """(positives + 1) / (rows + 2) of each key in training; the mean label of training where it was not seen."""
    rows = train["label"].astype(float).groupby(_keys(train, column)).agg(["sum", "size"])
    scores = _keys(pairs, column).map((rows["sum"] + 1) / (rows["size"] + 2)).to_numpy(dtype=float)
    return np.where(np.isnan(scores), float(train["label"].mean()), scores)


def _leave_one_out(train: pd.DataFrame, column: str) -> Array:
    """The score each training row would have from `_frequency` had it not been there, with the same prior."""
    labels = train["label"].astype(float)
    rows = labels.groupby(_keys(train, column))
    positives, others = rows.transform("sum") - labels, rows.transform("size") - 1
    return ((positives + 1) / (others + 2)).where(others > 0, labels.mean()).to_numpy(dtype=float)


def _keys(table: pd.DataFrame, column: str) -> pd.Series:
    """The column, missing where it is empty: missing keys are never seen."""
    return table[column].where(table[column] != "")


def mirna_kmers(pairs: pd.DataFrame, train: pd.DataFrame) -> Array:
    """Logistic regression on the miRNA's counts of 1- to 4-mers."""
    return _kmers(pairs["mirna_seq"], train["mirna_seq"], train["label"])


def target_kmers(pairs: pd.DataFrame, train: pd.DataFrame) -> Array:
    """Logistic regression on the target's counts of 1- to 4-mers."""
    return _kmers(pairs["target_seq"], train["target_seq"], train["label"])


def hairpin_kmers(hairpins: pd.DataFrame, train: pd.DataFrame) -> Array:
    """Logistic regression on the hairpin's counts of 1- to 4-mers; it is not folded."""
    return _kmers(hairpins["hairpin_seq"], train["hairpin_seq"], train["label"])


NUMBERS = ("length", "mfe", "mfe_per_nt", "gc_share", "paired_share")
"""What `hairpin_numbers` gives of each hairpin."""


def hairpin_numbers(hairpins: pd.DataFrame) -> pd.DataFrame:
    """The columns `NUMBERS`: length (nt), energy of the fold (kcal/mol) and that for each nt, shares of G and C and of
    paired nt.

    Args:
        hairpins: columns of `tables.HAIRPINS`; structures that are not given are folded, about 300 hairpins a second.
    """
    given = hairpins["structure"] if "structure" in hairpins else pd.Series("", index=hairpins.index)
    rows = []
    for sequence, structure in zip(hairpins["hairpin_seq"], given.fillna(""), strict=True):
        folded, mfe = (structure, rna.energy(sequence, structure)) if structure else rna.fold(sequence)
        rows.append(rna.numbers(sequence, folded, mfe))
    return pd.DataFrame(rows, columns=list(NUMBERS), index=hairpins.index, dtype=float)


def hairpin_regression(hairpins: pd.DataFrame, train: pd.DataFrame) -> Array:
    """Logistic regression on the `NUMBERS` of hairpins, columns of both tables."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return _learn(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), hairpins, train)


def hairpin_trees(hairpins: pd.DataFrame, train: pd.DataFrame) -> Array:
    """Boosted trees on the `NUMBERS` of hairpins, columns of both tables."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return _learn(HistGradientBoostingClassifier(random_state=0), hairpins, train)


def _learn(classifier: Any, hairpins: pd.DataFrame, train: pd.DataFrame) -> Array:
    columns = list(NUMBERS)
    classifier.fit(train[columns].to_numpy(), train["label"].to_numpy(dtype=int))
    return np.asarray(classifier.predict_proba(hairpins[columns].to_numpy())[:, 1], dtype=float)


def kmer_counts(sequences: list[str]) -> Array:
    """Counts of the 340 1- to 4-mers, (n, 340); those with an N are not counted."""
    size = max(1, _NT_AT_ONCE // max([1, *map(len, sequences)]))
    parts = [_counts(sequences[low : low + size]) for low in range(0, max(len(sequences), 1), size)]
    return np.vstack(parts)


def _counts(sequences: list[str]) -> Array:
    codes = rna.encode(sequences).astype(np.int64)
    rows = np.arange(len(codes))[:, None]
    blocks = []
    for k in range(1, _MAX_K + 1):
        width = max(0, codes.shape[1] - k + 1)
        index = np.zeros((len(codes), width), dtype=np.int64)
        whole = np.ones((len(codes), width), dtype=bool)
        for offset in range(k):
            part = codes[:, offset : offset + width]
            index, whole = 4 * index + part, whole & (part != rna.N)
        cells = (rows * 4**k + index)[whole]
        blocks.append(np.bincount(cells, minlength=len(codes) * 4**k).reshape(len(codes), 4**k))
    return np.hstack(blocks).astype(float)


def _kmers(sequences: pd.Series, seen: pd.Series, labels: pd.Series) -> Array:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    # Rows of one sequence and label are one row of that weight: the same optimum, of a tenth of the rows.
    rows = (
        pd.DataFrame({"sequence": seen.to_numpy(), "label": labels.to_numpy()}).value_counts(sort=False).reset_index()
    )
    rows = rows.sort_values(["sequence", "label"])
    weights = rows["count"].to_numpy(dtype=float)
    scaler, regression = StandardScaler(), LogisticRegression(solver="newton-cholesky", max_iter=200)
    x = scaler.fit_transform(kmer_counts(rows["sequence"].tolist()), sample_weight=weights)
    regression.fit(x, rows["label"].to_numpy(dtype=int), sample_weight=weights)
    places, asked = pd.factorize(sequences)
    scores = regression.predict_proba(scaler.transform(kmer_counts(list(asked))))[:, 1]
    return np.asarray(scores[places], dtype=float)


def seed_class(pairs: pd.DataFrame) -> Array:
    """Rank of the best seed match anywhere in the target: 5 for an 8mer, 2 for a 6mer, 0 for none."""
    mirnas, targets = rna.encode(pairs["mirna_seq"].tolist()), rna.encode(pairs["target_seq"].tolist())
    found = [rna.seed_matches(m, t).any(1) for m, t in zip(mirnas, targets, strict=True)]
    fits = np.array(found, dtype=bool).reshape(len(pairs), len(rna.SEED_TYPES))
    return np.where(fits.any(1), len(rna.SEED_TYPES) - fits.argmax(1), 0).astype(float)


def duplex_energy(
    pairs: pd.DataFrame, *, threads: int = 1, max_rows: int | None = None, random_state: int = 0
) -> Array:
    """Minus the energy (kcal/mol) of the best duplex by RNAduplex, of several sites that of the best.

    Args:
        pairs: columns mirna_seq, target_seq.
        threads: processes; each does about 4,000 pairs of sites a second.
        max_rows: NaN for all but so many rows, drawn with `random_state`.
        random_state: of the draw.
    """
    rows = np.arange(len(pairs))
    if max_rows is not None and max_rows < len(rows):
        rows = np.sort(np.random.default_rng(random_state).choice(len(rows), max_rows, replace=False))
    asked = pairs.iloc[rows]
    both = list(zip(asked["mirna_seq"], asked["target_seq"], strict=True))
    scores = np.full(len(pairs), np.nan)
    if threads == 1 or len(both) <= _CHUNK:
        scores[rows] = [_energy(pair) for pair in both]
    else:  # spawn: a fork of a process that has loaded torch may hang
        with ProcessPoolExecutor(threads, mp_context=multiprocessing.get_context("spawn")) as pool:
            scores[rows] = list(pool.map(_energy, both, chunksize=_CHUNK))
    return scores


def _energy(pair: tuple[str, str]) -> float:
    mirna, target = pair
    return -min(rna.duplex_mfe(mirna, site) for site in target.split(SITE_GAP)) + 0.0


@dataclass(frozen=True)
class Floor:
    """What a floor is called in reports, what it does not see, and whether it is learned (then a probability).

    `learn` is the function of a learned floor, and `column` what that floor reads; of hairpins also what is the score
    of a floor that is not learned, times `sign`.
    """

    title: str
    unseen: str
    learn: Callable[[pd.DataFrame, pd.DataFrame], Array] | None = None
    column: str = ""
    sign: int = 1


FLOORS = {
    "mirna_identity": Floor("miRNA identity", "the target", mirna_identity, "mirna_seq"),
    "gene_identity": Floor("gene identity", "the miRNA", gene_identity, "gene_id"),
    "mirna_kmers": Floor("miRNA k-mers", "the target", mirna_kmers, "mirna_seq"),
    "target_kmers": Floor("target k-mers", "the miRNA", target_kmers, "target_seq"),
    "seed_class": Floor("seed class", ""),
    "duplex_energy": Floor("duplex energy", ""),
}
"""Every floor of pairs, in the order of reports."""
HAIRPIN_FLOORS = {
    "length": Floor("length", "the letters and the fold", column="length"),
    "gc_share": Floor("GC share", "the fold", column="gc_share"),
    "hairpin_kmers": Floor("hairpin k-mers", "the fold", hairpin_kmers, "hairpin_seq"),
    "paired_share": Floor("paired share", "the letters", column="paired_share"),
    "stability": Floor("minus energy a nt", "the order of letters and pairs", column="mfe_per_nt", sign=-1),
    "hairpin_regression": Floor("regression on 5 numbers", "the order of letters and pairs", hairpin_regression, "mfe"),
    "hairpin_trees": Floor("boosted trees on 5 numbers", "the order of letters and pairs", hairpin_trees, "mfe"),
}
"""Every floor of hairpins, in the order of reports."""
N_SITES = Floor("number of sites", "the sequences")
"""The floor `n_sites` of pairs of a miRNA and a gene: how many candidate sites the gene has."""


def of(pairs: pd.DataFrame) -> dict[str, Floor]:
    """The floors of this table: `HAIRPIN_FLOORS` of hairpins; else `FLOORS`, and `n_sites` where it has that column."""
    if "hairpin_seq" in pairs:
        return HAIRPIN_FLOORS
    return FLOORS | ({"n_sites": N_SITES} if "n_sites" in pairs else {})


def prepared(pairs: pd.DataFrame) -> pd.DataFrame:
    """The table with all that its floors read: hairpins with their `NUMBERS`, worked out once; pairs as they are."""
    if "hairpin_seq" not in pairs or "paired_share" in pairs:
        return pairs
    return pairs.assign(**hairpin_numbers(pairs))


N_SPLITS = 5


def all_floors(
    pairs: pd.DataFrame,
    train: pd.DataFrame | None = None,
    *,
    threads: int = 1,
    max_rows: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Scores of every floor on every pair or hairpin.

    Args:
        pairs: columns of `tables.PAIRS` or `tables.HAIRPINS`.
        train: labelled pairs that the learned floors learn from. `None`: stratified, shuffled 5-fold cross-validation
            inside `pairs`, so that no row is scored by a floor that has seen its label.
        threads: processes for the duplex energies.
        max_rows: rows of `pairs` to compute energies for; default all.
        random_state: of the cross-validation and of the rows drawn.

    Returns:
        A row for each pair, with the index of `pairs`; a column for each floor `of` them: NaN throughout where there is
        nothing to learn from (no gene ids, no labels, labels of one class).
    """
    found, pairs = of(pairs), prepared(pairs)
    train = None if train is None else prepared(train)
    scores = {name: np.full(len(pairs), np.nan) for name in found}
    for rows, learned_from in _splits(pairs, train, random_state):
        asked = pairs.iloc[rows]
        for name, floor in found.items():
            if floor.learn and has(asked, floor.column) and has(learned_from, floor.column):
                scores[name][rows] = floor.learn(asked, learned_from)
    if found is HAIRPIN_FLOORS:
        scores |= {name: _number(pairs, floor) for name, floor in found.items() if not floor.learn}
        return pd.DataFrame(scores, index=pairs.index)
    scores["seed_class"] = seed_class(pairs)
    scores["duplex_energy"] = duplex_energy(pairs, threads=threads, max_rows=max_rows, random_state=random_state)
    if "n_sites" in pairs:
        scores["n_sites"] = pairs["n_sites"].to_numpy(float)
    return pd.DataFrame(scores, index=pairs.index)


def _number(hairpins: pd.DataFrame, floor: Floor) -> Array:
    return np.asarray(floor.sign * hairpins[floor.column].to_numpy(dtype=float))


def has(pairs: pd.DataFrame, column: str) -> bool:
    """Whether any pair has something in the column."""
    return column in pairs and bool(_keys(pairs, column).notna().any())


def _splits(
    pairs: pd.DataFrame, train: pd.DataFrame | None, random_state: int
) -> list[tuple[NDArray[np.int64], pd.DataFrame]]:
    """Rows to score, and the pairs to learn from for them; nothing where there are not two classes to learn."""
    from sklearn.model_selection import StratifiedKFold

    table = pairs if train is None else train
    smaller = table["label"].value_counts().reindex([0, 1], fill_value=0).min() if "label" in table else 0
    if train is not None:
        return [(np.arange(len(pairs)), train)] if smaller and len(pairs) else []
    if smaller < 2:
        return []
    splitter = StratifiedKFold(min(N_SPLITS, int(smaller)), shuffle=True, random_state=random_state)
    labels = pairs["label"].astype(int)
    return [(rows, pairs.iloc[seen]) for seen, rows in splitter.split(labels, labels)]


def threshold(
    name: str,
    pairs: pd.DataFrame,
    scores: Array,
    train: pd.DataFrame | None = None,
    *,
    threads: int = 1,
    random_state: int = 0,
) -> float:
    """The score at or above which a floor calls a pair.

    K-mer floors and all learned ones of hairpins: 0.5. Seed class: a 6mer or better. The others: the threshold of the
    best accuracy on `train`, where identities score each row without its own label (so that the side on which unseen
    ones mostly lie is learned too) and energies are computed for 4,000 rows drawn. Without `train` it is chosen on the
    evaluated pairs themselves, which flatters the floor by this one number.

    Args:
        name: one of those `of` the pairs.
        pairs: the evaluated pairs, with labels.
        scores: the floor's scores of them; NaN where it has none.
        train: as for `all_floors`.
        threads: processes for the duplex energies.
        random_state: of the rows drawn.
    """
    found = of(pairs)
    if name not in found:
        raise UsageError(f"no floor {name!r}; expected one of {', '.join(found)}")
    if name.endswith("_kmers") or (found is HAIRPIN_FLOORS and found[name].learn):
        return 0.5
    if name == "seed_class":
        return float(SIX_MER)
    table = pairs if train is None else train
    if found is HAIRPIN_FLOORS:
        return metrics.best_threshold(table["label"], _number(prepared(table), found[name]))
    if name.endswith("_identity"):
        return metrics.best_threshold(table["label"], _leave_one_out(table, FLOORS[name].column))
    if name == "n_sites":
        return metrics.best_threshold(table["label"], table["n_sites"])
    if train is not None:
        scores = duplex_energy(train, threads=threads, max_rows=_THRESHOLD_ROWS, random_state=random_state)
    known = ~np.isnan(scores)
    return metrics.best_threshold(table["label"].to_numpy()[known], scores[known])
