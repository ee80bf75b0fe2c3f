"""What a model finds where nothing is: sites in shuffled transcripts, which give each site a rate of false ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mirscope import negatives
from mirscope.io import Record

Array = NDArray[np.float64]

TAIL = 20
"""Of the best shuffled sites of a miRNA: beyond them, rates follow an exponential law fitted to them.

The true tail is lighter, so that a rate beyond is stated too high rather than too low.
"""


def shuffled(transcripts: Iterable[Record], n_nt: int, *, total_nt: int, random_state: int = 0) -> Iterator[Record]:
    """Transcripts with their dinucleotides shuffled, about `n_nt` in all; long ones as often as short ones.

    Args:
        transcripts: read once.
        n_nt: wanted; where there are fewer, each is shuffled several times.
        total_nt: of the transcripts.
        random_state: of the draw and the shuffles.
    """
    rng = np.random.default_rng(random_state)
    share = n_nt / max(total_nt, 1)
    for record in transcripts:
        for number in range(int(share) + int(rng.random() < share % 1)):
            sequence = negatives.dinucleotide_shuffle(record.sequence, random_state=rng)
            yield Record(f"{record.id}_shuffled{number + 1}", sequence)


@dataclass(frozen=True)
class Background:
    """The best sites of each miRNA in shuffled transcripts."""

    logits: tuple[NDArray[np.float32], ...]
    """Of each miRNA's sites, best first."""
    n_kb: float
    """Shuffled transcript."""

    def fp_per_kb(self, mirna: NDArray[np.int64], logits: NDArray[np.float32]) -> Array:
        """Expected sites with at least these logits in a kb of shuffled transcript, (n,), of these miRNAs (n,).

        Between the shuffled sites the logarithm of the rate is linear; beyond the best `TAIL` it goes on as an
        exponential law. A logit below all of them gets the rate of all.
        """
        rates = np.empty(len(mirna))
        order = np.argsort(mirna, kind="stable")
        numbers, first = np.unique(mirna[order], return_index=True)
        bounds = np.append(first, len(order)).tolist()
        for index, low, high in zip(numbers.tolist(), bounds[:-1], bounds[1:], strict=True):
            rows, (at, cost, slope) = order[low:high], self._curves[index]
            beyond = np.maximum(logits[rows] - at[-1], 0)
            rates[rows] = np.exp(-np.interp(logits[rows], at, cost) - slope * beyond)
        return rates

    def rate(self, mirna: int, least: float) -> float:
        """Sites of a miRNA with this logit or a higher one in a kb, as counted; where there is none, as expected."""
        if n := int((self.logits[mirna] >= least).sum()):
            return n / self.n_kb
        return float(self.fp_per_kb(np.array([mirna]), np.array([least], dtype=np.float32))[0])

    def least(self, fp_per_kb: float) -> Array:
        """The logit of each miRNA (m,) from which there are so many sites in a kb of shuffled transcript."""
        wanted, least = -np.log(fp_per_kb), np.empty(len(self.logits))
        for index, (at, cost, slope) in enumerate(self._curves):
            beyond = max(wanted - cost[-1], 0.0) / slope if slope else 0.0
            least[index] = np.interp(wanted, cost, at) + beyond
        return least

    @cached_property
    def _curves(self) -> list[tuple[Array, Array, float]]:
        """Of each miRNA: logits, rising, minus the logarithm of the rate there, and how steeply that goes on beyond."""
        return [self._curve(best.astype(np.float64)) for best in self.logits]

    def _curve(self, best: Array) -> tuple[Array, Array, float]:
        if not len(best):  # nothing in all of the background
            return np.zeros(1), np.log([self.n_kb]), 0.0
        tail = min(TAIL, len(best))
        scale = max(best[:tail].mean() - best[tail - 1], 1e-3)
        at, first = np.unique(best[tail - 1 :][::-1], return_index=True)  # of equals, all count
        return at, np.log(self.n_kb) - np.log(len(best) - first), 1 / scale


BINS_PER_DECADE = 100
_LOWEST, _HIGHEST = -16, 2  # decades of false sites per kb


class QValues:
    """Counts sites by their rate of false ones; flat memory however many sites there are."""

    def __init__(self, n_mirnas: int) -> None:
        self._counts = np.zeros((n_mirnas, (_HIGHEST - _LOWEST) * BINS_PER_DECADE), dtype=np.int32)

    def add(self, mirna: NDArray[np.int64], fp_per_kb: Array) -> None:
        """Count sites of these miRNAs (n,) with these rates (n,)."""
        np.add.at(self._counts, (mirna, _bins(fp_per_kb)), 1)

    def over(self, n_kb: float) -> Callable[[NDArray[np.int64], Array], Array]:
        """The q-values of sites of these miRNAs (n,) with these rates (n,), all counted sites being found in `n_kb`.

        The share of false ones among a miRNA's sites at least as good, by Benjamini and Hochberg 1995, all that is
        shuffled being null; to 1 / `BINS_PER_DECADE` of a decade.
        """
        rates = 10.0 ** (_LOWEST + (np.arange(self._counts.shape[1]) + 1) / BINS_PER_DECADE)
        share = np.minimum(rates * n_kb / np.maximum(self._counts.cumsum(1), 1), 1.0)
        table = np.minimum.accumulate(share[:, ::-1], axis=1)[:, ::-1].astype(np.float32)
        return lambda mirna, fp_per_kb: table[mirna, _bins(fp_per_kb)].astype(np.float64)


def _bins(fp_per_kb: Array) -> NDArray[np.int64]:
    place = np.floor((np.log10(np.maximum(fp_per_kb, 1e-300)) - _LOWEST) * BINS_PER_DECADE).astype(np.int64)
    return place.clip(0, (_HIGHEST - _LOWEST) * BINS_PER_DECADE - 1)
