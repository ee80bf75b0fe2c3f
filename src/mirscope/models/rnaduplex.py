"""RNAduplex: the energy of the best duplex, without pairs inside a strand (Lorenz et al. 2011)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mirscope import rna
from mirscope.models import Model, _energy

SLOPE, INTERCEPT = -0.1885, -2.9891
"""logit = SLOPE x energy (kcal/mol) + INTERCEPT, by logistic regression on the train split of
`clash_hejret2023_mirbench`, and nothing else: `python recipes/classical.py`."""


@dataclass(frozen=True)
class Config:
    """No settings."""


class Network(Model):
    """Logistic in the energy of the best duplex by ViennaRNA's RNAduplex; ranks as the floor `duplex energy` does."""

    lengths = (30, 50)
    stride = 20  # any site of 31 nt lies whole in a window

    def __init__(self, config: Config) -> None:
        super().__init__()

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 30) and (n, 50)."""
        return SLOPE * _energy.of_each_pair(rna.duplex_mfe, mirna, target) + INTERCEPT
