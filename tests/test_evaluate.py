"""The table, its words and its files; background rates counted by hand with a toy model."""

import io as textio
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mirscope import evaluate, floors, metrics, models
from mirscope.errors import InputError, TableError, UsageError
from mirscope.io import Record

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
MIR16 = "UAGCAGCACGUAAAUAUUGGCG"


def pairs(n=60, state=0):
    rng = np.random.default_rng(state)
    targets = ["".join(rng.choice(list("ACGU"), 30)) for _ in range(n)]
    return pd.DataFrame(
        {
            "mirna_id": "x",
            "mirna_seq": [LET7 if k % 3 else MIR16 for k in range(n)],
            "gene_id": [f"g{k % 7}" for k in range(n)],
            "target_seq": targets,
            "label": [k % 2 for k in range(n)],
        }
    )


def good(table, noise=0.4):
    labels = table["label"].to_numpy()
    return np.clip(labels * 0.6 + 0.2 + np.random.default_rng(5).normal(0, noise, len(labels)), 0, 1)


def printed(evaluation, width=140):
    console = Console(file=textio.StringIO(), width=width)
    evaluate.print_table(evaluation, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def evaluation():
    table = pairs()
    return evaluate.evaluate(None, table, scores=good(table), train=pairs(80, 1), name="toy", n_resamples=50)


def test_model_first_then_every_floor(evaluation):
    assert list(evaluation.table["predictor"]) == ["toy", *(floor.title for floor in floors.FLOORS.values())]
    assert (evaluation.n, evaluation.n_positive, evaluation.threshold) == (60, 30, 0.5)
    assert list(evaluation.table["fitted_on"]) == ["", *["80 training pairs"] * 4, "nothing", "threshold only"]


def test_the_model_row_is_summarise(evaluation):
    expected = metrics.summarise(pairs()["label"], good(pairs()), n_resamples=50).set_index("metric")
    row = evaluation.table.iloc[0]
    for name in metrics.METRICS:
        found = row[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        np.testing.assert_array_equal(found, expected.loc[name].to_numpy(float))


def test_floors_that_are_no_probabilities_have_no_brier_loss(evaluation):
    rows = evaluation.table.set_index("predictor")
    assert rows.loc[["seed class", "duplex energy"], list(metrics.PROBABILITY_METRICS)].isna().all().all()
    assert rows.loc["target k-mers", "brier_loss"] > 0


def test_the_model_is_asked_for_scores(monkeypatch):
    model = SimpleNamespace(name="toy7", inputs=("mirna", "target"), lengths=(26, 30), stride=1)
    monkeypatch.setattr(evaluate.predict, "score", lambda asked, table: good(table) if asked is model else None)
    found = evaluate.evaluate(model, pairs(), n_resamples=0)
    given = evaluate.evaluate(None, pairs(), scores=good(pairs()), name="toy7", n_resamples=0)
    assert found.name == "toy7"
    pd.testing.assert_frame_equal(found.table, given.table)


def test_a_real_model():
    found = evaluate.evaluate(models.create("seed"), pairs(), threshold=0.6, n_resamples=0)
    ranks = floors.seed_class(pairs())
    assert found.table["auroc"][0] == pytest.approx(metrics.auroc_score(pairs()["label"], ranks))
    assert found.table.set_index("predictor")["auroc"]["seed class"] == found.table["auroc"][0]


def test_without_training_table_floors_are_cross_validated():
    found = evaluate.evaluate(None, pairs(), scores=good(pairs()), n_resamples=0)
    assert list(found.table["fitted_on"][1:5]) == ["cross-validation"] * 4
    assert found.table["fitted_on"].iloc[-1] == "threshold only, on these pairs"


def test_index_and_text_labels_do_not_matter():
    table = pairs()
    other = table.assign(label=table["label"].astype(str)).set_index(np.arange(900, 960))
    one, two = (evaluate.evaluate(None, t, scores=good(table), n_resamples=20) for t in (table, other))
    pd.testing.assert_frame_equal(one.table, two.table)


def test_missing_genes_are_said():
    found = evaluate.evaluate(None, pairs().drop(columns="gene_id"), scores=good(pairs()), n_resamples=0)
    row = found.table.set_index("predictor").loc["gene identity"]
    assert (row["fitted_on"], row["n"]) == ("not available: no gene ids", 0)
    assert np.isnan(row["auroc"])
    assert "gene identity: not available: no gene ids" in printed(found)


def test_one_class():
    found = evaluate.evaluate(None, pairs().assign(label=1), scores=good(pairs()), n_resamples=20)
    assert np.isnan(found.table["auroc"][0])
    assert found.table["sensitivity"][0] > 0
    assert "All labels are of one class" in printed(found)
    assert json.loads(found.to_json())["predictors"][0]["metrics"]["auroc"] == {
        "value": None,
        "low": None,
        "high": None,
    }


def test_energies_of_some_rows():
    found = evaluate.evaluate(None, pairs(), scores=good(pairs()), train=pairs(80, 1), max_rows=25, n_resamples=0)
    assert list(found.table["n"]) == [60] * 6 + [25]


def test_remark_where_a_floor_is_as_good():
    table = pairs().assign(mirna_seq=lambda t: np.where(t["label"], LET7, MIR16))
    found = evaluate.evaluate(None, table, scores=good(table), train=table, name="toy", n_resamples=0)
    lines = evaluate.remarks(found)
    assert lines[0] == "60 of 60 pairs are also in the training table."
    assert lines[1].startswith("miRNA identity alone reaches AUROC 1.000, the model .")
    assert lines[1].endswith("this set does not show that the model reads the target.")
    assert lines[1].split(":")[0] in " ".join(printed(found).split())


def test_remark_where_a_floor_is_inverted():
    """Balanced over both tables together: the frequency in training foretells the opposite."""
    train = pairs().assign(mirna_seq=lambda t: np.where(t["label"], LET7, MIR16))
    table = train.assign(label=1 - train["label"])
    found = evaluate.evaluate(None, table, scores=good(table), train=train, n_resamples=0)
    assert any("miRNA identity alone, turned round, reaches AUROC 1.000" in line for line in evaluate.remarks(found))


def test_no_remark_beside_a_model_above_its_floors():
    table = pairs()
    found = evaluate.evaluate(None, table, scores=table["label"] * 0.8 + 0.1, train=pairs(80, 1), n_resamples=0)
    assert evaluate.remarks(found) == []


@pytest.mark.parametrize("width", [60, 80, 140])
def test_table_is_whole_at_any_width(evaluation, width):
    text = printed(evaluation, width)
    for word in ("toy", "duplex energy", "AUROC", "AP", "accuracy", "specificity", "F1", "MCC", "Brier", "ECE"):
        assert word in text
    assert "…" not in text
    value = f"{evaluation.table['auroc'][0]:.3f}"[1:]
    assert value in text
    assert "80 training pairs" in " ".join(text.split())


def test_numbers_are_short():
    shown = [evaluate._short(x) for x in (0.9771, 1.0, 0.99996, -0.12, 0.0, 0.0004, -1.0)]
    assert shown == [".977", "1.000", "1.000", "-.120", ".000", ".000", "-1.000"]


def test_json_is_strict_and_complete(evaluation):
    def refuse(word):
        raise AssertionError(word)

    document = json.loads(evaluation.to_json(), parse_constant=refuse)
    assert document["model"] == "toy"
    assert [row["predictor"] for row in document["predictors"]] == list(evaluation.table["predictor"])
    assert set(document["predictors"][0]["metrics"]) == set(metrics.METRICS)
    assert document["predictors"][5]["metrics"]["brier_loss"]["value"] is None
    assert document["background"] is None


def test_same_input_same_output(evaluation):
    again = evaluate.evaluate(None, pairs(), scores=good(pairs()), train=pairs(80, 1), name="toy", n_resamples=50)
    assert again.to_json() == evaluation.to_json()


def test_write(evaluation, tmp_path):
    written = evaluate.write(evaluation, tmp_path / "e.json", plots=tmp_path / "new" / "plots")
    names = ["roc", "precision_recall", "reliability"]
    assert [path.name for path in written] == ["e.json", *(f"{n}.{kind}" for n in names for kind in ("png", "svg"))]
    assert (tmp_path / "e.json").read_text(encoding="utf-8") == evaluation.to_json()
    assert all(path.stat().st_size > 1000 for path in written)
    assert sorted(path.name for path in (tmp_path / "new" / "plots").iterdir()) == sorted(p.name for p in written[1:])


def test_write_json_only(evaluation, tmp_path):
    assert evaluate.write(evaluation, tmp_path / "e.json") == [tmp_path / "e.json"]


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        (lambda t: t.iloc[:0], InputError, "no pairs; expected at least one"),
        (lambda t: t.drop(columns="label"), TableError, "no column label"),
        (lambda t: t.assign(label=2), TableError, "in column label; expected 0 or 1"),
        (lambda t: t.drop(columns="mirna_seq"), TableError, "no column mirna_seq"),
    ],
)
def test_bad_tables_are_one_line(change, error, problem):
    for arguments in ({"pairs": change(pairs())}, {"pairs": pairs(), "train": change(pairs())}):
        with pytest.raises(error, match=problem) as caught:
            evaluate.evaluate(None, scores=np.full(len(arguments["pairs"]), 0.5), **arguments)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({}, "expected a model or scores"),
        ({"scores": np.full(60, 0.5), "threshold": 1.5}, "threshold is 1.5"),
        ({"scores": np.full(59, 0.5)}, "no 60 numbers from 0 to 1"),
        ({"scores": np.full(60, 1.5)}, "no 60 numbers from 0 to 1"),
        ({"scores": np.full(60, np.nan)}, "no 60 numbers from 0 to 1"),
    ],
)
def test_bad_calls_are_one_line(keywords, problem):
    with pytest.raises((UsageError, InputError), match=problem):
        evaluate.evaluate(None, pairs(), **keywords)


# Background


class Toy:
    """Calls a window that holds the letter its miRNA starts with at least `n` times."""

    inputs, lengths, stride, name = ("mirna", "target"), (26, 10), 5, "toy"


@pytest.fixture
def toy(monkeypatch):
    def score(model, table):
        return np.array([t.count(m[0]) / len(t) for m, t in zip(table["mirna_seq"], table["target_seq"], strict=True)])

    monkeypatch.setattr(evaluate.predict, "score", score)
    return Toy()


TRANSCRIPTS = [Record("a", "A" * 30), Record("short", "CCC")]
MIRNAS = [Record("m1", "A" + LET7), Record("m2", "C" + LET7)]


def test_background_counts_calls(toy):
    found = evaluate.background(toy, TRANSCRIPTS, MIRNAS, threshold=0.5, n_windows=50)
    assert list(found["mirna_id"]) == ["all"] * 3 + ["m1"] * 3 + ["m2"] * 3
    assert list(found["kind"]) == list(evaluate.KINDS) * 3
    rows = found.set_index(["mirna_id", "kind"])
    assert tuple(rows.loc[("m1", "real")]) == (50, 50, 1.0, 200.0)  # a window every 5 nt: 200 per kb
    assert tuple(rows.loc[("m2", "real")]) == (50, 0, 0.0, 0.0)
    assert tuple(rows.loc[("all", "shuffled")]) == (100, 50, 0.5, 100.0)
    assert rows.loc[("all", "random"), "rate"] < 0.3


def test_background_is_reproducible_and_the_same_for_each_mirna(toy):
    one, two = (evaluate.background(toy, TRANSCRIPTS, MIRNAS, n_windows=40, threshold=0.2) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    alone = evaluate.background(toy, TRANSCRIPTS, MIRNAS[1:], n_windows=40, threshold=0.2)
    assert list(alone["calls"][3:]) == list(one["calls"][6:])


def test_background_in_words_and_json(toy, evaluation):
    from dataclasses import replace

    many = [Record(f"m{k:02}", "ACGU"[k % 4] + LET7) for k in range(14)]
    found = evaluate.background(toy, TRANSCRIPTS, many, n_windows=20)
    whole = replace(evaluation, background=found)
    assert "and 4 miRNAs with no more calls" in printed(whole)
    assert "…" not in printed(whole, 80)
    rows = json.loads(whole.to_json())["background"]
    assert rows[0]["mirna_id"] == "all"
    assert len(rows) == 3 * 15


@pytest.mark.parametrize(
    ("transcripts", "mirnas", "keywords", "problem"),
    [
        (TRANSCRIPTS, [], {}, "no miRNAs"),
        (TRANSCRIPTS[1:], MIRNAS, {}, "no transcript of 10 nt or more"),
        (TRANSCRIPTS, MIRNAS, {"n_windows": 0}, "0 windows; expected 1 or more"),
    ],
)
def test_bad_background_is_one_line(toy, transcripts, mirnas, keywords, problem):
    with pytest.raises((InputError, UsageError), match=problem):
        evaluate.background(toy, transcripts, mirnas, **keywords)


def test_background_needs_pairs(toy):
    toy.inputs = ("hairpin",)
    with pytest.raises(UsageError, match="this one reads hairpin"):
        evaluate.background(toy, TRANSCRIPTS, MIRNAS)
