"""How good is a model on labelled pairs, beside what its parts of the question alone would give, and by chance?"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirscope import floors, io, metrics, negatives, plot, predict, runs, tables
from mirscope.errors import InputError, TableError, UsageError
from mirscope.models import HAIRPIN, PAIR, Model, expect

log = logging.getLogger(__name__)

KINDS = ("random", "shuffled", "real")
"""Windows of `background`: even random nucleotides; real windows with dinucleotides shuffled; the real windows."""
ALL = "all"
"""`mirna_id` of the rows of `background` that pool the miRNAs."""

SHOWN = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "mcc": "MCC",
    "brier_loss": "Brier",
    "calibration_error": "ECE",
}
"""Measures that are shown, and their names there; all others are in the JSON."""
COMPARED = ("auroc", "average_precision")
"""Measures in which models are compared."""

_WIDTH = 11  # characters of a column in print
SHOWN_MIRNAS = 10
"""With most calls on background windows."""


@dataclass(frozen=True)
class Evaluation:
    """The measures of models on a set of labelled pairs or hairpins, with the floors beside them.

    `table` has a row for the model, for each it is compared with, and for each floor: predictor, kind (model or floor),
    fitted_on, n (pairs scored; 0 where the floor cannot be had), threshold, and each metric as METRIC, METRIC_low,
    METRIC_high. `comparison` is what `compare` returns. `curves` has columns predictor, curve, x, y, n, as
    `metrics.curves`; of the reliability curves only those of models. `background` is what the function of that name
    (of hairpins `hairpin_background`) returned, where it was asked. `by` gene, all counts are of pairs of a miRNA and a
    gene, `n_sites` of their sites.
    """

    name: str
    by: Literal["pair", "gene", "hairpin"]
    n: int
    n_sites: int
    n_positive: int
    n_in_train: int
    threshold: float
    n_resamples: int
    random_state: int
    table: pd.DataFrame
    comparison: pd.DataFrame
    curves: pd.DataFrame = field(repr=False)
    background: pd.DataFrame | None = field(default=None, repr=False)

    def to_json(self) -> str:
        """Strict JSON of all but the curves; what is undefined is null."""
        predictors = []
        for row in records(self.table):
            measures = {
                name: {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}
                for name in metrics.METRICS
            }
            head = {key: row[key] for key in ("predictor", "kind", "fitted_on", "n", "threshold")}
            predictors.append(head | {"metrics": measures})
        document = {
            "model": self.name,
            "by": self.by,
            "n": self.n,
            "n_sites": self.n_sites,
            "n_positive": self.n_positive,
            "n_in_train": self.n_in_train,
            "threshold": self.threshold,
            "n_resamples": self.n_resamples,
            "random_state": self.random_state,
            "predictors": predictors,
            "comparison": records(self.comparison),
            "remarks": remarks(self),
            "background": None if self.background is None else records(self.background),
        }
        return json.dumps(runs.known(document), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each by the names of its columns."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def evaluate(
    model: Model | None,
    pairs: pd.DataFrame,
    *,
    scores: ArrayLike | None = None,
    against: Mapping[str, Model | ArrayLike] | None = None,
    by: Literal["pair", "gene"] = "pair",
    train: pd.DataFrame | None = None,
    name: str | None = None,
    threshold: float = 0.5,
    n_resamples: int = 1000,
    max_rows: int | None = None,
    random_state: int = 0,
    threads: int = 1,
) -> Evaluation:
    """Measure a model on labelled pairs or hairpins, others on the same ones, and every floor beside them.

    Args:
        model: scores the pairs; may be `None` where `scores` are given.
        pairs: columns of `tables.PAIRS` or `tables.HAIRPINS` with labels.
        scores: probabilities of the pairs, in their order, instead of the model's: those of another program, say.
        against: models to compare with, or their scores, by name.
        by: `gene`: the pairs are candidate sites, and a miRNA and a gene are one example, see `genes`.
        train: labelled pairs that the floors learn from; `None`: cross-validation inside `pairs`.
        name: of the model in tables and pictures; default its own.
        threshold: pairs at or above it are called, for models; floors have their own (`floors.threshold`).
        n_resamples: of the bootstrap; each predictor meets the same ones.
        max_rows: pairs to compute duplex energies for; default all.
        random_state: of all that is drawn.
        threads: processes for the duplex energies.

    Raises:
        TableError: a column is missing, labels included, or holds what it should not.
        InputError: no pairs.
        UsageError: neither model nor scores, a threshold outside 0-1, or two predictors of one name.
    """
    if not 0 <= threshold <= 1:
        raise UsageError(f"threshold is {threshold}; expected a number from 0 to 1")
    first = scores if scores is not None else model
    if first is None:
        raise UsageError("nothing to evaluate; expected a model or scores")
    name = name or str(getattr(model, "name", "model"))
    if name in (against or {}):
        raise UsageError(f"{name} is to be compared with itself")
    hairpins = "hairpin_seq" in pairs
    if hairpins and by == "gene":
        raise UsageError("hairpins have no genes; expected pairs")
    sites = pairs
    pairs, group = genes(pairs) if by == "gene" else (tables.labelled(pairs), np.arange(len(pairs)))
    if train is not None:
        train = floors.prepared(genes(train)[0] if by == "gene" else tables.labelled(train))
    pairs = floors.prepared(pairs)
    predicted = {
        key: _best(_scores(asked, sites), group, len(pairs)) for key, asked in {name: first, **(against or {})}.items()
    }
    chance = {"n_resamples": n_resamples, "random_state": random_state}

    rows, curves = [], []
    for key, values in predicted.items():
        rows.append(_row(key, "model", "", pairs["label"], values, threshold=threshold, probabilities=True, **chance))
        curves.append(metrics.curves(pairs["label"], values).assign(predictor=key))
    table = floors.all_floors(pairs, train, threads=threads, max_rows=max_rows, random_state=random_state)
    for key, floor in floors.of(pairs).items():
        known = table[key].notna()
        labels, values = pairs["label"][known], table[key][known].to_numpy()
        if not len(values):
            lacks = _lacks(key, pairs, train)
            rows.append({"predictor": floor.title, "kind": "floor", "fitted_on": lacks, "n": 0})
            continue
        at = floors.threshold(key, pairs, table[key].to_numpy(), train, threads=threads, random_state=random_state)
        learned = floor.learn is not None
        fitted_on = _fitted_on(key, floor, train, "hairpins" if hairpins else "pairs")
        rows.append(
            _row(floor.title, "floor", fitted_on, labels, values, threshold=at, probabilities=learned, **chance)
        )
        lines = metrics.curves(labels, values).assign(predictor=floor.title)
        curves.append(lines[lines["curve"] != "reliability"])
    return Evaluation(
        name=name,
        by="hairpin" if hairpins else by,
        n=len(pairs),
        n_sites=int((group >= 0).sum()),
        n_positive=int(pairs["label"].sum()),
        n_in_train=0 if train is None else _n_in(pairs, train, by),
        threshold=threshold,
        n_resamples=n_resamples,
        random_state=random_state,
        table=pd.DataFrame(rows),
        comparison=compare(pairs["label"], predicted, **chance),
        curves=pd.concat([part for part in curves if len(part)], ignore_index=True),
    )


def genes(pairs: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Candidate sites joined to one row for each miRNA and gene, and the row of each site.

    A gene is positive if one of its candidate sites is (deepTarget, Lee et al. 2016): its label is that of the column
    `gene_label`, where the table has one, else the highest of its sites' labels, as its score is that of its best site.

    Args:
        pairs: columns of `tables.PAIRS` with `gene_label` or `label`. Genes are told apart by `gene_id`, or by
            `transcript_id` where no row has a `gene_id`; sites without a gene are left out, with a warning.

    Returns:
        Columns mirna_id, mirna_seq, gene_id, target_seq (the sites with `floors.SITE_GAP` between them), label,
        n_sites; miRNAs and genes in the order in which they come first. The row of each site, -1 for those left out.

    Raises:
        TableError: no labels, or no gene in any row.
    """
    if "gene_label" in pairs:
        pairs = pairs.assign(label=pairs["gene_label"])
    sites = tables.labelled(pairs)
    if not floors.has(sites, "gene_id") and floors.has(sites, "transcript_id"):
        sites["gene_id"] = sites["transcript_id"]
    if not floors.has(sites, "gene_id"):
        raise TableError("no gene in any row; expected the sites' genes in column gene_id (or transcript_id)")
    known = sites["gene_id"].notna() & (sites["gene_id"] != "")
    if not known.all():
        log.warning("%d of %d sites have no gene: left out", (~known).sum(), len(known))
    row = np.full(len(sites), -1)
    row[known] = sites[known].groupby(["mirna_seq", "gene_id"], sort=False).ngroup()
    grouped = sites[known].groupby(row[known])
    table = grouped.agg(
        **{key: (key, "first") for key in ("mirna_id", "mirna_seq", "gene_id") if key in sites},
        target_seq=("target_seq", floors.SITE_GAP.join),
        label=("label", "max"),
        n_sites=("label", "size"),
    )
    return table.reset_index(drop=True), row


def compare(
    labels: ArrayLike, scores: Mapping[str, ArrayLike], *, n_resamples: int = 1000, random_state: int = 0
) -> pd.DataFrame:
    """By how much each set of scores but the first is better than the first on the same examples.

    AUROCs are compared by DeLong's method (`metrics.delong`), average precisions by the bootstrap of the examples that
    both meet (`metrics.paired_bootstrap`).

    Returns:
        Columns predictor, metric, difference (that of the predictor less that of the first), low, high (95 %), p
        (two-sided), method; a row for each predictor and each of `COMPARED`.
    """
    (_, first), *others = scores.items()
    rows = []
    for name, values in others:
        for metric in COMPARED:
            if metric == "auroc":
                method, found = "DeLong", metrics.delong(labels, values, first)
            else:
                chance = {"n_resamples": n_resamples, "random_state": random_state}
                method, found = "bootstrap", metrics.paired_bootstrap(labels, values, first, metric=metric, **chance)
            rows.append((name, metric, found.value, found.low, found.high, found.p, method))
    return pd.DataFrame(rows, columns=["predictor", "metric", "difference", "low", "high", "p", "method"])


def _scores(asked: Model | ArrayLike, pairs: pd.DataFrame) -> NDArray[np.float64]:
    """Scores given, or those of a model."""
    scores = np.asarray(predict.score(asked, pairs) if isinstance(asked, Model) else asked, dtype=float)
    if scores.shape != (len(pairs),) or not ((scores >= 0) & (scores <= 1)).all():
        raise InputError(f"scores are no {len(pairs)} numbers from 0 to 1, one for each pair")
    return scores


def _best(scores: NDArray[np.float64], group: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """The highest score of each group."""
    best = np.zeros(n)
    np.maximum.at(best, group[group >= 0], scores[group >= 0])
    return best


def _row(
    predictor: str,
    kind: str,
    fitted_on: str,
    labels: pd.Series,
    scores: ArrayLike,
    *,
    threshold: float,
    **settings: Any,
) -> dict[str, Any]:
    measured = metrics.summarise(labels, scores, threshold=threshold, **settings)
    row: dict[str, Any] = {"predictor": predictor, "kind": kind, "fitted_on": fitted_on}
    row |= {"n": len(labels), "threshold": threshold}
    for metric, value, low, high in measured.itertuples(index=False):
        row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
    return row


def _fitted_on(key: str, floor: floors.Floor, train: pd.DataFrame | None, what: str) -> str:
    if floor.learn:
        return f"{len(train):,} training {what}" if train is not None else "cross-validation"
    if key == "seed_class":
        return "nothing"
    return "threshold only" + ("" if train is not None else f", on these {what}")


def _lacks(key: str, pairs: pd.DataFrame, train: pd.DataFrame | None) -> str:
    if key == "gene_identity" and not all(floors.has(t, "gene_id") for t in (pairs, train) if t is not None):
        return "not available: no gene ids"
    return "not available: too few of one class to learn from"


def _n_in(pairs: pd.DataFrame, train: pd.DataFrame, by: str) -> int:
    if "hairpin_seq" in pairs:
        return int(pairs["hairpin_seq"].isin(train["hairpin_seq"]).sum())
    both = ["mirna_seq", "gene_id" if by == "gene" else "target_seq"]
    return int(pd.MultiIndex.from_frame(pairs[both]).isin(pd.MultiIndex.from_frame(train[both])).sum())


WHAT = {"pair": "pairs", "gene": "miRNA-gene pairs", "hairpin": "hairpins"}
"""What is counted, by `Evaluation.by`."""


def remarks(evaluation: Evaluation) -> list[str]:
    """What a reader of the table should not overlook, a sentence each."""
    found = []
    if evaluation.n_in_train:
        what = WHAT[evaluation.by]
        found.append(f"{evaluation.n_in_train:,} of {evaluation.n:,} {what} are also in the training table.")
    if evaluation.n_positive in (0, evaluation.n):
        found.append(
            "All labels are of one class: nothing can be ranked, and a model that calls all (or none) is perfect."
        )
        return found
    rows = evaluation.table.set_index("predictor")
    model = float(rows["auroc"].iloc[0])
    known = floors.HAIRPIN_FLOORS if evaluation.by == "hairpin" else floors.FLOORS | {"n_sites": floors.N_SITES}
    for floor in known.values():
        value = float(rows["auroc"].get(floor.title, math.nan))
        moral = f"this set does not show that the model reads {floor.unseen}"
        if value >= model:
            moral = moral if floor.unseen else "on this set the model adds nothing to it"
            found.append(f"{floor.title} alone reaches AUROC {short(value)}, the model {short(model)}: {moral}.")
        elif 1 - value >= model and floor.unseen:
            turned = f"{floor.title} alone, turned round, reaches AUROC {short(1 - value)}, the model {short(model)}"
            found.append(f"{turned}: {moral}.")
    return found


def print_table(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print the measures, the comparison, the floors, and the remarks; on a narrow terminal as several tables."""
    console = console or Console()
    rows = evaluation.table
    share = f"{evaluation.n_positive:,} of {evaluation.n:,} {WHAT[evaluation.by]} are positives"
    if evaluation.by == "gene":
        share += f", by the best of their {evaluation.n_sites:,} sites"
    learned = rows.loc[(rows["kind"] == "floor") & (rows["n"] > 0), "fitted_on"]
    learned = learned[~learned.str.startswith("threshold")]
    console.print(f"{evaluation.name}: {share}; called at {evaluation.threshold:g} and above", highlight=False)
    console.print(
        f"floors learned from: {next(iter(learned), 'nothing')}; under each figure its 95 % interval "
        f"({evaluation.n_resamples:,} bootstrap resamples)",
        style="dim",
        highlight=False,
    )
    names = list(SHOWN)
    room = max(1, (console.width - rows["predictor"].str.len().max() - 1) // _WIDTH)
    size = math.ceil(len(names) / math.ceil(len(names) / room))
    for start in range(0, len(names), size):
        console.print(_rich(evaluation, names[start : start + size]))
    for row in records(rows):
        if row["n"] == 0:
            console.print(f"{row['predictor']}: {row['fitted_on']}", style="dim", highlight=False)
    if len(evaluation.comparison):
        _print_comparison(evaluation, console)
    for line in remarks(evaluation):
        console.print(f"! {line}", style="bold", highlight=False)
    if evaluation.background is not None:
        print_background(evaluation.background, console)


def _rich(evaluation: Evaluation, names: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(SHOWN[name], justify="right", no_wrap=True)
    n_models = int((evaluation.table["kind"] == "model").sum())
    for index, row in enumerate(records(evaluation.table)):
        title = Text(row["predictor"], style="bold" if index == 0 else "")
        cells = [Text("-", style="dim")] * len(names) if row["n"] == 0 else [_cell(row, name) for name in names]
        table.add_row(title, *cells)
        if index == n_models - 1:
            table.add_row()
    return table


def _print_comparison(evaluation: Evaluation, console: Console) -> None:
    title = f"difference from {evaluation.name} on the same {WHAT[evaluation.by]} (+: better)"
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for metric, method in evaluation.comparison[["metric", "method"]].drop_duplicates().itertuples(index=False):
        table.add_column(SHOWN[metric], justify="right", no_wrap=True)
        table.add_column(f"p ({method})", justify="right", no_wrap=True)
    for name, rows in evaluation.comparison.groupby("predictor", sort=False):
        cells: list[Text] = []
        for row in records(rows):
            values = {"": row["difference"], "_low": row["low"], "_high": row["high"]}
            cells += [_cell(values, "", sign="+"), Text(p_value(row["p"]))]
        table.add_row(str(name), *cells)
    console.print(table)


def p_value(value: float) -> str:
    """Two digits, or the power of ten of what is very small."""
    return "-" if math.isnan(value) else f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}" if value else "< 1e-300"


def _cell(row: dict[str, Any], name: str, *, sign: str = "") -> Text:
    value, _, interval = cell(row, name, sign=sign).partition("\n")
    text = Text(value, style="" if value != "-" else "dim")
    return text.append(f"\n{interval}", style="dim") if interval else text


def cell(row: dict[str, Any], name: str, *, sign: str = "") -> str:
    """A measure of a row of `Evaluation.table`, and its interval in a second line; - for none."""
    value, low, high = (short(row[name + end], sign) for end in ("", "_low", "_high"))
    return value if "-" in (value, low) else f"{value}\n{low}–{high}"


def short(value: float, sign: str = "") -> str:
    """Three decimals without a leading zero, - for none; with the sign + also those above 0 have theirs."""
    if math.isnan(value):
        return "-"
    text = f"{value:{sign}.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 0.9995 else text


def background(
    model: Model,
    transcripts: Sequence[io.Record],
    mirnas: Sequence[io.Record],
    *,
    threshold: float = 0.5,
    n_windows: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """How often the model calls a window that nothing is known to bind.

    The same windows are scored with every miRNA. Real windows hold real sites too: they bound the rate, they are no
    negatives.

    Args:
        model: of a miRNA and a target window.
        transcripts: 3'UTRs to draw windows from.
        mirnas: miRNAs to score them with.
        threshold: windows at or above it are called.
        n_windows: of each kind.
        random_state: of the windows.

    Returns:
        Columns mirna_id, kind (of `KINDS`), n_windows, calls, rate, calls_per_kb: called windows for each 1,000 nt of a
        transcript scanned at the model's stride. First the rows `all`, of all miRNAs together, then each miRNA's.

    Raises:
        InputError: no miRNA, or no transcript as long as the model's window.
        UsageError: fewer than 1 window, or a model that takes no miRNA and target.
    """
    if n_windows < 1:
        raise UsageError(f"{n_windows} windows; expected 1 or more")
    expect(model, PAIR)
    if not mirnas:
        raise InputError("no miRNAs to score windows with")
    rng = np.random.default_rng(random_state)
    length = model.lengths[1]
    real = negatives.random_windows([record.sequence for record in transcripts], length, n_windows, random_state=rng)
    windows = {
        "random": [negatives.random_sequence(length, random_state=rng) for _ in range(n_windows)],
        "shuffled": negatives.shuffled_windows(real, random_state=rng),
        "real": real,
    }
    targets = [window for kind in KINDS for window in windows[kind]]
    rows = []
    for mirna in mirnas:
        scores = predict.score(model, pd.DataFrame({"mirna_seq": mirna.sequence, "target_seq": targets}))
        calls = (scores.reshape(len(KINDS), n_windows) >= threshold).sum(axis=1)
        rows += [(mirna.id, kind, n_windows, int(n)) for kind, n in zip(KINDS, calls, strict=True)]
    each = pd.DataFrame(rows, columns=["mirna_id", "kind", "n_windows", "calls"])
    pooled = each.groupby("kind", sort=False)[["n_windows", "calls"]].sum().reset_index()
    pooled.insert(0, "mirna_id", ALL)
    table = pd.concat([pooled, each], ignore_index=True)
    table["rate"] = table["calls"] / table["n_windows"]
    table["calls_per_kb"] = table["rate"] * 1000 / model.stride
    return table


def hairpin_background(
    model: Model,
    hairpins: pd.DataFrame,
    *,
    others: Mapping[str, pd.DataFrame] | None = None,
    threshold: float = 0.5,
    n: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """How often the model calls hairpins that are no pre-miRNAs and like none that it has seen.

    Args:
        model: of a hairpin.
        hairpins: `n` of them are drawn to be shuffled; what they are is not asked.
        others: more kinds of hairpins that are no pre-miRNAs, all of them, by name.
        threshold: hairpins at or above it are called.
        n: random and shuffled ones, at most.
        random_state: of what is drawn.

    Returns:
        Columns kind, n, calls, rate. Kinds: `random`, even random nucleotides of the same lengths; `shuffled`, the same
        dinucleotides in another order, both folded by ViennaRNA; and the others.

    Raises:
        InputError: no hairpins.
        UsageError: fewer than 1, or a model that takes no hairpin.
    """
    if n < 1:
        raise UsageError(f"{n} hairpins; expected 1 or more")
    expect(model, HAIRPIN)
    if not len(hairpins):
        raise InputError("no hairpins to shuffle")
    rng = np.random.default_rng(random_state)
    drawn = hairpins["hairpin_seq"].iloc[rng.permutation(len(hairpins))[:n]].tolist()
    made = {
        "random": [negatives.random_sequence(len(sequence), random_state=rng) for sequence in drawn],
        "shuffled": negatives.shuffled_windows(drawn, random_state=rng),
    }
    kinds = {kind: pd.DataFrame({"hairpin_seq": sequences}) for kind, sequences in made.items()} | dict(others or {})
    rows = []
    for kind, table in kinds.items():
        calls = int((predict.score(model, table) >= threshold).sum())
        rows.append((kind, len(table), calls, calls / len(table)))
    return pd.DataFrame(rows, columns=["kind", "n", "calls", "rate"])


def print_background(table: pd.DataFrame, console: Console | None = None) -> None:
    """Print the calls of `background`: all miRNAs together, then those with the most calls on real windows."""
    console = console or Console()
    if "mirna_id" not in table:
        counts = ", ".join(f"{row['calls']:,} of {row['n']:,} {row['kind']}" for row in records(table))
        console.print(f"hairpins called that are no pre-miRNAs: {counts}", highlight=False)
        return
    order = most_called(table)
    wide: Any = table.pivot(index="mirna_id", columns="kind", values=["rate", "calls_per_kb"])
    shown = Table(
        box=None, padding=(0, 1, 0, 0), header_style="bold", title="calls on background windows", title_justify="left"
    )
    shown.add_column("miRNA", no_wrap=True)
    for what in ("rate", "per kb"):
        for kind in KINDS:
            shown.add_column(f"{kind}\n{what}", justify="right", no_wrap=True)
    for mirna in [ALL, *order[:SHOWN_MIRNAS]]:
        rates = [short(wide.loc[mirna, ("rate", kind)]) for kind in KINDS]
        shown.add_row(mirna, *rates, *(f"{wide.loc[mirna, ('calls_per_kb', kind)]:.1f}" for kind in KINDS))
    console.print(shown)
    if len(order) > SHOWN_MIRNAS:
        console.print(f"and {len(order) - SHOWN_MIRNAS:,} miRNAs with no more calls", style="dim", highlight=False)


def most_called(table: pd.DataFrame) -> list[str]:
    """The miRNAs of `background`, those with most calls on real windows first."""
    each = table[(table["kind"] == "real") & (table["mirna_id"] != ALL)]
    return each.sort_values("calls", ascending=False, kind="stable")["mirna_id"].tolist()


def write(evaluation: Evaluation, path: str | Path, *, plots: str | Path | None = None) -> list[Path]:
    """Write the evaluation as JSON and, where asked, the pictures `roc`, `precision_recall`, `reliability`.

    Args:
        evaluation: what `evaluate` returned.
        path: of the JSON file.
        plots: folder of the pictures, PNG and SVG; made where it is not there.

    Returns:
        The files written.
    """
    written = [Path(path)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with io.atomic(path) as partial:
        Path(partial).write_text(evaluation.to_json(), encoding="utf-8")
    if plots is None:
        return written
    Path(plots).mkdir(parents=True, exist_ok=True)
    for picture, ax in pictures(evaluation).items():
        written += plot.save_all(ax, Path(plots), picture)
    return written


def pictures(evaluation: Evaluation) -> dict[str, Axes]:
    """The curves of all predictors: `roc`, `precision_recall`, and of models `reliability`."""
    drawn = {}
    for picture, draw, metric in (
        ("roc", plot.roc, "auroc"),
        ("precision_recall", plot.precision_recall, "average_precision"),
        ("reliability", plot.reliability, "calibration_error"),
    ):
        values = evaluation.table.set_index("predictor")[metric]
        labels = {name: f"{name}  {short(value)}" for name, value in values.items() if not math.isnan(value)}
        lines = evaluation.curves.assign(predictor=evaluation.curves["predictor"].replace(labels))
        drawn[picture] = draw(lines, title=SHOWN[metric])
    return drawn
