"""Pairs that should not bind, a function for each way to make them; and the sequences without sites that they take.

How far each way can be told from real pairs without reading both strands: docs/negatives.md.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import rna, splits, tables
from mirscope.errors import InputError, UsageError
from mirscope.io import Record

log = logging.getLogger(__name__)

_ROUNDS = 100  # draws before giving up: of windows from transcripts nearly all N, of a mock of a miRNA of one letter
_POOL = 20_000  # windows of one length to choose from, at least
_PER_NEGATIVE = 10  # windows in the pool for each that is wanted
_AT_ONCE = 500  # windows aligned in one call
_CLOSE = 0.5  # kcal/mol: an energy as good as equal

Rows: TypeAlias = NDArray[np.int64]
Chance: TypeAlias = int | np.random.Generator
"""A `random_state`: a number, or a generator that goes on from where it is."""


def random_sequence(
    length: int, *, frequencies: Sequence[float] = (0.25, 0.25, 0.25, 0.25), random_state: Chance = 0
) -> str:
    """A sequence of independent nucleotides.

    Args:
        length: nt.
        frequencies: of A, C, G, U; they add to 1.
        random_state: a number or a generator.
    """
    letters = np.frombuffer(b"ACGU", dtype=np.uint8)
    return np.random.default_rng(random_state).choice(letters, size=length, p=frequencies).tobytes().decode()


def dinucleotide_shuffle(sequence: str, *, random_state: Chance = 0) -> str:
    """A sequence drawn evenly from all with the same first nucleotide and the same count of every dinucleotide.

    The last nucleotide and the count of every nucleotide are then the same too. Any letters. By a random Euler path
    (Altschul and Erikson 1985).

    Args:
        sequence: to be shuffled.
        random_state: a number or a generator.
    """
    if len(sequence) < 4:
        return sequence
    rng = np.random.default_rng(random_state)
    after: dict[str, list[str]] = {}
    for first, second in pairwise(sequence):
        after.setdefault(first, []).append(second)
    end = sequence[-1]
    leaving = [letter for letter in after if letter != end]
    # A random last step from each letter; the walk uses up all steps if and only if these lead from everywhere to the
    # end.
    while True:
        last = {letter: int(rng.integers(len(after[letter]))) for letter in leaving}
        if all(_reaches(letter, end, {k: after[k][i] for k, i in last.items()}) for letter in leaving):
            break
    steps = {}
    for letter, followers in after.items():
        final = [followers[last[letter]]] if letter in last else []
        others = followers[: last[letter]] + followers[last[letter] + 1 :] if final else followers
        order = [others[i] for i in rng.permutation(len(others))]
        steps[letter] = iter(order + final)
    walk = [sequence[0]]
    for _ in range(len(sequence) - 1):
        walk.append(next(steps[walk[-1]]))
    return "".join(walk)


def _reaches(letter: str, end: str, step: dict[str, str]) -> bool:
    for _ in range(len(step)):
        letter = step[letter]
        if letter == end:
            return True
    return False


def random_windows(sequences: Sequence[str], length: int, n_windows: int, *, random_state: Chance = 0) -> list[str]:
    """Windows of real sequences, drawn evenly from all places where one without N fits; one may be drawn twice.

    Args:
        sequences: transcripts; those shorter than `length` are passed over.
        length: nt of each window.
        n_windows: how many.
        random_state: a number or a generator.

    Raises:
        InputError: no sequence is long enough, or the windows hold an N nearly everywhere.
    """
    drawn = _places(sequences, length, n_windows, np.random.default_rng(random_state))
    return [sequences[record][start : start + length] for record, start in drawn]


def _places(sequences: Sequence[str], length: int, n_windows: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Which sequence each window of `random_windows` is from, and where it starts."""
    ends = np.cumsum([max(0, len(sequence) - length + 1) for sequence in sequences])
    if not len(ends) or not ends[-1]:
        raise InputError(
            f"no transcript of {length} nt or more to draw windows from; found {len(sequences)} transcripts"
        )
    places: list[tuple[int, int]] = []
    for _ in range(_ROUNDS):
        drawn = rng.integers(ends[-1], size=n_windows - len(places))
        for record, place in zip(np.searchsorted(ends, drawn, side="right"), drawn, strict=True):
            start = int(place - (ends[record - 1] if record else 0))
            if "N" not in sequences[record][start : start + length]:
                places.append((int(record), start))
        if len(places) == n_windows:
            return places
    raise InputError(f"only {len(places)} of {n_windows} windows of {length} nt without an N were found")


def shuffled_windows(windows: Sequence[str], *, random_state: Chance = 0) -> list[str]:
    """Each window with its dinucleotides shuffled."""
    rng = np.random.default_rng(random_state)
    return [dinucleotide_shuffle(window, random_state=rng) for window in windows]


def repaired(
    mirnas: Rows, sites: Rows, *, bound: tuple[Rows, Rows] | None = None, random_state: Chance = 0
) -> tuple[Rows, NDArray[np.bool_]]:
    """Another site for each positive pair, so that every miRNA and every site is a negative as often as a positive.

    A permutation of the sites in which no miRNA family meets a cluster of sites that one of its pairs is positive for.
    Where a family is positive for nearly all clusters there may be no such place for a pair.

    Args:
        mirnas: the family of each positive pair's miRNA, (n,) (`splits.families`).
        sites: the cluster of its site, (n,) (`splits.clusters`).
        bound: families and clusters of all pairs known to be positive, (m,) each, where these are some of them only.
        random_state: a number or a generator.

    Returns:
        The row whose site each pair gets, (n,), and where that makes a negative, bool (n,).
    """
    rng = np.random.default_rng(random_state)
    bound = (mirnas, sites) if bound is None else bound
    width = int(max(sites.max(initial=0), bound[1].max(initial=0))) + 1
    known = np.unique(bound[0] * width + bound[1])

    def wrong(rows: Rows) -> NDArray[np.bool_]:
        return np.isin(mirnas[rows] * width + sites[order[rows]], known)

    order, rows = rng.permutation(len(sites)), np.arange(len(sites))
    bad = rows[wrong(rows)]
    for _ in range(_ROUNDS):
        if not len(bad):
            break
        for row, other in zip(bad, rng.integers(len(sites), size=len(bad)), strict=True):
            order[row], order[other] = order[other], order[row]
        bad = rows[wrong(rows)]
    return order, ~wrong(rows)


def mock_mirna(mirna: str, seeds: Collection[str], *, random_state: Chance = 0) -> str:
    """The miRNA's nucleotides shuffled, evenly over all orders (Fisher and Yates) whose seed is none of `seeds`.

    Args:
        mirna: to be shuffled.
        seeds: nt 2-8 of real miRNAs (`seeds_of`).
        random_state: a number or a generator.

    Returns:
        Empty where 100 shuffles all have a real seed.
    """
    rng = np.random.default_rng(random_state)
    letters = np.frombuffer(mirna.encode(), dtype=np.uint8)
    for _ in range(_ROUNDS):
        mock = rng.permutation(letters).tobytes().decode()
        if mock[1:8] not in seeds:
            return mock
    return ""


def seeds_of(mirnas: Collection[str]) -> set[str]:
    """Nucleotides 2-8 of each miRNA."""
    return {mirna[1:8] for mirna in mirnas}


# Generators. Each takes positives (columns mirna_seq and target_seq of `tables.PAIRS`, the others if there) with the
# index 0, 1, ... and gives rows made of them with label 0; what cannot be made is left out. `make` is the door.


def mock_mirnas(
    positives: pd.DataFrame, mirnas: Sequence[Record], *, ratio: int = 1, random_state: Chance = 0
) -> pd.DataFrame:
    """The site of each positive with a mock of its miRNA (`mock_mirna`), as DeepMirTar (Wen et al. 2018).

    Args:
        positives: see above.
        mirnas: all mature miRNAs of the species: no mock has the seed of one, nor of a positive's.
        ratio: negatives for each positive.
        random_state: a number or a generator.
    """
    rng = np.random.default_rng(random_state)
    rows = np.repeat(np.arange(len(positives)), ratio)
    mocks = np.array(_mocks(positives, rows, mirnas, rng), dtype=object)
    made = mocks != ""
    return _made(positives, rows[made], mirna_seq=mocks[made], mirna_id=_mock_ids(positives, rows[made]))


def mock_targets(
    positives: pd.DataFrame,
    mirnas: Sequence[Record],
    transcripts: Sequence[Record],
    *,
    alignment: float = 140,
    ratio: int = 1,
    random_state: Chance = 0,
) -> pd.DataFrame:
    """A mock of each positive's miRNA with a window that miRanda aligns it to, as deepTarget (Lee et al. 2016).

    Args:
        positives: see above.
        mirnas: as of `mock_mirnas`.
        transcripts: where windows of the length of the positive's target are drawn (`_pools`); of those that align,
            evenly.
        alignment: least alignment score (models/miranda.py); the program's default is 140, a whole seed of matches.
        ratio: negatives for each positive.
        random_state: a number or a generator.
    """
    import torch

    from mirscope.models import miranda

    rng = np.random.default_rng(random_state)
    network = miranda.Network(miranda.Config())
    every, mocks, places = [], [], []
    for rows, pool in _pools(positives, transcripts, ratio, rng):
        codes = torch.from_numpy(rna.encode(pool.windows))
        rows = np.repeat(rows, ratio)
        for row, mock in zip(rows, _mocks(positives, rows, mirnas, rng), strict=True):
            query = torch.from_numpy(rna.encode([mock]))
            order = rng.permutation(len(codes))
            for low in range(0, len(order) if mock else 0, _AT_ONCE):
                asked = order[low : low + _AT_ONCE]
                scores = network.alignment_scores(query.expand(len(asked), -1), codes[asked])
                if len(aligned := asked[(scores >= alignment).numpy()]):
                    every.append(row)
                    mocks.append(mock)
                    places.append(pool.row(aligned[0]))
                    break
    kept = np.array(every, dtype=np.int64)
    ids = _mock_ids(positives, kept)
    return _made(positives, kept, mirna_seq=mocks, mirna_id=ids, **_targets(places)).sort_index(kind="stable")


def same_transcript(
    positives: pd.DataFrame,
    transcripts: Sequence[Record],
    *,
    energy: float = -10.0,
    distance: int = 10,
    ratio: int = 1,
    random_state: Chance = 0,
) -> pd.DataFrame:
    """The miRNA with another window of the transcript that its site is in, as DMISO (Talukder et al. 2022).

    The window is as long as the target, `distance` nt or more from all known sites of the miRNA's family in that
    transcript, shares no 20 nt with one elsewhere, and RNAcofold's energy of it and the miRNA (`rna.joint_mfe`) is
    `energy` or less. It is drawn evenly from all such; of each site 100 windows are tried.

    Args:
        positives: see above; those whose target is in none of the transcripts are left out.
        transcripts: a positive's is that of its `gene_id`, where one has that id, or else one that holds its target.
        energy: kcal/mol, at most.
        distance: nt between the end of one and the start of the other, at least.
        ratio: negatives for each positive.
        random_state: a number or a generator.
    """
    rng = np.random.default_rng(random_state)
    found = occurrences(positives, transcripts)
    families = splits.families(positives["mirna_seq"].tolist())
    lengths = positives["target_seq"].str.len().to_numpy()
    sites = defaultdict(list)  # intervals, of each family in each transcript
    known: defaultdict[np.int64, set[str]] = defaultdict(set)  # 20-mers of each family's sites
    for row, places in enumerate(found):
        known[families[row]] |= _kmers(positives["target_seq"].iloc[row])
        for record, start in places:
            sites[families[row], record].append((start, start + lengths[row]))
    every, drawn = [], []
    for row, mirna in enumerate(positives["mirna_seq"]):
        if not found[row]:
            continue
        record, _ = found[row][rng.integers(len(found[row]))]
        sequence, length = transcripts[record].sequence, int(lengths[row])
        free = np.ones(len(sequence) - length + 1, dtype=bool)
        for start, end in sites[families[row], record]:
            free[max(0, start - distance - length + 1) : end + distance] = False
        n_left = ratio
        for start in rng.permutation(np.flatnonzero(free))[:_ROUNDS]:
            window = sequence[start : start + length]
            apart = "N" not in window and _kmers(window).isdisjoint(known[families[row]])
            if apart and rna.joint_mfe(mirna, window) <= energy:
                every.append(row)
                drawn.append((window, transcripts[record].id))
                n_left -= 1
            if not n_left:
                break
    log.info("%s of %s targets stand in the transcripts", f"{sum(map(bool, found)):,}", f"{len(found):,}")
    return _made(positives, np.array(every, dtype=np.int64), **_targets(drawn))


def repaired_pairs(positives: pd.DataFrame, *, ratio: int = 1, random_state: Chance = 0) -> pd.DataFrame:
    """The miRNAs and sites of the positives paired anew (`repaired`), within each split: the idea of miRBench.

    Every miRNA and every site is a negative `ratio` times as often as a positive, in each split; no miRNA meets a site
    that shares 20 nt, directly or through others, with one of its family's in any split.

    Args:
        positives: see above.
        ratio: negatives for each positive.
        random_state: a number or a generator.
    """
    rng = np.random.default_rng(random_state)
    families = splits.families(positives["mirna_seq"].tolist())
    clusters = splits.clusters(positives["target_seq"].tolist())
    parts = []
    for rows in _parts(positives):
        for _ in range(ratio):
            order, apart = repaired(families[rows], clusters[rows], bound=(families, clusters), random_state=rng)
            sites = positives.iloc[rows[order[apart]]]
            targets = {name: sites[name].to_numpy() for name in ("target_seq", "gene_id") if name in sites}
            parts.append(_made(positives, rows[apart], **targets))
    return pd.concat(parts).sort_index(kind="stable")


def shuffled_targets(positives: pd.DataFrame, *, ratio: int = 1, random_state: Chance = 0) -> pd.DataFrame:
    """The miRNA of each positive with its site's dinucleotides shuffled (`dinucleotide_shuffle`)."""
    rows = np.repeat(np.arange(len(positives)), ratio)
    targets = positives["target_seq"].iloc[rows].tolist()
    return _made(positives, rows, target_seq=shuffled_windows(targets, random_state=random_state))


def background_windows(
    positives: pd.DataFrame, transcripts: Sequence[Record], *, ratio: int = 1, random_state: Chance = 0
) -> pd.DataFrame:
    """The miRNA of each positive with a window of any transcript, as long as its site (`_pools`)."""
    rng = np.random.default_rng(random_state)
    every, drawn = [np.empty(0, dtype=np.int64)], []
    for rows, pool in _pools(positives, transcripts, ratio, rng):
        every.append(np.repeat(rows, ratio))
        drawn += [pool.row(place % len(pool.windows)) for place in range(ratio * len(rows))]
    return _made(positives, np.concatenate(every), **_targets(drawn)).sort_index(kind="stable")


def matched_windows(
    positives: pd.DataFrame,
    transcripts: Sequence[Record],
    *,
    candidates: int = 100,
    ratio: int = 1,
    random_state: Chance = 0,
) -> pd.DataFrame:
    """As `background_windows`, and the window is like the site: of its composition and the energy of its duplex.

    Of the `candidates` windows of the pool nearest in the counts of A, C, G and U, the nearest whose duplex with the
    miRNA (`rna.duplex_mfe`) is within 0.5 kcal/mol of the site's, else the one nearest in energy. No window is taken
    twice.

    Args:
        positives: see above.
        transcripts: where the windows are from (`_pools`).
        candidates: windows whose energy is computed for each negative, at most; more match the energy better and the
            composition less.
        ratio: negatives for each positive.
        random_state: a number or a generator.
    """
    from scipy.spatial import KDTree

    every, drawn = [], []
    for rows, pool in _pools(positives, transcripts, ratio, np.random.default_rng(random_state)):
        asked = positives.iloc[rows]
        near = KDTree(_composition(pool.windows)).query(
            _composition(asked["target_seq"].tolist()), k=np.arange(1, min(candidates * ratio, len(pool.windows)) + 1)
        )[1]
        free = np.ones(len(pool.windows), dtype=bool)
        for row, mirna, target, nearest in zip(rows, asked["mirna_seq"], asked["target_seq"], near, strict=True):
            wanted, gaps = rna.duplex_mfe(mirna, target), dict[int, float]()
            for place in nearest[free[nearest]].tolist():
                gaps[place] = max(abs(rna.duplex_mfe(mirna, pool.windows[place]) - wanted), _CLOSE)
                if sum(gap == _CLOSE for gap in gaps.values()) == ratio:
                    break
            best = sorted(gaps, key=lambda place: gaps[place])[:ratio]
            free[best] = False
            every += [row] * len(best)
            drawn += [pool.row(place) for place in best]
    return _made(positives, np.array(every, dtype=np.int64), **_targets(drawn)).sort_index(kind="stable")


@dataclass(frozen=True)
class Generator:
    """A way to make negatives: what its rows are, the records it needs, and the limits one may set."""

    function: Callable[..., pd.DataFrame]
    what: str
    needs: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


GENERATORS = {
    "repaired": Generator(repaired_pairs, "real miRNAs and real sites, paired anew"),
    "shuffled-target": Generator(shuffled_targets, "the miRNA, its site's dinucleotides shuffled"),
    "same-transcript": Generator(
        same_transcript, "the miRNA, another window of the transcript", ("transcripts",), ("energy", "distance")
    ),
    "matched-window": Generator(
        matched_windows, "the miRNA, a window like its site", ("transcripts",), ("candidates",)
    ),
    "random-window": Generator(background_windows, "the miRNA, any window", ("transcripts",)),
    "mock-mirna": Generator(mock_mirnas, "a mock miRNA, the site", ("mirnas",)),
    "mock-target": Generator(
        mock_targets, "a mock miRNA, a window it aligns to", ("mirnas", "transcripts"), ("alignment",)
    ),
}
"""Every generator by its name on the command line: first those that are hardest to tell by one strand alone."""


def make(
    pairs: pd.DataFrame,
    how: str,
    *,
    mirnas: Sequence[Record] | None = None,
    transcripts: Sequence[Record] | None = None,
    ratio: int = 1,
    all_positives: bool = False,
    random_state: Chance = 0,
    **limits: float | None,
) -> pd.DataFrame:
    """The positives and negatives made of them, as a table to train on.

    Args:
        pairs: columns of `tables.PAIRS`; rows of label 0 are left out. Negatives are in the split of their positive.
        how: one of `GENERATORS`.
        mirnas: all mature miRNAs of the species, for generators that need them.
        transcripts: to draw windows from, for generators that need them; unique ids.
        ratio: negatives for each positive.
        all_positives: keep positives of which no negative could be made; their miRNAs and sites would tell the label.
        random_state: a number or a generator.
        limits: of the generator; `None` is its default.

    Returns:
        The columns of `tables.PAIRS` that `pairs` has, and `label`: first the positives, in their order, then the
        negatives in the order of their positives. No negative is a positive, or another negative, again; the log
        counts those, what could not be made, and positives left out.

    Raises:
        UsageError: no such generator, records that it needs are not given, or a limit that it does not have.
        InputError: no positives, no negatives could be made, records that cannot be miRNAs, no transcript that is long
            enough.
    """
    if how not in GENERATORS:
        raise UsageError(f"no negatives {how!r}; expected one of {', '.join(GENERATORS)}")
    generator = GENERATORS[how]
    if ratio < 1:
        raise UsageError(f"ratio is {ratio}; expected 1 or more negatives for each positive")
    given = {name: value for name, value in limits.items() if value is not None}
    if alien := [name for name in given if name not in generator.limits]:
        raise UsageError(f"{', '.join(alien)} is no limit of {how}; it has {', '.join(generator.limits) or 'none'}")
    records = {"mirnas": mirnas, "transcripts": transcripts}
    if missing := [name for name in generator.needs if not records[name]]:
        raise UsageError(f"{how} needs {' and '.join(missing)}; expected FASTA (--{' --'.join(missing)})")
    for record in mirnas or ():
        if not rna.MIRNA_LENGTHS[0] <= len(record.sequence) <= rna.MIRNA_LENGTHS[1]:
            shortest, longest = rna.MIRNA_LENGTHS
            problem = f"{len(record.sequence)} nt is no mature miRNA ({shortest}-{longest} nt)"
            raise InputError(f"{problem}; were miRNAs and transcripts swapped?", record=record.id)
    positives = _positives(pairs)
    made = generator.function(
        positives, *(records[name] for name in generator.needs), ratio=ratio, random_state=random_state, **given
    )
    pair = ["mirna_seq", "target_seq"]
    new = ~pd.concat([positives, made])[pair].duplicated().to_numpy()[len(positives) :]
    negatives = made[new]
    if not len(negatives):
        raise InputError(f"no negatives of {how} could be made of {len(positives)} positives")
    kept = positives if all_positives else positives.loc[sorted(set(negatives.index))]
    log.info("%s positives, %s negatives: %s", f"{len(kept):,}", f"{len(negatives):,}", generator.what)
    counts = {
        "positives of which none could be made are left out": len(positives) - len(kept),
        "negatives could not be made": ratio * len(positives) - len(made),
        "negatives were pairs that are there already": len(made) - len(negatives),
    }
    if any(counts.values()):
        log.warning("%s", ", ".join(f"{n:,} {what}" for what, n in counts.items() if n))
    return pd.concat([kept, negatives], ignore_index=True)


def _positives(pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows of label 1, or all where there are no labels, with the columns of `tables.PAIRS` that they have."""
    tables.check(pairs, tables.PAIRS)
    positive = pd.to_numeric(pairs["label"]) == 1 if "label" in pairs else np.ones(len(pairs), dtype=bool)
    names = [column.name for column in tables.PAIRS if column.name in pairs or column.name == "label"]
    positives = pairs[positive].assign(label=1)[names].reset_index(drop=True)
    if not len(positives):
        raise InputError(f"no positives among {len(pairs)} pairs; expected at least one of label 1")
    if left_out := len(pairs) - len(positives):
        log.info("%s pairs of label 0 are left out", f"{left_out:,}")
    return positives


def _made(positives: pd.DataFrame, rows: Rows, **columns: Sequence[str] | NDArray[np.object_]) -> pd.DataFrame:
    """Negatives out of these rows of the positives, with the given columns instead of theirs; indexed by the row.

    Names of miRNAs and genes are given only where the positives have such: else names would tell the label.
    """
    if "gene_id" in columns and not ("gene_id" in positives and positives["gene_id"].ne("").any()):
        del columns["gene_id"]
    if "mirna_id" in columns and "mirna_id" not in positives:
        del columns["mirna_id"]
    values = {name: pd.array(list(column), dtype="str") for name, column in columns.items()}
    return positives.iloc[rows].assign(**values, label=0)


def _targets(drawn: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Columns of windows and the transcripts that they are from."""
    return {"target_seq": [window for window, _ in drawn], "gene_id": [name for _, name in drawn]}


def _mocks(positives: pd.DataFrame, rows: Rows, mirnas: Sequence[Record], rng: np.random.Generator) -> list[str]:
    """A mock of the miRNA of each row; empty where there is none."""
    seeds = seeds_of([record.sequence for record in mirnas]) | seeds_of(positives["mirna_seq"])
    return [mock_mirna(mirna, seeds, random_state=rng) for mirna in positives["mirna_seq"].iloc[rows]]


def _mock_ids(positives: pd.DataFrame, rows: Rows) -> list[str]:
    names = positives["mirna_id"].iloc[rows] if "mirna_id" in positives else [""] * len(rows)
    return [f"{name}_mock" if name else "" for name in names]


def _parts(positives: pd.DataFrame) -> list[Rows]:
    """The rows of each split, in the order of their names; all rows where there is none."""
    if "split" not in positives:
        return [np.arange(len(positives))]
    values = positives["split"].fillna("")
    return [np.flatnonzero(values == value) for value in sorted(set(values))]


@dataclass(frozen=True)
class _Pool:
    """Windows of one length and the ids of the transcripts that they are from."""

    windows: list[str]
    ids: list[str]

    def row(self, place: int) -> tuple[str, str]:
        return self.windows[place], self.ids[place]


def _pools(
    positives: pd.DataFrame, transcripts: Sequence[Record], ratio: int, rng: np.random.Generator
) -> Iterator[tuple[Rows, _Pool]]:
    """For the positives of each split and length of target, windows of that length, each once, in random order.

    Windows that share 20 nt with a positive's target are left out. Each split draws from transcripts of its own, of
    about its share of all nt, so that no window of train overlaps one of test.
    """
    parts = _parts(positives)
    known = np.unique(splits.kmers(positives["target_seq"].tolist(), splits.SITE_K)[1])
    order = rng.permutation(len(transcripts))
    ends = np.cumsum([len(transcripts[place].sequence) for place in order])
    cuts = np.cumsum([len(rows) for rows in parts]) / len(positives) * (ends[-1] if len(ends) else 0)
    owner = np.searchsorted(cuts, ends - 0.5)  # the part that each transcript of the order is for
    for number, part in enumerate(parts):
        own = [transcripts[place] for place in order[owner == number]]
        if not own:
            raise InputError(f"{len(order)} transcripts are too few for {len(parts)} splits; expected some for each")
        lengths = positives["target_seq"].iloc[part].str.len().to_numpy()
        for length in np.unique(lengths).tolist():
            rows = part[lengths == length]
            sequences = [record.sequence for record in own]
            drawn = _places(sequences, length, max(_POOL, _PER_NEGATIVE * ratio * len(rows)), rng)
            windows = {sequences[record][start : start + length]: own[record].id for record, start in drawn}
            found, codes = splits.kmers(list(windows), splits.SITE_K)
            apart = np.ones(len(windows), dtype=bool)
            apart[found[np.isin(codes, known)]] = False
            kept = [window for window, good in zip(windows.items(), apart, strict=True) if good]
            if not kept:
                raise InputError(f"all windows of {length} nt of {len(own)} transcripts share 20 nt with a positive")
            yield rows, _Pool([window for window, _ in kept], [name for _, name in kept])


def occurrences(positives: pd.DataFrame, transcripts: Sequence[Record]) -> list[list[tuple[int, int]]]:
    """Where each positive's target stands: numbers of transcripts, and first nucleotides.

    In the transcript of the positive's gene only, if there is one of that id.
    """
    targets = positives["target_seq"].tolist()
    genes = positives["gene_id"].tolist() if "gene_id" in positives else [""] * len(targets)
    ids = {record.id for record in transcripts}
    width = min(map(len, targets), default=0)
    begins = defaultdict(list)  # rows by the first letters of their target
    for row, target in enumerate(targets):
        begins[target[:width]].append(row)
    found: list[list[tuple[int, int]]] = [[] for _ in targets]
    for number, record in enumerate(transcripts):
        sequence = record.sequence
        for start in range(len(sequence) - width + 1):
            for row in begins.get(sequence[start : start + width], ()):
                own = genes[row] == record.id or genes[row] not in ids
                if own and sequence.startswith(targets[row], start):
                    found[row].append((number, start))
    return found


def _kmers(sequence: str) -> set[str]:
    return {sequence[start : start + splits.SITE_K] for start in range(len(sequence) - splits.SITE_K + 1)}


def _composition(windows: Sequence[str]) -> NDArray[np.float64]:
    """Counts of A, C, G and U, (n, 4)."""
    return np.array([[window.count(letter) for letter in "ACGU"] for window in windows], dtype=float)
