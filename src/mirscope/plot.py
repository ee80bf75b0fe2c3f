"""Pictures: a table goes in, Axes come out; nothing is computed here.

Figures are made without pyplot's global state. Colours are Okabe and Ito's, and viridis for scores: colour-blind
readers can tell them apart, and so can those of a print.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mirscope import io
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
_SEED_MARKERS = dict(zip((kind.name for kind in SEED_TYPES), ("*", "^", "s", "o", "D"), strict=True))
_SEED_COLOURS = dict(zip(_SEED_MARKERS, ("#D55E00", "#E69F00", "#0072B2", "#56B4E9", "#666666"), strict=True))


def roc(curves: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Sensitivity against 1 - specificity.

    Args:
        curves: columns predictor, curve, x, y; the rows of curve `roc`. The first predictor is drawn on top.
        ax: where to draw; default a new figure.
        title: of the legend.
    """
    ax = _square(ax)
    ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8)
    _lines(ax, curves[curves["curve"] == "roc"], title)
    ax.set(xlabel="1 − specificity", ylabel="sensitivity")
    return ax


def precision_recall(curves: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """PPV against sensitivity; arguments as for `roc`, the rows of curve `precision_recall`."""
    ax = _square(ax)
    _lines(ax, curves[curves["curve"] == "precision_recall"], title, drawstyle="steps-pre")
    ax.set(xlabel="sensitivity (recall)", ylabel="PPV (precision)")
    return ax


def reliability(curves: pd.DataFrame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """The share of positives against the mean score of each bin; a number at a point counts the examples of its bin.

    Args:
        curves: columns predictor, curve, x, y, n; the rows of curve `reliability`.
        ax: where to draw; default a new figure.
        title: of the legend.
    """
    ax = _square(ax, width=5)
    ax.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8)
    rows = curves[curves["curve"] == "reliability"]
    _lines(ax, rows, title, marker="o")
    for x, y, n in zip(rows["x"], rows["y"], rows["n"], strict=True):
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
    sites: pd.DataFrame, *, target_id: str, length: int, mirna_id: str | None = None, ax: Axes | None = None
) -> Axes:
    """A transcript with its sites: a row for each miRNA, a bar for each site, a mark for each seed match.

    Args:
        sites: columns of `tables.SITES`; miRNAs keep the order of the table.
        target_id: the transcript.
        length: of the transcript, nt.
        mirna_id: only this miRNA; default all that have a site.
        ax: where to draw; default a new figure, higher for more miRNAs.
    """
    rows = sites[sites["target_id"] == target_id]
    if mirna_id is not None:
        rows = rows[rows["mirna_id"] == mirna_id]
    mirnas = list(rows["mirna_id"].unique()) or [mirna_id or ""]
    if ax is None:
        ax = Figure(figsize=(8, 1.7 + 0.36 * len(mirnas)), layout="constrained").add_subplot()
    low = 0.5 if rows["score"].min() >= 0.5 else 0.0
    colour = ScalarMappable(Normalize(low, 1), "viridis_r")  # high is dark: it stands out on paper
    for y, mirna in enumerate(mirnas):
        ax.plot([0, length], [y, y], color="#B0B0B0", linewidth=1, zorder=1, solid_capstyle="butt")
        own = rows[rows["mirna_id"] == mirna]
        spans = list(zip(own["start"], own["end"] - own["start"], strict=True))
        ax.broken_barh(
            spans,
            (y - 0.14, 0.28),
            facecolors=colour.to_rgba(own["score"].to_numpy()),
            edgecolor="black",
            linewidth=0.4,
            zorder=2,
        )
    place = {mirna: y for y, mirna in enumerate(mirnas)}
    for kind, marker in _SEED_MARKERS.items():
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
                zorder=3,
                label=kind,
            )
    if rows.empty:
        ax.annotate("no site", (0.5, 0.5), xycoords="axes fraction", ha="center", va="bottom", color=_GREY)
    ax.set_yticks(range(len(mirnas)), mirnas)
    ax.set(xlim=(-0.01 * length, 1.01 * length), ylim=(len(mirnas) - 0.4, -0.6), xlabel=f"{target_id} (nt)")
    ax.tick_params(left=False)
    _plain(ax, left=False)
    figure = ax.get_figure(root=True)
    assert figure is not None
    if len(rows):
        figure.colorbar(colour, ax=ax, label="score", pad=0.01, aspect=12, shrink=0.9)
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


def save(drawing: Figure | Axes, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF by the path's suffix; the same figure gives the same bytes.

    Raises:
        UsageError: another suffix.
    """
    figure = drawing if isinstance(drawing, Figure) else drawing.get_figure(root=True)
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise UsageError(f"cannot draw {path}: expected a file name that ends in .{', .'.join(FORMATS)}")
    assert isinstance(figure, Figure)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
    with mpl.rc_context({"svg.hashsalt": "mirscope"}), io.atomic(path) as partial:
        figure.savefig(partial, format=kind, dpi=200, metadata=undated)


def _square(ax: Axes | None, width: float = 6.8) -> Axes:
    if ax is None:
        ax = Figure(figsize=(width, 5), layout="constrained").add_subplot()
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
            linestyle=DASHES[place],
            linewidth=width,
            zorder=height,
            marker=marker,
            drawstyle=drawstyle,
        )
    if len(rows):
        _legend(ax, title=title, outside=rows["predictor"].nunique() > 1)
    else:
        ax.annotate("labels of one class: no curve", (0.5, 0.5), xycoords="axes fraction", ha="center", color=_GREY)


def _legend(ax: Axes, *, title: str = "", outside: bool = False) -> None:
    where = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)} if outside else {"loc": "best"}
    ax.legend(frameon=False, fontsize=8, title_fontsize=8, title=title, handlelength=3, alignment="left", **where)
