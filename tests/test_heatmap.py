"""The best window of each pair against every window scored alone; order, files, picture, command."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mirscope import heatmap, io, models, plot, predict
from mirscope.errors import InputError, TableError, UsageError
from mirscope.io import Record


@pytest.mark.parametrize("name", ["seed", "miranda", "mitar"])
def test_a_cell_is_the_best_of_its_windows(name, mirnas, transcripts):
    model = models.load(name)
    table = heatmap.heatmap(model, mirnas, transcripts)
    assert list(table.columns) == list(heatmap.COLUMNS)
    expected = [(m.id, t.id) for m in mirnas for t in transcripts]
    assert list(zip(table["mirna_id"], table["target_id"], strict=True)) == expected
    window = model.lengths[-1]
    for row, (mirna, transcript) in zip(table.itertuples(), [(m, t) for m in mirnas for t in transcripts], strict=True):
        starts = predict.window_starts(len(transcript.sequence), window, model.stride)
        cut = [transcript.sequence[start : start + window] for start in starts]
        scores = predict.score(model, pd.DataFrame({"mirna_seq": mirna.sequence, "target_seq": cut}))
        assert row.score == pytest.approx(scores.max(), abs=1e-5)
        assert row.n_windows == len(starts)
        assert scores[list(starts).index(row.start)] == pytest.approx(row.score, abs=1e-5)
        assert row.end == min(row.start + window, len(transcript.sequence))


def test_stride_and_processes(mirnas, transcripts):
    model = models.load("miranda")
    one = heatmap.heatmap(model, mirnas, transcripts, stride=7)
    pd.testing.assert_frame_equal(one, heatmap.heatmap(model, mirnas, transcripts, stride=7, threads=2))
    assert one["n_windows"].sum() > heatmap.heatmap(model, mirnas, transcripts)["n_windows"].sum()


def test_every_pair_is_reported(mirnas, transcripts):
    done = []
    heatmap.heatmap(models.load("seed"), mirnas, transcripts, report=done.append)
    assert sum(done) == len(mirnas) * len(transcripts)


def test_a_pair_without_a_candidate_is_empty(mirnas, transcripts):
    """utr5 holds a planted let-7 8mer; utr0 has no room for a seed match."""
    table = heatmap.heatmap(models.load("mitar"), mirnas, transcripts, candidates="seed")
    cells = table.set_index(["mirna_id", "target_id"])
    empty = cells.loc[("let-7a", "utr0")]
    assert np.isnan(empty["score"])
    assert (empty["start"], empty["end"], empty["seed_type"], empty["n_windows"]) == (-1, -1, "", 0)
    assert cells.loc[("let-7a", "utr5"), "seed_type"] != ""
    wide = heatmap.matrix(table, cluster="both")
    assert np.isnan(wide.loc["let-7a", "utr0"])


def toy(values, mirnas="abcd", targets="wxyz"):
    rows = [(m, t, values[i][j]) for i, m in enumerate(mirnas) for j, t in enumerate(targets)]
    return pd.DataFrame(rows, columns=["mirna_id", "target_id", "score"])


VALUES = [[0.9, 0.1, 0.9, 0.1], [0.1, 0.9, 0.1, 0.9], [0.8, 0.1, 0.9, 0.2], [0.2, 0.9, 0.1, 0.8]]


def test_matrix_keeps_the_order():
    wide = heatmap.matrix(toy(VALUES, mirnas="dbca"))
    assert (list(wide.index), list(wide.columns)) == (list("dbca"), list("wxyz"))
    np.testing.assert_array_equal(wide.to_numpy(), VALUES)


@pytest.mark.parametrize("cluster", ["mirnas", "targets", "both"])
def test_like_ones_stand_together(cluster):
    wide = heatmap.matrix(toy(VALUES), cluster=cluster)
    rows, columns = "".join(wide.index), "".join(wide.columns)
    assert ("ac" in rows or "ca" in rows) == (cluster != "targets")
    assert ("wy" in columns or "yw" in columns) == (cluster != "mirnas")
    for mirna, target, score in toy(VALUES).itertuples(index=False):
        assert wide.loc[mirna, target] == score


def test_one_or_two_need_no_order():
    wide = heatmap.matrix(toy([[0.1, 0.2]], mirnas="a", targets="xy"), cluster="both")
    assert list(wide.columns) == ["x", "y"]


def test_files(tmp_path, mirnas, transcripts):
    table = heatmap.heatmap(models.load("seed"), mirnas, transcripts)
    files = heatmap.write(table, tmp_path / "a" / "b", cluster="both")
    assert [path.name for path in files] == ["heatmap.tsv", "matrix.tsv", "heatmap.png", "heatmap.svg"]
    back = pd.read_csv(files[0], sep="\t", keep_default_na=False, na_values={"score": ""})
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    wide = pd.read_csv(files[1], sep="\t", index_col=0)
    pd.testing.assert_frame_equal(wide, heatmap.matrix(table, cluster="both"), check_dtype=False, check_names=False)
    assert all(path.stat().st_size > 1000 for path in files[2:])
    again = heatmap.write(table, tmp_path / "again", cluster="both")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]


def test_bad_input_is_one_line(tmp_path, mirnas, transcripts):
    model = models.load("seed")
    with pytest.raises(InputError, match="no miRNAs"):
        heatmap.heatmap(model, [], transcripts)
    with pytest.raises(InputError, match="no transcripts"):
        heatmap.heatmap(model, mirnas, [])
    with pytest.raises(InputError, match="were miRNAs and transcripts swapped"):
        heatmap.heatmap(model, transcripts, mirnas)
    with pytest.raises(UsageError, match="stride is 0"):
        heatmap.heatmap(model, mirnas, transcripts, stride=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        heatmap.write(toy(VALUES), tmp_path / "file")
    with pytest.raises(TableError, match="called mirna_id"):
        heatmap.write(toy(VALUES, targets=["mirna_id", "x", "y", "z"]), tmp_path / "out")


def drawn(ax):
    """Colour and text of each cell."""
    cells = ax.collections[0]
    colours = cells.cmap(cells.norm(cells.get_array()))
    return colours, [text.get_text() for text in ax.texts]


def test_picture_shows_every_cell_and_id():
    wide = heatmap.matrix(toy(VALUES))
    wide.iloc[1, 2] = np.nan
    ax = plot.heatmap(wide, title="score of toy")
    ax.figure.canvas.draw()
    colours, texts = drawn(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abcd")
    assert [label.get_text() for label in ax.get_xticklabels()] == list("wxyz")
    assert texts[:7] == [".90", ".10", ".90", ".10", ".10", ".90", "–"]
    assert tuple(colours[1, 2].round(2)) == (0.85, 0.85, 0.85, 1)
    light, dark = colours[0, 1, :3].sum(), colours[0, 0, :3].sum()
    assert dark < light  # high is dark
    assert ax.get_ylim() == (4, 0)  # the first miRNA on top


@pytest.mark.parametrize("shape", [(1, 1), (3, 25), (60, 9), (5, 200)])
def test_labels_do_not_meet_and_lie_inside(shape):
    ids = [f"hsa-miR-{k}-5p" for k in range(shape[0])], [f"ENST{k:08}" for k in range(shape[1])]
    values = np.random.default_rng(0).random(shape)
    ax = plot.heatmap(pd.DataFrame(values, *ids), title="score of a model with a long name, best window")
    figure = ax.figure
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    whole = figure.bbox
    box = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
    for labels, side in ((ax.get_yticklabels(), "y"), (ax.get_xticklabels(), "x")):
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda b: getattr(b, side + "0"))
        assert all(getattr(a, side + "1") <= getattr(b, side + "0") + 1 for a, b in itertools.pairwise(boxes))
    assert (ax.get_xlabel() == "200 transcripts") == (shape[1] > 150)


def test_command(run, tmp_path, mirnas, transcripts):
    io.write_fasta(mirnas, tmp_path / "m.fa")
    io.write_fasta(transcripts, tmp_path / "t.fa")
    out, err = run("heatmap m.fa t.fa -m miranda -o out --cluster both --threads 1")
    assert out == ""
    assert "heatmap.png" in err
    table = pd.read_csv(tmp_path / "out" / "heatmap.tsv", sep="\t")
    expected = heatmap.heatmap(models.load("miranda"), mirnas, transcripts)
    np.testing.assert_allclose(table["score"], expected["score"], atol=1e-5)


def test_command_with_repeated_ids(run, tmp_path, mirnas, transcripts):
    io.write_fasta(mirnas, tmp_path / "m.fa")
    io.write_fasta([*transcripts, Record("utr1", "ACGU" * 20)], tmp_path / "t.fa")
    assert "--number-duplicates" in run("heatmap m.fa t.fa -m seed -o out --threads 1", code=1)[1]
    run("heatmap m.fa t.fa -m seed -o out --threads 1 --number-duplicates --quiet")
    assert "utr1_2" in (tmp_path / "out" / "matrix.tsv").read_text()


@pytest.mark.parametrize(
    ("command", "code", "hint"),
    [
        ("heatmap m.fa missing.fa -o out", 1, "missing.fa"),
        ("heatmap m.fa m.fa -m nothing -o out", 2, "nothing"),
        ("heatmap m.fa m.fa -m seed -o out --cluster all", 2, "all"),
        ("heatmap m.fa m.fa -m seed -o m.fa", 1, "expected a folder"),
    ],
)
def test_bad_commands_are_one_line(run, tmp_path, mirnas, command, code, hint):
    io.write_fasta(mirnas, tmp_path / "m.fa")
    _, err = run(f"{command} --threads 1", code=code)
    assert err.count("\n") == 1
    assert hint in err
