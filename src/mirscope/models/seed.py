"""Seed match: the baseline without weights (Bartel 2009; types and their order as in TargetScan)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mirscope import rna
from mirscope.models import Model


@dataclass(frozen=True)
class Config:
    """No settings."""


class Network(Model):
    """The best seed type in a window of 8 nt, so that a scan returns the seed matches themselves.

    Scores only order the types, they are no probabilities: 8mer .9, 7mer-m8 .8, 7mer-A1 .7, 6mer .6, offset 6mer .4,
    none .1.
    """

    lengths = (26, 8)
    logits: Tensor
    stride = 1

    def __init__(self, config: Config) -> None:
        super().__init__()
        scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.4, 0.1])
        self.register_buffer("logits", scores.logit(), persistent=False)

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 26) and (n, 8)."""
        seed = torch.cat([torch.full_like(mirna[:, :1], rna.N), mirna[:, :8]], 1)  # (n, 9): nucleotide k in column k
        window = torch.nn.functional.pad(target, (2, 2), value=rna.N)
        best = torch.full((len(mirna),), len(rna.SEED_TYPES), device=mirna.device)  # none
        for shift in range(window.shape[1] - 7):
            opposite = window[:, shift : shift + 8].flip(1)  # (n, 8): opposite nucleotides 1..8
            paired = (opposite == 3 - seed[:, 1:]) & (opposite != rna.N)
            a1 = opposite[:, 0] == rna.ALPHABET.index("A")
            for index, kind in enumerate(rna.SEED_TYPES):
                fits = paired[:, kind.first - 1 : kind.last].all(1)
                best = torch.where(fits & a1 if kind.a1 else fits, best.clamp(max=index), best)
        return self.logits[best]
