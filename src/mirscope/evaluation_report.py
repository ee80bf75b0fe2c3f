"""The page of an evaluation: the model beside its floors, curves, differences, calls where nothing is known to bind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mirscope import evaluate, runs
from mirscope.evaluate import SHOWN, Evaluation
from mirscope.page import Note, Page, Part, Picture, Section, Table, Tiles, made, share


def page(evaluation: Evaluation, *, data: str = "", facts: Mapping[str, object] | None = None) -> Page:
    """The page of `mirscope evaluate --report`.

    Args:
        evaluation: of `evaluate.evaluate`.
        data: what the pairs or hairpins are called.
        facts: what else is to be known of how it was made.
    """
    sections = [
        Section("In short", _short(evaluation)),
        Section("Curves", [Picture(ax, _CAPTIONS[name]) for name, ax in evaluate.pictures(evaluation).items()]),
        Section("The model and its floors", [_measures(evaluation)]),
    ]
    if len(evaluation.comparison):
        sections.append(Section(f"Against {evaluation.name}", [_comparison(evaluation)]))
    if evaluation.background is not None:
        sections.append(Section("Calls where nothing is known to bind", _background(evaluation.background)))
    settings = {name: getattr(evaluation, name) for name in ("by", "threshold", "n_resamples", "random_state")}
    sections.append(made(runs.environment(), facts or {}, {"Settings": settings}))
    what = evaluate.WHAT[evaluation.by]
    lead = f"{evaluation.n:,} {what}{f' of {data}' * bool(data)}, {evaluation.n_positive:,} of them positives."
    return Page(f"Evaluation of {evaluation.name}", lead, sections)


_CAPTIONS = {
    "roc": "ROC: sensitivity against 1 − specificity as the threshold falls. Behind each name the area below its line.",
    "precision_recall": "Precision against recall; it depends on the share of positives.",
    "reliability": "Reliability: the share of positives at each mean score. On the diagonal, scores are probabilities. "
    "Numbers: examples of a bin of the first model.",
}


def _short(evaluation: Evaluation) -> list[Part]:
    """The honest figure first: what the best floor reaches stands beside the model."""
    first = evaluate.records(evaluation.table)[0]
    floors = evaluation.table[evaluation.table["kind"] == "floor"].dropna(subset="auroc")
    if math.isnan(first["auroc"]):
        told = f"{evaluation.name}: accuracy {_in_line(first, 'accuracy')}"
    else:
        told = f"{evaluation.name} reaches AUROC {_in_line(first, 'auroc')}"
    if len(floors):
        best = max(evaluate.records(floors), key=lambda row: row["auroc"])
        told += f", the best floor ({best['predictor']}) {_in_line(best, 'auroc')}"
    tiles = {title: first[name] for name, title in SHOWN.items() if not math.isnan(first[name])}
    return [f"{told}.", *(Note(line) for line in evaluate.remarks(evaluation)), Tiles(tiles)]


def _in_line(row: dict[str, Any], name: str) -> str:
    """A measure, and its interval where there is one."""
    value, _, interval = evaluate.cell(row, name).partition("\n")
    return f"{value} (95 % {interval})" if interval else value


def _measures(evaluation: Evaluation) -> Table:
    rows = evaluate.records(evaluation.table)
    names = [f"{row['predictor']}\n{'; '.join(filter(None, (row['kind'], row['fitted_on'])))}" for row in rows]
    measures = {title: [_cell(row, name) if row["n"] else "–" for row in rows] for name, title in SHOWN.items()}
    caption = (
        f"Below each figure its 95 % interval ({evaluation.n_resamples:,} bootstrap resamples), below each floor what "
        "it learned from. Floors are what names, composition, seed or energy alone reach. AP: average precision. ECE: "
        f"expected calibration error. Models call at score {evaluation.threshold:g}."
    )
    return Table(pd.DataFrame({"": names} | measures), caption)


def _cell(row: dict[str, Any], name: str, *, sign: str = "") -> str:
    text = evaluate.cell(row, name, sign=sign)
    return "–" if text == "-" else text.replace("-", "−").replace("–−", " to −")


def _comparison(evaluation: Evaluation) -> Table:
    rows = evaluate.records(evaluation.comparison.rename(columns={"low": "difference_low", "high": "difference_high"}))
    table = pd.DataFrame(
        {
            "model": [row["predictor"] for row in rows],
            "measure": [SHOWN[row["metric"]] for row in rows],
            "difference": [_cell(row, "difference", sign="+") for row in rows],
            "p": [evaluate.p_value(row["p"]) for row in rows],
            "by": [row["method"] for row in rows],
        }
    )
    return Table(table, f"Each less {evaluation.name} on the same ones; above 0 is better than {evaluation.name}.")


def _background(calls: pd.DataFrame) -> list[Part]:
    if "mirna_id" not in calls:
        table = calls[["kind", "n", "calls"]].assign(share=[*map(share, calls["calls"], calls["n"])])
        table.columns = pd.Index(["hairpins", "scored", "called", "share called"])
        return [Table(table, "Hairpins that are no pre-miRNAs.")]
    order = evaluate.most_called(calls)
    chosen = [evaluate.ALL, *order[: evaluate.SHOWN_MIRNAS]]
    wide = calls.pivot(index="mirna_id", columns="kind", values=["n_windows", "calls", "calls_per_kb"]).loc[chosen]
    table = pd.DataFrame({"miRNA": chosen})
    for kind in evaluate.KINDS:
        table[f"{kind} called"] = [*map(share, wide["calls", kind], wide["n_windows", kind])]
    for kind in evaluate.KINDS:
        table[f"{kind} per kb"] = wide["calls_per_kb", kind].round(1).to_numpy()
    table["miRNA"] = table["miRNA"].replace(evaluate.ALL, f"all {len(order):,}")
    caption = "Windows called, and calls in a kb scanned at the model's stride; the miRNAs with most on real windows."
    return [
        "Random: A, C, G, U evenly. Shuffled: windows of 3'UTRs with their dinucleotides in another order; what is "
        "called of them is by chance. Real: those windows as they are, which hold true sites too.",
        Table(table, caption),
    ]
