"""What the models that ask ViennaRNA share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mirscope import rna


def of_each_pair(energy: Callable[[str, str], float], mirna: Tensor, target: Tensor) -> Tensor:
    """Energies (n,) of codes (n, length) each, the padding taken off: an N at an end counts as padding."""
    mirnas, targets = ([text.rstrip("N") for text in rna.decode(codes.cpu().numpy())] for codes in (mirna, target))
    return torch.tensor([energy(*pair) for pair in zip(mirnas, targets, strict=True)], device=mirna.device)
