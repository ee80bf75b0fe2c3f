"""Pictures: a table goes in, Axes come out; nothing is computed here.

Figures are made without pyplot's global state. Colours are Okabe and Ito's, and viridis for scores: colour-blind
readers can tell them apart, and so can those of a print.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mirscope import io, rna
from mirscope.errors import UsageError
from mirscope.rna import SEED_TYPES

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D1F", "#666666")
"""Okabe and Ito's, with the yellow, too light for a line, darkened; the first is the model's."""
DASHES = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
    (0, (3, 1)),
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (2, 2)),
)
FORMATS = ("png", "svg", "pdf")

_GREY = "#808080"
_FP_PER_KB = (1e-4, 1.0)  # from the darkest colour to the palest
_SEED_MARKERS = dict(zip((kind.name for kind in SEED_TYPES), ("*", "^", "s", "o", "D"), strict=True))
_SEED_COLOURS = dict(zip(_SEED_MARKERS, ("#D55E00", "#E69F00", "#0072B2", "#56B4E9", "#666666"), strict=True))


def roc(curves: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Sensitivity against 1 - specificity.

    Args:
        curves: columns predictor, curve, x, y; the rows of curve `roc`. The first predictor is drawn on top.
        ax: where to draw; default a new figure.
        title: of the legend.
    """
    rows = curves[curves["curve"] == "roc"]
    ax = _square(ax, rows)
    ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8)
    _lines(ax, rows, title)
    ax.set(xlabel="1 − specificity", ylabel="sensitivity")
    return ax


def precision_recall(curves: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """PPV against sensitivity; arguments as for `roc`, the rows of curve `precision_recall`."""
    rows = curves[curves["curve"] == "precision_recall"]
    ax = _square(ax, rows)
    _lines(ax, rows, title, drawstyle="steps-pre")
    ax.set(xlabel="sensitivity (recall)", ylabel="PPV (precision)")
    return ax


def reliability(curves: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """The share of positives against the mean score of each bin; numbers count the examples of the first's bins.

    Args:
        curves: columns predictor, curve, x, y, n; the rows of curve `reliability`.
        ax: where to draw; default a new figure.
        title: of the legend.
    """
    rows = curves[curves["curve"] == "reliability"]
    ax = _square(ax, rows)
    ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8)
    _lines(ax, rows, title, marker="o")
    first = rows[rows["predictor"] == rows["predictor"].iloc[0]] if len(rows) else rows
    for x, y, n in zip(first["x"], first["y"], first["n"], strict=True):
        below = y > x  # away from the diagonal, which the curve follows
        ax.annotate(
            f"{n:,}",
            (x, y),
            xytext=(-5, 5) if below else (5, -5),
            textcoords="offset points",
            ha="right" if below else "left",
            va="bottom" if below else "top",
            fontsize=7,
            color="#404040",
        )
    ax.set(xlabel="mean score", ylabel="share of positives", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    return ax


def learning_curve(history: pd.DataFrame, *, best_epoch: int | None = None) -> tuple[Axes, Axes]:
    """Losses, and below them the validation measures, over the epochs.

    Args:
        history: columns epoch, train_loss and any of valid_loss, valid_accuracy, valid_auroc, valid_average_precision.
        best_epoch: the epoch whose weights were kept; a line marks it.

    Returns:
        The Axes of the losses and of the measures, of one figure.
    """
    figure = Figure(figsize=(6, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    panels: list[tuple[Axes, str, Sequence[str]]] = [
        (upper, "loss", ("train_loss", "valid_loss")),
        (lower, "validation", ("valid_accuracy", "valid_auroc", "valid_average_precision")),
    ]
    for ax, ylabel, columns in panels:
        for colour, dash, column in zip(PALETTE, DASHES, columns, strict=False):
            if column in history:
                label = column.replace("train_loss", "training").replace("valid_loss", "validation")
                label = label.removeprefix("valid_").replace("_", " ").replace("auroc", "AUROC")
                marker = "o" if len(history) == 1 else ""
                ax.plot(history["epoch"], history[column], color=colour, linestyle=dash, label=label, marker=marker)
        if best_epoch is not None:
            ax.axvline(best_epoch, color=_GREY, linewidth=1, linestyle=":", label=f"kept: epoch {best_epoch}")
        ax.set_ylabel(ylabel)
        _plain(ax)
        if ax.lines:
            _legend(ax)
    lower.set_xlabel("epoch")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    return upper, lower


def sites(
    sites: pd.DataFrame,
    *,
    target_id: str,
    length: int,
    mirna_ids: Sequence[str] | None = None,
    by: Literal["score", "fp_per_kb"] = "score",
    ax: Axes | None = None,
) -> Axes:
    """A transcript with its sites: a row for each miRNA, a bar for each site, a mark for each seed match.

    Args:
        sites: columns of `tables.SITES`; miRNAs keep the order of the table.
        target_id: the transcript.
        length: of the transcript, nt.
        mirna_ids: the rows, from above, whether they have a site or not; default all that have one.
        by: what colours the bars, the better the darker.
        ax: where to draw; default a new figure, higher for more miRNAs.
    """
    rows = sites[sites["target_id"] == target_id]
    mirnas = list(rows["mirna_id"].unique()) or [""] if mirna_ids is None else list(mirna_ids)
    rows = rows[rows["mirna_id"].isin(mirnas)]
    if ax is None:
        ax = Figure(figsize=(8, 1.7 + 0.36 * len(mirnas)), layout="constrained").add_subplot()
    if by == "score":
        colour = ScalarMappable(Normalize(0.5 if rows["score"].min() >= 0.5 else 0.0, 1), "viridis_r")
    else:
        colour = ScalarMappable(LogNorm(*_FP_PER_KB, clip=True), "viridis")
    for y, mirna in enumerate(mirnas):
        ax.plot([0, length], [y, y], color="#B0B0B0", linewidth=1, zorder=1, solid_capstyle="butt")
        own = rows[rows["mirna_id"] == mirna]
        if own.empty:
            ax.annotate("no site", (0.5 * length, y - 0.1), ha="center", va="bottom", color="#404040", fontsize=9)
            continue
        spans = list(zip(own["start"], own["end"] - own["start"], strict=True))
        ax.broken_barh(
            spans,
            (y - 0.14, 0.28),
            facecolors=colour.to_rgba(own[by].to_numpy()),
            edgecolor="black",
            linewidth=0.4,
            zorder=2,
        )
    place = {mirna: y for y, mirna in enumerate(mirnas)}
    for rank, (kind, marker) in enumerate(_SEED_MARKERS.items()):
        of_kind = rows[rows["seed_type"] == kind]
        if len(of_kind):
            x = of_kind["seed_start"] + 3.5
            y_marks = of_kind["mirna_id"].map(place) - 0.32
            ax.scatter(
                x,
                y_marks,
                s=50 if marker == "*" else 22,
                marker=marker,
                color=_SEED_COLOURS[kind],
                edgecolors="black",
                linewidths=0.4,
                zorder=3 + len(_SEED_MARKERS) - rank,  # the strongest on top
                label=kind,
            )
    ax.set_yticks(range(len(mirnas)), mirnas)
    ax.set(xlim=(-0.01 * length, 1.01 * length), ylim=(len(mirnas) - 0.4, -0.6), xlabel=f"{target_id} (nt)")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.tick_params(left=False)
    _plain(ax, left=False)
    figure = ax.get_figure(root=True)
    assert figure is not None
    if len(rows):
        bar = figure.colorbar(colour, ax=ax, pad=0.01, aspect=12, shrink=0.9, extend="neither")
        bar.ax.tick_params(labelsize=8)
        if by == "score":
            bar.set_label("score", fontsize=8)
        else:
            bar.set_label("false sites per kb", fontsize=8, labelpad=-12)
            low, high = _FP_PER_KB
            bar.set_ticks([low, 0.01, high], labels=[f"≤ {low:g}", "0.01", f"≥ {high:g}"], minor=False)
            bar.ax.invert_yaxis()  # what is rarely false stands above, as a high score does
            bar.minorticks_off()
    if rows["seed_type"].isin(list(_SEED_MARKERS)).any():
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(_SEED_MARKERS),
            title="seed match",
            title_fontsize=8,
            fontsize=8,
            alignment="left",
            frameon=False,
            handletextpad=0.2,
            columnspacing=1.2,
            borderpad=0,
        )
    return ax


def intervals(table: pd.DataFrame, *, metric: str, published: pd.Series | None = None, ax: Axes | None = None) -> Axes:
    """Competitors below each other, each with the mean and interval of a metric over its runs.

    Args:
        table: columns competitor, metric, mean, low, high, as `experiment.summary`.
        metric: which of them.
        published: figures to draw beside them as open diamonds, by competitor; NaN where there is none.
        ax: where to draw; default a new figure, higher for more competitors.
    """
    rows = table[table["metric"] == metric].reset_index(drop=True)
    if ax is None:
        ax = Figure(figsize=(6.5, 1.1 + 0.34 * len(rows)), layout="constrained").add_subplot()
    ax.hlines(rows.index, rows["low"], rows["high"], color=PALETTE[0], linewidth=3, alpha=0.45)
    ax.plot(rows["mean"], rows.index, "o", color=PALETTE[0], label="mean and 95 % of runs")
    if published is not None and published.notna().any():
        figures = published.reindex(rows["competitor"])
        ax.plot(figures, rows.index, "D", color="black", fillstyle="none", label="published")
        ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)
    ax.set_yticks(rows.index, rows["competitor"])
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel=metric.replace("_", " ").replace("auroc", "AUROC"))
    ax.grid(axis="x", color="#E0E0E0", linewidth=0.6)
    ax.tick_params(left=False)
    _plain(ax, left=False)
    return ax


def trials(table: pd.DataFrame, settings: Sequence[str], *, measure: str) -> Figure:
    """What each trial of a search reached, in their order and by each of its settings.

    Args:
        table: columns trial, state, value, and the settings.
        settings: those columns; wide ranges above 0 get a logarithmic axis.
        measure: name of the value.
    """
    figure = Figure(figsize=(2.6 * (len(settings) + 1) + 0.6, 3), layout="constrained")
    axes = figure.subplots(1, len(settings) + 1, sharey=True, squeeze=False)[0]
    complete, pruned = table[table["state"] == "complete"], table[table["state"] == "pruned"]
    axes[0].step(complete["trial"], complete["value"].cummax(), where="post", color=_GREY, linewidth=1, label="best")
    for ax, column in zip(axes, ("trial", *settings), strict=True):
        numbers = pd.api.types.is_numeric_dtype(table[column]) and not pd.api.types.is_bool_dtype(table[column])
        choices = sorted(table[column].astype(str).unique())
        for rows, marker, colour, label in (
            (pruned, "x", PALETTE[1], "pruned"),
            (complete, "o", PALETTE[0], "complete"),
        ):
            x = rows[column] if numbers else rows[column].astype(str).map(choices.index)
            ax.plot(x, rows["value"], marker, color=colour, markersize=4, label=label)
        if not numbers:
            ax.set_xticks(range(len(choices)), choices)
            ax.set_xlim(-0.5, len(choices) - 0.5)
        elif column != "trial" and table[column].min() > 0 and table[column].max() >= 20 * table[column].min():
            ax.set_xscale("log")
        ax.set_xlabel(column.replace("_", " "))
        _plain(ax)
    axes[0].set_ylabel(f"validation {measure.replace('_', ' ').replace('auroc', 'AUROC')}")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes[0])
    return figure


def heatmap(scores: pd.DataFrame, ax: Axes | None = None, *, title: str = "score") -> Axes:
    """Scores as coloured cells, dark where they are high; a number in each cell where there are few of them.

    Args:
        scores: miRNAs (index) x transcripts (columns), 0-1; NaN is a grey cell. Where one side has more than 150, its
            ids are not written.
        ax: where to draw; default a new figure, larger for more cells.
        title: of the colours.
    """
    n_rows, n_columns = scores.shape
    cell = 0.36 if max(scores.shape) <= 40 else 0.16  # inches, as all that follows
    high, wide = (cell * n if n <= _IDS else 24 for n in scores.shape)
    length = max(0.07 * len(title), min(high, 3))  # of the bar of colours
    if ax is None:
        left, below = (
            0.2 + 0.075 * max(map(len, map(str, ids))) if len(ids) <= _IDS else 0.4
            for ids in (scores.index, scores.columns)
        )
        size = (left + wide + 0.95, max(below + high, length + 0.1) + 0.15)
        ax = Figure(figsize=size).add_axes(
            (left / size[0], 1 - (high + 0.15) / size[1], wide / size[0], high / size[1])
        )
    values = np.ma.masked_invalid(scores.to_numpy(dtype=float))
    lines = 0.6 if max(scores.shape) <= _IDS else 0
    colours = mpl.colormaps["viridis_r"].with_extremes(bad="#D8D8D8")
    cells = ax.pcolormesh(values, cmap=colours, vmin=0, vmax=1, rasterized=values.size > 20_000)
    cells.set(edgecolor="white", linewidth=lines)
    if max(scores.shape) <= 40:
        for (row, column), value in np.ndenumerate(values.filled(np.nan)):
            colour = "white" if value > 0.55 else "black"
            text = "–" if np.isnan(value) else f"{value:.2f}".removeprefix("0")
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5, color=colour)
    for axis, ids, what in ((ax.yaxis, scores.index, "miRNAs"), (ax.xaxis, scores.columns, "transcripts")):
        if len(ids) <= _IDS:
            axis.set_ticks(np.arange(len(ids)) + 0.5, list(ids), fontsize=8, rotation=0 if axis is ax.yaxis else 90)
        else:
            axis.set_ticks([])
            axis.set_label_text(f"{len(ids):,} {what}")
    ax.tick_params(length=0)
    ax.set(xlim=(0, n_columns), ylim=(n_rows, 0))
    ax.spines[:].set_visible(False)
    bar = ax.inset_axes((1 + 0.15 / wide, 1 - length / high, 0.13 / wide, length / high))
    ax.figure.colorbar(cells, cax=bar).set_label(title, fontsize=8)
    bar.tick_params(labelsize=8)
    return ax


def cumulative(table: pd.DataFrame, *, value: str, by: str, ax: Axes | None = None, title: str = "") -> Axes:
    """Cumulative shares of a value, a line for each group; the last group, drawn grey, is what the others are held to.

    Args:
        table: columns `value` and `by`, the latter a categorical whose order is that of the lines.
        value: name of a column of numbers; the outermost hundredth of it on each side is not shown.
        by: name of the column of groups; empty ones are left out.
        ax: where to draw; default a new figure.
        title: of the picture.
    """
    if ax is None:
        ax = Figure(figsize=(6, 4.2), layout="constrained").add_subplot()
    groups = list(table[by].cat.categories)
    for place, group in enumerate(groups):
        own = np.sort(table.loc[table[by] == group, value].to_numpy())
        if not len(own):
            continue
        last = group == groups[-1]
        ax.step(
            np.concatenate([own[:1], own]),
            np.arange(len(own) + 1) / len(own),
            where="post",
            color=_SEED_COLOURS.get(group, _GREY if last else PALETTE[place % len(PALETTE)]),
            linestyle="-" if last else DASHES[place % len(DASHES)],
            linewidth=1.4 if last else 1.8,
            label=f"{group} ({len(own):,})",
        )
    low, high = np.quantile(table[value], [0.01, 0.99])
    ax.axvline(0, color=_GREY, linewidth=0.6)
    ax.set(xlim=(low, high), ylim=(-0.01, 1.01), xlabel=value.replace("_", " "), ylabel="share of genes")
    ax.set_title(title, fontsize=10)
    _plain(ax)
    _legend(ax)
    return ax


def two_forms(genes: pd.DataFrame, *, reference: str, isomir: str, ax: Axes | None = None) -> Axes:
    """Scores of genes for two forms of a miRNA against each other; those that differ most have their names.

    Args:
        genes: columns target_id, change (gained, lost, kept), reference_score, isomir_score, n_gained, n_lost,
            n_changed, n_kept, the largest difference first.
        reference: its name, for the axis.
        isomir: likewise.
        ax: where to draw; default a new figure.
    """
    if ax is None:
        ax = Figure(figsize=(6.4, 5.6), layout="constrained").add_subplot()
    high = max(1.05 * float(genes[["reference_score", "isomir_score"]].max().max()), 0.01) if len(genes) else 1.0
    ax.plot([0, high], [0, high], color=_GREY, linewidth=0.8)
    for change, (colour, marker) in _CHANGES.items():
        rows = genes[genes["change"] == change]
        label = f"{change} ({len(rows):,})"
        columns = rows["reference_score"], rows["isomir_score"]
        ax.scatter(*columns, label=label, color=colour, marker=marker, s=18, alpha=0.7, linewidths=0)
    named: list[tuple[float, float]] = []
    for target, x, y in genes[["target_id", "reference_score", "isomir_score"]].head(_TO_NAME).itertuples(index=False):
        if len(named) == _NAMED or any(abs(x - u) < 0.25 * high and abs(y - v) < 0.03 * high for u, v in named):
            continue  # its name would stand upon another
        named.append((x, y))
        text = target if len(target) <= _LONGEST_NAME else f"{target[:_LONGEST_NAME]}…"
        ax.annotate(text, (x, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7, color="#404040")
    totals = ", ".join(f"{genes[f'n_{name}'].sum():,} {name}" for name in ("gained", "lost", "changed", "kept"))
    ax.set(xlabel=f"{reference}: score of the gene", ylabel=f"{isomir}: score of the gene")
    ax.set(xlim=(-0.02 * high, 1.15 * high), ylim=(-0.03 * high, 1.03 * high))
    ax.set_title(f"sites: {totals}", fontsize=9)
    _plain(ax)
    _legend(ax, title="genes", where="right")
    return ax


_CHANGES = {"kept": ("#666666", "o"), "lost": ("#D55E00", "v"), "gained": ("#0072B2", "^")}
_NAMED, _TO_NAME = 12, 60  # genes with their names, and those that are tried
_LONGEST_NAME = 24


def hairpin(
    sequence: str, structure: str, ax: Axes | None = None, *, arms: Sequence[int] = (-1, -1, -1, -1), title: str = ""
) -> Axes:
    """The fold of a hairpin, its stem from left to right: letters, base pairs (G-U a dot), mature miRNAs in colour.

    Args:
        sequence: 5'->3', at least one nt.
        structure: its fold in dot-bracket.
        ax: where to draw; default a new figure, larger for larger hairpins.
        arms: start and end (0-based, half-open) of the 5p mature miRNA and of the 3p one; -1: none. The legend counts
            from 1, as the numbers at the nucleotides do.
        title: of the picture.
    """
    places = rna.layout(structure)
    (left, low), (right, high) = places.min(0) - _MARGIN, places.max(0) + _MARGIN
    right = max(right, left + 4 / _NT)  # room for the title
    if ax is None:
        width, height, above = _NT * (right - left), _NT * (high - low), 0.55
        whole = height + above
        ax = Figure(figsize=(width, whole)).add_axes((0, 0, 1, height / whole))
    ax.plot(*places.T, color="#B0B0B0", linewidth=0.8, zorder=1)
    pairs = rna.base_pairs(structure)
    wobble = np.array([{sequence[i], sequence[j]} == {"G", "U"} for i, j in pairs], dtype=bool)
    lines = places[np.array(pairs, dtype=int).reshape(-1, 2)]  # (pairs, ends, 2)
    ax.add_collection(LineCollection(list(lines[~wobble]), color="black", linewidth=1.3, zorder=2))
    ax.plot(*lines[wobble].mean(1).T, "o", color="black", markersize=2.2, zorder=2)
    colours = np.full(len(sequence), "white", dtype=object)
    for arm, colour, start, end in zip(("5p", "3p"), _ARM_COLOURS, arms[::2], arms[1::2], strict=True):
        if start >= 0:
            colours[start:end] = colour
            ax.scatter([], [], s=60, color=colour, label=f"{arm}: {start + 1}\u2013{end} ({end - start} nt)")
    x, y = places.T
    ax.scatter(x, y, s=np.where(colours == "white", 50, 80), color=list(colours), linewidths=0, zorder=3)
    centred: dict[str, Any] = {"ha": "center", "va": "center_baseline"}
    for x_, y_, letter in zip(x, y, sequence, strict=True):
        ax.text(x_, y_, letter, fontsize=7, zorder=4, **centred)
    along = np.gradient(places, axis=0) if len(places) > 1 else np.array([[1.0, 0.0]])
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    outward = np.stack([-along[:, 1], along[:, 0]], 1)  # left of the way from 5' to 3'
    ends = places[[0, -1]] + 1.1 * along[[0, -1]] * [[-1], [1]]
    if len(places) > 1 and np.linalg.norm(ends[1] - ends[0]) < 0.9:  # they would meet
        ends += outward[[0, -1]]
    notes = list(zip(ends, ("5\u2032", "3\u2032"), strict=True))
    notes += [(places[k] + 1.1 * outward[k], str(k + 1)) for k in range(9, len(sequence), 10)]
    for (x_, y_), note in notes:
        ax.text(x_, y_, note, fontsize=6.5, color="#606060", **centred)
    ax.set_title(title, loc="left", fontsize=9, x=12 / (72 * _NT * (right - left)), y=1, pad=22, parse_math=False)
    if max(arms[::2]) >= 0:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=8, handletextpad=0.1)
    ax.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    ax.set_axis_off()
    return ax


_NT = 0.16  # inches from a nucleotide to the next
_MARGIN = 1.9  # nt around the drawing
_ARM_COLOURS = ("#56B4E9", "#E69F00")
_IDS = 150  # of a side, at most that many


def false_rates(curves: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """What is found against what is found by mistake in a Mb, for each predictor; the axis is logarithmic.

    Args:
        curves: columns predictor, x (false ones per Mb; not drawn where 0) and y (share found). The first predictor is
            drawn on top.
        ax: where to draw; default a new figure.
        title: of the legend.
    """
    if ax is None:
        ax = Figure(figsize=(8, 4.5), layout="constrained").add_subplot()
    _plain(ax)
    _lines(ax, curves[curves["x"] > 0], title)
    ax.set(xscale="log", ylim=(-0.01, 1.01), xlabel="false loci per Mb, both strands", ylabel="share found")
    return ax


def bars(values: pd.Series, ax: Axes | None = None, *, xlabel: str, notes: Sequence[str] = ()) -> Axes:
    """Numbers as bars below each other, the first on top, each with its number.

    Args:
        values: 0 or more, by the names that stand at the bars.
        ax: where to draw; default a new figure, higher for more bars.
        xlabel: what is counted.
        notes: written behind each number.
    """
    if ax is None:
        ax = Figure(figsize=(5.2, 0.75 + 0.27 * max(len(values), 1)), layout="constrained").add_subplot()
    most = max(values.max(), 1) if len(values) else 1
    ax.barh(range(len(values)), values, height=0.7, color=PALETTE[0])
    for place, (value, note) in enumerate(zip(values, notes or [""] * len(values), strict=True)):
        ax.text(value + 0.012 * most, place, f"{value:,}{note}", va="center", fontsize=8, clip_on=False)
    ax.set_yticks(range(len(values)), [str(name) for name in values.index])
    ax.set(xlim=(0, most * (1.3 if notes else 1.15)), ylim=(max(len(values), 1) - 0.4, -0.6), xlabel=xlabel)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.tick_params(left=False)
    _plain(ax, left=False)
    return ax


def histograms(edges: Sequence[float], shares: pd.DataFrame, ax: Axes | None = None, *, xlabel: str) -> Axes:
    """Outlines of distributions over the same bins, the first filled.

    Args:
        edges: of the bins (n + 1,).
        shares: a row for each bin, a column for each distribution, named as in the legend.
        ax: where to draw; default a new figure.
        xlabel: of the bins.
    """
    if ax is None:
        ax = Figure(figsize=(5.2, 3.4), layout="constrained").add_subplot()
    for place, name in enumerate(shares):
        style: dict[str, Any] = {"color": PALETTE[place % len(PALETTE)], "linestyle": DASHES[place % len(DASHES)]}
        ax.stairs(shares[name], edges, linewidth=1.6, label=name, **style)
        if place == 0:
            ax.stairs(shares[name], edges, fill=True, color=PALETTE[0], alpha=0.2)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0, None), xlabel=xlabel, ylabel="share")
    _plain(ax)
    _legend(ax)
    return ax


def exceeding(table: pd.DataFrame, ax: Axes | None = None, *, xlabel: str, ylabel: str) -> Axes:
    """How many are left from each threshold on, a line for each column; both against a logarithmic axis.

    Args:
        table: counts, by threshold; 0 is not drawn.
        ax: where to draw; default a new figure.
        xlabel: of the thresholds.
        ylabel: what is counted.
    """
    if ax is None:
        ax = Figure(figsize=(5.2, 3.4), layout="constrained").add_subplot()
    for place, name in enumerate(table):
        line = table[name].where(table[name] > 0)
        style: dict[str, Any] = {"color": PALETTE[place % len(PALETTE)], "linestyle": DASHES[place % len(DASHES)]}
        ax.plot(line.index, line, linewidth=1.8, label=name, **style)
    ax.set(yscale="log", ylim=(0.5, None), xlabel=xlabel, ylabel=ylabel)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    _plain(ax)
    _legend(ax)
    return ax


def strands(
    table: pd.DataFrame, tracks: Mapping[str, NDArray[np.float64]], *, names: Sequence[str], title: str = ""
) -> Figure:
    """A duplex (or a folded strand) with letters as high as what each nucleotide does, above it and below it.

    Args:
        table: a row for each column of the drawing: `upper` and `lower` (letters; empty for none), `sign` between them,
            `upper_place` and `lower_place` (0-based; -1 for none), of which every tenth is written, from 1.
        tracks: by the name of its axis, heights (strands, columns); a panel for each and strand.
        names: of the upper strand, and of the lower one where there is one.
        title: of the picture.
    """
    n, width = len(tracks), max(0.15 * len(table) + 1.1, 4.5)
    heights = [1.0] * n + [0.9] + [1.0] * n * (len(names) - 1)
    figure = Figure(figsize=(width, 0.5 + 0.95 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    places = [*range(n), *range(n + 1, 2 * n + 1)]
    panels = [(column, index) for column in range(len(names)) for index in range(n)]
    letters = (table["upper"], table["lower"])
    for place, (strand, index) in zip(places, panels, strict=False):
        name, values = list(tracks.items())[index if strand == 0 else n - 1 - index]
        _letters(axes[place], letters[strand], values[strand])
        known = values[np.isfinite(values)]
        low, high = min(known.min(initial=0), 0), max(known.max(initial=0), 1e-9)  # of both strands the same
        axes[place].set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        axes[place].set_ylabel(f"{names[strand]}\n{name}", fontsize=7)
        axes[place].tick_params(bottom=False, labelbottom=False, labelsize=7)
        axes[place].yaxis.set_major_locator(MaxNLocator(3))
        axes[place].yaxis.get_offset_text().set_fontsize(7)
        _plain(axes[place])
        axes[place].spines["bottom"].set_visible(False)
    middle = axes[n]
    centred: dict[str, Any] = {"ha": "center", "va": "center_baseline"}
    for y, column in ((0.7, "upper"), (0.5, "sign"), (0.3, "lower")):
        for x, text in enumerate(table[column]):
            middle.text(x, y, text, fontsize=8, family="monospace", **centred)
    for y, column in ((0.95, "upper_place"), (0.05, "lower_place")):
        for x, at in enumerate(table[column].tolist()):
            if at == 0 or (at % 10 == 9 and at > 0):
                middle.text(x, y, str(at + 1), fontsize=6, color="#606060", **centred)
    middle.set(xlim=(-1, len(table)), ylim=(0, 1))
    middle.set_axis_off()
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


def _letters(ax: Axes, letters: pd.Series, heights: NDArray[np.float64]) -> None:
    """Letters of these heights, upside down below 0."""
    import logomaker  # loads pyplot, which nothing else needs

    matrix = pd.DataFrame(0.0, index=range(len(letters)), columns=list("ACGU"))
    for x, (letter, height) in enumerate(zip(letters, heights, strict=True)):
        if letter in matrix and np.isfinite(height):
            matrix.loc[x, letter] = height
    if matrix.to_numpy().any():
        logomaker.Logo(matrix, ax=ax, color_scheme=_LETTERS, baseline_width=0.4, show_spines=False)
    else:
        ax.axhline(0, color="black", linewidth=0.4)
    if np.isnan(heights[letters.to_numpy() != ""]).any():
        ax.annotate("not known", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=7, color=_GREY)


_LETTERS = {"A": PALETTE[2], "C": PALETTE[0], "G": PALETTE[1], "U": PALETTE[5]}


def interactions(
    change: NDArray[np.float64],
    texts: tuple[str, str],
    *,
    names: tuple[str, str] = ("miRNA", "target"),
    base_pairs: Sequence[tuple[int, int]] = (),
    start: int = 0,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """A map of the miRNA (rows, nt 1 on top) against the target (columns): brown above 0, purple below, NaN grey.

    Args:
        change: (nt of the miRNA, nt of the target).
        texts: of rows and columns, 5'->3'.
        names: of these strands.
        base_pairs: places in the first and in the second that get a frame.
        start: first nt of the second in what it was cut from, for the numbers, which count from 1.
        ax: where to draw; default a new figure, larger for longer sequences.
        title: of the colours.
    """
    rows, columns = change.shape
    if ax is None:
        ax = Figure(figsize=(0.14 * columns + 2, 0.14 * rows + 1), layout="constrained").add_subplot()
    limit = float(np.nanmax(np.abs(change), initial=0)) or 1.0
    ax.set_facecolor("#DDDDDD")
    cells = ax.pcolormesh(change, cmap="PuOr_r", vmin=-limit, vmax=limit, rasterized=change.size > 20_000)
    for row, column in base_pairs:
        ax.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor="black", linewidth=0.9))
    for axis, text, first in ((ax.xaxis, texts[1], start), (ax.yaxis, texts[0], 0)):
        axis.set_ticks(np.arange(len(text)) + 0.5, list(text), fontsize=6.5)
        axis.set_tick_params(length=0, pad=1)
        tens = [at for at in range(len(text)) if at == 0 or (first + at) % 10 == 9]
        other = ax.secondary_xaxis("top") if axis is ax.xaxis else ax.secondary_yaxis("right")
        (other.set_xticks if axis is ax.xaxis else other.set_yticks)(
            [at + 0.5 for at in tens], [str(first + at + 1) for at in tens], fontsize=6.5
        )
        other.tick_params(length=2, pad=1)
        other.spines[:].set_visible(False)
    ax.set(
        xlim=(0, columns),
        ylim=(rows, 0),
        aspect="equal",
        xlabel=f"{names[1]} 5\u2032\u21923\u2032",
        ylabel=f"{names[0]} 3\u2032\u21905\u2032",
    )
    bar = ax.figure.colorbar(cells, ax=ax, pad=0.03, aspect=15, shrink=0.9)
    bar.set_label(title, fontsize=7)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.get_offset_text().set_fontsize(7)
    return ax


def profile(
    table: pd.DataFrame, *, shaded: Mapping[str, Mapping[str, tuple[int, int]]], titles: Mapping[str, str]
) -> Figure:
    """Mean and spread by position: a row of panels for each method, a panel for each strand, a line for each label.

    Args:
        table: columns of `interpret.Tally.profile`, of one measure for each method.
        shaded: by strand, parts that are marked, by name (0-based, half-open).
        titles: by method, of its axis.
    """
    methods, names = list(table["method"].unique()), list(table["strand"].unique())
    figure = Figure(figsize=(4.2 * len(names) + 0.6, 2.1 * len(methods) + 0.4), layout="constrained")
    axes = figure.subplots(len(methods), len(names), squeeze=False, sharex="col", sharey="row")
    for (row, method), (column, strand) in itertools.product(enumerate(methods), enumerate(names)):
        ax = axes[row, column]
        own = table[(table["method"] == method) & (table["strand"] == strand)]
        for name, (low, high) in shaded.get(strand, {}).items():
            ax.axvspan(low + 0.5, high + 0.5, color="#EEEEEE", linewidth=0, zorder=0)
            if row == 0:
                where = {"xy": ((low + high + 1) / 2, 1), "xycoords": ax.get_xaxis_transform(), "va": "bottom"}
                ax.annotate(name, **where, ha="center", fontsize=7, color="#404040")
        ax.axhline(0, color=_GREY, linewidth=0.6)
        for place, (label, line) in enumerate(own.groupby("label", sort=True)):
            colour, at = PALETTE[place % len(PALETTE)], line["position"] + 1
            ax.fill_between(
                at, line["mean"] - line["sd"], line["mean"] + line["sd"], color=colour, alpha=0.2, linewidth=0
            )
            name = f"label {label} ({line['n'].max():,})" if label else f"{line['n'].max():,} examples"
            ax.plot(
                at,
                line["mean"],
                color=colour,
                linestyle=DASHES[place % len(DASHES)],
                marker="o",
                markersize=2.5,
                label=name,
            )
        if row == len(methods) - 1:
            ax.set_xlabel(f"nt of the {strand.replace('mirna', 'miRNA')}, from its 5\u2032 end")
        if column == 0:
            ax.set_ylabel(titles[method], fontsize=8)
        ax.set_xlim(0.5, table.loc[table["strand"] == strand, "position"].max() + 1.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _plain(ax)
    _legend(axes[0, -1])
    return figure


def logos(table: pd.DataFrame) -> Figure:
    """Sequence logos: a kernel a row, a method a column.

    Args:
        table: columns kernel, method, heights (width, 4; of A C G U, bits), label, which stands beside the kernel's
            row, and note, which stands above the logo; kernels and methods in their order.
    """
    import logomaker  # loads pyplot, which nothing else needs

    kernels, methods = table["kernel"].unique().tolist(), table["method"].unique().tolist()
    n_rows, n_columns = max(len(kernels), 1), max(len(methods), 1)
    figure = Figure(figsize=(1.2 + 2.4 * n_columns, 0.5 + 0.78 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for row in table.itertuples():
        ax = axes[kernels.index(row.kernel), methods.index(row.method)]
        ax.set_axis_on()
        letters = pd.DataFrame(np.asarray(row.heights), columns=list(rna.ALPHABET[: rna.N]))
        logomaker.Logo(letters, ax=ax, color_scheme=_LETTERS, font_name="DejaVu Sans", show_spines=False)
        ax.set(ylim=(0, 2), yticks=(0, 2), xticks=(0, len(letters) - 1), xticklabels=(1, len(letters)))
        ax.tick_params(labelsize=6, length=2, pad=1)
        ax.spines[["left", "bottom"]].set_visible(True)
        ax.set_title(row.note, fontsize=7, loc="left", pad=2)
    for ax, label in zip(axes[:, 0], table.drop_duplicates("kernel")["label"], strict=False):
        ax.annotate(label, (-0.1, 0.5), xycoords="axes fraction", ha="right", va="center", fontsize=7)
    for ax, method in zip(axes[0], methods, strict=False):
        ax.annotate(
            f"from {method} (bits)", (0.5, 1.35), xycoords="axes fraction", ha="center", fontsize=8, fontweight="bold"
        )
    return figure


def units(
    layers: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
    table: pd.DataFrame,
    texts: Sequence[str],
    duplex: tuple[int, int],
    *,
    title: str = "",
) -> Figure:
    """What hidden units hold along one pair: a panel for each layer, a unit a row, a step a column.

    Above each panel stand the nucleotides that the steps are about (their middle ones), the duplex is marked under it,
    and the best unit of the table by a frame.

    Args:
        layers: values (steps, units) and places (steps, 2 inputs, start and end; -1: none) of each layer.
        table: columns layer, unit, best and the AUROCs, as `activations.units`.
        texts: miRNA and target, 5'->3'.
        duplex: its interval in the target.
        title: above all.
    """
    n_units = [values.shape[1] for values, _ in layers.values()]
    n_steps = [int((places >= 0).any((1, 2)).sum()) for _, places in layers.values()]
    high = [max(0.11 * n, 1.6) for n in n_units]
    figure = Figure(
        figsize=(max(1.9 + 0.15 * max(n_steps), 6), 0.9 + sum(high) + 0.8 * len(high)), layout="constrained"
    )
    axes = figure.subplots(len(layers), 1, squeeze=False, height_ratios=high)[:, 0]
    for ax, (layer, (values, places)) in zip(axes, layers.items(), strict=True):
        shown = np.flatnonzero((places >= 0).any((1, 2)))
        most = max(float(np.abs(values).max()), 1e-12)
        cells = ax.pcolormesh(values[shown].T, cmap="RdBu_r", vmin=-most, vmax=most, rasterized=values.size > 20_000)
        figure.colorbar(cells, ax=ax, pad=0.01, fraction=0.03).ax.tick_params(labelsize=7)
        middle = np.where(places[shown, :, 0] < 0, -1, places[shown].sum(2) // 2)
        lines = [[text[place] if place >= 0 else " " for place in middle[:, i]] for i, text in enumerate(texts)]
        ax.xaxis.tick_top()
        ax.set_xticks(np.arange(len(shown)) + 0.5, ["\n".join(pair) for pair in zip(*lines, strict=True)], fontsize=6.5)
        ax.set_yticks([0.5, values.shape[1] - 0.5], [0, values.shape[1] - 1], fontsize=7)
        ax.set_ylabel(f"unit of {layer}", fontsize=8)
        ax.tick_params(length=0, pad=2)
        within = (middle[:, 1] >= duplex[0]) & (middle[:, 1] < duplex[1])
        _marked(ax, within, -0.035 * values.shape[1])
        rows: list[Any] = list(table[(table["layer"] == layer) & table["best"]].itertuples())
        for row in rows:
            ax.add_patch(
                Rectangle((0, row.unit), len(shown), 1, fill=False, edgecolor="black", linewidth=1.4, clip_on=False)
            )
            note = f"unit {row.unit} follows the site best: AUROC {row.auroc:.2f} in pairs that did not choose it"
            note += f" (with another miRNA {row.auroc_other_mirna:.2f}, the place alone {row.auroc_place:.2f})"
            ax.annotate(note, (0, -3), xycoords="axes points", fontsize=7, va="top", annotation_clip=False)
        ax.set_ylim(-0.06 * values.shape[1], values.shape[1])
        ax.spines[:].set_visible(False)
    turned = any((np.diff(places[:, 1, 0][places[:, 1, 0] >= 0]) < 0).any() for _, places in layers.values())
    lower = "target from its 3' end" if turned else "target"
    axes[0].set_title(f"{title}\nupper letters miRNA, lower {lower}; black bar: duplex", fontsize=8, loc="left")
    return figure


def _marked(ax: Axes, within: NDArray[np.bool_], height: float) -> None:
    """A bar at this height under the columns that are within."""
    for column in np.flatnonzero(within):
        ax.plot([column, column + 1], [height, height], color="black", linewidth=3, solid_capstyle="butt")


def attention(
    maps: NDArray[Any], change: NDArray[Any], texts: Sequence[str], duplex: tuple[int, int], *, title: str = ""
) -> Figure:
    """Attention of one pair by layer and head, and below what each stretch of the target is attended and matters.

    Args:
        maps: weights (layers, heads, places of the miRNA, places of the target), 0 where there is padding.
        change: of the logit when the run that begins at each nucleotide of the target is masked; NaN beyond.
        texts: miRNA and target, 5'->3'.
        duplex: its interval in the target.
        title: above all.
    """
    layers, heads = maps.shape[:2]
    rows, columns = (int((maps.sum((0, 1, other)) > 0).sum()) for other in (3, 2))
    figure = Figure(figsize=(max(1.35 * heads + 0.8, 8), 0.75 * layers + 3.2), layout="constrained")
    grid = figure.add_gridspec(layers + 1, heads, height_ratios=[1] * layers + [2.4])
    axes_are = "the miRNA (rows, 5' on top) to the target (columns, 5' left)"
    figure.suptitle(f"{title}; attention of {axes_are}; dark: more, each map by itself; lines: duplex", fontsize=8)
    for layer, head in np.ndindex(layers, heads):
        ax = figure.add_subplot(grid[layer, head])
        ax.pcolormesh(maps[layer, head, :rows, :columns], cmap="viridis_r", rasterized=True)
        ax.set(xticks=[], yticks=[], ylim=(rows, 0))
        if layer == 0:
            ax.set_title(f"head {head + 1}", fontsize=7, pad=2)
        if head == 0:
            ax.set_ylabel(f"layer {layer + 1}", fontsize=7)
        ax.axvline(duplex[0], color="black", linewidth=0.7)
        ax.axvline(duplex[1], color="black", linewidth=0.7)
    ax = figure.add_subplot(grid[layers, :])
    to = maps.sum((0, 1, 2))[:columns]
    ax.bar(np.arange(columns) + 0.5, to / to.sum(), width=1, color=PALETTE[4], label="attention, mean of all heads")
    ax.set_xlim(0, len(texts[1]))
    ax.set_xticks(np.arange(len(texts[1])) + 0.5, list(texts[1]), fontsize=7)
    ax.set_ylabel("share of attention", fontsize=8)
    ax.set_xlabel("nt of the target with which a place, or a masked run, begins", fontsize=8)
    ax.tick_params(labelsize=7)
    beside = ax.twinx()
    beside.plot(
        np.arange(len(change)) + 0.5, change, color=PALETTE[5], marker=".", label="change of the logit when masked"
    )
    beside.axhline(0, color=_GREY, linewidth=0.6)
    beside.set_ylabel("logit, masked − as it is", fontsize=8)
    beside.tick_params(labelsize=7)
    ax.axvspan(*duplex, color="#E0E0E0", zorder=0, label="duplex")
    handles = [part for axes in (ax, beside) for part in axes.get_legend_handles_labels()[0]]
    labels = [part for axes in (ax, beside) for part in axes.get_legend_handles_labels()[1]]
    ax.legend(handles, labels, frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0)
    return figure


def dendrogram(linkage: NDArray[Any], profiles: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """A tree of miRNAs beside their profiles, clusters told apart by colour and number.

    Args:
        linkage: scipy's.
        profiles: miRNAs (index) x places, in the order of the tree's leaves.
        table: columns mirna_id, cluster, cluster_stability (NaN: not known), in the same order.
    """
    from scipy.cluster.hierarchy import dendrogram as tree

    n, line = len(table), 0.15
    written = n <= _IDS
    figure = Figure(figsize=(8.5, max(1.2 + (line * n if written else 22), 2.5)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
    branches = tree(linkage, no_plot=True)
    for x, y in zip(branches["icoord"], branches["dcoord"], strict=True):
        left.plot(y, x, color="#404040", linewidth=0.8)
    left.set(ylim=(10 * n, 0), yticks=[], xlabel="1 − correlation")
    left.invert_xaxis()
    _plain(left, left=False)
    values = profiles.to_numpy()
    most = max(float(np.abs(values).max()), 1e-12)
    cells = right.pcolormesh(values, cmap="RdBu_r", vmin=-most, vmax=most, rasterized=values.size > 20_000)
    bar = figure.colorbar(cells, ax=right, pad=0.01, aspect=40, shrink=min(1, 25 / n))
    bar.set_label("fall of the score when masked", fontsize=8)
    for ax in (left, right, bar.ax):
        ax.tick_params(labelsize=7)
        ax.set_xlabel(ax.get_xlabel(), fontsize=8)
    right.set(ylim=(n, 0), xlabel="first masked nt of the miRNA")
    right.set_xticks(np.arange(values.shape[1]) + 0.5, profiles.columns, fontsize=7)
    right.tick_params(length=0)
    clusters = table["cluster"].to_numpy()
    if written:
        right.set_yticks(np.arange(n) + 0.5, table["mirna_id"], fontsize=6.5)
    else:
        right.set(yticks=[], ylabel=f"{n:,} miRNAs")
    begins = np.flatnonzero(np.diff(clusters, prepend=-1))
    for low, high in zip(begins, [*begins[1:], n], strict=True):
        colour = PALETTE[(clusters[low] - 1) % len(PALETTE)]
        left.plot([0, 0], [10 * low + 1, 10 * high - 1], color=colour, linewidth=5, solid_capstyle="butt")
        stability = table["cluster_stability"].iloc[low]
        note = f"{clusters[low]}" if np.isnan(stability) else f"{clusters[low]} (stability {stability:.2f})"
        left.annotate(
            note, (0, 5 * (low + high)), xytext=(-7, 0), textcoords="offset points", ha="right", va="center", fontsize=7
        ).set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8})
        if low:
            right.axhline(low, color="black", linewidth=0.8)
    right.spines[:].set_visible(False)
    return figure


def save(drawing: Figure | Axes, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF by the path's suffix; the same figure gives the same bytes.

    Raises:
        UsageError: another suffix.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise UsageError(f"cannot draw {path}: expected a file name that ends in .{', .'.join(FORMATS)}")
    with io.atomic(path) as partial:
        _draw(drawing, partial, kind)


def save_all(drawing: Figure | Axes, folder: Path, name: str, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write a figure as `name.png` and so on, see `save`; gives the files."""
    files = [folder / f"{name}.{kind}" for kind in formats]
    for path in files:
        save(drawing, path)
    return files


def svg(drawing: Figure | Axes) -> bytes:
    """A figure as SVG, its letters as outlines; the same figure gives the same bytes."""
    file = BytesIO()
    _draw(drawing, file, "svg")
    return file.getvalue()


def _draw(drawing: Figure | Axes, file: Path | BytesIO, kind: str) -> None:
    figure = drawing if isinstance(drawing, Figure) else drawing.get_figure(root=True)
    assert isinstance(figure, Figure)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
    with mpl.rc_context({"svg.hashsalt": "mirscope"}):
        figure.savefig(file, format=kind, dpi=200, metadata=undated)


def _square(ax: Axes | None, lines: pd.DataFrame) -> Axes:
    """Square axes from 0 to 1, with room for the legend of several lines below them."""
    if ax is None:
        n = lines["predictor"].nunique()
        ax = Figure(figsize=(5, 5 + (n > 1) * (0.4 + 0.2 * -(-n // 2))), layout="constrained").add_subplot()
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _plain(ax)
    return ax


def _plain(ax: Axes, *, left: bool = True) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines["left"].set_visible(left)


def _lines(
    ax: Axes,
    rows: pd.DataFrame,
    title: str,
    *,
    marker: str = "",
    drawstyle: Literal["default", "steps-pre"] = "default",
) -> None:
    """A line for each predictor, the first thick and on top."""
    for index, (predictor, line) in enumerate(rows.groupby("predictor", sort=False)):
        place = index % len(PALETTE)
        width, height = (2.2, 3) if index == 0 else (1.2, 2)
        ax.plot(
            line["x"],
            line["y"],
            label=predictor,
            color=PALETTE[place],
            linestyle=DASHES[(index + index // len(PALETTE)) % len(DASHES)],  # no two lines are alike
            linewidth=width,
            zorder=height,
            marker=marker,
            drawstyle=drawstyle,
        )
    if len(rows):
        _legend(ax, title=title, where="below" if rows["predictor"].nunique() > 1 else "within")
    else:
        ax.annotate("labels of one class: no curve", (0.5, 0.5), xycoords="axes fraction", ha="center", color=_GREY)


def _legend(ax: Axes, *, title: str = "", where: Literal["within", "right", "below"] = "within") -> None:
    places: dict[str, dict[str, Any]] = {
        "within": {"loc": "best"},
        "right": {"loc": "upper left", "bbox_to_anchor": (1.01, 1)},
        "below": {"loc": "upper left", "bbox_to_anchor": (0, -0.13), "ncols": 2},
    }
    small: dict[str, Any] = {"frameon": False, "fontsize": 8, "title_fontsize": 8}
    ax.legend(title=title, handlelength=3, alignment="left", **small, **places[where])
