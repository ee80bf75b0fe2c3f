"""Examples to scores; sites to ranked genes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mirscope import tables
from mirscope.errors import TableError, UsageError
from mirscope.models import PAIR, Model, expect_columns, strands

log = logging.getLogger(__name__)


def device() -> torch.device:
    """The GPU when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(model: Model) -> torch.device:
    """Where the model is; the CPU if it has no parameters."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def window_starts(length: int, window: int, stride: int) -> NDArray[np.int64]:
    """First nt of each window over a sequence: every `stride` nt, the last window against the end (as miTAR cuts).

    A sequence not longer than a window has one, at 0.
    """
    last = max(length - window, 0)
    return np.append(np.arange(0, last, stride), last)


def score(model: Model, examples: pd.DataFrame, *, batch_size: int = 1024, warn: bool = True) -> NDArray[np.float32]:
    """Scores (probabilities, n) of pairs or hairpins, in their order; the model stays where it is and as it is.

    A target longer than the model's window (than `model.longest`, where the model makes one window of it) is scored as
    its best window, every `model.stride` nt; a longer miRNA is cut at its 3' end, a longer
    hairpin as the model does. All are counted in a warning.

    Args:
        model: any.
        examples: what `model.columns` reads: of `tables.PAIRS` or `tables.HAIRPINS`; columns of `model.numbers` if they
            are known.
        batch_size: examples at a time; the scores do not depend on it.
        warn: whether what is cut is counted in a warning; not of a part of what is counted elsewhere.

    Raises:
        TableError: the model does not read such a table.
    """
    if warn:
        warn_of_long(model, examples)
    return probability(example_logits(model, examples, batch_size=batch_size))


def example_logits(model: Model, examples: pd.DataFrame, *, batch_size: int = 1024) -> NDArray[np.float32]:
    """The logits (n,) of what `score` gives the scores of; arguments as there."""
    if model.inputs == PAIR:
        return best_windows(model, examples, batch_size=batch_size)[1]
    columns, values = model.columns(examples), numbers(model, examples)

    def inputs(batch: slice) -> list[torch.Tensor]:
        return [*model.encode(*(column[batch] for column in columns)), *(column[batch] for column in values)]

    return logits(model, len(examples), inputs, batch_size)


def best_windows(
    model: Model, pairs: pd.DataFrame, *, batch_size: int = 1024
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Of each pair what `score` looks at: the first nt of the target's best window, its logit and its length, nt.

    Of windows as good the first. Arguments as for `score`.
    """
    window = model.lengths[1]
    mirnas, targets = (np.array(column, dtype=object) for column in model.columns(pairs))
    whole = max(window, model.longest)
    starts = [window_starts(len(t), window, model.stride) if len(t) > whole else np.zeros(1, int) for t in targets]
    n_windows = np.array([len(s) for s in starts], dtype=np.int64)

    rows = np.repeat(np.arange(len(pairs)), n_windows)
    at = np.concatenate(starts) if starts else np.empty(0, dtype=np.int64)
    sizes, values = np.where(n_windows > 1, window, whole), numbers(model, pairs)

    def inputs(batch: slice) -> list[torch.Tensor]:
        places = zip(rows[batch], at[batch], strict=True)
        cut = [targets[row][start : start + sizes[row]] for row, start in places]
        return [*model.encode(list(mirnas[rows[batch]]), cut), *(column[rows[batch]] for column in values)]

    found = logits(model, len(rows), inputs, batch_size)
    order = np.lexsort((at, -found, rows))  # the best of each pair first
    best = order[np.cumsum(n_windows) - n_windows]
    return at[best], found[best], sizes


def logits(
    model: Model, n: int, inputs: Callable[[slice], Sequence[torch.Tensor]], batch_size: int = 1024
) -> NDArray[np.float32]:
    """Logits (n,) of what `inputs` makes of each slice of the rows."""
    where = device_of(model)
    found = np.empty(n, dtype=np.float32)
    with torch.inference_mode():
        for low in range(0, n, batch_size):
            batch = slice(low, low + batch_size)
            found[batch] = model(*(part.to(where) for part in inputs(batch))).cpu().numpy()
    return found


def numbers(model: Model, pairs: pd.DataFrame) -> tuple[torch.Tensor, ...]:
    """Values (n,) of the columns `model.numbers`, float32; NaN where a column or a value is not given.

    Raises:
        TableError: a value that is no number from 0 up.
    """
    found = []
    for name in model.numbers:
        given = pairs[name] if name in pairs else pd.Series(np.nan, index=pairs.index)
        values = pd.to_numeric(given, errors="coerce").to_numpy(np.float32, na_value=np.nan)
        missing = (given.isna() | (given == "")).to_numpy()
        if (bad := ~missing & ~((values >= 0) & (values < np.inf))).any():
            row = int(bad.argmax())
            raise TableError(f"{given.iloc[row]} in row {row + 1} of column {name}; expected a number from 0 up")
        found.append(torch.from_numpy(values))
    return tuple(found)


def logit(score: float) -> float:
    """The logit of a score from 0 up, below 1."""
    return math.log(score) - math.log1p(-score) if score else -math.inf


def probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The score of a logit."""
    return torch.from_numpy(logits).sigmoid().numpy()


GeneScore: TypeAlias = Literal["repression", "max", "noisy-or", "count"]


def genes(sites: pd.DataFrame, *, how: GeneScore | None = None, min_sites: int = 1) -> pd.DataFrame:
    """Combine the sites of each miRNA and transcript into one ranked row.

    Args:
        sites: columns mirna_id, target_id, score and, if there is one, occupancy of `tables.SITES`; any order.
        how: what `score` is: `repression`, the sum of the sites' occupancies (default where these are known); the best
            site's score (default elsewhere); `noisy-or`, 1 - prod(1 - score), sites taken as independent; or the number
            of sites, as miTAR counts.
        min_sites: fewer sites make no target.

    Returns:
        Columns of `tables.GENES`: miRNAs in the order of `sites`, the best gene first; ties by the best site's score,
        then in the order of `sites`.

    Raises:
        UsageError: repression is asked for and the occupancies are not known.
    """
    table = summed(sites)
    return rank(table[table["n_sites"] >= min_sites], how=how)


def summed(sites: pd.DataFrame) -> pd.DataFrame:
    """The rows of `genes` without score and rank, in the order of `sites`, however few sites they have."""
    tables.check(sites, tuple(c for c in tables.SITES if c.name in ("mirna_id", "target_id", "score")))
    miss = np.log1p(-sites["score"].to_numpy(np.float64).clip(max=1 - 1e-12))
    grouped = sites.assign(miss=miss).groupby(["mirna_id", "target_id"], sort=False, observed=True)
    sums = {"repression": ("occupancy", "sum")} if "occupancy" in sites else {}
    table = grouped.agg(max_score=("score", "max"), miss=("miss", "sum"), n_sites=("score", "size"), **sums)
    table["noisy_or"] = -np.expm1(table.pop("miss"))
    return table.reset_index()


def rank(table: pd.DataFrame, *, how: GeneScore | None = None) -> pd.DataFrame:
    """Give genes (columns of `tables.GENES` but score and rank) their score and rank, as `genes` does."""
    how = how or ("repression" if "repression" in table else "max")
    if how == "repression" and how not in table:
        raise UsageError("repression takes sites with their rates of false ones: scan with a background")
    by = {"max": "max_score", "noisy-or": "noisy_or", "count": "n_sites"}.get(how, how)
    mirna = pd.factorize(table["mirna_id"])[0]
    order = np.lexsort((-table["max_score"], -table[by], mirna))
    table, mirna = table.iloc[order].reset_index(drop=True), mirna[order]
    first = np.searchsorted(mirna, mirna)
    table = table.assign(score=table[by].astype(np.float64), rank=np.arange(len(table)) - first + 1)
    return table[[column.name for column in tables.GENES if column.name in table]]


def warn_of_cut(model: Model, n_long: int, n: int) -> None:
    """Warn, where there are any, of the examples (of `n`) whose first input is longer than the model reads."""
    if n_long:
        what, longest = model.inputs[0], model.lengths[0]
        log.warning("%d of %d %ss are longer than the model's %d nt: cut", n_long, n, what, longest)


def warn_of_long(model: Model, examples: pd.DataFrame) -> None:
    """Warn, where there are any, of examples that are longer than the model reads, and say what becomes of them.

    Raises:
        TableError: the model does not read such a table.
    """
    columns = [f"{part}_seq" for part in strands(model)]
    expect_columns(model, examples, columns)
    n_nt = [examples[column].str.len() for column in columns]
    if model.inputs != PAIR:
        warn_of_cut(model, int((n_nt[0] > model.lengths[0]).sum()), len(examples))
        return
    whole, longest = max(model.lengths[1], model.longest), model.lengths[0]
    _warn("%d of %d targets are longer than the model's %d nt: the best window counts", n_nt[1] > whole, whole)
    _warn("%d of %d miRNAs are longer than the model's %d nt: cut at the 3' end", n_nt[0] > longest, longest)


def _warn(message: str, long: pd.Series, limit: int) -> None:
    if long.any():
        log.warning(message, long.sum(), len(long), limit)
