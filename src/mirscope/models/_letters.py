"""How networks look letters up: codes (n, length), or in their place weights of the letters (n, length, 5).

Weights are a row of A C G U N at each place: one-hot they stand for the codes, mixed they are what gradients by letter
need (`Model.soft`). What follows from a sequence's length is told by N, which a place either is or is not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mirscope import rna


def look_up(table: Tensor, letters: Tensor, *, padding: int | None = None) -> Tensor:
    """Rows (n, length, width) of a table (5, width) for letters, mixed as these are.

    Args:
        table: a row for each of A C G U N.
        letters: codes or weights.
        padding: row that does not learn, as of `nn.Embedding`.
    """
    return letters @ table if letters.is_floating_point() else F.embedding(letters.long(), table, padding)


def known(letters: Tensor) -> Tensor:
    """Which places (n, length) are no N."""
    return letters[..., rna.N] < 0.5 if letters.is_floating_point() else letters != rna.N


def lengths(letters: Tensor) -> Tensor:
    """Lengths (n,) without the padding."""
    there = known(letters)
    return (there * torch.arange(1, there.shape[1] + 1, device=there.device)).amax(1)


def reverse(letters: Tensor) -> Tensor:
    """The letters 3'->5', the padding still at the right."""
    order = lengths(letters)[:, None] - 1 - torch.arange(letters.shape[1], device=letters.device)
    order %= letters.shape[1]
    return letters.gather(1, order[:, :, None].expand_as(letters) if letters.is_floating_point() else order)


def bases(letters: Tensor) -> Tensor:
    """Weights (..., 4) of A C G U; an N has none."""
    if letters.is_floating_point():
        return letters[..., : rna.N]
    return letters[..., None] == torch.arange(rna.N, device=letters.device)
