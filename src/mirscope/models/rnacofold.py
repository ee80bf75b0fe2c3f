"""RNAcofold: what two strands gain by folding together rather than each alone (Bernhart et al. 2006)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mirscope import rna
from mirscope.models import Model, _energy

SLOPE, INTERCEPT = -0.2233, -2.0392
"""logit = SLOPE x binding energy (kcal/mol) + INTERCEPT, by logistic regression on the train split of
`clash_hejret2023_mirbench`, and nothing else: `python recipes/classical.py`."""


@dataclass(frozen=True)
class Config:
    """No settings."""


class Network(Model):
    """Logistic in the binding energy: RNAcofold's of both strands less RNAfold's of each.

    DMISO (Talukder et al. 2022) takes RNAcofold's energy itself, below -10 kcal/mol. That counts the target's own
    hairpins as binding: on 3,000 training pairs of the bias-corrected chimeras it ranks at AUROC .730, the binding
    energy at .778, and -10 is passed by 95 % of the positives and 86 % of the negatives.
    """

    lengths = (30, 50)
    stride = 20  # any site of 31 nt lies whole in a window

    def __init__(self, config: Config) -> None:
        super().__init__()

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 30) and (n, 50)."""
        return SLOPE * _energy.of_each_pair(rna.binding_energy, mirna, target) + INTERCEPT
