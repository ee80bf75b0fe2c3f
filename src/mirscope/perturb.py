"""Logits of pairs with a run of nucleotides hidden: what masking every run of one RNA does."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mirscope import predict, rna
from mirscope.errors import UsageError
from mirscope.models import PAIR, Model, _letters, expect

Part = Literal["mirna", "target"]


def masked_logits(
    model: Model, pairs: pd.DataFrame, part: Part, *, width: int = 4, batch_size: int = 1024
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits of pairs, and with every run of nucleotides of one RNA hidden as N; the model stays as it is.

    Args:
        model: of miRNAs and targets.
        pairs: what `model.columns` reads; longer sequences are cut as `model.encode` does.
        part: the RNA that is masked.
        width: nt that are hidden at a time.
        batch_size: examples at a time.

    Returns:
        (n,) and (n, places): at place i nt i to i + width - 1 are N; NaN where the sequence does not reach so far.

    Raises:
        UsageError: no such width.
    """
    expect(model, PAIR)
    if not 1 <= width <= model.lengths[PAIR.index(part)]:
        raise UsageError(f"width is {width}; expected 1 to {model.lengths[PAIR.index(part)]} nt")
    codes, where, number = model.encode(*model.columns(pairs)), predict.device_of(model), PAIR.index(part)
    extra = predict.numbers(model, pairs)
    lengths = _letters.lengths(codes[number])
    n_places = codes[number].shape[1] - width + 1
    row, place = (torch.arange(n_places) + width <= lengths[:, None]).nonzero(as_tuple=True)
    rows, places = torch.cat([torch.arange(len(pairs)), row]), torch.cat([torch.full((len(pairs),), -1), place])
    logits = np.empty(len(rows), np.float32)
    with torch.inference_mode():
        for low in range(0, len(rows), batch_size):
            some, starts = rows[low : low + batch_size], places[low : low + batch_size]
            given = [part_[some] for part_ in codes]
            at = torch.arange(codes[number].shape[1]) - starts[:, None]
            given[number] = given[number].masked_fill((starts[:, None] >= 0) & (at >= 0) & (at < width), rna.N)
            inputs = [*given, *(column[some] for column in extra)]
            logits[low : low + batch_size] = model(*(part_.to(where) for part_ in inputs)).cpu().numpy()
    masked = np.full((len(pairs), n_places), np.nan, np.float32)
    masked[row.numpy(), place.numpy()] = logits[len(pairs) :]
    return logits[: len(pairs)], masked
