"""miRanda: the score of a local alignment that weighs the miRNA's 5' part (Enright et al. 2003; version 3.3a)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mirscope import rna
from mirscope.models import Model

MATCH, WOBBLE, MISMATCH, UNKNOWN = 5, 1, -3, -1
"""Points of a Watson-Crick pair, G-U, any other pair, a pair with an N."""
OPEN, EXTEND = 9, 4
"""Cost of the first nucleotide of a bulge, and of each further one."""
FIRST, LAST, WEIGHT = 2, 8, 4
"""miRNA nucleotides that weigh more, and how much: their pairs, and bulges of the target 5' of these pairs."""
UNSCORED = 2
"""Nucleotides at the miRNA's 3' end that do not count, as its first does not."""

SLOPE, INTERCEPT = 0.0476, -4.8749
"""logit = SLOPE x alignment score + INTERCEPT, by logistic regression on the train split of
`clash_hejret2023_mirbench`, and nothing else: `python recipes/classical.py`."""


@dataclass(frozen=True)
class Config:
    """No settings: those of the program."""


class Network(Model):
    """Logistic in the score of miRanda's best alignment; the program's threshold is 140, a whole seed of matches.

    An alignment is a chain of pairs between which either strand may have a bulge, the miRNA none in nucleotides 2-8.
    miRanda's second filter, the energy of the duplex, is left to the model `rnaduplex`.
    """

    lengths = (30, 50)
    stride = 20  # any site of 31 nt lies whole in a window
    points: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.register_buffer("points", _points(), persistent=False)

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 30) and (n, 50)."""
        return SLOPE * self.alignment_scores(mirna, target) + INTERCEPT

    def alignment_scores(self, mirna: Tensor, target: Tensor) -> Tensor:
        """miRanda's scores (n,), float; 0 where nothing aligns."""
        points = self.points.to(mirna.device)
        opposite = target.flip(1).long()  # (n, 50): 3'->5', as the miRNA meets it
        places = torch.arange(1, mirna.shape[1] + 1, device=mirna.device)
        length = ((mirna != rna.N) * places).amax(1, keepdim=True)
        rows = (
            points[mirna[:, k - 1].long()].gather(1, opposite).masked_fill(k > length - UNSCORED, _NEVER)
            for k in range(FIRST, mirna.shape[1] - UNSCORED + 1)
        )
        return _best(rows, opposite)

    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """As the contract says; the points of each letter against the transcript are looked up once for all."""
        points = self.points.to(mirnas.device)[:, transcript.flip(0).long()]  # (5, length)
        windows = points.unfold(1, self.lengths[1], 1)[:, len(transcript) - self.lengths[1] - starts]  # (5, w, 50)
        scores = []
        for mirna in mirnas.long():
            used = int((mirna != rna.N).nonzero().amax()) + 1 if (mirna != rna.N).any() else 0
            rows = (windows[mirna[k - 1]] for k in range(FIRST, used - UNSCORED + 1))
            scores.append(_best(rows, windows[0]))
        return SLOPE * torch.stack(scores) + INTERCEPT


_NEVER = -1000


def _points() -> Tensor:
    """Points of a miRNA letter (row) against a target letter (column), int16 (5, 5)."""
    points = torch.full((5, 5), MISMATCH, dtype=torch.int16)
    a, c, g, u = range(4)
    for one, other, value in ((a, u, MATCH), (c, g, MATCH), (g, u, WOBBLE)):
        points[one, other] = points[other, one] = value
    points[rna.N, :] = points[:, rna.N] = UNKNOWN
    return points


def _best(rows: Iterable[Tensor], targets: Tensor) -> Tensor:
    """Scores (n,) of the best chains.

    A step for each nucleotide of the miRNA, all targets and all their nucleotides at once: in Gotoh's (1982) recursion
    only the bulges of the target run along a row, and where they best begin is a running maximum.

    Args:
        rows: points (n, length) of nucleotides 2, 3, ... of the miRNA against the targets 3'->5'.
        targets: of shape (n, length).
    """
    ends = torch.zeros_like(targets, dtype=torch.int16)  # (n, length): best chains up to the row's pair with each
    best, before, skipped = ends.amax(1), ends, ends + _NEVER
    for k, points in enumerate(rows, FIRST):
        weight = WEIGHT if k <= LAST else 1
        cost = weight * EXTEND * torch.arange(targets.shape[1], dtype=torch.int16, device=targets.device)
        bulge = (ends + cost).cummax(1).values - cost - weight * OPEN
        if k - 1 > LAST:  # nucleotide k - 1 may have no partner
            skipped = torch.maximum(before - OPEN, skipped - EXTEND)
        link = torch.maximum(ends, skipped)
        link[:, 1:] = torch.maximum(link[:, 1:], bulge[:, :-1])
        before, ends = ends, weight * points
        ends[:, 1:] += link[:, :-1]
        ends = ends.clamp_(min=0)
        best = torch.maximum(best, ends.amax(1))
    return best.float()
