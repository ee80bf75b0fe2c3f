"""Ligation noise: which interactions would chance give, if what floats in the tube were joined at random?

Each interaction is held against the same parts joined anew: the miRNA parts are permuted over the target parts, so that
every miRNA and every site is as abundant as it was. Two things tell what was bound from what met by chance: more
ligations of one miRNA at a site than the others there let expect, and a duplex better than the miRNA forms elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtrc

from mirscope import rna, workers
from mirscope.align import Index

N_PERMUTATIONS = 10, 100
"""Fewest and most; more for fewer interactions, as `N_DUPLEXES` allows."""
N_DUPLEXES = 10_000
"""Random pairs whose energy is asked, at most; half a millisecond each."""

_PRIOR = 10  # random pairs that a miRNA's mean energy is drawn to that of all with
_AT_ONCE = 2000  # duplexes of a part
_SAME = 3  # nt by which an error moves an end; a mismatch there costs more than what lies behind it gains
_N_BINS, _N_POINTS = 25, 60  # of the pictures

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Noise:
    """Interactions against random pairs of the same parts."""

    n_ligations: Whole
    """Of each interaction: molecules of other ends, by 4 nt or more (n,)."""
    fdr: Numbers
    """Of each interaction: share of chance ones expected among those as good (n,)."""
    summary: dict[str, Any]
    """Estimated share of chance interactions and what is needed to draw them, ready for JSON."""


def noise(
    chimeras: pd.DataFrame,
    interactions: pd.DataFrame,
    transcripts: Index,
    *,
    extension: int,
    random_state: int = 0,
    threads: int = 1,
) -> Noise:
    """Interactions against random pairings of their parts.

    The evidence for an interaction is -log10 of two chances: that of so many ligations (`_crowd`), and that of a random
    pair of its miRNA with as good a duplex. `fdr` is the number of random interactions of as much evidence over that of
    observed ones, times the share of random ones that the observed ones of little evidence (below the random ones'
    median) let there be at most (Storey), never falling as the evidence does.

    Args:
        chimeras: columns mirna_id, mirna_seq, target_id, start, end, n_reads and interaction, the row of
            `interactions`.
        interactions: columns mirna_seq, mfe, seed_type; at least one chimera each.
        transcripts: where the targets lie.
        extension: nt of the transcript behind a target part.
        random_state: of the permutations.
        threads: processes, for duplexes that are worth it.
    """
    if interactions.empty:
        return Noise(np.empty(0, np.int64), np.empty(0), {"n_permutations": 0, "noise_share": 0.0})
    parts = _Parts.of(chimeras, transcripts)
    own = parts.joined(parts.mirna)
    row = np.argsort(parts.interaction[own.first])  # of each interaction, in the table's order
    assert len(row) == len(interactions)
    n_permutations = int(np.clip(N_DUPLEXES // len(interactions), *N_PERMUTATIONS))
    random = _random_pairs(parts, n_permutations, np.random.default_rng(random_state))
    names = parts.names
    sites = [_site(transcripts, pair, extension) for pair in random[["start", "end"]].itertuples(index=False)]
    bound = duplexes([(names[i], site) for i, site in zip(random["mirna"], sites, strict=True)], threads=threads)
    random = random.assign(seed=[bool(seed) for seed, _ in bound], mfe=[mfe for _, mfe in bound])
    usual = _mean_energies(random, len(names))
    weights, order = random["weight"].to_numpy(), parts.mirna[own.first][row]
    lowered = random["mfe"].to_numpy() - usual[random["mirna"]]
    evidence = _evidence(own.crowd[row], interactions["mfe"].to_numpy() - usual[order], lowered, weights)
    by_chance = _evidence(random["crowd"].to_numpy(), lowered, lowered, weights)
    share = _most_noise(evidence, by_chance, weights)
    fdr = false_rates(evidence, by_chance, share * weights)
    picture = _picture(interactions, evidence, random, by_chance, share * weights)
    summary = {
        "n_permutations": n_permutations,
        "n_random_pairs": len(random),
        "n_ligations": int(own.n.sum()),
        "noise_share": float(min(share * weights.sum() / len(interactions), 1)),
        "n_below": {f"{rate:g}": int((fdr <= rate).sum()) for rate in (0.01, 0.05, 0.1, 0.2)},
        **picture,
    }
    return Noise(own.n[row], fdr, summary)


def false_rates(evidence: Numbers, by_chance: Numbers, weights: Numbers) -> Numbers:
    """Share of chance ones among those of as much evidence or more, for each; of less evidence never less; 1 at most,
    and never 0: beyond all random ones, one is taken to be there.

    Args:
        evidence: of what was observed (n,).
        by_chance: of random ones (m,).
        weights: how many random ones each stands for (m,).
    """
    n_observed = _at_least(evidence, np.ones(len(evidence)), evidence)
    rates = np.maximum(_at_least(by_chance, weights, evidence), weights.min()) / n_observed
    order = np.argsort(evidence, kind="stable")
    fdr = np.empty(len(evidence))
    fdr[order] = np.minimum.accumulate(rates[order]).clip(max=1)
    return fdr


def duplexes(pairs: Sequence[tuple[str, str]], *, threads: int = 1) -> list[tuple[str, float]]:
    """Seed type and energy (kcal/mol) of pairs of a miRNA and a site.

    Args:
        pairs: any number.
        threads: processes, for pairs that are worth it.
    """
    parts = (pairs[low : low + _AT_ONCE] for low in range(0, len(pairs), _AT_ONCE))
    processes = threads if len(pairs) > 2 * _AT_ONCE else 1
    return [row for part in workers.in_order(_bound, None, parts, processes=processes) for row in part]


def _bound(_: None, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, float]]:
    mirnas, sites = zip(*pairs, strict=True)
    return list(zip(rna.best_seed_types(mirnas, sites), map(rna.duplex_mfe, mirnas, sites), strict=True))


def chains(starts: Whole, ends: Whole) -> NDArray[np.bool_]:
    """Which of intervals, by start, begins a chain of overlapping ones: it overlaps none before it."""
    reach = np.maximum.accumulate(ends)
    return np.concatenate([[True], starts[1:] >= reach[:-1]]) if len(starts) else np.empty(0, bool)


# --------------------------------------------------------------------------------------------------------- permutation


@dataclass(frozen=True, eq=False)
class _Joined:
    """Interactions of some pairing of the parts."""

    first: Whole
    """A ligation of each."""
    start: Whole
    """On all transcripts."""
    end: Whole
    n: Whole
    """Ligations."""
    crowd: Numbers
    """As `_crowd`."""


@dataclass(frozen=True, eq=False)
class _Parts:
    """Both parts of each ligation, places on all transcripts one behind the other."""

    names: list[str]
    """Sequences of the miRNAs, those of one sequence and two ids twice."""
    mirna: Whole
    """Number of the miRNA."""
    start: Whole
    end: Whole
    interaction: Whole

    @classmethod
    def of(cls, chimeras: pd.DataFrame, transcripts: Index) -> _Parts:
        """A row for each ligation: errors make several sequences of a molecule, with ends a few nt away at most, and
        several UMIs, which therefore tell nothing here.
        """
        offset = transcripts.starts[chimeras["target_id"].map(transcripts.number).to_numpy()]
        mirnas = chimeras.groupby(["mirna_id", "mirna_seq"])
        names = mirnas["mirna_seq"].first().tolist()
        table = pd.DataFrame(
            {
                "mirna": mirnas.ngroup().to_numpy(),
                "start": offset + chimeras["start"].to_numpy(),
                "end": offset + chimeras["end"].to_numpy(),
                "interaction": chimeras["interaction"].to_numpy(),
                "n_reads": chimeras["n_reads"].to_numpy(),
            }
        )
        key = ["interaction", "mirna", "start", "end"]
        places = table.groupby(key, as_index=False).sum()
        places = places.sort_values(["interaction", "n_reads"], ascending=[True, False], kind="stable")
        of = _copies(*(places[name].to_numpy() for name in ("interaction", "start", "end")))
        how = {"interaction": "first", "mirna": "first", "start": "min", "end": "max"}  # as far as all its copies reach
        ligations = places.groupby(of).agg(how)
        interaction, mirna, start, end = (ligations[name].to_numpy() for name in how)
        return cls(names, mirna, start, end, interaction)

    def joined(self, mirna: Whole) -> _Joined:
        """The interactions where the parts have these miRNAs, as `chimera.interactions` joins them."""
        width = int(self.end.max()) + 1
        start, end = mirna * width + self.start, mirna * width + self.end
        order = np.lexsort((end, start))
        first = np.flatnonzero(chains(start[order], end[order]))
        n = np.diff(np.append(first, len(order)))
        own = mirna[order[first]]
        low, high = self.start[order[first]], np.maximum.reduceat(self.end[order], first)
        n_site = np.searchsorted(np.sort(self.start), high, "left") - np.searchsorted(np.sort(self.end), low, "right")
        n_mirna = np.bincount(mirna, minlength=len(self.names))
        return _Joined(order[first], low, high, n, _crowd(n, n_site, n_mirna[own], len(mirna)))


def _copies(group: Whole, start: Whole, end: Whole) -> Whole:
    """The interval that each is a copy of, itself or one before: both ends within `_SAME` nt, and it is no copy itself.

    Args:
        group: those of a group stand together.
        start: of each.
        end: of each.
    """
    of, left = np.arange(len(group)), np.arange(len(group))
    while len(left):
        first = np.concatenate([[True], np.diff(group[left]) != 0])
        centre = left[first][np.cumsum(first) - 1]
        near = (np.abs(start[left] - start[centre]) <= _SAME) & (np.abs(end[left] - end[centre]) <= _SAME)
        of[left[near]] = centre[near]
        left = left[~near]
    return of


def _crowd(n: Whole, n_site: Whole, n_mirna: Whole, n_all: int) -> Numbers:
    """-log10 of the chance that, beside one, n - 1 or more of a site's other ligations have the same miRNA; 0 of one.

    That one is left out makes single ligations, which tell nothing, alike.

    Args:
        n: ligations of the miRNA at the site.
        n_site: all at the site.
        n_mirna: all of the miRNA.
        n_all: all.
    """
    share = (n_mirna - 1) / max(n_all - 1, 1)
    chance = np.where(n > 1, bdtrc(n - 2, n_site - 1, share), 1.0)
    return -np.log10(chance.clip(1e-300, 1))


def _random_pairs(parts: _Parts, n_permutations: int, rng: np.random.Generator) -> pd.DataFrame:
    """A sample of the interactions of permutations, half of it those of several ligations, which are
    few; columns mirna, start, end, crowd, weight (how many of one permutation each stands for).
    """
    some = []
    most = N_DUPLEXES // n_permutations
    for _ in range(n_permutations):
        found = parts.joined(permuted := rng.permutation(parts.mirna))
        for rows, room in _strata(found.n, most):
            taken = rng.permutation(rows)[:room]
            columns = {"mirna": permuted[found.first], "start": found.start, "end": found.end, "crowd": found.crowd}
            table = pd.DataFrame({name: values[taken] for name, values in columns.items()})
            some.append(table.assign(weight=len(rows) / max(len(taken), 1) / n_permutations))
    return pd.concat(some, ignore_index=True)


def _strata(n: Whole, most: int) -> Iterator[tuple[Whole, int]]:
    several, one = np.flatnonzero(n > 1), np.flatnonzero(n == 1)
    yield several, (room := max(most // 2, most - len(one)))
    yield one, most - min(len(several), room)


def _site(transcripts: Index, place: tuple[int, int], extension: int) -> str:
    number = int(np.searchsorted(transcripts.starts, place[0], side="right")) - 1
    start, end = (int(end - transcripts.starts[number]) for end in place)
    return transcripts.sequence(number, start, end + extension)


# ------------------------------------------------------------------------------------------------------------ evidence


def _mean_energies(random: pd.DataFrame, n_mirnas: int) -> Numbers:
    """The energy that each miRNA has with random sites; near that of all where there are few (kcal/mol)."""
    n = np.bincount(random["mirna"], minlength=n_mirnas)
    total = np.bincount(random["mirna"], random["mfe"], minlength=n_mirnas)
    return (total + _PRIOR * random["mfe"].mean()) / (n + _PRIOR)


def _evidence(crowd: Numbers, lowered: Numbers, random: Numbers, weights: Numbers) -> Numbers:
    """-log10 of the chances of so many ligations and of so much less energy than the miRNA's usual."""
    chance = _at_least(-random, weights, -lowered) / weights.sum()
    return crowd - np.log10(chance.clip(1 / len(random), 1))


def _at_least(values: Numbers, weights: Numbers, least: Numbers) -> Numbers:
    """Weight of the values of each of `least` or more."""
    order = np.argsort(values)
    total = np.concatenate([[0], np.cumsum(weights[order])])
    return total[-1] - total[np.searchsorted(values[order], least, side="left")]


def _most_noise(evidence: Numbers, by_chance: Numbers, weights: Numbers) -> float:
    """How many of the random interactions there can be at most, as a share: as many as are observed of less evidence
    than the random ones' median.
    """
    order = np.argsort(by_chance)
    total = np.cumsum(weights[order])
    median = by_chance[order][np.searchsorted(total, total[-1] / 2)]
    low = weights[by_chance < median].sum()
    return float(min(((evidence < median).sum() + 1) / low, 1)) if low else 1.0


def _picture(
    interactions: pd.DataFrame, evidence: Numbers, random: pd.DataFrame, by_chance: Numbers, weights: Numbers
) -> dict[str, Any]:
    """What the pictures show: energies and seed matches of interactions and of random pairs, and how many are there of
    each evidence.
    """
    energies = interactions["mfe"].to_numpy(), random["mfe"].to_numpy()
    edges = np.linspace(np.floor(min(map(np.min, energies))), 0, _N_BINS + 1)
    observed, expected = (
        np.histogram(values, edges, weights=weight)[0]
        for values, weight in zip(energies, (None, random["weight"]), strict=True)
    )
    marks = np.linspace(0, float(np.quantile(evidence, 0.999)), _N_POINTS)
    return {
        "seed_share": float((interactions["seed_type"] != "").mean()),
        "random_seed_share": float(np.average(random["seed"], weights=random["weight"])),
        "energies": {
            "edges": edges.tolist(),
            "observed": (observed / observed.sum()).tolist(),
            "random": (expected / expected.sum()).tolist(),
        },
        "evidence": {
            "at_least": marks.tolist(),
            "observed": _at_least(evidence, np.ones(len(evidence)), marks).tolist(),
            "by_chance": _at_least(by_chance, weights, marks).tolist(),
        },
    }
