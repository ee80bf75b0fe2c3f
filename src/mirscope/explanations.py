"""The files of explanations: tables, pictures, sentences, and arrays for modisco-lite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mirscope import gradients, interpret, io, models, plot, runs
from mirscope.errors import InputError, UsageError
from mirscope.interpret import LETTERS, Explanation, Interactions, Measure, Method
from mirscope.models import PAIR, Model

CHECKED = 50
"""Examples that are explained once more by randomised weights."""


def write(
    model: Model,
    examples: pd.DataFrame,
    folder: Path,
    *,
    methods: Sequence[str] = interpret.METHODS,
    k: int = interpret.K,
    measure: Measure = "logit",
    refold: bool = False,
    drawings: int = 1,
    maps: bool = False,
    export: bool = False,
    check: bool = False,
    batch_size: int = 1024,
    formats: Sequence[str] = ("svg", "png"),
    settings: dict[str, Any] | None = None,
    report: Callable[[int], None] = lambda n: None,
) -> tuple[list[str], list[Path]]:
    """Explain examples and write what was found.

    Args:
        model: stays as it is.
        examples: as for `interpret.explain`; only those that are drawn or exported stay in memory.
        folder: made where it is not there.
        methods: as for `interpret.explain`.
        k: as for `interpret.explain`.
        measure: what sentences and pictures speak of.
        refold: as for `interpret.explain`.
        drawings: of that many of the first examples.
        maps: also the interactions of those.
        export: letters and contributions for modisco-lite, of the target (the hairpin).
        check: also explain the first examples by the model with randomised weights.
        batch_size: edited examples at a time.
        formats: of pictures, of `plot.FORMATS`.
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
    chosen = interpret.possible(model, methods)
    if export and not {*chosen} & {"mutate", *gradients.METHODS}:
        raise UsageError("an export takes gradients or mutate; masks say nothing of single letters")
    how: dict[str, Any] = {"k": k, "refold": refold, "batch_size": batch_size}
    other = interpret.randomised(model) if check else None
    groups = examples[f"{model.inputs[0]}_seq"].tolist()
    labels = examples["label"].astype(str).tolist() if "label" in examples else [""] * len(examples)
    tally, drawn, exported = interpret.Tally(chosen, measure), [], _Export(model, chosen)
    scores: list[tuple[Any, ...]] = []

    def tables() -> Iterator[pd.DataFrame]:
        for found in interpret.explain(model, examples, methods=chosen, **how):
            tally.add(found, labels[found.row], groups[found.row])
            scores.append((found.strands[-1].start, found.score, found.logit, *found.completeness_errors.values()))
            if export:
                exported.add(found)
            if found.row < drawings:
                drawn.append(found)
            yield table([found], examples, chosen)
            report(1)

    folder.mkdir(parents=True, exist_ok=True)
    io.write_tsv(tables(), folder / "nucleotides.tsv", columns(examples, chosen))
    files = [folder / "nucleotides.tsv"]
    names = ["start", "score", "logit", *(f"{method}_error" for method in chosen if method in gradients.METHODS)]
    whole = examples[_ids(examples) + [name for name in ("label",) if name in examples]].reset_index(drop=True)
    whole = pd.concat([whole, pd.DataFrame(scores, columns=names)], axis=1)
    whole.insert(0, "row", np.arange(1, len(whole) + 1))
    written = {"examples": whole, "profile": tally.profile(), "regions": tally.regions()}
    said = interpret.words(written["regions"], k=k)
    if other is not None:
        said.append(_checked(model, other, examples.iloc[:CHECKED], chosen, how))

    def save(name: str, picture: Figure | Axes) -> None:
        files.extend(plot.save_all(picture, folder, name, formats))

    if len(examples) > 1 and len(written["profile"]):
        save("profile", interpret.draw_profile(written["profile"], k=k, measure=measure))
    for found in drawn:
        number = "" if len(examples) == 1 else f"_{found.row + 1}"
        what = "duplex" if model.inputs == PAIR else "hairpin"
        save(f"{what}{number}", interpret.draw(found, model, chosen, k=k, measure=measure))
        if maps:
            both = interpret.interactions(model, examples.iloc[[found.row]], measure=measure, batch_size=batch_size)
            written[f"map{number}"] = _long(both)
            save(f"map{number}", interpret.draw_interactions(both, measure=measure))
    for name, each in written.items():
        files.append(folder / f"{name}.tsv")
        io.write_tsv(each, files[-1], list(each.columns))
    if export:
        files += exported.write(folder)
        said.append(exported.told(len(examples), folder))
    files += [folder / "summary.txt", folder / "run.json"]
    with io.atomic(files[-2]) as partial:
        partial.write_text("".join(f"{line}\n" for line in said))
    record = {"model": models.named(model), "methods": list(chosen), **how, "measure": measure, "n": len(examples)}
    runs.write_json(files[-1], record | (settings or {}) | runs.environment())
    return said, files


# ------------------------------------------------------------------------------------------------------------- tables


def columns(examples: pd.DataFrame, methods: Sequence[Method]) -> list[str]:
    """The columns of `table`."""
    return ["row", *_ids(examples), "strand", "position", "nucleotide", *_columns_of(methods)]


def _columns_of(methods: Sequence[Method]) -> list[str]:
    named = {"mask": ["mask_change", "mask_score_change"], "mutate": ["mutate_change", "mutate_score_change"]}
    found = [column for method in methods for column in named.get(method, [method])]
    return found + [f"to_{letter}" for letter in LETTERS if "mutate" in methods]


def _ids(examples: pd.DataFrame) -> list[str]:
    return [name for name in ("mirna_id", "gene_id", "hairpin_id") if name in examples]


def table(found: Sequence[Explanation], examples: pd.DataFrame, methods: Sequence[Method]) -> pd.DataFrame:
    """A row for each nucleotide of explanations of these examples.

    Returns:
        Columns: row (of the examples, from 1) and their ids; strand; position (0-based, in the sequence as given);
        nucleotide; by method the change of the logit and of the score, or the contribution to the logit (`gradient`,
        `deeplift`); the change of the logit to each letter.
    """
    parts = []
    for each in found:
        known = {name: examples[name].iloc[each.row] for name in _ids(examples)}
        for strand in each.strands:
            values = [each.values(strand, method, own) for method in methods for own in interpret.measures(method)]
            if "mutate" in methods:
                values += [*each.changes(strand, "mutate").T]
            letters = {"strand": strand.name, "position": strand.start + np.arange(len(strand.sequence))}
            letters |= {"nucleotide": list(strand.sequence)} | dict(zip(_columns_of(methods), values, strict=True))
            parts.append(pd.DataFrame({"row": each.row + 1, **known, **letters}))
    empty = pd.DataFrame({name: [] for name in columns(examples, methods)})
    return pd.concat(parts, ignore_index=True) if parts else empty


def _long(found: Interactions) -> pd.DataFrame:
    """A row for each place of the one strand and each of the other, 0-based."""
    where = np.indices(found.change.shape).reshape(2, -1)
    names = [found.rows.name, found.columns.name]
    if names[0] == names[1]:
        names[1] = f"other_{names[1]}"
    rows: dict[str, Any] = {}
    for name, strand, at in zip(names, (found.rows, found.columns), where, strict=True):
        rows[f"{name}_position"] = at + strand.start
        rows[f"{name}_nucleotide"] = np.array(list(strand.sequence))[at]
    return pd.DataFrame(rows | {"interaction": found.change.ravel()})


def _checked(model: Model, other: Model, examples: pd.DataFrame, methods: Sequence[Method], how: dict[str, Any]) -> str:
    """What the check by randomised weights says."""
    parts = []
    for method in methods:
        found = interpret.agreement(model, other, examples, method=method, **how)
        interval = "" if np.isnan(found.low) else f" (95 % {found.low:+.2f} to {found.high:+.2f})"
        parts.append(f"{method} {found.value:+.2f}{interval}")
    n = len(examples)
    return f"randomised weights: rank correlation of the same {n} example{'s' * (n != 1)}: {', '.join(parts)}"


# ------------------------------------------------------------------------------------------------------------- export


class _Export:
    """Letters and hypothetical contributions of one strand, as modisco-lite reads them."""

    def __init__(self, model: Model, methods: Sequence[Method]) -> None:
        self.strand = models.strands(model)[-1]
        self.method = next((method for method in methods if method in gradients.METHODS), "mutate")
        self.letters: list[NDArray[np.float32]] = []
        self.contributions: list[NDArray[np.float32]] = []

    def add(self, found: Explanation) -> None:
        """Of a model without gradients the changes to each letter less their mean."""
        [strand] = [strand for strand in found.strands if strand.name == self.strand]
        if self.method in gradients.METHODS:
            own = strand.contributions[self.method]
        else:
            changes = found.changes(strand, "mutate")
            own = changes - changes.mean(1, keepdims=True)
        if not np.isnan(own).any():
            self.letters.append(interpret.is_own(strand.sequence).astype(np.float32))
            self.contributions.append(own.astype(np.float32))

    def told(self, n: int, folder: Path) -> str:
        """How many were written, and what to do with them."""
        longest = max(map(len, self.letters), default=0)
        told = f"export: {self.strand}s of {len(self.letters):,} of {n:,} examples, up to {longest} nt"
        files = f"-s {folder / 'ohe.npz'} -a {folder / 'shap.npz'} -o {folder / 'motifs.h5'}"
        way = f"; try: modisco motifs {files} -n 2000 -w {longest} -z 8 -t 8 -f 2 -g 2"
        return told + way * bool(self.letters)

    def write(self, folder: Path) -> list[Path]:
        """`ohe.npz` and `shap.npz`: arrays (n, 4, length), A C G U, 0 beyond the end of short sequences."""
        files = [folder / "ohe.npz", folder / "shap.npz"]
        for path, rows in zip(files, (self.letters, self.contributions), strict=True):
            whole = np.zeros((len(rows), max(map(len, rows), default=0), len(LETTERS)), np.float32)
            for place, own in zip(whole, rows, strict=True):
                place[: len(own)] = own
            with io.atomic(path) as partial, partial.open("wb") as file:
                np.savez_compressed(file, whole.transpose(0, 2, 1))
        return files
