"""Where in a pair a network looks: hidden units of recurrent layers and heads of attention, held against the duplex.

A unit follows the site when it is higher (or lower) on the nucleotides of the duplex than elsewhere in the same target.
The measure is the AUROC of a unit's values within each pair, averaged over pairs; the duplex is that of least energy
(RNAduplex), of which the model knows nothing. The unit, and which way it goes, are chosen on one half of the pairs and
measured on the other. Beside it: the place alone (where duplexes are in other pairs), and the unit when the network is
given another miRNA while the site stays where it was. A unit that does as well then follows the target, not the pair.

Attention is held against perturbation: is what is attended also what changes the logit when it is masked?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirscope import interpret, io, metrics, plot, predict, rna, runs
from mirscope.errors import InputError, UsageError
from mirscope.models import PAIR, Model, States, _letters, expect, named

Array = NDArray[np.float64]

UNIT_COLUMNS = (
    "layer",
    "unit",
    "direction",
    "auroc_choice",
    "auroc",
    "low",
    "high",
    "auroc_other_mirna",
    "auroc_place",
    "best",
)
HEAD_COLUMNS = (
    "layer",
    "head",
    "in_duplex",
    "duplex",
    "correlation",
    "low",
    "high",
    "correlation_other_mirna",
    "correlation_place",
)
FEWEST = 20
"""Pairs with a duplex that are needed."""


@dataclass(frozen=True)
class Sites:
    """Pairs as a model reads them, and where their duplexes are."""

    pairs: pd.DataFrame
    """Their sequences as the model sees them."""
    codes: tuple[Tensor, Tensor]
    duplexes: NDArray[np.int64]
    """Interval in the target as it is read (n, 2)."""
    other: NDArray[np.int64]
    """A pair (n,) with another miRNA, for each; -1: there is none."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """nt of the targets (n,)."""
        found: NDArray[np.int64] = _letters.lengths(self.codes[1]).numpy()
        return found

    def given(self, rows: slice, *, swapped: bool = False) -> tuple[Tensor, Tensor]:
        """Codes of some pairs; or of their targets with another miRNA, any where there is none."""
        mirnas, targets = self.codes
        return mirnas[self.other[rows].clip(0)] if swapped else mirnas[rows], targets[rows]


def sites(model: Model, pairs: pd.DataFrame) -> Sites:
    """The positive pairs (all, where they have no label) that have a duplex and a target beyond it.

    Raises:
        InputError: fewer than `FEWEST`.
    """
    expect(model, PAIR)
    if "label" in pairs:
        pairs = pairs[pairs["label"] == 1]
    codes = model.encode(*model.columns(pairs))
    seen = [[text.rstrip("N") for text in rna.decode(part.numpy())] for part in codes]
    found = [rna.duplex(mirna, target) for mirna, target in zip(*seen, strict=True)]
    kept = [0 < duplex.end - duplex.start < len(target) for duplex, target in zip(found, seen[1], strict=True)]
    if sum(kept) < FEWEST:
        raise InputError(f"{sum(kept)} positive pairs with a duplex; expected {FEWEST} or more")
    where = np.array([(duplex.start, duplex.end) for duplex, keep in zip(found, kept, strict=True) if keep])
    pairs = pairs.assign(mirna_seq=seen[0], target_seq=seen[1])[kept].reset_index(drop=True)
    other = _other(pairs["mirna_seq"].to_numpy(object))
    mirnas, targets = (part[np.array(kept)] for part in codes)
    return Sites(pairs, (mirnas, targets), where, other)


def _other(mirnas: NDArray[np.object_]) -> NDArray[np.int64]:
    """Half the way round the pairs in the order of their miRNAs."""
    order = np.argsort(mirnas, kind="stable")
    other = np.empty(len(mirnas), np.int64)
    other[order] = np.roll(order, len(order) // 2)
    return np.where(mirnas[other] == mirnas, -1, other)


def halves(n: int, random_state: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two halves of n pairs: to choose on, and to measure on."""
    order = np.random.default_rng(random_state).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


# --------------------------------------------------------------------------------------------------------------- units


def units(
    model: Model,
    found: Sites,
    *,
    random_state: int = 0,
    batch_size: int = 256,
    report: Callable[[int], None] = lambda n: None,
) -> pd.DataFrame:
    """How well each hidden unit follows the site; one is the best.

    Args:
        model: stays as it is.
        found: by `sites`.
        random_state: of the halves and of the bootstrap.
        batch_size: pairs at a time.
        report: called with the number of pairs done, as they are.

    Returns:
        Columns `UNIT_COLUMNS`, in the order of the network: the direction in which the unit goes within the duplex,
        the AUROC on the half that chose it, and on the other half with a 95 % interval (bootstrap of pairs), with
        another miRNA, and of the place alone.

    Raises:
        UsageError: the model has no recurrent layer.
    """
    own: dict[str, list[Array]] = {}
    others: dict[str, list[Array]] = {}
    inside: dict[str, list[Array]] = {}
    for low in range(0, len(found.pairs), batch_size):
        rows = slice(low, low + batch_size)
        states, swapped = _states(model, found.given(rows)), _states(model, found.given(rows, swapped=True))
        for layer, state in states.items():
            within = _inside(state, found.duplexes[rows])
            if within is None:
                continue
            own.setdefault(layer, []).append(aurocs(state.values.double().numpy(), within))
            other = aurocs(swapped[layer].values.double().numpy(), within)
            others.setdefault(layer, []).append(np.where((found.other[rows] < 0)[:, None], np.nan, other))
            inside.setdefault(layer, []).append(within)
        report(len(found.duplexes[rows]))
    if not own:
        raise UsageError(f"{named(model)} has no recurrent layer along the target; expected a network with one")
    chosen, measured = halves(len(found.pairs), random_state)
    tables = []
    for layer in own:
        values, other, within = (np.concatenate(parts[layer]) for parts in (own, others, inside))
        choice = column_means(values[chosen])
        sign = np.where(choice >= 0.5, 1.0, -1.0)
        value = column_means(values[measured])
        low_, high = metrics.mean_interval(values[measured], random_state=random_state)
        turned = 0.5 + sign * (np.stack([value, low_, high]) - 0.5)
        place = np.nan_to_num(column_means(within[chosen]))
        by_place = np.broadcast_to(place[:, None], (*within.shape, 1))[measured]
        table = pd.DataFrame(
            {
                "layer": layer,
                "unit": np.arange(values.shape[1]),
                "direction": np.where(sign > 0, "up", "down"),
                "auroc_choice": 0.5 + sign * (choice - 0.5),
                "auroc": turned[0],
                "low": turned[1:].min(0),
                "high": turned[1:].max(0),
                "auroc_other_mirna": 0.5 + sign * (column_means(other[measured]) - 0.5),
                "auroc_place": float(column_means(aurocs(by_place, within[measured]))[0]),
            }
        )
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table["best"] = table.index == table["auroc_choice"].idxmax()
    return table[list(UNIT_COLUMNS)]


def _beside(model: Model, codes: Sequence[Tensor]) -> list[Tensor]:
    """The codes where the model is."""
    return [part.to(predict.device_of(model)) for part in codes]


def _states(model: Model, codes: Sequence[Tensor]) -> dict[str, States]:
    with torch.inference_mode():
        found = model.states(*_beside(model, codes))
    return {layer: States(state.values.cpu(), state.places.cpu()) for layer, state in found.items()}


def _inside(state: States, duplexes: NDArray[np.int64]) -> Array | None:
    """1 where the middle nucleotide of a step lies in the duplex, 0 where not, NaN where the step sees no target.

    (n, steps); None where no step of the layer sees the target.
    """
    places = state.places[:, :, PAIR.index("target")].numpy()
    if (places < 0).all():
        return None
    middle = places.sum(2) // 2
    within = (middle >= duplexes[:, None, 0]) & (middle < duplexes[:, None, 1])
    return np.where(places[:, :, 0] < 0, np.nan, within)


def aurocs(values: Array, inside: Array) -> Array:
    """The chance that a step inside is above one outside of the same pair, ties half: (n, units).

    Args:
        values: (n, steps, units).
        inside: (n, steps), 1 or 0, NaN: leave the step out. NaN comes out where all are of one kind.
    """
    from scipy.stats import rankdata

    found = np.full((len(values), values.shape[2]), np.nan)
    for number, (rows, marks) in enumerate(zip(values, inside, strict=True)):
        known = ~np.isnan(marks)
        within = marks[known] == 1
        n_in, n_out = int(within.sum()), int((~within).sum())
        if n_in and n_out:
            ranks = rankdata(rows[known], axis=0)
            found[number] = (ranks[within].sum(0) - n_in * (n_in + 1) / 2) / (n_in * n_out)
    return found


def column_means(values: Array) -> Array:
    """Means (columns, ...) of rows, NaN left out; NaN where a column has nothing else."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(0) / known.sum(0)


# ----------------------------------------------------------------------------------------------------------- attention


@dataclass(frozen=True)
class Attention:
    """How attention goes with what masking changes."""

    heads: pd.DataFrame
    """Columns `HEAD_COLUMNS`, layers and heads from 1; the first row is the mean of all (layer and head 0)."""
    masked: pd.DataFrame
    """Mean change of the logit, without its sign, when the run of nt that is attended most, that attended least, or
    the average run is masked: columns run, change, low, high."""


def attention(
    model: Model,
    found: Sites,
    *,
    k: int = 4,
    random_state: int = 0,
    batch_size: int = 256,
    report: Callable[[int], None] = lambda n: None,
) -> Attention:
    """How attention to the target goes with what masking it does to the logit, within each pair.

    What a run of nt is attended is the attention of all miRNA places to all target places that have a nucleotide of it.

    Args:
        model: stays as it is.
        found: by `sites`.
        k: nt of a run.
        random_state: of the bootstrap.
        batch_size: pairs at a time.
        report: called with the number of pairs done, as they are.

    Returns:
        Of each head, mean over pairs: the share of its attention on places whose middle is in the duplex, and the share
        of the target that is; Spearman's correlation of attended and change, with a 95 % interval (bootstrap of pairs);
        the same with the attention that another miRNA pays to the target; and with what the same place gets on average.

    Raises:
        UsageError: the model does not attend.
    """
    parts: list[tuple[Array, Array, Array, Array]] = []
    for low in range(0, len(found.pairs), batch_size):
        rows = slice(low, low + batch_size)
        maps, swapped = (_maps(model, part) for part in (found.given(rows), found.given(rows, swapped=True)))
        base, masked = interpret.masked_logits(model, found.pairs.iloc[rows], "target", k=k)
        lengths = found.lengths[rows]
        own, other = (_attended(to, lengths, found.codes[1].shape[1], k) for to in (maps, swapped))
        other[found.other[rows] < 0] = np.nan
        shares = _within(maps, found.duplexes[rows], found.codes[1].shape[1])
        parts.append((own, other, shares, np.abs(masked - base[:, None]).astype(np.float64)))
        report(len(base))
    own, other, shares, change = (np.concatenate(part) for part in zip(*parts, strict=True))
    expected = float((np.diff(found.duplexes)[:, 0] / found.lengths).mean())
    average = np.broadcast_to(column_means(own), own.shape)  # of the place, whatever the pair
    heads = [(layer + 1, head + 1, (slice(None), layer, head)) for layer, head in np.ndindex(own.shape[1:3])]
    rows_ = []
    for layer, head, pick in [(0, 0, None), *heads]:
        each = (part.mean((1, 2)) if pick is None else part[pick] for part in (own, other, average, shares))
        here, there, usual, share = each
        correlated = [correlations(part, change) for part in (here, there, usual)]
        value, *controls = (float(column_means(part)) for part in correlated)
        low_, high = metrics.mean_interval(correlated[0], random_state=random_state)
        rows_.append((layer, head, share.mean(), expected, value, low_, high, *controls))
    return Attention(pd.DataFrame(rows_, columns=list(HEAD_COLUMNS)), _masked(own.mean((1, 2)), change, random_state))


def _masked(attended: Array, change: Array, random_state: int) -> pd.DataFrame:
    """Mean change where the run attended most, that attended least, and the average run is masked."""
    known = ~np.isnan(attended) & ~np.isnan(change)
    rows = np.arange(len(change))
    most, least = (np.where(known, sign * attended, -np.inf).argmax(1) for sign in (1, -1))
    of_runs = np.stack([change[rows, most], change[rows, least], column_means(change.T)], 1)
    low, high = metrics.mean_interval(of_runs, random_state=random_state)
    runs_ = ["most attended", "least attended", "average"]
    return pd.DataFrame({"run": runs_, "change": column_means(of_runs), "low": low, "high": high})


def _maps(model: Model, codes: Sequence[Tensor]) -> Tensor:
    """The share of each head's attention that each place of the target gets, (n, layers, heads, places)."""
    with torch.inference_mode():
        maps = model.attention(*_beside(model, codes)).double().cpu()
    if not maps.shape[1]:
        raise UsageError(f"{named(model)} has no attention; expected a network that attends")
    to = maps.sum(3)
    return to / to.sum(3, keepdim=True).clamp(min=1e-12)


def _within(to: Tensor, duplexes: NDArray[np.int64], length: int) -> Array:
    """The share of attention (n, layers, heads) on places whose middle is in the duplex."""
    middle = torch.arange(to.shape[3]) + (length - to.shape[3] + 1) // 2
    bounds = torch.from_numpy(duplexes)
    inside = (middle >= bounds[:, :1]) & (middle < bounds[:, 1:])
    return (to * inside[:, None, None]).sum(3).numpy()


def _attended(to: Tensor, lengths: NDArray[np.int64], length: int, k: int) -> Array:
    """What each run of k nt is attended, (n, layers, heads, runs); NaN beyond the target."""
    size = length - to.shape[3] + 1  # nt of a place
    runs_ = torch.nn.functional.pad(to, (size - 1, k - 1)).unfold(3, size + k - 1, 1).sum(4)[..., : length - k + 1]
    beyond = np.arange(runs_.shape[3]) + k > lengths[:, None]
    return runs_.masked_fill(torch.from_numpy(beyond)[:, None, None], math.nan).numpy()


def correlations(one: Array, other: Array) -> Array:
    """Spearman's correlation (n,) of each two rows, where both are known; NaN where one is constant."""
    found = np.full(len(one), np.nan)
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        known = ~np.isnan(a) & ~np.isnan(b)
        if known.sum() > 2:
            found[number] = metrics.rank_correlation(a[known], b[known])
    return found


# --------------------------------------------------------------------------------------------------------------- files


def parts(model: Model, found: Sites) -> tuple[bool, bool]:
    """Whether the model has recurrent layers, and attention.

    Raises:
        UsageError: neither.
    """
    with torch.inference_mode():
        one = _beside(model, found.given(slice(1)))
        has = bool(model.states(*one)), bool(model.attention(*one).shape[1])
    if not any(has):
        raise UsageError(f"{named(model)} has neither recurrent layers nor attention; nothing to show")
    return has


def write(
    model: Model,
    found: Sites,
    folder: Path,
    *,
    drawn: int | None = None,
    k: int = 4,
    random_state: int = 0,
    settings: dict[str, Any] | None = None,
    report: Callable[[int], None] = lambda n: None,
) -> tuple[list[Path], dict[str, Any]]:
    """Measure what the model has of units and attention, and write tables and pictures of one pair.

    units.tsv and the picture units of recurrent layers; attention.tsv, masked.tsv and the picture attention of
    attention; run.json. Pictures are PNG, SVG and PDF.

    Args:
        model: stays as it is.
        found: by `sites`.
        folder: made where it is not there.
        drawn: the pair to draw; default the one with the highest score of those that did not choose the unit.
        k: nt masked at a time.
        random_state: of halves and bootstrap.
        settings: of the run, for run.json.
        report: called with the number of pairs done, as they are, for each of `parts`.

    Returns:
        The files written, and what was found, in short.

    Raises:
        UsageError: the model has neither, or no such `k`.
    """
    io.expect_folder(folder)
    has_units, has_attention = parts(model, found)
    if drawn is None:
        measured = halves(len(found.pairs), random_state)[1]
        drawn = int(measured[predict.score(model, found.pairs.iloc[measured]).argmax()])
    files, said = [], {"n_pairs": len(found.pairs), "drawn": _describe(found, drawn)}
    one = found.given(slice(drawn, drawn + 1))
    texts, duplex = [rna.decode(part.numpy())[0].rstrip("N") for part in one], tuple(found.duplexes[drawn])
    title = f"{said['drawn']}, {named(model)}"
    # what may fail comes before the folder is made
    base, masked = interpret.masked_logits(model, found.pairs.iloc[[drawn]], "target", k=k)
    folder.mkdir(parents=True, exist_ok=True)
    if has_units:
        table = units(model, found, random_state=random_state, report=report)
        files.append(folder / "units.tsv")
        io.write_tsv(table, files[-1], UNIT_COLUMNS)
        said["best_unit"] = runs.known(table[table["best"]].iloc[0].drop("best").to_dict())
        layers = {layer: (s.values[0].numpy(), s.places[0].numpy()) for layer, s in _states(model, one).items()}
        figure = plot.units(layers, table, texts, duplex, title=title)
        files += plot.save_all(figure, folder, "units", plot.FORMATS)
    if has_attention:
        result = attention(model, found, k=k, random_state=random_state, report=report)
        files += [folder / "attention.tsv", folder / "masked.tsv"]
        io.write_tsv(result.heads, files[-2], HEAD_COLUMNS)
        io.write_tsv(result.masked, files[-1], list(result.masked.columns))
        said["attention"] = runs.known(result.heads.iloc[0].to_dict())
        said["masked"] = runs.known(result.masked.to_dict("records"))
        with torch.inference_mode():
            maps = model.attention(*_beside(model, one))[0].cpu().numpy()
        figure = plot.attention(maps, masked[0] - base[0], texts, duplex, title=title)
        files += plot.save_all(figure, folder, "attention", plot.FORMATS)
    files.append(folder / "run.json")
    runs.write_json(files[-1], (settings or {}) | said | runs.environment())
    return files, said


def _describe(found: Sites, drawn: int) -> str:
    row = found.pairs.iloc[drawn]
    names = [str(row[name]) for name in ("mirna_id", "target_id", "gene_id") if name in row and str(row[name])]
    return " on ".join(dict.fromkeys(names[:2])) or f"pair {drawn + 1}"
