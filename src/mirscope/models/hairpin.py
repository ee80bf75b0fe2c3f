"""mirscope's own network for pre-miRNAs: a hairpin read outward from its loop, both strands side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from mirscope import rna
from mirscope.errors import UsageError
from mirscope.models import ANY_LENGTH
from mirscope.models._hairpin import Folded

LOOP = 10
"""Columns of each half of the loop; what is in the middle of longer ones is not seen."""
COLUMNS = 64
"""All columns: the loop's, the stem's, and those of the flanks."""
BULGE = 12
"""Longest unpaired stretch inside the stem, columns; the middle of longer ones (side branches) is not seen."""
LETTERS = len(rna.ALPHABET)
NOTHING = LETTERS**2 - 1
"""Symbol of a column without nucleotides."""
ENDS = 4
"""First and last nt of the 5p mature miRNA, first and last of the 3p."""
MATURE = range(17, 28)
"""Lengths of a mature miRNA, nt."""
SUMMARY = {
    "length": (90, 20),
    "mfe": (-35, 10),
    "mfe_per_nt": (-0.4, 0.1),
    "gc": (0.5, 0.1),
    "paired": (0.7, 0.1),
    "stem_pairs": (28, 6),
    "other_pairs": (2, 4),
}
"""What the network is told of the whole hairpin, with the middle and the spread it is measured from and in."""
NOWHERE = -1e4
"""Logit of an end where its strand has no nucleotide."""


@dataclass(frozen=True)
class Config:
    """Settings of the network: channels, residual blocks of convolutions, their width in columns, and dropout."""

    channels: int = 32
    blocks: int = 4
    kernel: int = 5
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if not (self.channels > 0 and self.blocks >= 0 and self.kernel % 2 == 1):
            raise UsageError("hairpin: channels must be above 0, blocks 0 or more, and the kernel odd")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a number from 0 to 1")


def columns(structure: str) -> NDArray[np.int64]:
    """What of a hairpin stands in each column: places of the 5' strand and of the 3' strand (2, 64), -1 for none.

    Column 10 is the base pair that closes the loop of the main stem (`rna.stem`), those before it the halves of the
    loop (9 next to the stem), those after it go outward, along the stem and on into the flanks. Unpaired nucleotides
    of both strands stand side by side from the loop's end on, as far as both have some.
    """
    return _columns(rna.stem(structure), len(structure))


def _columns(stem: list[tuple[int, int]], length: int) -> NDArray[np.int64]:
    """`columns` of a hairpin of this stem and length."""
    places = np.full((2, COLUMNS), -1)
    if not stem:
        return places
    i, j = stem[-1]
    loop = np.arange(i + 1, j)
    for side, half in enumerate((loop[: (len(loop) + 1) // 2], loop[(len(loop) + 1) // 2 :][::-1])):
        seen = half[:LOOP]
        places[side, LOOP - len(seen) : LOOP] = seen[::-1]
    column = LOOP
    for number in range(len(stem) - 1, -1, -1):
        if column >= COLUMNS:
            break
        i, j = stem[number]
        places[:, column] = i, j
        column += 1
        outer_i, outer_j = stem[number - 1] if number else (-1, length)
        longest = BULGE if number else COLUMNS
        up, down = (_shown(np.arange(*ends), longest) for ends in ((i - 1, outer_i, -1), (j + 1, outer_j)))
        for side, strand in enumerate((up, down)):
            seen = strand[: COLUMNS - column]
            places[side, column : column + len(seen)] = seen
        column += max(len(up), len(down))
    return places


def _shown(strand: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """The strand without the middle of what is longer than `longest`."""
    if len(strand) <= longest:
        return strand
    half = longest // 2
    return np.concatenate([strand[:half], strand[half - longest :]])


class Network(Folded):
    """64 columns of the hairpin, residual convolutions, and what they find around the four ends of the mature miRNAs.

    The ends are a read-out of their own (`both`), which the recipe teaches from the mature miRNAs of miRBase. Of what
    is not in the columns (the far flanks, most of a side branch) the network knows only what is in `SUMMARY`.
    """

    lengths = (ANY_LENGTH, ANY_LENGTH)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        n = config.channels
        self.symbols = nn.Embedding(2 * LETTERS**2, n)
        self.places = nn.Parameter(torch.zeros(COLUMNS, n))
        self.blocks = nn.ModuleList(_Block(n, config.kernel, 2 ** (block % 3)) for block in range(config.blocks))
        self.norm = nn.LayerNorm(n)
        self.ends_head = nn.Linear(n, ENDS)
        self.summary = nn.Sequential(nn.Linear(len(SUMMARY), n), nn.GELU(), nn.Linear(n, n))
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear((ENDS + 2) * n, n)
        self.head = nn.Linear(n, 1)

    def encode(self, *texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Symbols int8 (n, 64) of the columns, and the summary (n, 7).

        A symbol is 25 * paired + 5 * code on the 5' strand + code on the 3' strand.
        """
        symbols = np.empty((len(texts[0]), COLUMNS), dtype=np.int8)
        summaries = np.empty((len(texts[0]), len(SUMMARY)), dtype=np.float32)
        for row, (hairpin, structure) in enumerate(zip(*texts, strict=True)):
            stem = rna.stem(structure)
            symbols[row] = _symbols(hairpin, stem)
            summaries[row] = _summary(hairpin, structure, len(stem))
        return torch.from_numpy(symbols), torch.from_numpy(summaries)

    def forward(self, symbols: Tensor, summary: Tensor) -> Tensor:
        """Logits (n,) of symbols (n, 64) and summaries (n, 7)."""
        return self.both(symbols, summary)[0]

    def both(self, symbols: Tensor, summary: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n,) of symbols (n, 64) and summaries, and those of each end to be in each column (n, 4, 64)."""
        x = self.symbols(symbols.long()) + self.places  # (n, 64, channels)
        for block in self.blocks:
            x = x + block(x)
        x = self.norm(x)
        up, down = symbols // LETTERS % LETTERS != rna.N, symbols % LETTERS != rna.N  # (n, 64): a nucleotide there
        there = torch.stack([up, up, down, down], 1)
        ends = self.ends_head(x).transpose(1, 2).masked_fill(~there, NOWHERE)
        any_there = (up | down)[..., None]
        mean = (x * any_there).sum(1) / any_there.sum(1).clamp(1)
        best = x.masked_fill(~any_there, NOWHERE).amax(1).clamp(-100)
        found = torch.cat([(ends.softmax(2) @ x).flatten(1), mean, best], 1)  # (n, 6 * channels)
        found = self.dense(self.dropout(found)) + self.summary(summary)
        return self.head(self.dropout(F.gelu(found)))[:, 0], ends

    @torch.inference_mode()
    def arms(self, hairpins: Sequence[str], structures: Sequence[str]) -> NDArray[np.int64]:
        """Start and end (0-based, half-open) of the 5p mature miRNA and of the 3p one in each hairpin (n, 4).

        Of each strand the most probable ends that are 17 to 27 nt apart; -1 where the strand has none.
        """
        found = np.full((len(hairpins), ENDS), -1)
        if not len(hairpins):
            return found
        codes = (part.to(self.places.device) for part in self.encode(hairpins, structures))
        ends = self.both(*codes)[1].log_softmax(2).cpu().numpy()
        for row, structure in enumerate(structures):
            for side, places in enumerate(columns(structure)):
                both = slice(2 * side, 2 * side + 2)
                found[row, both] = _mature(places, *ends[row, both])
        return found


class _Block(nn.Module):
    """A norm, a convolution over the columns, and a mix of the channels of each."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Conv1d(channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation)
        self.narrow = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, columns, channels) to the same."""
        return self.narrow(F.gelu(self.wide(self.norm(x).transpose(1, 2))).transpose(1, 2))


def _symbols(hairpin: str, stem: list[tuple[int, int]]) -> NDArray[np.int64]:
    """The symbol of each column (64,)."""
    up, down = _columns(stem, len(hairpin))
    letters = np.append(rna.encode([hairpin])[0], rna.N).astype(np.int64)  # place -1: none
    partner = np.full(len(hairpin) + 1, -2)
    if stem:
        first, last = np.array(stem).T
        partner[first] = last
    return LETTERS**2 * (partner[up] == down) + LETTERS * letters[up] + letters[down]


def _summary(hairpin: str, structure: str, n_stem: int) -> list[float]:
    """Numbers of the whole hairpin, in about the units of their spread; see `SUMMARY`."""
    n, mfe, n_pairs = len(hairpin), rna.energy(hairpin, structure), structure.count("(")
    gc = hairpin.count("G") + hairpin.count("C")
    values = (n, mfe, mfe / max(n, 1), gc / max(n, 1), 2 * n_pairs / max(n, 1), n_stem, n_pairs - n_stem)
    return [(value - middle) / spread for value, (middle, spread) in zip(values, SUMMARY.values(), strict=True)]


def _mature(places: NDArray[np.int64], first: NDArray[np.float32], last: NDArray[np.float32]) -> tuple[int, int]:
    """The best start and end of a mature miRNA on a strand, of log-probabilities of its ends in each column."""
    there = np.flatnonzero(places >= 0)
    length = places[there][None, :] - places[there][:, None] + 1
    allowed = (length >= MATURE.start) & (length < MATURE.stop)
    if not allowed.any():
        return -1, -1
    both = np.where(allowed, first[there][:, None] + last[there][None, :], -np.inf)
    start, end = np.unravel_index(both.argmax(), both.shape)
    return int(places[there[start]]), int(places[there[end]]) + 1
