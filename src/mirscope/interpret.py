"""Why a model scores as it does: what changing a nucleotide does, what gradients give it, which parts of a miRNA count.

Three methods, in logits or scores, for every model of the contract:

    mask        every run of k nt becomes N (DMISO's way: Talukder et al. 2022)
    mutate      every nucleotide becomes each of the others (saturation mutagenesis)
    gradient    integrated gradients (Sundararajan et al. 2017) from a mix of all four letters at each place

and DeepLIFT, where the network is built of what its rule knows. A change is what an edit makes of a logit or score less
what it was: below 0 where the nucleotide supports binding. A contribution is the share of the logit that a method gives
a nucleotide: above 0 where it supports binding. Support is both, above 0 for binding: a contribution, or a change with
its sign turned.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd
import torch
from captum.attr import DeepLift, IntegratedGradients
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from mirscope import io, models, plot, predict, rna, runs, train
from mirscope.errors import InputError, UsageError
from mirscope.models import HAIRPIN, PAIR, Model

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Method = Literal["mask", "mutate", "gradient", "deeplift"]
Measure = Literal["logit", "score"]
METHODS: tuple[Method, ...] = ("mask", "mutate", "gradient")
"""What is done unless asked otherwise."""
BY_GRADIENT = ("gradient", "deeplift")
STRANDS: dict[tuple[str, ...], tuple[str, ...]] = {PAIR: ("mirna", "target"), HAIRPIN: ("hairpin",)}
"""Inputs that are nucleotides."""
LETTERS = rna.ALPHABET[: rna.N]
K = 4
"""nt masked at a time."""
STEPS = (32, 64, 128, 256)
"""Points on the way of integrated gradients; more where fewer do not add up."""
TOLERANCE = 0.05
"""Contributions add up to the difference of the logits within this share of it (of 1, where it is smaller)."""
ROWS = 512
"""Points on the ways of integrated gradients in memory at a time."""
AT_ONCE = 16
"""Examples whose edits are scored together."""
SEED, SUPPLEMENTARY = (1, 8), (12, 16)
"""Parts of the miRNA, 0-based, half-open: nt 2-8 and 13-16."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Strand:
    """A sequence of an example, and what is known of its nucleotides (L); None: not asked for."""

    name: str
    """Input of the model: `mirna`, `target` or `hairpin`."""
    sequence: str
    """What the model looks at: of a target longer than its window the best window."""
    start: int
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
        return float(_score(np.array(self.logit)))

    def changes(self, strand: Strand, method: Method, measure: Measure = "logit") -> Array:
        """Of each run (L - k + 1), or for each letter at each place (L, 4)."""
        edited = strand.masked if method == "mask" else strand.mutated
        assert edited is not None
        return edited - self.logit if measure == "logit" else _score(edited) - self.score

    def units(self, strand: Strand, method: Method, measure: Measure = "logit") -> Array:
        """A number for each run (mask: its change) or nucleotide (mutate: the mean of the changes; contributions)."""
        if method in BY_GRADIENT:
            return _own(strand.contributions[method], strand.sequence)
        changes = self.changes(strand, method, measure)
        return changes if method == "mask" else _mean_of_others(changes, strand.sequence)

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
    if k < 1:
        raise UsageError(f"k is {k}; expected 1 nt or more")
    chosen, n_bad = possible(model, methods), 0
    predict.warn_of_long(model, examples)
    for low in range(0, len(examples), AT_ONCE):
        block = examples.iloc[low : low + AT_ONCE].reset_index(drop=True)
        for found in _explain(model, block, chosen, k, _Asking(model, block, refold, batch_size)):
            yield replace(found, row=low + found.row)
            n_bad += any(np.isnan(own).any() for strand in found.strands for own in strand.contributions.values())
    if n_bad:
        told = "%s: integrated gradients of %d of %d do not add up to the logit, left empty"
        log.warning(told, models.named(model), n_bad, len(examples))


def possible(model: Model, methods: Sequence[str]) -> tuple[Method, ...]:
    """The methods that the model has; a warning tells of those it lacks.

    Raises:
        UsageError: none is left, or no such method.
    """
    if unknown := set(methods) - set(get_args(Method)):
        raise UsageError(f"no method {', '.join(sorted(unknown))}; expected some of {', '.join(get_args(Method))}")
    asked = cast("list[Method]", list(dict.fromkeys(methods)))
    left = tuple(method for method in asked if model.soft or method not in BY_GRADIENT)
    if len(left) < len(asked):
        log.warning("%s is no smooth function of letters: no gradients, perturbation only", models.named(model))
    if not left:
        raise UsageError(f"{models.named(model)} has no gradients by letter; ask for mask or mutate")
    return left


class _Asking:
    """Some examples, and the logits of edits of them."""

    def __init__(self, model: Model, block: pd.DataFrame, refold: bool, batch_size: int) -> None:
        self.model, self.batch_size = model, batch_size
        self.refold = refold and "structure" in model.inputs
        self.starts = [0] * len(block)
        columns = model.columns(block)
        if model.inputs == PAIR:
            starts, _, sizes = predict.best_windows(model, block, batch_size=batch_size)
            self.starts = starts.tolist()
            cut = [text[at : at + size] for text, at, size in zip(columns[1], starts, sizes, strict=True)]
            columns = columns[0], cut
        self.texts: list[tuple[str, ...]] = list(zip(*columns, strict=True))
        self.numbers = predict.numbers(model, block)

    def edited(self, row: int, **strands: str) -> tuple[int, tuple[str, ...]]:
        """An example with other texts of some inputs."""
        own = dict(zip(self.model.inputs, self.texts[row], strict=True)) | strands
        if self.refold and strands:
            own["structure"] = rna.fold(own["hairpin"])[0]
        return row, tuple(own.values())

    def logits(self, edits: Sequence[tuple[int, tuple[str, ...]]]) -> Array:
        """Logits (n,) of edited examples."""
        rows = np.array([row for row, _ in edits])

        def inputs(batch: slice) -> list[Tensor]:
            columns = zip(*(texts for _, texts in edits[batch]), strict=True)
            return [*self.model.encode(*map(list, columns)), *(column[rows[batch]] for column in self.numbers)]

        return predict.logits(self.model, len(edits), inputs, self.batch_size).astype(np.float64)


def _explain(
    model: Model, block: pd.DataFrame, methods: Sequence[Method], k: int, asking: _Asking
) -> Iterator[Explanation]:
    """`explain` of a few examples."""
    names = STRANDS[model.inputs]
    edits = [asking.edited(row) for row in range(len(block))]
    places: list[tuple[int, str, slice, slice]] = []  # of the masks and mutants of each strand
    for row, texts in enumerate(asking.texts):
        for name, sequence in zip(names, texts, strict=False):
            low = len(edits)
            if "mask" in methods:
                edits += [asking.edited(row, **{name: text}) for text in masked(sequence, k)]
            middle = len(edits)
            if "mutate" in methods:
                edits += [asking.edited(row, **{name: text}) for text in mutants(sequence)]
            places.append((row, name, slice(low, middle), slice(middle, len(edits))))
    logits = asking.logits(edits)
    by_gradient: dict[str, tuple[list[list[Array]], Array]] = {
        method: _contributions(model, asking, method) for method in methods if method in BY_GRADIENT
    }
    strands: list[list[Strand]] = [[] for _ in range(len(block))]
    for row, name, masks, changed in places:
        sequence = asking.texts[row][names.index(name)]
        start = asking.starts[row] if name == "target" else 0
        of_masks = logits[masks] if "mask" in methods else None
        of_mutants = None
        if "mutate" in methods:
            of_mutants = np.full((len(sequence), len(LETTERS)), logits[row])
            of_mutants[~_is_own(sequence)] = logits[changed]
        own = {method: found[row][names.index(name)] for method, (found, _) in by_gradient.items()}
        strands[row].append(Strand(name, sequence, start, of_masks, of_mutants, own))
    for row, own_strands in enumerate(strands):
        errors = {method: float(missed[row]) for method, (_, missed) in by_gradient.items()}
        yield Explanation(row, asking.texts[row], float(logits[row]), tuple(own_strands), errors)


def masked(sequence: str, k: int) -> list[str]:
    """The sequence with each run of k nt as N, by the first of them; all N where it has no more than k."""
    k = min(k, len(sequence))
    return [sequence[:at] + "N" * k + sequence[at + k :] for at in range(len(sequence) - k + 1)]


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
    for low in range(0, len(pairs), AT_ONCE):
        asking = _Asking(model, pairs.iloc[low : low + AT_ONCE].reset_index(drop=True), False, batch_size)
        texts = [own[number][:longest] for own in asking.texts]
        many = [masked(text, k) if len(text) >= k else [] for text in texts]
        edits = [asking.edited(row) for row in range(len(texts))]
        edits += [asking.edited(row, **{strand: text}) for row, own in enumerate(many) for text in own]
        logits = asking.logits(edits)
        whole[low : low + AT_ONCE] = logits[: len(texts)]
        reached = np.arange(found.shape[1]) < np.array([[len(own)] for own in many])
        found[low : low + AT_ONCE][reached] = logits[len(texts) :]
    return whole, found


def mutants(sequence: str) -> list[str]:
    """The sequence with each other letter of A C G U at each place."""
    others = [(at, letter) for at, own in enumerate(sequence) for letter in LETTERS if letter != own]
    return [sequence[:at] + letter + sequence[at + 1 :] for at, letter in others]


# ---------------------------------------------------------------------------------------------------------- gradients


def _contributions(model: Model, asking: _Asking, method: str) -> tuple[list[list[Array]], Array]:
    """Of each example its strands' contributions (L, 4), and by how much all of them miss the logit's difference.

    The baseline has a quarter of each letter where the example has one, and ends where the example ends: no letter is
    favoured, so that what a letter contributes is its gradient less the mean of the four (Majdandzic et al. 2023).
    """
    where = predict.device_of(model)
    columns = list(zip(*asking.texts, strict=True))
    codes = [part.to(where) for part in model.encode(*map(list, columns))]
    n_strands = len(STRANDS[model.inputs])
    rest = [*codes[n_strands:], *(part.to(where) for part in asking.numbers)]
    soft = [nn.functional.one_hot(part.long(), len(rna.ALPHABET)).float() for part in codes[:n_strands]]
    quarters = torch.tensor([0.25] * len(LETTERS) + [0.0], device=where)
    baseline = [torch.where((part == rna.N)[..., None], one, quarters) for part, one in zip(codes, soft, strict=False)]
    with torch.backends.cudnn.flags(enabled=False):  # whose RNNs have gradients in training only
        difference = (model(*soft, *rest) - model(*baseline, *rest)).detach()
        find = _deeplift if method == "deeplift" else _integrated
        found, missed = find(model, soft, baseline, rest, difference)
    if method == "deeplift" and (missed.abs() > _allowed(difference)).any():
        worst = float(missed.abs().max())
        raise UsageError(
            f"{models.named(model)}: DeepLIFT's rule does not hold for this network (contributions miss the logit by "
            f"{worst:.2g}); use gradient"
        )
    bad = missed.abs() > _allowed(difference)
    seen = _columns_of(model, columns)
    by_example: list[list[Array]] = []
    for row in range(len(asking.texts)):
        parts = []
        for part, places in zip(found, seen[row], strict=True):
            own = part[row, places].double().cpu().numpy()
            own[places < 0] = 0.0  # what the model does not look at
            parts.append(np.full_like(own, np.nan) if bad[row] else own)
        by_example.append(parts)
    return by_example, missed.cpu().numpy().astype(np.float64)


def _allowed(difference: Tensor) -> Tensor:
    return TOLERANCE * difference.abs().clamp(min=1)


def _integrated(
    model: Model, soft: list[Tensor], baseline: list[Tensor], rest: list[Tensor], difference: Tensor
) -> tuple[list[Tensor], Tensor]:
    """What letters contribute (n, length, 4) by integrated gradients, and by how much it misses the difference (n,)."""
    finder = IntegratedGradients(model, multiply_by_inputs=False)
    found = [torch.zeros(*part.shape[:2], len(LETTERS), device=part.device) for part in soft]
    missed = torch.full_like(difference, torch.inf)
    for n_steps in STEPS:
        todo = (missed.abs() > _allowed(difference)).nonzero()[:, 0]
        if not len(todo):
            break
        some = [[part[todo] for part in parts] for parts in (soft, baseline, rest)]
        gradients = finder.attribute(
            tuple(some[0]),
            baselines=tuple(some[1]),
            additional_forward_args=tuple(some[2]) or None,
            n_steps=n_steps,
            method="riemann_middle",
            internal_batch_size=ROWS,
        )
        missed[todo] = -difference[todo]
        for part, gradient, one in zip(found, gradients, some[0], strict=True):
            part[todo] = _centred(gradient).to(part)
            missed[todo] += (part[todo] * one[..., : len(LETTERS)]).sum((1, 2))
    return found, missed


def _deeplift(
    model: Model, soft: list[Tensor], baseline: list[Tensor], rest: list[Tensor], difference: Tensor
) -> tuple[list[Tensor], Tensor]:
    """The same by DeepLIFT's rescale rule (Shrikumar et al. 2017)."""
    finder = DeepLift(_Column(model), multiply_by_inputs=False)
    with _quiet():
        multipliers = finder.attribute(
            tuple(soft), baselines=tuple(baseline), additional_forward_args=tuple(rest) or None, target=0
        )
    found = [_centred(part.detach()) for part in multipliers]
    total = sum((part * one[..., : len(LETTERS)]).sum((1, 2)) for part, one in zip(found, soft, strict=True))
    return found, torch.as_tensor(total) - difference


class _Column(nn.Module):
    """A model with its logits as a column, which captum wants."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model(*inputs)[:, None]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without captum's word that it hooks the network."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _centred(gradient: Tensor) -> Tensor:
    """What A C G U contribute (n, length, 4) of gradients (n, length, 5)."""
    of_letters = gradient[..., : len(LETTERS)]
    return of_letters - of_letters.mean(-1, keepdim=True)


def _columns_of(model: Model, columns: Sequence[Sequence[str]]) -> list[list[NDArray[np.int64]]]:
    """Of each example and strand the column of the codes in which each nucleotide is; -1: in none.

    It is where the codes change when the nucleotide does, whatever a model's `encode` cuts or moves.
    """
    found: list[list[NDArray[np.int64]]] = []
    for texts in zip(*columns, strict=True):
        own = []
        for part, _ in enumerate(STRANDS[model.inputs]):
            sequence = texts[part]
            other = sequence.translate(str.maketrans("ACGUN", "CAAAA"))
            many = [[text] * (len(sequence) + 1) for text in texts]
            many[part] = [sequence, *(sequence[:at] + other[at] + sequence[at + 1 :] for at in range(len(sequence)))]
            codes = model.encode(*many)[part]
            differs = (codes[1:] != codes[0]).numpy()
            own.append(np.where(differs.any(1), differs.argmax(1), -1))
        found.append(own)
    return found


# ------------------------------------------------------------------------------------------------------------ numbers


def _score(logits: Array) -> Array:
    return np.asarray(torch.from_numpy(np.asarray(logits)).sigmoid().numpy())


def _measures(method: Method) -> tuple[Measure, ...]:
    """What a method speaks of."""
    return ("logit",) if method in BY_GRADIENT else ("logit", "score")


def _sign(method: Method) -> int:
    return 1 if method in BY_GRADIENT else -1


def _is_own(sequence: str) -> NDArray[np.bool_]:
    """Which of A C G U stands at each place (L, 4)."""
    return np.array([[letter == other for other in LETTERS] for letter in sequence]).reshape(-1, len(LETTERS))


def _own(contributions: Array, sequence: str) -> Array:
    """Contributions (L,) of the letters that are there; an N has none."""
    return np.asarray(np.where(_is_own(sequence), contributions, 0).sum(1))


def _mean_of_others(changes: Array, sequence: str) -> Array:
    """The mean (L,) of the changes to the three other letters; to all four of an N."""
    own = _is_own(sequence)
    return np.asarray(np.where(own, 0, changes).sum(1) / (~own).sum(1))


@dataclass(frozen=True)
class Interactions:
    """What two nucleotides of a pair do together: the change when both are masked less those when either is.

    Above 0 where one stands for both, as the two of a base pair do whose loss hurts but once; below 0 where either can
    stand in for the other.
    """

    mirna: Strand
    target: Strand
    change: Array
    """(nt of the miRNA, nt of the target)."""


def interactions(
    model: Model, pair: pd.DataFrame, *, k: int = 1, measure: Measure = "logit", batch_size: int = 1024
) -> Interactions:
    """Every place of the miRNA with every place of the target's best window, of the first pair of a table.

    Args:
        model: stays where it is and as it is.
        pair: columns of `tables.PAIRS`.
        k: nt masked at a time on each strand; with more than one the map has a row and a column for each run.
        measure: what changes.
        batch_size: edited pairs at a time.

    Raises:
        UsageError: the model reads no pairs, or `k` is below 1.
    """
    models.expect(model, PAIR)
    if k < 1:
        raise UsageError(f"k is {k}; expected 1 nt or more")
    asking = _Asking(model, pair.iloc[:1].reset_index(drop=True), False, batch_size)
    [(mirna, target)] = asking.texts
    of_mirna, of_target = masked(mirna, k), masked(target, k)
    edits = [asking.edited(0, mirna=one, target=other) for one in [mirna, *of_mirna] for other in [target, *of_target]]
    logits = asking.logits(edits).reshape(1 + len(of_mirna), 1 + len(of_target))
    values = logits if measure == "logit" else _score(logits)
    both = values[1:, 1:] - values[1:, :1] - values[:1, 1:] + values[0, 0]
    strands = Strand("mirna", mirna, 0, logits[1:, 0]), Strand("target", target, asking.starts[0], logits[0, 1:])
    return Interactions(*strands, both)


# ------------------------------------------------------------------------------------------------------------- tables


def columns(examples: pd.DataFrame, methods: Sequence[Method]) -> list[str]:
    """The columns of `table`."""
    named = {"mask": ["mask_change", "mask_score_change"], "mutate": ["mutate_change", "mutate_score_change"]}
    of_methods = [column for method in methods for column in named.get(method, [method])]
    to = [f"to_{letter}" for letter in LETTERS] if "mutate" in methods else []
    return ["row", *_ids(examples), "strand", "position", "nucleotide", *of_methods, *to]


def _ids(examples: pd.DataFrame) -> list[str]:
    return [name for name in ("mirna_id", "gene_id", "hairpin_id") if name in examples]


def table(found: Sequence[Explanation], examples: pd.DataFrame, methods: Sequence[Method]) -> pd.DataFrame:
    """A row for each nucleotide of explanations of these examples.

    Returns:
        Columns: row (of the examples, from 1) and their ids; strand; position (0-based, in the sequence as given);
        nucleotide; by method the change of the logit and of the score, or the contribution to the logit (`gradient`,
        `deeplift`); the change of the logit to each letter.
    """
    parts: dict[str, list[Any]] = {name: [] for name in columns(examples, methods)}
    for each in found:
        for strand in each.strands:
            n = len(strand.sequence)
            own: dict[str, Any] = {
                "row": np.full(n, each.row + 1),
                **{name: np.full(n, examples[name].iloc[each.row], dtype=object) for name in _ids(examples)},
                "strand": np.full(n, strand.name, dtype=object),
                "position": strand.start + np.arange(n),
                "nucleotide": np.array(list(strand.sequence), dtype=object),
            }
            for method in methods:
                if method in BY_GRADIENT:
                    own[method] = each.values(strand, method)
                    continue
                own[f"{method}_change"] = each.values(strand, method)
                own[f"{method}_score_change"] = each.values(strand, method, "score")
            if "mutate" in methods:
                changes = each.changes(strand, "mutate").T
                own |= {f"to_{letter}": change for letter, change in zip(LETTERS, changes, strict=True)}
            for name, values in own.items():
                parts[name].append(values)
    return pd.DataFrame({name: np.concatenate(values) if values else [] for name, values in parts.items()})


# ------------------------------------------------------------------------------------------------------ what sets say


REGIONS = {
    "seed": ("nt 2-8 of the miRNA", "its other nt"),
    "miRNA": ("all nt of the miRNA together", "all nt of the target together"),
    "supplementary": ("nt 13-16 of the miRNA", "its other nt from nt 9 on"),
    "paired": ("the paired nt of the hairpin", "its unpaired nt"),
    "loop": ("the terminal loop of the hairpin", "its other nt"),
}
"""What is held against what, in words."""


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


class Tally:
    """Sums over explanations, in memory that does not grow with them but for three numbers a region."""

    def __init__(self, methods: Sequence[Method], measure: Measure = "logit") -> None:
        self.methods, self.measure = methods, measure
        self._sums: dict[tuple[str, str, str, str], Array] = {}  # (3, L): n, sum, sum of squares
        self._regions: dict[tuple[str, str, str], list[tuple[str, float, float]]] = {}

    def add(self, found: Explanation, label: str = "", group: str = "") -> None:
        """Count an explanation.

        Args:
            found: any of the model's.
            label: it is counted with those of this label.
            group: examples of one group are no independent ones, such as the sites of a miRNA.
        """
        for method in self.methods:
            supports = []
            for strand in found.strands:
                for measure in _measures(method):
                    units = found.units(strand, method, measure)
                    if not np.isnan(units).any():
                        self._count((label, strand.name, method, measure), units)
                supports.append(found.units(strand, method, self.measure) * _sign(method))
                width = len(strand.sequence) - len(supports[-1]) + 1
                structure = found.texts[1] if strand.name == "hairpin" else ""
                for name, parts in regions(strand, structure).items():
                    whole = [np.lib.stride_tricks.sliding_window_view(part, width).all(1) for part in parts]
                    self._hold((label, name, method), group, *(supports[-1][part] for part in whole))
            if len(supports) == 2:
                self._hold((label, "miRNA", method), group, *(support.sum(keepdims=True) for support in supports))

    def _hold(self, key: tuple[str, str, str], group: str, inside: Array, outside: Array) -> None:
        """Hold the support of some runs or nucleotides against that of others of the same example."""
        if len(inside) and len(outside) and not np.isnan([inside.sum(), outside.sum()]).any():
            self._regions.setdefault(key, []).append((group, float(inside.mean()), float(outside.mean())))

    def _count(self, key: tuple[str, str, str, str], units: Array) -> None:
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
        parts = []
        for key, (n, total, squares) in self._sums.items():
            mean = total / n
            spread = np.sqrt(np.maximum(squares / n - mean**2, 0) * n / np.maximum(n - 1, 1))
            own = dict(zip(("label", "strand", "method", "measure"), key, strict=True))
            values = {"position": np.arange(len(n)), "n": n.astype(np.int64), "mean": mean, "sd": spread}
            parts.append(pd.DataFrame(own | values))
        names = ["label", "strand", "method", "measure", "position", "n", "mean", "sd"]
        return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame({name: [] for name in names})

    def regions(self, *, random_state: int = 0) -> pd.DataFrame:
        """Support within regions and outside them, paired by example, with bootstrap intervals over groups.

        Returns:
            Columns: label, region, method, measure, inside and outside (mean support of a run or nucleotide, or a sum),
            difference, low and high (its 95 % interval, from resamples of groups; NaN where there are fewer than two),
            n (examples) and n_groups. A region lies above 0 where it supports binding more than the rest does.
        """
        rows = []
        for (label, name, method), values in self._regions.items():
            groups, inside, outside = zip(*values, strict=True)
            difference = np.array(inside) - np.array(outside)
            number, unique = pd.factorize(np.array(groups, dtype=object))
            low, high = _interval(difference, number, random_state)
            measure = "logit" if method in BY_GRADIENT else self.measure
            means = (float(np.mean(inside)), float(np.mean(outside)), float(difference.mean()))
            rows.append((label, name, method, measure, *means, low, high, len(values), len(unique)))
        names = ["label", "region", "method", "measure", "inside", "outside", "difference", "low", "high", "n"]
        return pd.DataFrame(rows, columns=[*names, "n_groups"])


def _interval(values: Array, groups: NDArray[np.int64], random_state: int) -> tuple[float, float]:
    """95 % of the means of resamples of groups; NaN of fewer than two."""
    sums, n = np.bincount(groups, values), np.bincount(groups)
    if len(n) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(random_state)
    means = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        chosen = rng.integers(0, len(n), len(n))
        means[draw] = sums[chosen].sum() / n[chosen].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


_DONE = {
    "mask": "with {k} nt masked, the {measure} loses {inside:.3g} within {where}, {outside:.3g} within {rest}",
    "mutate": "with a nt changed, the {measure} loses {inside:.3g} at {where}, {outside:.3g} at {rest}",
    "gradient": "integrated gradients give {inside:.3g} of the logit{per} to {where}, {outside:.3g} to {rest}",
    "deeplift": "DeepLIFT gives {inside:.3g} of the logit{per} to {where}, {outside:.3g} to {rest}",
}


VERDICTS = {1: "visible", 0: "not visible", -1: "the other way round"}
"""Whether the interval of a difference lies above 0, holds it, or lies below."""


def words(table: pd.DataFrame, *, k: int = K) -> list[str]:
    """A sentence for each row of `Tally.regions`, with its numbers and what they allow to say.

    A region is visible where the interval of the difference lies above 0.
    """
    found = []
    for row in cast("list[dict[str, Any]]", table.to_dict("records")):
        where, rest = REGIONS[row["region"]]
        per = "" if row["region"] == "miRNA" else " per nt"
        told = _DONE[row["method"]].format(k=k, where=where, rest=rest, per=per, **row)
        what = "difference {difference:+.3g}".format(**row)
        if np.isnan(row["low"]):
            what += f" ({row['n']:,} example{'s' * (row['n'] != 1)}: no interval)"
        else:
            verdict = VERDICTS[(row["low"] > 0) - (row["high"] < 0)]
            what += " (95 % {low:+.3g} to {high:+.3g}; {n:,} examples in {n_groups:,} groups): ".format(**row) + verdict
        label = f" (label {row['label']})" if row["label"] else ""
        found.append(f"{row['region']}{label}: {told}; {what}")
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
    seen = {f"{name}_seq": [each.strands[n].sequence for each in first] for n, name in enumerate(STRANDS[model.inputs])}
    second = explain(other, examples.assign(**seen), methods=[method], **how)
    found = [
        [
            _rank_correlation(one.values(a, method), other_one.values(b, method))
            for a, b in zip(one.strands, other_one.strands, strict=True)
        ]
        for one, other_one in zip(first, second, strict=True)
    ]
    values = np.array(found).mean(1)
    return Agreement(float(values.mean()), *_interval(values, np.arange(len(values)), random_state), len(values))


def _rank_correlation(one: Array, other: Array) -> float:
    """Spearman's; 0 where either says nothing (all the same, or not known)."""
    if np.isnan(one).any() or np.isnan(other).any() or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


# ------------------------------------------------------------------------------------------------------------ pictures


def facing(found: Explanation, model: Model) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """The columns of the drawing of an example, and its base pairs (place in the miRNA, in the target as it is seen).

    Of a pair the duplex that the model draws (`Model.duplexes`), with what lies beyond it on either side; of a hairpin
    its nucleotides above its structure.

    Returns:
        Columns: upper, sign, lower, upper_place, lower_place (see `plot.strands`).
    """
    names = ("upper", "sign", "lower", "upper_place", "lower_place")
    if found.strands[0].name == "hairpin":
        hairpin, structure = found.texts
        rows = [(letter, sign, "", at, -1) for at, (letter, sign) in enumerate(zip(hairpin, structure, strict=True))]
        return pd.DataFrame(rows, columns=names), []
    mirna, target = found.texts
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


AXES = {
    "mask": "{k} nt masked",
    "mutate": "nt changed",
    "gradient": "gradient",
    "deeplift": "DeepLIFT",
}
"""Of pictures, by method."""


def draw(
    found: Explanation, model: Model, methods: Sequence[Method], *, k: int = K, measure: Measure = "logit"
) -> Figure:
    """An example drawn with the support of each nucleotide, a track for each method and strand."""
    columns, _ = facing(found, model)
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
    names = [strand.name.replace("mirna", "miRNA") for strand in strands]
    return plot.strands(columns, tracks, names=names, title=title)


def draw_interactions(found: Interactions, model: Model, *, measure: Measure = "logit") -> Axes:
    """The map of a pair, with the base pairs of its duplex framed."""
    texts = found.mirna.sequence, found.target.sequence
    whole = Explanation(0, texts, 0.0, (found.mirna, found.target))
    _, base_pairs = facing(whole, model)
    return plot.interactions(
        found.change,
        mirna=texts[0],
        target=texts[1],
        base_pairs=base_pairs if found.change.shape == (len(texts[0]), len(texts[1])) else (),
        start=found.target.start,
        title=f"change of the {measure} when both are masked,\nless those when either is",
    )


def draw_profile(table: pd.DataFrame, *, k: int = K, measure: Measure = "logit") -> Figure:
    """The mean and spread of each method by position, of `Tally.profile`."""
    own = table[(table["measure"] == measure) | table["method"].isin(BY_GRADIENT)]
    titles = {method: f"change of the {measure},\n{AXES[method].format(k=k)}" for method in ("mask", "mutate")}
    titles |= {method: f"contribution to the\nlogit, {AXES[method]}" for method in BY_GRADIENT}
    return plot.profile(own, shaded={"mirna": (SEED, SUPPLEMENTARY)}, titles=titles)


# --------------------------------------------------------------------------------------------------------------- files


class _Export:
    """Letters and hypothetical contributions of one strand, as modisco-lite reads them."""

    def __init__(self, model: Model, methods: Sequence[Method]) -> None:
        self.strand = STRANDS[model.inputs][-1]
        self.method = next((method for method in methods if method in BY_GRADIENT), "mutate")
        self.letters: list[NDArray[np.int8]] = []
        self.contributions: list[NDArray[np.float32]] = []

    def add(self, found: Explanation) -> None:
        """Of a model without gradients the changes to each letter less their mean."""
        [strand] = [strand for strand in found.strands if strand.name == self.strand]
        if self.method in BY_GRADIENT:
            own = strand.contributions[self.method]
        else:
            changes = found.changes(strand, "mutate")
            own = changes - changes.mean(1, keepdims=True)
        if not np.isnan(own).any():
            self.letters.append(_is_own(strand.sequence).astype(np.int8))
            self.contributions.append(own.astype(np.float32))

    def write(self, folder: Path) -> list[Path]:
        """`ohe.npz` and `shap.npz`: arrays (n, 4, length), A C G U, 0 beyond the end of short sequences."""
        files = [folder / "ohe.npz", folder / "shap.npz"]
        for path, array in zip(files, (_padded(self.letters), _padded(self.contributions)), strict=True):
            with io.atomic(path) as partial, partial.open("wb") as file:
                np.savez_compressed(file, array.transpose(0, 2, 1))
        return files


def _padded(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Rows (length, 4) of many lengths as one array (n, longest, 4)."""
    whole = np.zeros((len(rows), max(map(len, rows), default=0), len(LETTERS)), dtype=rows[0].dtype if rows else float)
    for place, own in zip(whole, rows, strict=True):
        place[: len(own)] = own
    return whole


def explain_files(
    model: Model,
    examples: pd.DataFrame,
    folder: Path,
    *,
    methods: Sequence[str] = METHODS,
    k: int = K,
    measure: Measure = "logit",
    refold: bool = False,
    drawings: int = 1,
    maps: bool = False,
    export: bool = False,
    check: bool = False,
    batch_size: int = 1024,
    settings: dict[str, Any] | None = None,
    report: Callable[[int], None] = lambda n: None,
) -> tuple[list[str], list[Path]]:
    """Explain examples and write what was found: tables, pictures, sentences.

    Args:
        model: stays as it is.
        examples: as for `explain`; only those that are drawn or exported stay in memory.
        folder: made where it is not there.
        methods: as for `explain`.
        k: as for `explain`.
        measure: what sentences and pictures speak of.
        refold: as for `explain`.
        drawings: of that many of the first examples.
        maps: also the interactions of those.
        export: letters and contributions for modisco-lite, of the target (the hairpin).
        check: also explain the first examples by the model with randomised weights.
        batch_size: edited examples at a time.
        settings: for run.json.
        report: called with the number of examples done, as they are done.

    Returns:
        The sentences, which are in summary.txt, and the files written.

    Raises:
        InputError: no examples.
        UsageError: an export needs gradients or `mutate`; a check needs weights.
    """
    if not len(examples):
        raise InputError("no examples to explain; expected at least one")
    io.expect_folder(folder)
    chosen = possible(model, methods)
    if export and not {*chosen} & {"mutate", *BY_GRADIENT}:
        raise UsageError("an export takes gradients or mutate; masks say nothing of single letters")
    how: dict[str, Any] = {"k": k, "refold": refold, "batch_size": batch_size}
    other = randomised(model) if check else None
    tally, exported, drawn, rows = Tally(chosen, measure), _Export(model, chosen), [], []
    group = examples[f"{model.inputs[0]}_seq"].tolist()
    label = examples["label"].astype(str).tolist() if "label" in examples else [""] * len(examples)
    ids = _ids(examples) + [name for name in ("label",) if name in examples]

    def tables() -> Iterator[pd.DataFrame]:
        for found in explain(model, examples, methods=chosen, **how):
            tally.add(found, label[found.row], group[found.row])
            rows.append(
                (found.row + 1, found.strands[-1].start, found.score, found.logit, *found.completeness_errors.values())
            )
            if export:
                exported.add(found)
            if found.row < drawings:
                drawn.append(found)
            yield table([found], examples, chosen)
            report(1)

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "nucleotides.tsv"]
    io.write_tsv(tables(), files[0], columns(examples, chosen))
    names = ["row", "start", "score", "logit", *(f"{method}_error" for method in chosen if method in BY_GRADIENT)]
    whole = pd.DataFrame(rows, columns=names)
    whole[ids] = examples[ids].to_numpy()
    written = {"examples": whole[["row", *ids, *names[1:]]], "profile": tally.profile(), "regions": tally.regions()}
    said = words(written["regions"], k=k)
    if other is not None:
        said.append(_checked(model, other, examples, chosen, how))
    pictures: dict[str, Figure | Axes] = {}
    for found in drawn:
        name = "" if len(examples) == 1 else f"_{found.row + 1}"
        pictures[f"duplex{name}" if model.inputs == PAIR else f"hairpin{name}"] = draw(
            found, model, chosen, k=k, measure=measure
        )
        if maps:
            both = interactions(model, examples.iloc[[found.row]], measure=measure, batch_size=batch_size)
            written[f"map{name}"] = _long(both)
            pictures[f"map{name}"] = draw_interactions(both, model, measure=measure)
    if len(examples) > 1:
        pictures["profile"] = draw_profile(written["profile"], k=k, measure=measure)
    for name, each in written.items():
        files.append(folder / f"{name}.tsv")
        io.write_tsv(each, files[-1], list(each.columns))
    for name, picture in pictures.items():
        for suffix in ("svg", "png"):
            files.append(folder / f"{name}.{suffix}")
            plot.save(picture, files[-1])
    if export:
        files += exported.write(folder)
    files.append(folder / "summary.txt")
    with io.atomic(files[-1]) as partial:
        partial.write_text("\n".join(said) + "\n")
    record = {"model": models.named(model), "methods": list(chosen), **how, "measure": measure, "n": len(examples)}
    files.append(folder / "run.json")
    runs.write_json(files[-1], record | (settings or {}) | runs.environment())
    return said, files


CHECKED = 50
"""Examples that are explained once more by randomised weights."""


def _checked(model: Model, other: Model, examples: pd.DataFrame, methods: Sequence[Method], how: dict[str, Any]) -> str:
    """What the check by randomised weights says."""
    some = examples.iloc[:CHECKED]
    parts = []
    for method in methods:
        found = agreement(model, other, some, method=method, **how)
        interval = "" if np.isnan(found.low) else f" (95 % {found.low:+.2f} to {found.high:+.2f})"
        parts.append(f"{method} {found.value:+.2f}{interval}")
    n = len(some)
    return f"randomised weights: rank correlation of the same {n} example{'s' * (n != 1)}: {', '.join(parts)}"


def _long(found: Interactions) -> pd.DataFrame:
    """A row for each place of the miRNA and each of the target, 0-based."""
    rows, columns = found.change.shape
    mirna, target = (part.ravel() for part in np.indices((rows, columns)))
    return pd.DataFrame(
        {
            "mirna_position": mirna,
            "target_position": target + found.target.start,
            "mirna_nucleotide": [found.mirna.sequence[at] for at in mirna],
            "target_nucleotide": [found.target.sequence[at] for at in target],
            "interaction": found.change.ravel(),
        }
    )
