"""miRNAs by how their pairs are read: clusters of sensitivity profiles (Talukder et al. 2022, supplement).

A profile says for each place of a miRNA how much the score of its pairs falls when the run of nucleotides there is
masked, on average over the pairs. miRNAs are joined by average linkage of 1 - Pearson's correlation: the shape counts,
not the height. How firm a cluster is, a bootstrap says: the pairs of every miRNA are drawn again, profiles and clusters
made anew, and the Jaccard index of the cluster with the most similar new one averaged (Hennig 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import interpret, io, plot, predict, runs
from mirscope.errors import TableError, UsageError
from mirscope.models import Model

Array = NDArray[np.float64]

COLUMNS = ("mirna_id", "cluster", "n_pairs", "silhouette", "cluster_stability", "cluster_size")
FIRM = 0.75
"""Mean Jaccard index from which a cluster counts as firm (Hennig 2007)."""
LARGEST = 10
"""Clusters that are tried at most, where their number is not given."""
_PAIRS = 64  # at a time


@dataclass(frozen=True)
class Clusters:
    """What `cluster` found."""

    table: pd.DataFrame
    """Columns `COLUMNS`, in the order of the dendrogram; clusters from 1, the largest first."""
    profiles: pd.DataFrame
    """Means by miRNA (index, in the order of the table) and place (columns)."""
    linkage: Array
    """scipy's; it numbers the miRNAs in the order of the input."""


def eligible(pairs: pd.DataFrame, fewest: int = 5) -> pd.DataFrame:
    """The positive pairs (all, where they have no label) of miRNAs that have `fewest` or more of them.

    miRNAs without a name are called by their sequence.

    Raises:
        TableError: fewer than 3 miRNAs have.
    """
    if "label" in pairs:
        pairs = pairs[pairs["label"] == 1]
    names = pairs["mirna_id"].where(pairs["mirna_id"].astype(bool), pairs["mirna_seq"])
    kept = (names.map(names.value_counts()) >= fewest).to_numpy()
    if names[kept].nunique() < 3:
        raise TableError(f"{names[kept].nunique()} miRNAs have {fewest} or more positive pairs; expected 3 or more")
    return pairs.assign(mirna_id=names)[kept].reset_index(drop=True)


def effects(
    model: Model, pairs: pd.DataFrame, *, k: int = 4, report: Callable[[int], None] = lambda n: None
) -> pd.DataFrame:
    """What masking each run of the miRNA does to the score of pairs: score as it is less the score masked.

    Args:
        model: stays as it is.
        pairs: columns mirna_id, mirna_seq, target_seq, by `eligible`.
        k: nt masked at a time.
        report: called with the number of pairs done, as they are.

    Returns:
        Column mirna_id and one for each place, `1` the first: the run that begins there. As many places as the
        shortest miRNA has.

    Raises:
        TableError: a miRNA is too short.
        UsageError: the model reads no pairs, or no such `k`.
    """
    falls = []
    for low in range(0, len(pairs), _PAIRS):
        some = pairs.iloc[low : low + _PAIRS]
        base, masked = interpret.masked_logits(model, some, "mirna", k=k)
        falls.append(predict.probability(base)[:, None].astype(float) - predict.probability(masked))
        report(len(some))
    fall = np.concatenate(falls)
    fall = fall[:, ~np.isnan(fall).any(0)]
    if fall.shape[1] < 3:
        raise TableError(f"the shortest miRNA has {fall.shape[1]} runs of {k} nt; expected 3 or more")
    table = pd.DataFrame(fall, columns=[str(place + 1) for place in range(fall.shape[1])])
    table.insert(0, "mirna_id", pairs["mirna_id"].to_numpy())
    return table


def read_effects(path: str | Path) -> pd.DataFrame:
    """A plain table of effects: column mirna_id and one for each place, a row for each pair (or one for each miRNA).

    Raises:
        InputError: the file cannot be read.
        TableError: no column mirna_id, fewer than 3 others, or something that is no number.
    """
    lines = [(number, line.split("\t")) for number, line in io.iter_lines(path) if line.strip()]
    header = lines[0][1] if lines else []
    if "mirna_id" not in header or len(header) < 4:
        raise TableError(
            "expected a column mirna_id and 3 or more of places, with tabs between them", path=path, line=1
        )
    places = [number for number, name in enumerate(header) if name != "mirna_id"]
    rows = []
    for number, fields in lines[1:]:
        try:
            rows.append([float(fields[place]) for place in places])
        except (ValueError, IndexError):
            raise TableError("expected a number for each place", path=path, line=number) from None
        if len(fields) != len(header) or not np.isfinite(rows[-1]).all():
            raise TableError(f"expected {len(header)} fields and finite numbers", path=path, line=number)
    table = pd.DataFrame(rows, columns=[header[place] for place in places])
    table.insert(0, "mirna_id", [fields[header.index("mirna_id")] for _, fields in lines[1:]])
    return table


def cluster(
    table: pd.DataFrame, *, n_clusters: int | None = None, n_resamples: int = 100, random_state: int = 0
) -> Clusters:
    """The clusters of miRNAs, and how firm they are.

    Args:
        table: column mirna_id and one for each place; a row for each pair. With one row for each miRNA there is
            nothing to resample: the stability is NaN.
        n_clusters: default the number, 2 to `LARGEST`, of the highest mean silhouette.
        n_resamples: of the pairs of each miRNA.
        random_state: of the resamples.

    Raises:
        TableError: fewer than 3 miRNAs, or a profile without any shape.
        UsageError: no such number of clusters.
    """
    from scipy.cluster.hierarchy import leaves_list

    places = [name for name in table.columns if name != "mirna_id"]
    number, names = pd.factorize(table["mirna_id"])
    values = table[places].to_numpy(float)
    if len(names) < 3:
        raise TableError(f"{len(names)} miRNAs; expected 3 or more to cluster")
    if n_clusters is not None and not 2 <= n_clusters < len(names):
        raise UsageError(f"{n_clusters} clusters of {len(names)} miRNAs; expected 2 to {len(names) - 1}")
    profiles = _means(values, number, np.ones(len(values)))
    if (flat := profiles.std(1) < 1e-12).any():
        raise TableError("the profile is flat; expected effects that differ from place to place", record=names[flat][0])
    tree, distances = _tree(profiles)
    tried = [n_clusters] if n_clusters else range(2, min(LARGEST, len(names) - 1) + 1)
    cuts = [_cut(tree, distances, n) for n in tried]
    _, labels, shape = max(cuts, key=lambda cut: round(cut[0], 12))  # of equals the fewest clusters
    stability = _stability(values, number, labels, n_resamples, random_state)
    order = leaves_list(tree)
    sizes = np.bincount(labels)[1:]
    found = pd.DataFrame(
        {
            "mirna_id": names,
            "cluster": labels,
            "n_pairs": np.bincount(number),
            "silhouette": shape,
            "cluster_stability": stability[labels - 1],
            "cluster_size": sizes[labels - 1],
        }
    )
    means = pd.DataFrame(profiles, index=pd.Index(names, name="mirna_id"), columns=places)
    table = found.iloc[order].reset_index(drop=True)
    return Clusters(table, means.iloc[order], tree)


def _means(values: Array, number: NDArray[np.int64], weights: Array) -> Array:
    """Weighted means of the rows of each miRNA."""
    total = np.zeros((number.max() + 1, values.shape[1]))
    np.add.at(total, number, values * weights[:, None])
    return total / np.bincount(number, weights)[:, None]


def _tree(profiles: Array) -> tuple[Array, Array]:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import pdist, squareform

    distances = pdist(profiles, "correlation").clip(min=0)
    return linkage(distances, "average", optimal_ordering=True), squareform(distances)


def _cut(tree: Array, distances: Array, n: int) -> tuple[float, NDArray[np.int64], Array]:
    """Mean silhouette of n clusters, labels from 1 (the largest first, of equals the first), silhouettes."""
    from scipy.cluster.hierarchy import fcluster
    from sklearn.metrics import silhouette_samples

    raw = fcluster(tree, n, "maxclust")
    kinds, first, sizes = np.unique(raw, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    labels = np.empty(len(raw), np.int64)
    for rank, kind in enumerate(kinds[order], 1):
        labels[raw == kind] = rank
    if len(kinds) < 2:
        return -1.0, labels, np.full(len(raw), np.nan)
    each = silhouette_samples(distances, labels, metric="precomputed")
    return float(each.mean()), labels, each


def _stability(
    values: Array, number: NDArray[np.int64], labels: NDArray[np.int64], n_resamples: int, random_state: int
) -> Array:
    """Mean Jaccard index of each cluster with the most similar one of each resample; NaN without resamples."""
    from scipy.cluster.hierarchy import fcluster

    n = labels.max()
    if not n_resamples or len(values) == number.max() + 1:
        return np.full(n, np.nan)
    generator, total = np.random.default_rng(random_state), np.zeros(n)
    members = [np.flatnonzero(number == mirna) for mirna in range(number.max() + 1)]
    old = labels == np.arange(1, n + 1)[:, None]  # (clusters, miRNAs)
    for _ in range(n_resamples):
        weights = np.zeros(len(values))
        for rows in members:
            np.add.at(weights, generator.choice(rows, len(rows)), 1.0)
        profiles = _means(values, number, weights)
        profiles += 1e-12 * np.arange(profiles.shape[1])  # a flat one correlates with nothing
        raw = fcluster(_tree(profiles)[0], n, "maxclust")
        new = raw == np.unique(raw)[:, None]
        both = (old[:, None] & new).sum(2)
        total += (both / (old[:, None] | new).sum(2)).max(1)
    return total / n_resamples


def write(found: Clusters, folder: Path, *, settings: dict[str, Any] | None = None) -> list[Path]:
    """Write clusters.tsv, profiles.tsv, the picture dendrogram (PNG, SVG, PDF) and run.json.

    Args:
        found: by `cluster`.
        folder: made where it is not there.
        settings: of the run, for run.json.

    Returns:
        The files written.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("clusters.tsv", "profiles.tsv")]
    io.write_tsv(found.table, files[0], COLUMNS)
    io.write_tsv(found.profiles.reset_index(), files[1], ["mirna_id", *found.profiles.columns])
    tree = plot.dendrogram(found.linkage, found.profiles, found.table)
    files += plot.save_all(tree, folder, "dendrogram", plot.FORMATS)
    files.append(folder / "run.json")
    runs.write_json(files[-1], (settings or {}) | {"clusters": summary(found)} | runs.environment())
    return files


def summary(found: Clusters) -> list[dict[str, Any]]:
    """Of each cluster: its number, size, stability (None: not known) and mean silhouette."""
    rows: Sequence[Any] = list(found.table.groupby("cluster"))
    return [
        {
            "cluster": int(label),
            "size": len(rows_),
            "stability": None if rows_["cluster_stability"].isna().any() else float(rows_["cluster_stability"].iloc[0]),
            "silhouette": float(rows_["silhouette"].mean()),
        }
        for label, rows_ in rows
    ]
