"""Train, valid and test for pairs or hairpins, by rules that leak and rules that do not: groups that stay on one side.

Pairs drawn at random share miRNAs, genes and overlapping sites across the split, hairpins relatives and copies, so that
a model may recall instead of predict (docs/decisions/014-splits-that-do-not-leak.md, 024-hairpin-figures.md).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import datasets, rna
from mirscope.errors import InputError, UsageError

log = logging.getLogger(__name__)

Rule = Literal["random", "kfold", "family-kfold", "family", "gene", "cluster", "all"]
RULES: tuple[Rule, ...] = get_args(Rule)
SITE_K = 20
"""Targets that share so many nt in a row are one cluster of sites."""
FAMILY_K = 14
"""miRNAs that share so many nt in a row, or their seed (nt 2-8), are one family."""
IDENTITY = 0.8
"""Hairpins of this identity are one family: 1 - edits / nt of the longer one."""

Groups = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LONGEST_K = 31  # nt of two bits in an int64
_NAME = re.compile(r"[a-z]{3,4}-((?:let|mir|lin)-\d+)", re.IGNORECASE)  # of miRBase and MirGeneDB: hsa-let-7a-1
_ROWS_AT_ONCE = 256  # of a matrix of identities


def make(
    pairs: pd.DataFrame,
    rule: Rule = "random",
    *,
    random_state: int = 0,
    test: float = 0.2,
    valid: float = 0.2,
    n_parts: int = 5,
    part: int = 0,
) -> pd.Series:
    """Train, valid, test or nothing (dropped) for each pair.

    `random` draws pairs (`datasets.random_split`); `kfold` takes one of `n_parts` disjoint, stratified parts for test
    (`part` 0, 1, ... of one `random_state` cover the table) and draws the validation part from the rest. Neither
    keeps anything apart; `family-kfold` is `kfold` by whole families. `family`, `gene` and `cluster` deal out whole
    groups: no miRNA family, gene or cluster of sites is in two parts; a group larger than a part is always in train.
    `all` holds families out and, of what is left together, genes joined with their clusters: a pair is in a part only
    if both its sides are, pairs that straddle are dropped and counted in the log. Its `test` is the share held out of
    each side, so that test is about the square of it. Grouped splits do not depend on the order of the rows.

    Hairpins have one side only: `family` and `all` keep families of hairpins together, `cluster` what shares 20 nt.

    Args:
        pairs: columns of `tables.PAIRS` or `tables.HAIRPINS`; each label is dealt out in the same shares, where there
            are labels.
        rule: one of `RULES`.
        random_state: of the draw; another one is another repeat.
        test: share of all pairs.
        valid: share of what test leaves; 0 for none.
        n_parts: of `kfold` and `family-kfold`.
        part: which of them is tested.

    Returns:
        Series `split` with the index of `pairs`; empty text where a pair is dropped.

    Raises:
        UsageError: no such rule, a share or part out of range, or gene ids are asked for and there are none.
        InputError: too few pairs or groups.
    """
    if rule not in RULES:
        raise UsageError(f"no rule {rule!r} to split by; expected one of {', '.join(RULES)}")
    if not 0 < test < 1 or not 0 <= valid < 1:
        raise UsageError(f"shares are {test} for test and {valid} for valid; expected numbers from 0 to 1")
    if rule == "random":
        drawn = datasets.random_split(pairs, random_state=random_state, test=test, valid=valid or 0.5)
        return drawn if valid else drawn.replace("valid", "train")
    if rule == "kfold" or rule == "family-kfold":
        whole = groups(pairs, "family") if rule == "family-kfold" else None
        split = _kfold(_labels(pairs), whole, random_state, valid=valid, n_parts=n_parts, part=part)
    else:
        if rule == "all":
            sides = [groups(pairs, "family")] + ([] if "hairpin_seq" in pairs else [_loci(pairs)])
        else:
            sides = [groups(pairs, rule)]
        split = _grouped(sides, _labels(pairs), random_state, test=test, valid=valid)
    return pd.Series(split, index=pairs.index, name="split", dtype="str")


def carve(pairs: pd.DataFrame, *, share: float = 0.2, random_state: int = 0) -> pd.Series:
    """The split of a table with a validation part: made out of train, by whole clusters of sites (of
    hairpins), where there is none.

    Args:
        pairs: columns of `tables.PAIRS` or `tables.HAIRPINS` with `split`.
        share: of the training pairs.
        random_state: of the draw.

    Raises:
        InputError: the training pairs are too few clusters to divide.
    """
    split = pairs["split"].astype(object).copy()
    if not (split == "valid").any():
        train = pairs[split == "train"]
        drawn = make(train, "cluster", random_state=random_state, test=share, valid=0)
        split[split == "train"] = drawn.replace("test", "valid").to_numpy()
    return split.astype("str").rename("split")


def groups(pairs: pd.DataFrame, rule: Literal["family", "gene", "cluster"]) -> Groups:
    """The family, gene or cluster of each pair or hairpin, as numbers from 0; a missing gene is its target's own.

    Of pairs: miRNA families, genes, clusters of sites. Of hairpins: `hairpin_families`, clusters of hairpins.

    Raises:
        UsageError: genes are asked for and no pair names one.
    """
    hairpins = "hairpin_seq" in pairs
    if rule == "family":
        if not hairpins:
            return families(pairs["mirna_seq"].tolist())
        ids = pairs["hairpin_id"] if "hairpin_id" in pairs else pd.Series("", index=pairs.index)
        return hairpin_families(ids.fillna("").tolist(), pairs["hairpin_seq"].tolist())
    if rule == "cluster":
        return clusters(pairs["hairpin_seq" if hairpins else "target_seq"].tolist())
    if hairpins:
        raise UsageError("hairpins have no genes; split by family or cluster instead")
    if not _names_genes(pairs):
        raise UsageError("no pair names a gene (column gene_id); split by cluster instead")
    named = pairs["gene_id"].fillna("").ne("")
    keys = np.where(named, ">" + pairs["gene_id"].fillna(""), pairs["target_seq"])
    return np.unique(keys.astype(str), return_inverse=True)[1].astype(np.int64)


def clusters(sequences: Sequence[str], k: int = SITE_K) -> Groups:
    """Numbers from 0, the same for sequences linked by shared k-mers, directly or through others.

    Equal sequences always share a number; one shorter than `k`, or with an N in every k-mer, is linked to nothing else.
    Numbers follow the alphabet, so that the order and the repetition of sequences do not matter.
    """
    distinct, places = _distinct(sequences)
    return _linked(len(distinct), _neighbours(*kmers(distinct, k)))[places]


def families(mirnas: Sequence[str]) -> Groups:
    """Numbers from 0, the same for miRNAs linked by a shared seed (nt 2-8) or a shared 14-mer; as `clusters`."""
    distinct, places = _distinct(mirnas)
    seeds = _neighbours(*kmers([mirna[1:8] for mirna in distinct], 7))
    return _linked(len(distinct), np.hstack([seeds, _neighbours(*kmers(distinct, FAMILY_K))]))[places]


def hairpin_families(ids: Sequence[str], hairpins: Sequence[str]) -> Groups:
    """Numbers from 0, the same for hairpins linked by `IDENTITY`, by 20 nt in a row or by their name; as `clusters`.

    All pairs of sequences are aligned, about 6 million a second.

    Args:
        ids: of each hairpin; names of miRBase and MirGeneDB tell a family (hsa-mir-19b-1 and mmu-mir-19a are mir-19),
            others and empty ones nothing.
        hairpins: their sequences.
    """
    return _hairpin_families(tuple(ids), tuple(hairpins)).copy()


@lru_cache(maxsize=4)
def _hairpin_families(ids: tuple[str, ...], hairpins: tuple[str, ...]) -> Groups:
    """`hairpin_families`, which each part of a cross-validation asks for anew."""
    distinct, places = _distinct(hairpins)
    names = [found[1].lower() if (found := _NAME.match(name)) else "" for name in ids]
    named = np.array([bool(name) for name in names], dtype=bool)
    family = np.unique(np.asarray(names, dtype=str), return_inverse=True)[1]
    links = np.stack([places[named], len(distinct) + family[named]])
    links = np.hstack([links, _neighbours(*kmers(distinct, SITE_K)), _alike(distinct)])
    found_in = _linked(len(distinct) + len(names), links)
    return np.unique(found_in[: len(distinct)], return_inverse=True)[1].astype(np.int64)[places]


def _alike(distinct: list[str]) -> Groups:
    """Links (2, n) of all sequences of `IDENTITY` or more."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    order = np.argsort([len(sequence) for sequence in distinct], kind="stable")
    ranked = [distinct[place] for place in order]
    lengths = np.array([len(sequence) for sequence in ranked], dtype=np.int64)
    links = [np.empty((2, 0), dtype=np.int64)]
    for low in range(0, len(ranked), _ROWS_AT_ONCE):
        high = min(low + _ROWS_AT_ONCE, len(ranked))
        end = np.searchsorted(lengths, lengths[high - 1] / IDENTITY + 1)  # what is longer is not as alike
        most = (1 - IDENTITY) * lengths[low:end] + 1e-9  # edits, of the longer one of two
        edits = cdist(ranked[low:high], ranked[low:end], scorer=Levenshtein.distance, score_cutoff=int(most[-1]))
        alike = edits <= np.maximum(most[: high - low, None], most)
        links.append(order[np.stack(np.nonzero(alike)) + low])
    return np.hstack(links)


def kmers(sequences: Sequence[str], k: int) -> tuple[Groups, Groups]:
    """Every k-mer without an N: the number of its sequence, and its code (equal codes are equal k-mers), (n,) each."""
    if not 1 <= k <= _LONGEST_K:
        raise UsageError(f"k is {k}; expected 1 to {_LONGEST_K}")
    codes = rna.encode(sequences)
    width = max(0, codes.shape[1] - k + 1)
    values, whole = np.zeros((len(codes), width), dtype=np.int64), np.ones((len(codes), width), dtype=bool)
    for offset in range(k):
        letter = codes[:, offset : offset + width]
        values = 4 * values + letter
        whole &= letter != rna.N
    return np.nonzero(whole)[0], values[whole]


def _distinct(sequences: Sequence[str]) -> tuple[list[str], Groups]:
    distinct, places = np.unique(np.asarray(sequences, dtype=str), return_inverse=True)
    return distinct.tolist(), places


def _neighbours(rows: Groups, codes: Groups) -> Groups:
    """Links (2, n) that join all rows of equal code: each to the next one."""
    order = np.argsort(codes, kind="stable")
    equal = np.diff(codes[order]) == 0
    return np.stack([rows[order][:-1][equal], rows[order][1:][equal]])


def _linked(n: int, links: Groups) -> Groups:
    """The connected component of each of n rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(links.shape[1], dtype=np.int8), tuple(links)), shape=(n, n))
    return np.asarray(connected_components(graph.tocsr(), directed=False)[1], dtype=np.int64)


def _names_genes(pairs: pd.DataFrame) -> bool:
    return "gene_id" in pairs and bool(pairs["gene_id"].fillna("").ne("").any())


def _loci(pairs: pd.DataFrame) -> Groups:
    """The target's side of each pair: its cluster of sites, joined with all of its gene where that is named."""
    sites = groups(pairs, "cluster")
    if not _names_genes(pairs):
        return sites
    genes = groups(pairs, "gene")
    n_sites, n_genes = sites.max(initial=-1) + 1, genes.max(initial=-1) + 1
    return _linked(n_sites + n_genes, np.unique(np.stack([sites, n_sites + genes]), axis=1))[sites]


def _labels(pairs: pd.DataFrame) -> Groups:
    """The class of each pair; one for all where there are no labels."""
    if "label" not in pairs:
        return np.zeros(len(pairs), dtype=np.int64)
    return pd.to_numeric(pairs["label"]).to_numpy(dtype=np.int64)


def _kfold(
    labels: Groups, whole: Groups | None, random_state: int, *, valid: float, n_parts: int, part: int
) -> NDArray[np.object_]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

    if n_parts < 2 or not 0 <= part < n_parts:
        raise UsageError(f"part {part} of {n_parts}; expected 0 to {max(n_parts, 2) - 1} of 2 or more")
    smallest = min((_n_distinct(labels, whole, label) for label in np.unique(labels)), default=0)
    if smallest < n_parts:
        what = "pairs" if whole is None else "families"
        raise InputError(f"{smallest} {what} of one label are too few for {n_parts} parts")
    kind = StratifiedKFold if whole is None else StratifiedGroupKFold
    parts = kind(n_parts, shuffle=True, random_state=random_state).split(labels, labels, whole)
    rest, tested = list(parts)[part]
    split = np.full(len(labels), "train", dtype=object)
    split[tested] = "test"
    if valid:
        chance = random_state * n_parts + part  # another draw for each part
        if whole is not None:
            drawn = _grouped([whole[rest]], labels[rest], chance, test=valid, valid=0)
            split[rest[drawn == "test"]] = "valid"
            return split
        try:
            _, validated = train_test_split(rest, test_size=valid, random_state=chance, stratify=labels[rest])
        except ValueError as error:
            raise InputError(f"{len(rest)} pairs are too few for a validation share of {valid}") from error
        split[validated] = "valid"
    return split


def _n_distinct(labels: Groups, whole: Groups | None, label: int) -> int:
    """Rows of a label, or groups that hold one."""
    rows = labels == label
    return int(rows.sum()) if whole is None else len(np.unique(whole[rows]))


def _grouped(
    sides: list[Groups], labels: Groups, random_state: int, *, test: float, valid: float
) -> NDArray[np.object_]:
    rng = np.random.default_rng(random_state)
    split = np.full(len(labels), "train", dtype=object)
    left = np.ones(len(labels), dtype=bool)  # in no part yet
    for name, share in (("test", test), ("valid", valid)):
        if not share:
            continue
        inside, touched = left, np.zeros(len(labels), dtype=bool)
        for side in sides:
            held = np.isin(side, _draw(side, labels, inside, share, rng))
            inside, touched = inside & held, touched | (left & held)
        split[touched], split[inside] = "", name
        left &= ~touched
    if len(np.unique(labels[left])) < len(np.unique(labels)):
        raise InputError("no training pairs of each label are left; expected more groups, or smaller shares")
    n_dropped = int((split == "").sum())
    if n_dropped:
        log.info("%d of %d pairs straddle the split and are dropped", n_dropped, len(split))
    return split


def _draw(side: Groups, labels: Groups, rows: Mask, share: float, rng: np.random.Generator) -> Groups:
    """Groups that hold about `share` of the rows of each label, never more, but for one small group where none fits."""
    names, places = np.unique(side[rows], return_inverse=True)
    classes = np.unique(labels[rows], return_inverse=True)[1]
    n_classes = classes.max(initial=0) + 1
    counts = np.bincount(places * n_classes + classes, minlength=len(names) * n_classes).reshape(-1, n_classes)
    total = counts.sum(0)
    quota, taken = np.maximum(1, np.round(share * total)), np.zeros(n_classes)
    drawn = np.zeros(len(names), dtype=bool)
    for group in rng.permutation(len(names)):
        if (taken + counts[group] <= quota).all():
            drawn[group] = True
            taken += counts[group]
    for label in range(n_classes):
        if taken[label]:
            continue
        leaves_some = ((taken + counts < total) | (total == 0)).all(1)
        fits = np.flatnonzero((counts[:, label] > 0) & leaves_some & ~drawn)
        if len(fits):
            group = fits[counts[fits].sum(1).argmin()]
            drawn[group] = True
            taken += counts[group]
    if not drawn.any():
        raise InputError(
            f"{len(names)} groups are too few to hold some of them out; expected at least two of each label"
        )
    return names[drawn]
