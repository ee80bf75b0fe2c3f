"""Why a model scores as it does: what changing a nucleotide does, what gradients give it, which parts of a miRNA count.

Methods, for every model of the contract:

    mask        every run of k nt becomes N (DMISO's way: Talukder et al. 2022)
    mutate      every nucleotide becomes each of the others (saturation mutagenesis)
    gradient    integrated gradients (Sundararajan et al. 2017)
    deeplift    DeepLIFT (Shrikumar et al. 2017), where the network is built of what its rule knows

A change is what an edit makes of a logit or score less what it was: below 0 where the nucleotide supports binding. A
contribution is the share of the logit that a gradient method gives a nucleotide: above 0 where it supports binding.
Support is both, above 0 for binding: a contribution, or a change with its sign turned.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from mirscope import gradients, metrics, models, plot, predict, rna, train
from mirscope.errors import UsageError
from mirscope.models import PAIR, Model

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Method = Literal["mask", "mutate", "gradient", "deeplift"]
Measure = Literal["logit", "score"]
METHODS: tuple[Method, ...] = ("mask", "mutate", "gradient")
"""What is done unless asked otherwise."""
LETTERS = rna.ALPHABET[: rna.N]
K = 4
"""nt masked at a time."""
AT_ONCE = 16
"""Examples whose edits are scored together."""
SEED, SUPPLEMENTARY = (1, 8), (12, 16)
"""Parts of the miRNA, 0-based, half-open: nt 2-8 and 13-16."""
FEWEST = 5
"""Groups of examples that an interval needs."""


@dataclass(frozen=True)
class Strand:
    """A sequence of an example, and what is known of its nucleotides (L); None: not asked for."""

    name: str
    """Input of the model: `mirna`, `target` or `hairpin`."""
    sequence: str
    """What the model looks at: of a target longer than its window the best window."""
    start: int = 0
    """First nt of it in the sequence as given, 0-based."""
    masked: Array | None = None
    """Logits with the run of k nt masked that begins at each place (L - k + 1)."""
    mutated: Array | None = None
    """Logits with each of A C G U at each place (L, 4)."""
    contributions: dict[str, Array] = field(default_factory=dict)
    """By method, what A C G U would contribute at each place (L, 4); that of the letter there is its own. NaN where
    the contributions do not add up to the logit."""


@dataclass(frozen=True)
class Explanation:
    """What is known of an example."""

    row: int
    """Of the examples, from 0."""
    texts: tuple[str, ...]
    """What the model looks at, in the order of its inputs."""
    logit: float
    strands: tuple[Strand, ...]
    completeness_errors: dict[str, float] = field(default_factory=dict)
    """By method, the sum of all contributions less the logit's difference from the baseline's."""

    @property
    def score(self) -> float:
        """The probability."""
        return float(expit(self.logit))

    def changes(self, strand: Strand, method: Method, measure: Measure = "logit") -> Array:
        """Of each run (L - k + 1), or for each letter at each place (L, 4)."""
        edited = strand.masked if method == "mask" else strand.mutated
        assert edited is not None
        return edited - self.logit if measure == "logit" else expit(edited) - self.score

    def units(self, strand: Strand, method: Method, measure: Measure = "logit") -> Array:
        """A number for each run (mask: its change) or nucleotide (mutate: the mean of the changes; contributions)."""
        own = is_own(strand.sequence)
        if method in gradients.METHODS:
            return np.asarray(np.where(own, strand.contributions[method], 0).sum(1))
        changes = self.changes(strand, method, measure)
        return changes if method == "mask" else np.asarray(np.where(own, 0, changes).sum(1) / (~own).sum(1))

    def values(self, strand: Strand, method: Method, measure: Measure = "logit") -> Array:
        """A number for each nucleotide (L): as `units`; of masked runs the mean of those that cover it."""
        units, length = self.units(strand, method, measure), len(strand.sequence)
        if method != "mask":
            return units
        covers = np.tri(length, len(units)) - np.tri(length, len(units), len(units) - length - 1)
        return np.asarray(covers @ units / covers.sum(1))

    def support(self, strand: Strand, method: Method, measure: Measure = "logit") -> Array:
        """`values`, above 0 where a nucleotide supports binding."""
        return self.values(strand, method, measure) * _sign(method)


def is_own(sequence: str) -> NDArray[np.bool_]:
    """Which of A C G U stands at each place (L, 4)."""
    return np.array(list(sequence), dtype=object)[:, None] == np.array(list(LETTERS), dtype=object)


def measures(method: Method) -> tuple[Measure, ...]:
    """What a method speaks of."""
    return ("logit",) if method in gradients.METHODS else ("logit", "score")


def _sign(method: Method) -> int:
    return 1 if method in gradients.METHODS else -1


def explain(
    model: Model,
    examples: pd.DataFrame,
    *,
    methods: Sequence[str] = METHODS,
    k: int = K,
    refold: bool = False,
    batch_size: int = 1024,
) -> Iterator[Explanation]:
    """What each nucleotide of each example does to its logit, example by example in their order.

    Of a target longer than the model's window the best window is explained, which is what `predict.score` scores.

    Args:
        model: stays where it is and as it is.
        examples: what `predict.score` takes; any number, a few are worked on at a time.
        methods: those by gradient are left out, with a warning, where the model has no gradients by letter.
        k: nt masked at a time; all of them where a sequence has fewer.
        refold: fold each edited hairpin anew; otherwise its structure stays and the letters alone speak.
        batch_size: edited examples at a time; the result does not depend on it.

    Raises:
        UsageError: `k` is below 1, or DeepLIFT's rule does not hold for the network.
        TableError: the model does not read such a table.
    """
    chosen, n_bad, names = possible(model, methods), 0, models.strands(model)
    _expect_k(k)
    predict.warn_of_long(model, examples)

    def edits(_: str, text: str) -> list[str]:
        return [*(masked(text, k) if "mask" in chosen else ()), *(mutants(text) if "mutate" in chosen else ())]

    for block in _blocks(model, examples, batch_size, refold=refold):
        columns = list(zip(*block.texts, strict=True))
        by_gradient: dict[str, tuple[list[list[Array]], Array]] = {
            method: gradients.contributions(model, columns, block.numbers, method=method)
            for method in chosen
            if method in gradients.METHODS
        }
        for row, (texts, (logit, edited)) in enumerate(zip(block.texts, block.ask(edits), strict=True)):
            strands = []
            for place, (name, text, logits) in enumerate(zip(names, texts, edited, strict=False)):
                n_masks = len(masked(text, k)) if "mask" in chosen else 0
                strands.append(
                    Strand(
                        name,
                        text,
                        block.starts[row] if name == "target" else 0,
                        masked=logits[:n_masks] if "mask" in chosen else None,
                        mutated=_by_letter(text, logit, logits[n_masks:]) if "mutate" in chosen else None,
                        contributions={method: found[row][place] for method, (found, _) in by_gradient.items()},
                    )
                )
            n_bad += any(np.isnan(own).any() for strand in strands for own in strand.contributions.values())
            errors = {method: float(missed[row]) for method, (_, missed) in by_gradient.items()}
            yield Explanation(block.first + row, texts, logit, tuple(strands), errors)
    if n_bad:
        told = "%s: integrated gradients of %d of %d do not add up to the logit, left empty"
        log.warning(told, models.named(model), n_bad, len(examples))


def _by_letter(text: str, logit: float, of_mutants: Array) -> Array:
    """Logits with each of A C G U at each place (L, 4), of those of `mutants`."""
    found = np.full((len(text), len(LETTERS)), logit)
    found[~is_own(text)] = of_mutants
    return found


def possible(model: Model, methods: Sequence[str]) -> tuple[Method, ...]:
    """The methods that the model has; a warning tells of those it lacks.

    Raises:
        UsageError: none is left, or no such method.
    """
    if unknown := set(methods) - set(get_args(Method)):
        raise UsageError(f"no method {', '.join(sorted(unknown))}; expected some of {', '.join(get_args(Method))}")
    asked = cast("list[Method]", list(dict.fromkeys(methods)))
    left = tuple(method for method in asked if model.soft or method not in gradients.METHODS)
    if not left:
        raise UsageError(f"{models.named(model)} has no gradients by letter; ask for mask or mutate")
    if len(left) < len(asked):
        log.warning("%s is no smooth function of letters: no gradients, perturbation only", models.named(model))
    return left


def masked(sequence: str, k: int) -> list[str]:
    """The sequence with each run of k nt as N, by the first of them; all N where it has no more than k."""
    k = min(k, len(sequence))
    return [sequence[:at] + "N" * k + sequence[at + k :] for at in range(len(sequence) - k + 1)]


def mutants(sequence: str) -> list[str]:
    """The sequence with each other letter of A C G U at each place."""
    others = [(at, letter) for at, own in enumerate(sequence) for letter in LETTERS if letter != own]
    return [sequence[:at] + letter + sequence[at + 1 :] for at, letter in others]


def _expect_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; expected 1 nt or more")


class _Block:
    """Some examples as the model looks at them, and the logits of edits of them."""

    def __init__(self, model: Model, examples: pd.DataFrame, first: int, batch_size: int, refold: bool) -> None:
        self.model, self.first, self.batch_size = model, first, batch_size
        self.refold = refold and "structure" in model.inputs
        self.starts = [0] * len(examples)
        columns = model.columns(examples)
        if model.inputs == PAIR:
            starts, _, sizes = predict.best_windows(model, examples, batch_size=batch_size)
            self.starts = starts.tolist()
            cut = [text[at : at + size] for text, at, size in zip(columns[1], starts, sizes, strict=True)]
            columns = columns[0], cut
        self.texts: list[tuple[str, ...]] = list(zip(*columns, strict=True))
        self.numbers = predict.numbers(model, examples)

    def logits(self, edits: Sequence[tuple[int, dict[str, str]]]) -> Array:
        """Logits (n,) of examples (the row of each) with other texts of some strands."""
        rows = np.array([row for row, _ in edits])

        def inputs(batch: slice) -> list[Tensor]:
            columns = zip(*(self._edited(*edit) for edit in edits[batch]), strict=True)
            return [*self.model.encode(*map(list, columns)), *(column[rows[batch]] for column in self.numbers)]

        return predict.logits(self.model, len(edits), inputs, self.batch_size).astype(np.float64)

    def _edited(self, row: int, strands: dict[str, str]) -> tuple[str, ...]:
        texts = dict(zip(self.model.inputs, self.texts[row], strict=True)) | strands
        if self.refold and strands:
            texts["structure"] = rna.fold(texts["hairpin"])[0]
        return tuple(texts.values())

    def ask(self, edits: Callable[[str, str], Sequence[str]]) -> Iterator[tuple[float, list[Array]]]:
        """Of each example its logit, and by strand the logits with each of the edits (of name and text) in place."""
        asked: list[tuple[int, dict[str, str]]] = []
        ends = []
        for row, texts in enumerate(self.texts):
            asked.append((row, {}))
            ends.append(len(asked))
            for name, text in zip(models.strands(self.model), texts, strict=False):
                asked += [(row, {name: edit}) for edit in edits(name, text)]
                ends.append(len(asked))
        parts = iter(np.split(self.logits(asked), ends[:-1]))
        for _ in self.texts:
            yield float(next(parts)[0]), [next(parts) for _ in models.strands(self.model)]


def _blocks(model: Model, examples: pd.DataFrame, batch_size: int, *, refold: bool = False) -> Iterator[_Block]:
    for first in range(0, len(examples), AT_ONCE):
        some = examples.iloc[first : first + AT_ONCE].reset_index(drop=True)
        yield _Block(model, some, first, batch_size, refold)


def masked_logits(
    model: Model, pairs: pd.DataFrame, strand: str, *, k: int = K, batch_size: int = 1024
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits of pairs, and with every run of k nt of one strand masked; of long targets the best windows.

    Args:
        model: stays where it is and as it is.
        pairs: columns of `tables.PAIRS`.
        strand: `mirna` or `target`.
        k: nt masked at a time.
        batch_size: edited pairs at a time.

    Returns:
        (n,) and (n, places): at place i nt i to i + k - 1 are N; NaN where the sequence does not reach so far.

    Raises:
        UsageError: the model reads no pairs, or no such `k`.
    """
    models.expect(model, PAIR)
    number = PAIR.index(strand)
    longest = model.lengths[number]
    if not 1 <= k <= longest:
        raise UsageError(f"k is {k}; expected 1 to {longest} nt")
    whole = np.empty(len(pairs), np.float32)
    found = np.full((len(pairs), longest - k + 1), np.nan, np.float32)

    def edits(name: str, text: str) -> list[str]:
        return masked(text[:longest], k) if name == strand and len(text) >= k else []

    for block in _blocks(model, pairs, batch_size):
        for row, (logit, edited) in enumerate(block.ask(edits), start=block.first):
            whole[row] = logit
            found[row, : len(edited[number])] = edited[number]
    return whole, found


@dataclass(frozen=True)
class Interactions:
    """What two nucleotides of an example do together: the change when both are masked less those when either is.

    Above 0 where one stands for both, as the two of a base pair do whose loss hurts but once; below 0 where either can
    stand in for the other.
    """

    rows: Strand
    """The miRNA, or the hairpin."""
    columns: Strand
    """The target, or the hairpin once more."""
    change: Array
    """(places of `rows`, places of `columns`); NaN where runs of a hairpin overlap."""
    base_pairs: list[tuple[int, int]]
    """Places of the duplex that the model draws, or of the structure of a hairpin, either way round."""


def interactions(
    model: Model, example: pd.DataFrame, *, k: int = 1, measure: Measure = "logit", batch_size: int = 1024
) -> Interactions:
    """Every place of the miRNA with every place of the target's best window, or of a hairpin with every other.

    Args:
        model: stays where it is and as it is.
        example: as for `explain`; the first row counts.
        k: nt masked at a time; with more than one the map has a row and a column for each run, and no base pairs.
        measure: what changes.
        batch_size: edited examples at a time.

    Raises:
        UsageError: `k` is below 1.
    """
    _expect_k(k)
    [block] = _blocks(model, example.iloc[:1], batch_size)
    texts, (one, other) = block.texts[0], (models.strands(model) * 2)[:2]
    first, second = texts[0], texts[1] if one != other else texts[0]
    firsts = [first, *masked(first, k)]
    if one != other:
        edits = [{one: text, other: beside} for text in firsts for beside in [second, *masked(second, k)]]
    else:
        edits = [{one: both} for text in firsts for both in [text, *masked(text, k)]]
    values = block.logits([(0, edit) for edit in edits]).reshape(len(firsts), -1)
    if measure == "score":
        values = expit(values)
    change = values[1:, 1:] - values[1:, :1] - values[:1, 1:] + values[0, 0]
    if one == other:
        places = np.arange(len(change))
        change[np.abs(places[:, None] - places) < k] = np.nan
    base_pairs = facing(model, texts)[1] if k == 1 else []
    return Interactions(Strand(one, first), Strand(other, second, block.starts[0]), change, base_pairs)


# ------------------------------------------------------------------------------------------------------ what sets say


REGIONS = {
    "seed": ("nt 2-8 of the miRNA", "its other nt"),
    "supplementary": ("nt 13-16 of the miRNA", "its other nt from nt 9 on"),
    "miRNA": ("all {units} of the miRNA together", "all {units} of the target together"),
    "paired": ("the paired nt of the hairpin", "its unpaired nt"),
    "loop": ("the terminal loop of the hairpin", "its other nt"),
}
"""What is held against what, in words."""
_TOLD = {
    "mask": "with {k} nt masked, the {measure} loses {inside:.3g} within {where}, {outside:.3g} within {rest}",
    "mutate": "with a nt changed, the {measure} loses {inside:.3g} at {where}, {outside:.3g} at {rest}",
    "gradient": "integrated gradients give {inside:.3g} of the logit{per} to {where}, {outside:.3g} to {rest}",
    "deeplift": "DeepLIFT gives {inside:.3g} of the logit{per} to {where}, {outside:.3g} to {rest}",
}
VERDICTS = {
    "": ("visible", "not visible", "the other way round"),
    "miRNA": ("the miRNA counts more", "neither counts more", "the target counts more"),
}
"""Where the interval of a difference lies above 0, holds it, or lies below; of the miRNA and of other regions."""


def regions(strand: Strand, structure: str = "") -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The nucleotides (L) of each region of a strand, and those it is held against; see `REGIONS`."""
    place = np.arange(len(strand.sequence))
    if strand.name == "mirna":
        seed, supplementary = ((place >= low) & (place < high) for low, high in (SEED, SUPPLEMENTARY))
        return {"seed": (seed, ~seed), "supplementary": (supplementary, ~supplementary & (place >= SEED[1]))}
    if strand.name == "hairpin":
        paired = np.array([sign != "." for sign in structure])
        low, high = rna.terminal_loop(structure)
        loop = (place >= low) & (place < high)
        return {"paired": (paired, ~paired), "loop": (loop, ~loop)}
    return {}


def compared(found: Explanation, method: Method, measure: Measure = "logit") -> Iterator[tuple[str, float, float]]:
    """Each region of an example that has it, the mean support inside and outside: of nucleotides, or of whole runs."""
    sums = []
    for strand in found.strands:
        support = found.units(strand, method, measure) * _sign(method)
        sums.append(float(support.sum()))
        width = len(strand.sequence) - len(support) + 1
        for name, parts in regions(strand, found.texts[1] if strand.name == "hairpin" else "").items():
            inside, outside = (support[np.lib.stride_tricks.sliding_window_view(part, width).all(1)] for part in parts)
            if len(inside) and len(outside):
                yield name, float(inside.mean()), float(outside.mean())
    if len(sums) == 2:
        yield "miRNA", sums[0], sums[1]


class Tally:
    """Sums over explanations, in memory that does not grow with them but for two numbers a region."""

    def __init__(self, methods: Sequence[Method], measure: Measure = "logit") -> None:
        self.methods, self.measure = methods, measure
        self._sums: dict[tuple[str, str, str, str], Array] = {}  # (3, L): n, sum, sum of squares
        self._regions: dict[tuple[str, str, str, str], list[tuple[str, float, float]]] = {}

    def add(self, found: Explanation, label: str = "", group: str = "") -> None:
        """Count an explanation.

        Args:
            found: any of the model's.
            label: it is counted with those of this label.
            group: examples of one group are no independent ones, such as the sites of a miRNA.
        """
        for method in self.methods:
            for strand in found.strands:
                for measure in measures(method):
                    self._count((label, strand.name, method, measure), found.units(strand, method, measure))
            spoken = self.measure if self.measure in measures(method) else "logit"
            for name, inside, outside in compared(found, method, spoken):
                if not np.isnan(inside - outside):
                    self._regions.setdefault((label, name, method, spoken), []).append((group, inside, outside))

    def _count(self, key: tuple[str, str, str, str], units: Array) -> None:
        if np.isnan(units).any():
            return
        sums = self._sums.get(key, np.zeros((3, 0)))
        sums = np.pad(sums, ((0, 0), (0, max(0, len(units) - sums.shape[1]))))
        sums[:, : len(units)] += np.stack([np.ones_like(units), units, units**2])
        self._sums[key] = sums

    def profile(self) -> pd.DataFrame:
        """Mean and spread at each position, from the 5' end of what the model looks at.

        Returns:
            Columns: label, strand, method, measure, position (0-based; of a masked run its first nt), n, mean and sd
            (of the changes or contributions).
        """
        rows = []
        for key, (n, total, squares) in self._sums.items():
            mean = total / n
            sd = np.sqrt(np.maximum(squares / n - mean**2, 0) * n / np.maximum(n - 1, 1))
            rows += [(*key, at, *own) for at, own in enumerate(zip(n.astype(int), mean, sd, strict=True))]
        return pd.DataFrame(rows, columns=["label", "strand", "method", "measure", "position", "n", "mean", "sd"])

    def regions(self, *, random_state: int = 0) -> pd.DataFrame:
        """Support within regions and outside them, paired by example, with bootstrap intervals over groups.

        Returns:
            Columns: label, region, method, measure, inside and outside (mean support of a run or nucleotide, or a sum),
            difference, low and high (its 95 % interval, from resamples of groups; NaN of fewer than `FEWEST`),
            n (examples) and n_groups. A region lies above 0 where it supports binding more than the rest does.
        """
        labels, names = list(dict.fromkeys(key[0] for key in self._regions)), list(REGIONS)
        order = {key: (labels.index(key[0]), self.methods.index(key[2]), names.index(key[1])) for key in self._regions}
        rows = []
        for key, values in sorted(self._regions.items(), key=lambda item: order[item[0]]):
            groups, inside, outside = (np.array(column) for column in zip(*values, strict=True))
            number, unique = pd.factorize(groups)
            interval = _interval(inside - outside, number, random_state)
            means = (float(own.mean()) for own in (inside, outside, inside - outside))
            rows.append((*key, *means, *interval, len(values), len(unique)))
        columns = ["label", "region", "method", "measure", "inside", "outside", "difference", "low", "high", "n"]
        return pd.DataFrame(rows, columns=[*columns, "n_groups"])


def _interval(values: Array, groups: NDArray[np.int64], random_state: int) -> tuple[float, float]:
    """95 % of the means of resamples of groups; NaN of fewer than `FEWEST`."""
    if len(np.unique(groups)) < FEWEST:
        return float("nan"), float("nan")
    low, high = metrics.mean_interval(values, groups, random_state=random_state)
    return float(low), float(high)


def words(table: pd.DataFrame, *, k: int = K) -> list[str]:
    """A sentence for each row of `Tally.regions`, with its numbers and what they allow to say.

    A region is visible where the interval of the difference lies above 0.
    """
    found = []
    for row in cast("list[dict[str, Any]]", table.to_dict("records")):
        units = "runs" if row["method"] == "mask" else "nt"
        where, rest = (part.format(units=units) for part in REGIONS[row["region"]])
        per = "" if row["region"] == "miRNA" else " per nt"
        told = _TOLD[row["method"]].format(k=k, where=where, rest=rest, per=per, **row)
        many = f"{row['n']:,} example{'s' * (row['n'] != 1)}"
        if np.isnan(row["low"]):
            sure = f"({many}: no interval)"
        else:
            above, around, below = VERDICTS.get(row["region"], VERDICTS[""])
            verdict = above if row["low"] > 0 else below if row["high"] < 0 else around
            sure = f"(95 % {row['low']:+.3g} to {row['high']:+.3g}; {many} in {row['n_groups']:,} groups): {verdict}"
        label = f" (label {row['label']})" if row["label"] else ""
        found.append(f"{row['region']}{label}: {told}; difference {row['difference']:+.3g} {sure}")
    return found


# ------------------------------------------------------------------------------------------------------------- sanity


def randomised(model: Model, *, random_state: int = 0) -> Model:
    """The model with the numbers of each of its weights in another order: attributions must not survive it.

    (Adebayo et al. 2018: sanity checks for saliency maps, all layers at once.)

    Raises:
        UsageError: the model has no weights.
    """
    if not any(True for _ in model.parameters()):
        raise UsageError(f"{models.named(model)} has no weights to put in another order")
    other, generator = copy.deepcopy(model), torch.Generator().manual_seed(random_state)
    other.name = f"randomised {models.named(model)}"
    with torch.no_grad():
        for parameter in other.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other


def relabelled(
    model: Model, examples: pd.DataFrame, valid: pd.DataFrame, *, settings: train.Settings | None = None
) -> Model:
    """The model's architecture, trained anew on the same examples with their labels shuffled.

    What it was trained on had nothing to learn: attributions that are as before tell of the sequences, not of what was
    learned.

    Args:
        model: gives architecture and settings of the network.
        examples: labelled, to learn from.
        valid: labelled; their labels are shuffled too.
        settings: of the training, whose `random_state` also shuffles.
    """
    settings = settings or train.Settings()
    rng = np.random.default_rng(settings.random_state)
    learned, checked = (part.assign(label=rng.permutation(part["label"].to_numpy())) for part in (examples, valid))
    name, config = models.architecture(model), asdict(model.config)
    with tempfile.TemporaryDirectory() as folder:
        other, _ = train.fit(name, learned, checked, Path(folder), settings=settings, config=config)
    return other.to(predict.device_of(model))


@dataclass(frozen=True)
class Agreement:
    """Mean rank correlation (Spearman) of two models' attributions of the same examples, and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def agreement(
    model: Model, other: Model, examples: pd.DataFrame, *, method: Method = "mutate", random_state: int = 0, **how: Any
) -> Agreement:
    """How far two models give the same nucleotides of the same examples the same part, strand by strand.

    Args:
        model: any.
        other: of the same inputs; it looks at the window that is best for `model`.
        examples: as for `explain`.
        method: whose `values` are ranked.
        random_state: of the resamples of examples.
        how: other arguments of `explain`.
    """
    first = list(explain(model, examples, methods=[method], **how))
    seen = {f"{name}_seq": [each.strands[n].sequence for each in first] for n, name in enumerate(models.strands(model))}
    second = explain(other, examples.assign(**seen), methods=[method], **how)
    found = [
        [
            _rank_correlation(one.values(a, method), other_one.values(b, method))
            for a, b in zip(one.strands, other_one.strands, strict=True)
        ]
        for one, other_one in zip(first, second, strict=True)
    ]
    values = np.array(found).mean(1)
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else float("nan")
    return Agreement(mean, *_interval(values, np.arange(len(values)), random_state), len(values))


def _rank_correlation(one: Array, other: Array) -> float:
    """Spearman's; 0 where either is the same everywhere, NaN where one is not known."""
    if np.isnan(one).any() or np.isnan(other).any():
        return float("nan")
    found = metrics.rank_correlation(one, other)
    return 0.0 if np.isnan(found) else found


# ------------------------------------------------------------------------------------------------------------ pictures


AXES = {"mask": "{k} nt masked", "mutate": "nt changed", "gradient": "gradient", "deeplift": "DeepLIFT"}
"""Of pictures, by method."""


def facing(model: Model, texts: Sequence[str]) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """The columns of the drawing of an example, and its base pairs (place in the miRNA, in the target as it is seen).

    Of a pair the duplex that the model draws (`Model.duplexes`), with what lies beyond it on either side; of a hairpin
    its nucleotides above its structure, and its base pairs either way round.

    Returns:
        Columns: upper, sign, lower, upper_place, lower_place (see `plot.strands`).
    """
    names = ("upper", "sign", "lower", "upper_place", "lower_place")
    if model.inputs != PAIR:
        hairpin, structure = texts
        rows = [(letter, sign, "", at, -1) for at, (letter, sign) in enumerate(zip(hairpin, structure, strict=True))]
        base_pairs = rna.base_pairs(structure)
        return pd.DataFrame(rows, columns=names), base_pairs + [(j, i) for i, j in base_pairs]
    mirna, target = texts
    drawn = {name: values[0] for name, values in model.duplexes([mirna], [target]).items()}
    lines = [drawn[f"duplex_{line}"] for line in ("target", "pairs", "mirna")]
    base_pairs = rna.drawn_pairs(mirna, drawn["duplex_start"], *lines) if lines[1] else []
    rows, last_up, last_down = [], len(mirna), -1
    for up, down in [*base_pairs, (-1, len(target))]:
        loop, bulge = list(range(last_down + 1, down)), list(range(last_up - 1, up, -1))
        blank = [-1] * abs(len(loop) - len(bulge))
        shorter = min(loop, bulge, key=len)
        shorter[:] = blank + shorter if last_down < 0 else shorter + blank  # towards the duplex
        rows += [_column(mirna, target, at, opposite, " ") for at, opposite in zip(loop, bulge, strict=True)]
        if up >= 0:
            wobble = {mirna[up], target[down]} == {"G", "U"}
            rows.append(_column(mirna, target, down, up, ":" if wobble else "|"))
        last_up, last_down = up, down
    return pd.DataFrame(rows, columns=names), base_pairs


def _column(mirna: str, target: str, down: int, up: int, sign: str) -> tuple[str, str, str, int, int]:
    return target[down] if down >= 0 else "", sign, mirna[up] if up >= 0 else "", down, up


def draw(
    found: Explanation, model: Model, methods: Sequence[Method], *, k: int = K, measure: Measure = "logit"
) -> Figure:
    """An example drawn with the support of each nucleotide, a track for each method and strand."""
    columns, _ = facing(model, found.texts)
    strands = found.strands[::-1]  # the target above
    places = columns[["upper_place", "lower_place"]].to_numpy().T
    tracks = {}
    for method in methods:
        heights = np.zeros((len(strands), len(columns)))
        for height, strand, at in zip(heights, strands, places, strict=False):
            height[at >= 0] = found.support(strand, method, measure)[at[at >= 0]]
        tracks[AXES[method].format(k=k)] = heights
    for name, strand in zip(("upper_place", "lower_place"), strands, strict=False):
        columns[name] = columns[name].where(columns[name] < 0, columns[name] + strand.start)
    title = (
        f"{models.named(model)}: score {found.score:.3f} (logit {found.logit:.2f}); letters up support it ({measure})"
    )
    return plot.strands(columns, tracks, names=[_title(strand.name) for strand in strands], title=title)


def draw_interactions(found: Interactions, *, measure: Measure = "logit") -> Axes:
    """The map of an example, with its base pairs framed."""
    return plot.interactions(
        found.change,
        (found.rows.sequence, found.columns.sequence),
        names=(_title(found.rows.name), _title(found.columns.name)),
        base_pairs=found.base_pairs,
        start=found.columns.start,
        title=f"change of the {measure} when both are masked,\nless those when either is",
    )


def draw_profile(table: pd.DataFrame, *, k: int = K, measure: Measure = "logit") -> Figure:
    """The mean and spread of each method by position, of `Tally.profile`."""
    own = table[(table["measure"] == measure) | table["method"].isin(gradients.METHODS)]
    titles = {method: f"change of the {measure},\n{AXES[method].format(k=k)}" for method in ("mask", "mutate")}
    titles |= {method: f"contribution to the\nlogit, {AXES[method]}" for method in gradients.METHODS}
    return plot.profile(own, shaded={"mirna": {"seed": SEED, "3\u2032 part": SUPPLEMENTARY}}, titles=titles)


def _title(strand: str) -> str:
    return strand.replace("mirna", "miRNA")
