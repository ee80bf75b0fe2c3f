"""Pictures hold what the table says, and the same table gives the same bytes."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mirscope import plot
from mirscope.errors import UsageError

CURVES = pd.DataFrame(
    [
        ("toy", "roc", 0, 0, 0),
        ("toy", "roc", 0.2, 0.7, 9),
        ("toy", "roc", 1, 1, 20),
        ("seed class", "roc", 0, 0, 0),
        ("seed class", "roc", 1, 1, 20),
        ("toy", "precision_recall", 0, 1, 0),
        ("toy", "precision_recall", 1, 0.5, 20),
        ("toy", "reliability", 0.1, 0.2, 1500),
        ("toy", "reliability", 0.9, 0.8, 7),
    ],
    columns=["predictor", "curve", "x", "y", "n"],
)

SITES = pd.DataFrame(
    [
        ("let-7a", "utr1", 10, 60, 0.9, "8mer", 40),
        ("let-7a", "utr1", 200, 240, 0.6, "", -1),
        ("miR-16", "utr1", 100, 150, 0.7, "6mer", 120),
        ("miR-16", "utr2", 0, 40, 0.7, "6mer", 20),
    ],
    columns=["mirna_id", "target_id", "start", "end", "score", "seed_type", "seed_start"],
)


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_roc_draws_a_line_for_each_predictor_the_model_on_top():
    ax = plot.roc(CURVES, title="AUROC")
    assert labels(ax) == ["toy", "seed class"]
    assert ax.get_legend().get_title().get_text() == "AUROC"
    _, model, floor = ax.lines  # first the diagonal
    assert model.get_xydata().tolist() == [[0, 0], [0.2, 0.7], [1, 1]]
    assert model.get_zorder() > floor.get_zorder()


def test_precision_recall_draws_steps():
    ax = plot.precision_recall(CURVES)
    assert [line.get_drawstyle() for line in ax.lines] == ["steps-pre"]
    assert "recall" in ax.get_xlabel()


def test_reliability_counts_the_examples():
    ax = plot.reliability(CURVES)
    assert [text.get_text() for text in ax.texts] == ["1,500", "7"]


def test_reliability_counts_the_first_of_several():
    both = pd.concat([CURVES, CURVES.assign(predictor="other", n=1)])
    ax = plot.reliability(both)
    assert [text.get_text() for text in ax.texts] == ["1,500", "7"]
    assert labels(ax) == ["toy", "other"]
    FigureCanvasAgg(ax.figure).draw()
    assert ax.get_legend().get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0  # below the axes


@pytest.mark.parametrize("draw", [plot.roc, plot.precision_recall, plot.reliability])
def test_no_curve_is_said(draw):
    ax = draw(CURVES.iloc[:0])
    assert "no curve" in ax.texts[0].get_text()


def test_axes_may_be_given():
    left, right = Figure().subplots(1, 2)
    assert plot.roc(CURVES, left) is left
    assert plot.sites(SITES, target_id="utr1", length=300, ax=right) is right


def test_learning_curve():
    history = pd.DataFrame(
        {"epoch": [1, 2, 3], "train_loss": [3, 2, 1], "valid_loss": [3, 2, 2], "valid_auroc": [0.5, 0.6, 0.7]}
    )
    upper, lower = plot.learning_curve(history, best_epoch=2)
    assert labels(upper) == ["training", "validation", "kept: epoch 2"]
    assert labels(lower) == ["AUROC", "kept: epoch 2"]
    assert plot.learning_curve(history[["epoch", "train_loss"]])[0].lines


def bars(ax):
    """(start, width) and row of each site drawn."""
    found = []
    for row in ax.collections:
        for path in row.get_paths():
            if type(row).__name__ == "PolyCollection":
                (x0, y0), (x1, y1) = path.vertices.min(0), path.vertices.max(0)
                found.append((x0, x1, round((y0 + y1) / 2)))
    return found


def test_sites_stand_where_they_are():
    ax = plot.sites(SITES, target_id="utr1", length=300)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["let-7a", "miR-16"]
    assert bars(ax) == [(10, 60, 0), (200, 240, 0), (100, 150, 1)]
    assert labels(ax) == ["8mer", "6mer"]
    assert ax.get_xlabel() == "utr1 (nt)"


def test_sites_of_one_mirna():
    ax = plot.sites(SITES, target_id="utr1", length=300, mirna_ids=["miR-16"])
    assert bars(ax) == [(100, 150, 0)]
    assert labels(ax) == ["6mer"]


def test_higher_scores_are_darker():
    ax = plot.sites(SITES, target_id="utr1", length=300, mirna_ids=["let-7a"])
    colours = next(c for c in ax.collections if type(c).__name__ == "PolyCollection").get_facecolors()
    assert colours[0][:3].sum() < colours[1][:3].sum()


def test_rows_without_a_site_stand_in_their_place():
    ax = plot.sites(SITES, target_id="utr1", length=300, mirna_ids=["none", "miR-16", "nor", "let-7a"])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["none", "miR-16", "nor", "let-7a"]
    assert bars(ax) == [(100, 150, 1), (10, 60, 3), (200, 240, 3)]
    assert [(text.get_text(), round(text.xy[1])) for text in ax.texts] == [("no site", 0), ("no site", 2)]


def test_colours_by_rate_of_false_sites():
    rows = SITES[:3].assign(fp_per_kb=[1e-6, 30.0, 1e-2])
    ax = plot.sites(rows, target_id="utr1", length=300, by="fp_per_kb")
    colours = np.concatenate([c.get_facecolors() for c in ax.collections if type(c).__name__ == "PolyCollection"])
    brightness = colours[:, :3].sum(axis=1)
    assert brightness[0] < brightness[2] < brightness[1]  # rarely false is dark
    scale = ax.figure.axes[1]
    assert [text.get_text() for text in scale.get_yticklabels()] == ["≤ 0.0001", "0.01", "≥ 1"]
    assert scale.get_ylabel() == "false sites per kb"
    assert scale.yaxis_inverted()


def test_no_site(tmp_path):
    ax = plot.sites(SITES, target_id="utr9", length=300, mirna_ids=["let-7a"])
    assert [text.get_text() for text in ax.texts] == ["no site"]
    plot.save(ax, tmp_path / "x.png")


def test_labels_of_mirnas_do_not_overlap():
    rows = pd.concat([SITES.iloc[:1].assign(mirna_id=f"hsa-miR-{k}-5p") for k in range(40)])
    ax = plot.sites(rows, target_id="utr1", length=300)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert all(not one.overlaps(other) for one, other in pairwise(boxes))
    assert boxes[0].y0 > boxes[-1].y1  # the first miRNA is at the top


@pytest.mark.parametrize("kind", plot.FORMATS)
def test_save_is_reproducible(tmp_path, kind):
    for name in ("one", "two"):
        plot.save(plot.sites(SITES, target_id="utr1", length=300), tmp_path / f"{name}.{kind}")
    content = (tmp_path / f"one.{kind}").read_bytes()
    assert content == (tmp_path / f"two.{kind}").read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one.{kind}", f"two.{kind}"]


def test_save_refuses_another_suffix(tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.png, \.svg, \.pdf"):
        plot.save(plot.roc(CURVES), tmp_path / "roc.gif")
    assert not list(tmp_path.iterdir())


def test_drawing_leaves_global_settings_alone(tmp_path):
    before = dict(mpl.rcParams)
    plot.save(plot.roc(CURVES), tmp_path / "roc.svg")
    assert dict(mpl.rcParams) == before


def test_nothing_is_changed_in_the_table():
    before = SITES.copy()
    plot.sites(SITES, target_id="utr1", length=300)
    pd.testing.assert_frame_equal(SITES, before)
    assert np.isfinite(SITES["score"]).all()


def test_intervals_and_what_was_published():
    rows = [("full", "accuracy", 0.9, 0.8, 0.95), ("full", "auroc", 1, 1, 1), ("half", "accuracy", 0.7, 0.6, 0.75)]
    table = pd.DataFrame(rows, columns=["competitor", "metric", "mean", "low", "high"])
    ax = plot.intervals(table, metric="accuracy", published=pd.Series({"half": 0.72}))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["full", "half"]
    means, published = ax.lines
    assert means.get_xydata().tolist() == [[0.9, 0], [0.7, 1]]
    assert published.get_xdata()[1] == 0.72
    assert labels(ax) == ["mean and 95 % of runs", "published"]
    assert plot.intervals(table, metric="auroc").get_legend() is None


def test_trials_by_their_settings():
    table = pd.DataFrame(
        {
            "trial": [0, 1, 2, 3],
            "state": ["complete", "pruned", "diverged", "complete"],
            "value": [0.7, 0.6, np.nan, 0.65],
            "learning_rate": [0.001, 0.01, 0.5, 0.1],
            "gates": ["tanh", "relu", "relu", "relu"],
        }
    )
    first, rates, gates = plot.trials(table, ["learning_rate", "gates"], measure="auroc").axes
    assert first.get_ylabel() == "validation AUROC"
    assert first.lines[0].get_ydata().tolist() == [0.7, 0.7]  # the best so far
    assert rates.get_xscale() == "log"
    assert rates.lines[1].get_xydata().tolist() == [[0.001, 0.7], [0.1, 0.65]]
    assert [text.get_text() for text in gates.get_xticklabels()] == ["relu", "tanh"]


def test_two_forms_names_the_largest_differences_once_a_place(tmp_path):
    counts = {f"n_{name}": 1 for name in ("gained", "lost", "changed", "kept")}
    rows = [("far", "gained", 0.0, 0.9), ("near", "gained", 0.01, 0.89), ("below", "lost", 0.5, 0.1)]
    rows += [("x" * 40, "kept", 0.3, 0.4)]
    table = pd.DataFrame(rows, columns=["target_id", "change", "reference_score", "isomir_score"]).assign(**counts)
    ax = plot.two_forms(table, reference="miR-1", isomir="miR-1;iso_5p:+1")
    assert [text.get_text() for text in ax.texts] == ["far", "below", "x" * 24 + "…"]  # near: upon far
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["kept (1)", "lost (1)", "gained (2)"]
    assert ax.get_title() == "sites: 4 gained, 4 lost, 4 changed, 4 kept"
    assert [len(points.get_offsets()) for points in ax.collections] == [1, 1, 2]
    assert ax.get_ylabel().startswith("miR-1;iso_5p:+1")
    plot.save(plot.two_forms(table[:0], reference="a", isomir="b"), tmp_path / "empty.png")
