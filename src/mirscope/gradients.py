"""What letters contribute to a logit by its gradients: integrated gradients and DeepLIFT, of captum.

The baseline has a quarter of each letter where an example has one, and ends where the example ends: no letter is
favoured, so that what a letter contributes is its gradient less the mean of the four (Majdandzic et al. 2023).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from captum.attr import DeepLift, IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor, nn

from mirscope import models, predict, rna
from mirscope.errors import UsageError
from mirscope.models import Model

Array = NDArray[np.float64]
Codes: TypeAlias = tuple[Tensor, ...]
METHODS = ("gradient", "deeplift")
STEPS = (32, 64, 128, 256)
"""Points on the way of integrated gradients; more where fewer do not add up."""
TOLERANCE = 0.05
"""Contributions add up to the difference of the logits within this share of it (of 1, where it is smaller)."""
ROWS = 512
"""Points on the ways of integrated gradients in memory at a time."""

_QUARTERS = torch.tensor([0.25] * rna.N + [0.0])


def contributions(
    model: Model, columns: Sequence[Sequence[str]], numbers: Sequence[Tensor] = (), *, method: str = "gradient"
) -> tuple[list[list[Array]], Array]:
    """What A C G U would contribute at each place of each sequence, and by how much their sum misses the logit.

    Args:
        model: `soft`.
        columns: texts of n examples, as `Model.encode` takes them.
        numbers: values (n,) that the model takes after the codes.
        method: `gradient`, integrated gradients (Sundararajan et al. 2017), or `deeplift`, its rescale rule (Shrikumar
            et al. 2017).

    Returns:
        For each example an array (L, 4) for each of its sequences, 0 where the model does not look; and, (n,), the sum
        over the letters that are there less the difference of the logit from the baseline's. All of an example is NaN
        where that is beyond `TOLERANCE`.

    Raises:
        UsageError: DeepLIFT's rule does not hold for the network.
    """
    where, n_strands = predict.device_of(model), len(models.strands(model))
    codes = [part.to(where) for part in model.encode(*columns)]
    rest = (*codes[n_strands:], *(part.to(where) for part in numbers))
    letters = tuple(nn.functional.one_hot(part.long(), len(rna.ALPHABET)).float() for part in codes[:n_strands])
    baseline = tuple(torch.where(part[..., rna.N :] == 1, part, _QUARTERS.to(where)) for part in letters)
    with torch.backends.cudnn.flags(enabled=False):  # whose RNNs have gradients in training only
        difference = (model(*letters, *rest) - model(*baseline, *rest)).detach()
        find = _deeplift if method == "deeplift" else _integrated
        found, missed = find(model, letters, baseline, rest, difference)
    bad = _misses(missed, difference)
    if method == "deeplift" and bad.any():
        worst = f"(contributions miss the logit by {float(missed.abs().max()):.2g}); use gradient"
        raise UsageError(f"{models.named(model)}: DeepLIFT's rule does not hold for this network {worst}")
    by_example = []
    for row, texts in enumerate(zip(*columns, strict=True)):
        own = []
        for strand, part in enumerate(found):
            places = _places(model, texts, strand)
            values = part[row, places].double().cpu().numpy()
            values[places < 0] = 0.0
            own.append(np.full_like(values, np.nan) if bad[row] else values)
        by_example.append(own)
    return by_example, missed.cpu().numpy().astype(np.float64)


def _misses(missed: Tensor, difference: Tensor) -> Tensor:
    return missed.abs() > TOLERANCE * difference.abs().clamp(min=1)


def _integrated(
    model: Model,
    letters: tuple[Tensor, ...],
    baseline: tuple[Tensor, ...],
    rest: tuple[Tensor, ...],
    difference: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """Contributions (n, length, 4) of each strand, and by how much they miss the difference (n,)."""
    finder = IntegratedGradients(model, multiply_by_inputs=False)
    found = [part.new_zeros(*part.shape[:2], rna.N) for part in letters]
    missed = torch.full_like(difference, torch.inf)
    for n_steps in STEPS:
        todo = _misses(missed, difference).nonzero()[:, 0]
        if not len(todo):
            break
        some, start, beside = (tuple(part[todo] for part in parts) for parts in (letters, baseline, rest))
        how = {"n_steps": n_steps, "method": "riemann_middle", "internal_batch_size": ROWS}
        gradients = finder.attribute(some, baselines=start, additional_forward_args=beside or None, **how)
        new, missed[todo] = _summed(gradients, some, difference[todo])
        for part, own in zip(found, new, strict=True):
            part[todo] = own.to(part)
    return found, missed


def _deeplift(
    model: Model,
    letters: tuple[Tensor, ...],
    baseline: tuple[Tensor, ...],
    rest: tuple[Tensor, ...],
    difference: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """As `_integrated`."""
    finder = DeepLift(_Column(model), multiply_by_inputs=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that captum hooks the network
        found = finder.attribute(letters, baselines=baseline, additional_forward_args=rest or None, target=0)
    return _summed([part.detach() for part in found], letters, difference)


class _Column(nn.Module):
    """A model with its logits as a column, which captum wants."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model(*inputs)[:, None]


def _summed(gradients: Sequence[Tensor], letters: Sequence[Tensor], difference: Tensor) -> tuple[list[Tensor], Tensor]:
    """Contributions of gradients (n, length, 5), and by how much those of the letters miss the difference (n,)."""
    of_bases = [part[..., : rna.N] for part in gradients]
    found = [part - part.mean(-1, keepdim=True) for part in of_bases]
    sums = [(own * part[..., : rna.N]).sum((1, 2)) for own, part in zip(found, letters, strict=True)]
    return found, torch.stack(sums).sum(0) - difference


def _places(model: Model, texts: Sequence[str], strand: int) -> NDArray[np.int64]:
    """The column of a strand's codes in which each nucleotide of it is; -1: in none.

    It is where the codes change when the nucleotide does, whatever a model's `encode` cuts or moves.
    """
    sequence = texts[strand]
    other = sequence.translate(str.maketrans("ACGUN", "CAAAA"))
    many = [[text] * (len(sequence) + 1) for text in texts]
    many[strand] = [sequence, *(sequence[:at] + other[at] + sequence[at + 1 :] for at in range(len(sequence)))]
    codes = model.encode(*many)[strand]
    differs = (codes[1:] != codes[0]).numpy()
    return np.where(differs.any(1), differs.argmax(1), -1)
