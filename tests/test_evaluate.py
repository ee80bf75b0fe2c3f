"""The table, its words and its files; background rates counted by hand with a toy model."""

import io as textio
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mirscope import datasets, evaluate, floors, io, metrics, models, predict
from mirscope.cli import targets
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
    model = models.create("seed")
    model.name = "toy7"
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
    shown = [evaluate.short(x) for x in (0.9771, 1.0, 0.99996, -0.12, 0.0, 0.0004, -1.0)]
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


# Models side by side


def test_models_compared_are_rows_as_if_alone(evaluation):
    scores = {"worse": good(pairs(), 2.0), "seed": models.create("seed")}
    found = evaluate.evaluate(
        None, pairs(), scores=good(pairs()), against=scores, train=pairs(80, 1), name="toy", n_resamples=50
    )
    assert list(found.table["predictor"][:4]) == ["toy", "worse", "seed", "miRNA identity"]
    assert list(found.table["kind"][:4]) == ["model", "model", "model", "floor"]
    own = found.table.drop(index=[1, 2]).reset_index(drop=True)
    pd.testing.assert_frame_equal(own, evaluation.table)
    alone = evaluate.evaluate(None, pairs(), scores=scores["worse"], name="worse", n_resamples=50)
    pd.testing.assert_series_equal(found.table.iloc[1], alone.table.iloc[0], check_names=False)
    assert set(found.curves["predictor"]) >= {"toy", "worse", "seed"}


def test_comparison_is_delong_and_the_paired_bootstrap():
    labels, first, worse = pairs()["label"], good(pairs()), good(pairs(), 2.0)
    found = evaluate.compare(labels, {"toy": first, "worse": worse}, n_resamples=200, random_state=3)
    assert list(found["metric"]) == ["auroc", "average_precision"]
    assert list(found["method"]) == ["DeLong", "bootstrap"]
    auroc, average_precision = found[["difference", "low", "high", "p"]].to_numpy()
    expected = metrics.delong(labels, worse, first)
    assert tuple(auroc) == (expected.value, expected.low, expected.high, expected.p)
    expected = metrics.paired_bootstrap(
        labels, worse, first, metric="average_precision", n_resamples=200, random_state=3
    )
    assert tuple(average_precision) == (expected.value, expected.low, expected.high, expected.p)
    assert found["difference"].max() < 0
    assert not len(evaluate.compare(labels, {"toy": first}))


def test_comparison_in_print_and_json():
    found = evaluate.evaluate(
        None, pairs(), scores=good(pairs(), 2.0), against={"better": pairs()["label"]}, name="toy", n_resamples=50
    )
    text = printed(found)
    assert "difference from toy on the same pairs" in text
    gain = 1 - found.table["auroc"][0]
    assert f"+{gain:.3f}".replace("+0", "+") in text
    rows = json.loads(found.to_json())["comparison"]
    assert [(row["predictor"], row["metric"]) for row in rows] == [("better", "auroc"), ("better", "average_precision")]
    assert rows[0]["difference"] == pytest.approx(gain)


def test_a_model_is_not_compared_with_itself():
    with pytest.raises(UsageError, match="toy is to be compared with itself"):
        evaluate.evaluate(None, pairs(), scores=good(pairs()), against={"toy": good(pairs())}, name="toy")


def test_scores_to_compare_are_checked():
    with pytest.raises(InputError, match="no 60 numbers from 0 to 1"):
        evaluate.evaluate(None, pairs(), scores=good(pairs()), against={"short": good(pairs())[:-1]}, name="toy")


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (0.0123, "0.012"), (1e-4, "0.0001"), (3.2e-9, "3e-09"), (0, "< 1e-300")]
)
def test_p_is_short(value, text):
    assert evaluate.p_value(value) == text


# Genes


SITES = pd.DataFrame(
    [
        (LET7, "g1", "GGCUACCUCAGG", 0),
        (LET7, "g1", "GGGUACCUCGGG", 1),
        (MIR16, "g1", "AAAAAAAA", 0),
        (LET7, "", "CCCCCCCC", 1),
        (LET7, "g2", "CCCCCCCC", 0),
        (LET7, "g1", "AAAAAAAA", 0),
    ],
    columns=["mirna_seq", "gene_id", "target_seq", "label"],
)


def test_sites_join_to_genes(caplog):
    table, row = evaluate.genes(SITES)
    assert list(zip(table["mirna_seq"], table["gene_id"], strict=True)) == [(LET7, "g1"), (MIR16, "g1"), (LET7, "g2")]
    assert list(row) == [0, 0, 1, -1, 2, 0]
    assert list(table["label"]) == [1, 0, 0]
    assert list(table["n_sites"]) == [3, 1, 1]
    assert table["target_seq"][0].split(floors.SITE_GAP) == ["GGCUACCUCAGG", "GGGUACCUCGGG", "AAAAAAAA"]
    assert "1 of 6 sites have no gene: left out" in caplog.text


def test_labels_of_genes_go_before_those_of_sites():
    table, _ = evaluate.genes(SITES.assign(gene_label=["0", "0", "1", "1", "1", "0"]))
    assert list(table["label"]) == [0, 1, 1]


def test_transcripts_stand_in_for_genes():
    sites = SITES.assign(gene_id="", transcript_id=SITES["gene_id"])
    pd.testing.assert_frame_equal(evaluate.genes(sites)[0], evaluate.genes(SITES)[0])
    with pytest.raises(TableError, match="no gene in any row"):
        evaluate.genes(SITES.assign(gene_id=""))
    with pytest.raises(TableError, match="no gene in any row"):
        evaluate.genes(SITES.drop(columns="gene_id"))


def by_gene(n=240, **settings):
    """Sites of which a gene has one to five; a gene's label is known, its sites' are not."""
    rng = np.random.default_rng(7)
    sites = pairs(n).assign(gene_id=[f"g{g}" for g in rng.integers(0, n // 4, n)]).drop(columns="label")
    key = sites["mirna_seq"] + sites["gene_id"]
    sites["gene_label"] = key.map({value: k % 2 for k, value in enumerate(key.unique())}).astype(str)
    scores = rng.random(n)
    return sites, scores, evaluate.evaluate(None, sites, scores=scores, by="gene", name="toy", **settings)


def test_a_gene_scores_as_its_best_site():
    sites, scores, found = by_gene(n_resamples=0)
    best = (
        sites.assign(score=scores)
        .groupby(["mirna_seq", "gene_id"], sort=False)
        .agg(score=("score", "max"), label=("gene_label", "max"), n_sites=("score", "size"))
    )
    labels = best["label"].astype(int)
    assert (found.by, found.n, found.n_sites, found.n_positive) == ("gene", len(best), 240, labels.sum())
    assert found.table["auroc"][0] == metrics.auroc_score(labels, best["score"])
    row = found.table.set_index("predictor").loc["number of sites"]
    assert row["auroc"] == metrics.auroc_score(labels, best["n_sites"])
    assert row["fitted_on"] == "threshold only, on these pairs"
    assert (row["accuracy"], row["n"]) == (max(row["accuracy"], labels.mean()), len(best))
    text = printed(found)
    assert f"of {len(best)} miRNA-gene pairs are positives, by the best of their 240 sites" in " ".join(text.split())
    assert json.loads(found.to_json())["by"] == "gene"


def test_floors_of_a_gene_see_its_best_site():
    sites, _, _ = by_gene(n_resamples=0)
    table, row = evaluate.genes(sites)
    for floor in (floors.seed_class, floors.duplex_energy):
        each = pd.Series(floor(sites)).groupby(row).max().to_numpy()
        np.testing.assert_array_equal(floor(table), each)
    counts = pd.DataFrame(floors.kmer_counts(list(sites["target_seq"]))).groupby(row).sum().to_numpy()
    np.testing.assert_array_equal(floors.kmer_counts(list(table["target_seq"])), counts)


def test_genes_compared_meet_as_genes():
    sites, scores, found = by_gene(n_resamples=0)
    both = evaluate.evaluate(None, sites, scores=scores, against={"other": 1 - scores}, by="gene", n_resamples=0)
    assert both.n == found.n
    table, row = evaluate.genes(sites)
    other = pd.Series(1 - scores).groupby(row).max()
    assert both.table["auroc"][1] == metrics.auroc_score(table["label"], other)
    difference = both.table["auroc"][1] - both.table["auroc"][0]
    assert both.comparison["difference"][0] == pytest.approx(difference)


def test_training_sites_are_joined_too():
    sites, scores, _ = by_gene(n_resamples=0)
    found = evaluate.evaluate(None, sites, scores=scores, by="gene", train=sites, name="toy", n_resamples=0)
    assert found.n_in_train == found.n
    assert "miRNA-gene pairs are also in the training table" in evaluate.remarks(found)[0]
    assert found.table["fitted_on"][1] == f"{found.n} training pairs"


def test_single_sites_by_gene_are_the_pairs(evaluation):
    table = pairs().assign(gene_id=[f"g{k}" for k in range(60)])
    found = [evaluate.evaluate(None, table, scores=good(table), by=by, n_resamples=20) for by in ("pair", "gene")]
    pd.testing.assert_frame_equal(found[0].table, found[1].table.iloc[:-1])


# The command


def test_command_compares(run, tmp_path, pairs):
    io.write_table(pairs, tmp_path / "pairs.tsv")
    out, _ = run("evaluate seed pairs.tsv --against miranda --against rnaduplex --json out.json --threads 1")
    assert "difference from seed" in out
    report = json.loads((tmp_path / "out.json").read_text())
    assert [row["predictor"] for row in report["predictors"]][:3] == ["seed", "miranda", "rnaduplex"]
    alone = predict.score(models.load("miranda"), pairs)
    assert report["predictors"][1]["metrics"]["auroc"]["value"] == metrics.auroc_score(pairs["label"], alone)
    assert len(report["comparison"]) == 4


def test_command_tells_files_of_one_name_apart(run, tmp_path, pairs):
    io.write_table(pairs, tmp_path / "pairs.tsv")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        models.save(models.create("mitar", filters=8, hidden=4), tmp_path / folder / "model.safetensors")
    run("evaluate a/model.safetensors pairs.tsv --against b/model.safetensors --json out.json --threads 1")
    report = json.loads((tmp_path / "out.json").read_text())
    assert [row["predictor"] for row in report["predictors"]][:2] == ["a/model.safetensors", "b/model.safetensors"]
    _, err = run("evaluate seed pairs.tsv --against mitar --against seed --threads 1", code=2)
    assert err == "mirscope: model seed is given twice\n"


def test_command_by_gene(run, tmp_path, pairs):
    io.write_table(pairs, tmp_path / "pairs.tsv")
    out, _ = run("evaluate miranda pairs.tsv --by gene --threads 1")
    assert "number of sites" in out
    io.write_table(pairs.drop(columns="gene_id"), tmp_path / "pairs.tsv")
    assert "gene_id" in run("evaluate miranda pairs.tsv --by gene --threads 1", code=1)[1]


@pytest.mark.parametrize(
    ("data", "learned"), [("pairs.tsv:test", True), ("pairs.tsv", True), ("pairs.tsv:train", False)]
)
def test_command_reads_its_data_once(run, tmp_path, pairs, monkeypatch, data, learned):
    io.write_table(pairs.assign(split=np.where(np.arange(len(pairs)) % 3, "train", "test")), tmp_path / "pairs.tsv")
    read, load = [], datasets.load_pairs
    monkeypatch.setattr(datasets, "load_pairs", lambda data: read.append(data) or load(data))
    run(f"evaluate seed {data} --json out.json --threads 1")
    assert len([name for name in read if name]) == 1
    rows = json.loads((tmp_path / "out.json").read_text())
    assert rows["n"] == {"pairs.tsv": 72, "pairs.tsv:test": 24, "pairs.tsv:train": 48}[data]
    assert rows["predictors"][1]["fitted_on"] == ("48 training pairs" if learned else "cross-validation")


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
    with pytest.raises(UsageError, match="reads hairpin; expected a model that reads mirna and target"):
        evaluate.background(toy, TRANSCRIPTS, MIRNAS)


def test_hairpins_are_evaluated_like_pairs(hairpins):
    model = models.create("dnnpremir_cnn")
    train, asked = hairpins[:30], hairpins[24:]
    found = evaluate.evaluate(model, asked, train=train, n_resamples=20, against={"half": np.full(len(asked), 0.5)})
    assert found.by == "hairpin"
    assert found.n_in_train == 6
    titles = [floor.title for floor in floors.HAIRPIN_FLOORS.values()]
    assert list(found.table["predictor"]) == ["dnnpremir_cnn", "half", *titles]
    row = found.table.set_index("predictor").loc["dnnpremir_cnn"]
    assert row["auroc"] == metrics.auroc_score(asked["label"], predict.score(model, asked))
    assert found.table.set_index("predictor").loc["boosted trees on 5 numbers", "fitted_on"] == "30 training hairpins"
    assert "6 of 24 hairpins are also in the training table." in evaluate.remarks(found)
    assert any("regression on 5 numbers alone reaches" in line for line in evaluate.remarks(found))
    json.loads(found.to_json())
    with pytest.raises(UsageError, match="hairpins have no genes"):
        evaluate.evaluate(model, asked, by="gene")


def test_background_of_hairpins():
    """Counted by a model that calls what has more than a third G; shuffling changes no count."""

    model = models.create("dnnpremir_cnn")
    rich, poor = "GGGGACGUGGGGAAAAGGGG", "ACUUACUUACUUACUUACUU"
    hairpins = pd.DataFrame({"hairpin_seq": [rich] * 3 + [poor] * 5})
    scored = []

    def score(asked, examples):
        assert asked is model
        scored.append(examples)
        return (examples["hairpin_seq"].str.count("G") > examples["hairpin_seq"].str.len() / 3).to_numpy(float)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "score", score)
        found = evaluate.hairpin_background(model, hairpins, others={"poor": hairpins[3:]}, n=100).set_index("kind")
        again = evaluate.hairpin_background(model, hairpins, others={"poor": hairpins[3:]}, n=100).set_index("kind")
    pd.testing.assert_frame_equal(found, again)
    assert found.loc["shuffled", ["n", "calls"]].tolist() == [8, 3]
    assert found.loc["poor"].tolist() == [5, 0, 0]
    assert found.loc["random", "n"] == 8
    assert sorted(scored[1]["hairpin_seq"].map(sorted).map("".join)) == sorted(
        hairpins["hairpin_seq"].map(sorted).map("".join)
    )
    with pytest.raises(InputError, match="no hairpins to shuffle"):
        evaluate.hairpin_background(model, hairpins[:0])
    with pytest.raises(UsageError, match="expected a model that reads hairpin"):
        evaluate.hairpin_background(models.create("seed"), hairpins)


def test_command_on_hairpins(run, tmp_path, hairpins, monkeypatch):
    asked = []
    monkeypatch.setattr(targets, "_pseudo_hairpins", lambda network: asked.append(network) or {"pseudo": hairpins[:4]})
    models.save(models.create("dnnpremir_cnn"), tmp_path / "one.safetensors")
    models.save(models.create("dnnpremir_cnn", dropout=0.3), tmp_path / "two.safetensors")
    hairpins.to_csv(tmp_path / "hairpins.csv", index=False)
    out, _ = run("evaluate one.safetensors hairpins.csv --against two.safetensors --background --json found.json -q")
    assert "one: 24 of 48 hairpins are positives" in out
    assert "floors learned from: cross-validation" in out
    assert "hairpins called that are no pre-miRNAs: " in out
    found = json.loads((tmp_path / "found.json").read_text())
    assert [each["predictor"] for each in found["predictors"]][:2] == ["one", "two"]
    assert [row["kind"] for row in found["background"]] == ["random", "shuffled", "pseudo"]
    assert [network.name for network in asked] == ["one"]
    _, err = run("evaluate seed hairpins.csv", code=2)
    assert err == "mirscope: seed reads mirna and target; expected a model that reads hairpin and structure\n"


@pytest.mark.data
def test_pseudo_hairpins_of_training_are_left_out(data_path):
    for name in ("pseudo_hairpins_8492", "dnnpremir_human_balanced"):
        data_path(name)
    model = models.create("dnnpremir_cnn")
    assert len(targets._pseudo_hairpins(model)["pseudo"]) == 8492
    model.provenance = {"data": "dnnpremir_human_balanced"}
    assert len(targets._pseudo_hairpins(model)["pseudo"]) == 8492 - 1881
