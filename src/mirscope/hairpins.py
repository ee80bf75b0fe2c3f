"""Hairpins to calls: folded, scored, the loop found, the mature miRNAs cut out."""

from __future__ import annotations

import copy
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from mirscope import datasets, io, models, plot, predict, rna, tables, workers
from mirscope.errors import InputError, RepeatedIdError, TableError, UsageError
from mirscope.io import Record
from mirscope.models import HAIRPIN, Model

LONGEST = 3000
"""nt; folding takes the cube of it, and hairpins of miRBase are shorter."""
ARMS = ("arm_5p_start", "arm_5p_end", "arm_3p_start", "arm_3p_end")
"""The columns of places that `Model.arms` gives."""
AT_ONCE = 256
"""Hairpins of a chunk, the unit of work of a process; the same whatever the number of processes."""


def identify(
    model: Model, hairpins: pd.DataFrame, *, arms_model: Model | None = None, threshold: float = 0.5
) -> pd.DataFrame:
    """The calls of hairpins, in their order.

    In this process, about 250 a second and core, of 82 nt on average, where they are to be folded.

    Args:
        model: any that reads hairpins; stays where it is and as it is.
        hairpins: columns `hairpin_seq` (normalised RNA) and, where they are known, `structure` (empty: folded by
            ViennaRNA) and `id` or `hairpin_id` (else hairpin1, hairpin2, ...).
        arms_model: calls the mature miRNAs; default none, and no arms.
        threshold: least score of a call. What has no base pair is not called, whatever its score.

    Returns:
        Columns of `tables.CALLS`.

    Raises:
        InputError: an empty hairpin, or one longer than `LONGEST`.
        TableError: no column of sequences, or a structure that is not its hairpin's.
        UsageError: a model is of another kind, or the threshold is no score.
    """
    _check(model, arms_model, threshold)
    hairpins = checked(hairpins)
    n_long = int((hairpins["hairpin_seq"].str.len() > model.lengths[0]).sum())
    predict.warn_of_cut(model, n_long, len(hairpins))
    return _identify((model, arms_model, threshold, None), hairpins)


def iter_calls(
    model: Model,
    hairpins: Iterable[pd.DataFrame],
    *,
    arms_model: Model | None = None,
    threshold: float = 0.5,
    drawings: Drawings | None = None,
    processes: int = 1,
) -> Iterator[pd.DataFrame]:
    """The table of `identify` in chunks, in flat memory; the same for any number of processes.

    Args:
        model: as `arms_model`, stays where it is and as it is.
        hairpins: tables as `identify` takes them, a few of which are read ahead.
        arms_model: calls the mature miRNAs.
        threshold: least score of a call.
        drawings: where to draw those that are called; default nowhere.
        processes: that share the work.
    """
    _check(model, arms_model, threshold)
    n = n_long = 0

    def chunks() -> Iterator[pd.DataFrame]:
        nonlocal n, n_long
        for table in hairpins:
            ready = checked(table, first=n + 1)
            n += len(ready)
            n_long += int((ready["hairpin_seq"].str.len() > model.lengths[0]).sum())
            for low in range(0, len(ready), AT_ONCE):
                yield ready.iloc[low : low + AT_ONCE]

    own = (model, arms_model)
    if processes > 1:
        own = copy.deepcopy(own)
        for each in filter(None, own):
            each.cpu()
    work = _identify if processes == 1 else _identify_elsewhere
    yield from workers.in_order(work, (*own, threshold, drawings), chunks(), processes=processes)
    predict.warn_of_cut(model, n_long, n)


@dataclass(frozen=True)
class Hairpins:
    """The tables of hairpins of a file, or data set of the catalogue (`NAME` or `NAME:SPLIT`), read anew each time.

    FASTA comes in blocks, in flat memory; a table comes whole.
    """

    source: str

    def __iter__(self) -> Iterator[pd.DataFrame]:
        if self.source.partition(":")[0] in datasets.names():
            return iter([datasets.load_hairpins(self.source)])
        return io.iter_hairpins(self.source)

    def check(self, *, unique: bool = False) -> int:
        """The number of hairpins, all of which can be folded; with `unique` no two have the same id.

        Raises:
            InputError: the file cannot be read, or a hairpin is empty or too long.
            RepeatedIdError: an id comes twice.
        """
        n, seen = 0, set[str]()
        for table in self:
            try:
                ready = checked(table, first=n + 1)
            except InputError as error:
                error.path = self.source
                raise
            n += len(ready)
            for name in ready["id"] if unique else ():
                if name in seen:
                    problem = "this id came before; expected unique ids, after which files and miRNAs are named"
                    raise RepeatedIdError(problem, path=self.source, record=name)
                seen.add(name)
        return n


@dataclass(frozen=True)
class Drawings:
    """Where to draw hairpins, and in which format of `plot.FORMATS`."""

    folder: Path
    kind: str = "svg"

    def __post_init__(self) -> None:
        if self.kind not in plot.FORMATS:
            raise UsageError(f"cannot draw {self.kind}; expected {', '.join(plot.FORMATS)}")

    def path(self, name: str) -> Path:
        """The file of a hairpin; ids that are no names of files are told apart by a number made of them."""
        plain = re.sub("[^A-Za-z0-9._-]", "_", name)[:100].lstrip(".")
        if plain != name:
            plain += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
        return self.folder / f"{plain}.{self.kind}"


@dataclass(frozen=True)
class Summary:
    """What `identify_files` did."""

    n: int
    n_called: int
    n_unpaired: int
    """Hairpins without a base pair."""
    n_matures: int
    """Mature miRNAs written."""
    seconds: float


def identify_files(
    model: Model,
    hairpins: Iterable[pd.DataFrame],
    output: Path,
    *,
    arms_model: Model | None = None,
    threshold: float = 0.5,
    mature: Path | None = None,
    drawings: Drawings | None = None,
    processes: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Summary:
    """Write the calls of hairpins to a table, as they are made.

    Args:
        model: as `arms_model`, stays where it is and as it is.
        hairpins: see `iter_calls`.
        output: TSV, or Parquet where its name says so; `-` is stdout.
        arms_model: calls the mature miRNAs.
        threshold: least score of a call.
        mature: FASTA to write `matures` to.
        drawings: where to draw the hairpins that are called; the folder is made if needed.
        processes: that share the work.
        report: called with the number of hairpins done, as they are done.
    """
    began, n, n_called, n_unpaired = time.perf_counter(), 0, 0, 0
    found: list[Record] = []
    if drawings:
        io.expect_folder(drawings.folder)
        drawings.folder.mkdir(parents=True, exist_ok=True)

    def calls() -> Iterator[pd.DataFrame]:
        nonlocal n, n_called, n_unpaired
        for table in iter_calls(
            model, hairpins, arms_model=arms_model, threshold=threshold, drawings=drawings, processes=processes
        ):
            n += len(table)
            n_called += int(table["call"].sum())
            n_unpaired += int((table["loop_start"] < 0).sum())
            found.extend(matures(table) if mature else [])
            yield table
            report(len(table))

    if output.suffix == ".parquet":
        io.write_parquet(calls(), output, tables.CALLS)
    else:
        io.write_tsv(calls(), output, [column.name for column in tables.CALLS])
    if mature:
        io.write_fasta(found, mature)
    return Summary(n, n_called, n_unpaired, len(found), time.perf_counter() - began)


def matures(calls: pd.DataFrame) -> list[Record]:
    """The mature miRNAs of the hairpins that are called, ID-5p and ID-3p, in their order: what `scan.scan` takes."""
    called = calls[calls["call"] == 1]
    arms = zip(called["id"], called["mature_5p"], called["mature_3p"], strict=True)
    named = [(f"{name}-{arm}", mature) for name, *both in arms for arm, mature in zip(("5p", "3p"), both, strict=True)]
    return [Record(name, mature) for name, mature in named if mature]


def checked(hairpins: pd.DataFrame, *, first: int = 1) -> pd.DataFrame:
    """Columns id, hairpin_seq and structure of hairpins as `identify` takes them.

    Args:
        hairpins: at least a column `hairpin_seq`.
        first: number from which those without an id are named.

    Raises:
        InputError: an empty hairpin, or one longer than `LONGEST`.
        TableError: no column `hairpin_seq`.
    """
    if "hairpin_seq" not in hairpins:
        raise TableError(f"no column hairpin_seq; found {', '.join(map(str, hairpins.columns)) or 'no columns'}")
    sequences, n = hairpins["hairpin_seq"].tolist(), len(hairpins)
    given = next((hairpins[column].tolist() for column in ("id", "hairpin_id") if column in hairpins), [""] * n)
    names = [name or f"hairpin{number}" for number, name in enumerate(given, first)]
    for name, sequence in zip(names, sequences, strict=True):
        if not 0 < len(sequence) <= LONGEST:
            problem = f"{len(sequence):,} nt; expected a hairpin of 1 to {LONGEST:,} nt"
            hint = " (mirscope discover finds hairpins in longer sequences)" if sequence else ""
            raise InputError(problem + hint, record=name)
    structures = hairpins["structure"].fillna("").tolist() if "structure" in hairpins else [""] * n
    return pd.DataFrame({"id": names, "hairpin_seq": sequences, "structure": structures}, dtype="str")


def _check(model: Model, arms_model: Model | None, threshold: float) -> None:
    models.expect(model, HAIRPIN)
    if arms_model is not None and not models.calls_arms(arms_model):
        raise UsageError(f"{models.named(arms_model)} does not call the arms of a hairpin; expected a model that does")
    if not 0 <= threshold <= 1:
        raise UsageError(f"threshold is {threshold}; expected a score from 0 to 1")


_Shared: TypeAlias = tuple[Model, Model | None, float, Drawings | None]


def _identify_elsewhere(shared: _Shared, hairpins: pd.DataFrame) -> pd.DataFrame:
    """`_identify` in another process, where the models are moved to the GPU if there is one."""
    for model in filter(None, shared[:2]):
        model.to(predict.device())
    return _identify(shared, hairpins)


def _identify(shared: _Shared, hairpins: pd.DataFrame) -> pd.DataFrame:
    model, arms_model, threshold, drawings = shared
    sequences, structures = model.columns(hairpins)  # folded
    scores = predict.score(model, hairpins.assign(structure=structures), warn=False)
    loops = np.array([rna.terminal_loop(structure) for structure in structures], dtype=np.int64).reshape(-1, 2)
    arms = np.full((len(sequences), 4), -1, dtype=np.int64)
    if arms_model is not None and len(sequences):
        arms = arms_model.arms(sequences, structures)
    table = pd.DataFrame(
        {
            "id": hairpins["id"].to_numpy(),
            "score": scores,
            "call": ((scores >= threshold) & (loops[:, 0] >= 0)).astype(np.int8),
            "length": [len(sequence) for sequence in sequences],
            "mfe": [rna.energy(*both) for both in zip(sequences, structures, strict=True)],
            "structure": structures,
            "hairpin_seq": sequences,
        }
    )
    places = np.concatenate([loops, arms], axis=1)
    table[["loop_start", "loop_end", *ARMS]] = places
    for column, ends in (("mature_5p", arms[:, :2]), ("mature_3p", arms[:, 2:])):
        table[column] = [seq[low:high] if low >= 0 else "" for seq, (low, high) in zip(sequences, ends, strict=True)]
    if drawings:
        _draw(table[table["call"] == 1], drawings)
    return table[[column.name for column in tables.CALLS]]


def _draw(calls: pd.DataFrame, drawings: Drawings) -> None:
    columns = (calls[column].tolist() for column in ("id", "hairpin_seq", "structure", "score", "mfe", *ARMS))
    for name, sequence, structure, score, mfe, *arms in zip(*columns, strict=True):
        title = f"{name}: score {score:.3f}, {mfe:.1f} kcal/mol"
        plot.save(plot.hairpin(sequence, structure, arms=arms, title=title), drawings.path(name))
