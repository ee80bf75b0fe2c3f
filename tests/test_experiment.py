"""Benchmarks, ablations and searches on toy pairs: the same numbers however they are carried out."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mirscope import experiment, io, metrics, models, predict, splits, train
from mirscope.errors import InputError, UsageError
from mirscope.experiment import Competitor, Protocol, Range
from mirscope.models import Unlabelled

SMALL = {"filters": 8, "hidden": 4}
SHORT = train.Settings(epochs=2, batch_size=12, learning_rate=0.01)


def small(title="mitar", settings=SHORT, **config):
    return Competitor(title, "mitar", SMALL | config, settings)


def timeless(table):
    return table.drop(columns="seconds").reset_index(drop=True)


# ---------------------------------------------------------------------------------------------------------- benchmark


def test_a_run_is_fit_and_predict_on_its_split(pairs, tmp_path):
    competitors = [small(), Competitor("seed", "seed")]
    runs = experiment.benchmark(competitors, pairs, tmp_path, protocol=Protocol(n_runs=2, random_state=3))
    assert runs[["competitor", "run"]].to_numpy().tolist() == [["mitar", 0], ["seed", 0], ["mitar", 1], ["seed", 1]]
    split = splits.make(pairs, "random", random_state=4)
    test = pairs[split == "test"]
    settings = train.Settings(**{**vars(SHORT), "random_state": 1})
    how = {"settings": settings, "config": SMALL}
    trained, _ = train.fit("mitar", pairs[split == "train"], pairs[split == "valid"], tmp_path / "again", **how)
    for row, model in ((2, trained), (3, models.load("seed"))):
        scores = predict.score(model, test)
        assert runs.loc[row, "auroc"] == metrics.auroc_score(test["label"], scores)
        assert runs.loc[row, "accuracy"] == metrics.accuracy_score(test["label"], scores)
        kept = pd.read_parquet(tmp_path / "scores" / f"{runs.loc[row, 'competitor']}_01.parquet")
        np.testing.assert_array_equal(kept["score"], scores)
        assert kept["row"].tolist() == test.index.tolist()
    assert (
        runs.loc[2, ["n_train", "n_valid", "n_test"]].tolist()
        == split.value_counts()[["train", "valid", "test"]].tolist()
    )
    assert runs["epochs"].tolist() == [2, 0, 2, 0]
    assert not (tmp_path / "under_way").exists()


def test_processes_give_the_same_rows(pairs, tmp_path):
    competitors, protocol = [small(), small("wide", filters=16)], Protocol(n_runs=2)
    one = experiment.benchmark(competitors, pairs, tmp_path / "1", protocol=protocol)
    two = experiment.benchmark(competitors, pairs, tmp_path / "2", protocol=protocol, processes=2)
    pd.testing.assert_frame_equal(timeless(one), timeless(two))


def test_a_benchmark_grows_and_repeats_nothing(pairs, tmp_path, monkeypatch):
    def benchmark(competitors, n_runs):
        done = []
        runs = experiment.benchmark(
            competitors, pairs, tmp_path, protocol=Protocol(n_runs=n_runs), progress=done.append
        )
        return runs, done

    first, done = benchmark([small()], 1)
    assert done == [0, 1]
    larger, done = benchmark([small(), Competitor("seed", "seed")], 2)
    assert done == [1, 1, 1, 1]
    pd.testing.assert_frame_equal(larger.iloc[[0]], first)  # seconds included
    monkeypatch.setattr(train, "fit", None)
    again, done = benchmark([small(), Competitor("seed", "seed")], 2)
    assert done == [4]
    pd.testing.assert_frame_equal(again, larger)


def test_runs_of_other_settings_are_refused(pairs, tmp_path):
    protocol = Protocol(n_runs=1)
    experiment.benchmark([small()], pairs, tmp_path, protocol=protocol)
    for other, table, by, word in (
        (small(hidden=5), pairs, protocol, "config.hidden 4, this one has 5"),
        (small(settings=train.Settings(epochs=3)), pairs, protocol, "settings.epochs 2"),
        (small(), pairs, Protocol(n_runs=1, test=0.3), "protocol.test 0.2"),
        (small(), pairs.assign(label=1 - pairs["label"]), protocol, "pairs"),
    ):
        with pytest.raises(UsageError, match=word):
            experiment.benchmark([other], table, tmp_path, protocol=by)
    with pytest.raises(UsageError, match="one title"):
        experiment.benchmark([small("a b"), small("a_b")], pairs, tmp_path / "new")
    with pytest.raises(UsageError, match="takes no settings"):
        experiment.benchmark([Competitor("seed", "seed", {"a": 1})], pairs, tmp_path / "new")
    with pytest.raises(InputError, match="both labels"):
        experiment.benchmark([small()], pairs[pairs["label"] == 1], tmp_path / "new")
    (tmp_path / "runs.parquet").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not the runs"):
        experiment.benchmark([small()], pairs, tmp_path, protocol=protocol)


def test_networks_that_pretrain_get_what_is_given(pairs, tmp_path):
    name = next(name for name in models.names() if models.create(name).pretrains)
    texts = [["UGAGGUAGUAGGUUGUAUAGUU"], ["ACGU" * 30]]
    settings, protocol = train.Settings(epochs=1), Protocol(n_runs=1)

    def score(folder, **how):
        competitors = [Competitor("new", name, {}, settings), small()]
        experiment.benchmark(competitors, pairs, folder, protocol=protocol, **how)
        return [
            pd.read_parquet(folder / "scores" / f"{title}_00.parquet")["score"].tolist() for title in ("new", "mitar")
        ]

    one = score(tmp_path / "1", unlabelled=Unlabelled(*texts))
    other = score(tmp_path / "2", unlabelled=Unlabelled(texts[0], ["GGCA" * 30]))
    assert one[0] != other[0]
    assert one[1] == other[1]
    with pytest.raises(UsageError, match="runs of new with unlabelled"):
        score(tmp_path / "1", unlabelled=Unlabelled(texts[0], []))


@pytest.mark.parametrize("rule", ["kfold", "family-kfold", "family", "gene", "cluster"])
def test_test_parts_are_what_the_rule_says(pairs, rule):
    protocol = Protocol(rule, n_runs=3)
    parts = [protocol.divide(pairs, run) for run in range(3)]
    for part in parts:
        assert sum(map(len, part.values())) == len(pairs)
        assert all(len(rows) for rows in part.values())
    if rule.endswith("kfold"):
        assert sorted(pd.concat([part["test"] for part in parts]).index) == pairs.index.tolist()
    if rule != "kfold":
        rule = rule.removesuffix("-kfold")
        groups = pd.Series(splits.groups(pairs, rule), index=pairs.index)
        for part in parts:
            assert not set(groups[part["test"].index]) & set(groups[part["train"].index])


def test_the_given_split_is_kept(pairs, tmp_path):
    with pytest.raises(InputError, match="no split of their own"):
        Protocol("given").divide(pairs, 0)
    table = pairs.assign(split=np.where(pairs.index < 40, "train", "test"))
    for run in range(2):
        parts = Protocol("given").divide(table, run)
        assert parts["test"].index.tolist() == list(range(40, len(pairs)))
        assert len(parts["valid"])
    table["split"] = np.where(pairs.index < 40, "train", "valid")
    with pytest.raises(InputError, match="no test part"):
        experiment.benchmark([small()], table, tmp_path, protocol=Protocol("given", 1))


def test_a_killed_benchmark_goes_on(run, pairs, tmp_path):
    """SIGKILL within a run: what is done stays, the run under way goes on from its last epoch, the end is the same."""
    io.write_table(pairs, tmp_path / "toy.tsv")
    text = "mitar,filters=64,hidden=4,epochs=30,batch_size=6"
    command = f"benchmark {text} seed --data toy.tsv --runs 2 --threads 1 -o"
    cut = [sys.executable, "-m", "mirscope", *command.split(), "cut"]
    process = subprocess.Popen(cut, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "cut" / "under_way").glob("*_01/checkpoint.pt")):
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = pd.read_parquet(tmp_path / "cut" / "runs.parquet")
    assert before["run"].tolist() == [0, 0]
    for folder in ("cut", "whole"):
        run(f"{command} {folder}")
    cut, whole = (pd.read_parquet(tmp_path / folder / "runs.parquet") for folder in ("cut", "whole"))
    pd.testing.assert_frame_equal(cut.iloc[:2], before)
    pd.testing.assert_frame_equal(timeless(cut), timeless(whole))
    document = json.loads((tmp_path / "cut" / "benchmark.json").read_text())
    assert {row["metric"] for row in document["summary"]} == set(metrics.METRICS)
    assert document["comparisons"][0]["other"] == "seed"


def runs_of(**values):
    """Runs of competitors with these AUROCs, everything else 0.5."""
    rows = [
        {
            "competitor": title,
            "run": run,
            "n_train": 64,
            "n_valid": 16,
            "n_test": 20,
            "setup": '{"protocol": {"rule": "random"}}',
        }
        | dict.fromkeys(metrics.METRICS, 0.5)
        | {"auroc": value}
        for title, own in values.items()
        for run, value in enumerate(own)
    ]
    return pd.DataFrame(rows)


def test_percentiles_of_known_numbers():
    table = experiment.summary(runs_of(a=np.arange(41) / 40, b=[0.7] * 41)).set_index(["competitor", "metric"])
    assert table.loc[("a", "auroc")].tolist() == [41, 0.5, 0.025, 0.975]
    assert table.loc[("b", "auroc")].tolist() == pytest.approx([41, 0.7, 0.7, 0.7])
    runs = runs_of(a=[0.2, math.nan, 0.4])
    assert experiment.summary(runs).iloc[0][["n_runs", "mean"]].tolist() == pytest.approx([2, 0.3])


def test_comparison_is_the_corrected_t_test():
    a, b = np.array([0.9, 0.8, 0.85, 0.95]), np.array([0.7, 0.75, 0.8, 0.8])
    found = experiment.compare(runs_of(a=a, b=b), "a", "b").set_index("metric")
    d = a - b
    t = d.mean() / math.sqrt((1 / 4 + 20 / 80) * d.var(ddof=1))
    assert found.loc["auroc", "difference"] == pytest.approx(d.mean())
    assert found.loc["auroc", "p"] == pytest.approx(2 * stats.t.sf(t, 3))
    reach = stats.t.ppf(0.975, 3) * d.mean() / t
    assert found.loc["auroc", ["low", "high"]].tolist() == pytest.approx([d.mean() - reach, d.mean() + reach])
    assert found.loc["auroc", "n_ahead"] == 4
    assert found.loc["mcc", "difference"] == 0
    assert math.isnan(found.loc["mcc", "p"])
    given = runs_of(a=a, b=b).assign(setup='{"protocol": {"rule": "given"}}')
    plain = experiment.compare(given, "a", "b").set_index("metric").loc["auroc", "p"]
    assert plain == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_comparison_within_runs_is_of_the_same_pairs(pairs, tmp_path):
    runs = experiment.benchmark([small(), Competitor("seed", "seed")], pairs, tmp_path, protocol=Protocol(n_runs=2))
    found = experiment.compare_scores(runs, tmp_path, "mitar", "seed")
    assert len(found) == 6
    of_auroc = found[found["metric"] == "auroc"].set_index("run")["difference"]
    by_title = runs.pivot(index="run", columns="competitor", values="auroc")
    pd.testing.assert_series_equal(of_auroc, by_title["mitar"] - by_title["seed"], check_names=False)


# ----------------------------------------------------------------------------------------------------------- ablation


def test_ablations_change_the_network_and_nothing_else(pairs, tmp_path):
    runs = experiment.ablate("mitar", pairs, tmp_path, config=SMALL, settings=SHORT, protocol=Protocol(n_runs=2))
    setups = {row["competitor"]: json.loads(row["setup"]) for row in runs.to_dict("records")}
    full = setups.pop("full network")
    assert len(setups) == 5
    for setup in setups.values():
        assert setup["settings"] == full["settings"]
        assert sum(setup["config"][key] != value for key, value in full["config"].items()) == 1
    table = experiment.ablation_table(runs, "mitar", "mirtarraw").set_index("competitor")
    assert table.loc["without pooling", ["published_accuracy", "published"]].tolist() == [
        0.914,
        "accuracy 0.914 (mirtarraw)",
    ]
    assert table["published"]["without RNN"] == ""
    elsewhere = experiment.ablation_table(runs, "mitar", "mine.tsv").set_index("competitor")["published"]
    assert elsewhere["without CNN and pooling"] == "accuracy 0.855 (mirtarraw)"
    assert "0.979 (deepmirtar); accuracy 0.965 (miraw)" in elsewhere["full network"]
    assert experiment.ablation_table(runs, "mitar", "deepmirtar")["published_accuracy"][1] == 0.888
    own = runs[runs["competitor"] == "without RNN"]["accuracy"]
    assert table.loc["without RNN", "accuracy"] == pytest.approx(own.mean())
    assert table.loc["full network", "difference"] == 0
    with pytest.raises(UsageError, match="seed has no ABLATIONS"):
        experiment.ablate("seed", pairs, tmp_path / "new")


@pytest.mark.parametrize("name", models.names())
def test_constants_of_models_fit_their_settings(name):
    """Every ablation and every search space that a model's file names can be built."""
    module = sys.modules[type(models.create(name)).__module__]
    for title, ablation in getattr(module, "ABLATIONS", {}).items():
        assert ablation.keys() <= {"config", "settings", "published"}, title
        models.create(name, **ablation.get("config", {}))
        train.Settings(**ablation.get("settings", {}))
        for figures in ablation.get("published", {}).values():
            assert figures.keys() <= set(metrics.METRICS)
            assert all(0 < value < 1 for value in figures.values())
    for key, choices in getattr(module, "SEARCH", {}).items():
        for value in choices:
            experiment.divide(name, {key: value})


# ------------------------------------------------------------------------------------------------------------- search

SPACE = {"hidden": [2, 4], "learning_rate": Range(0.001, 0.1, log=True)}
GRID = {"hidden": [2, 4], "learning_rate": [0.001, 0.01, 0.05]}


@pytest.fixture
def divided(pairs):
    return pairs.assign(split=(["train"] * 4 + ["valid"] * 2 + ["test"] * 2) * (len(pairs) // 8))


def search(table, folder, **how):
    how = {"space": SPACE, "n_trials": 6, "pruner": "none", **how}
    return experiment.search("mitar", table, folder, config={"filters": 8}, settings=SHORT, **how)


def test_a_grid_is_every_combination(divided, tmp_path):
    trials = search(divided, tmp_path, space=GRID, method="grid", n_trials=None)
    assert len(trials) == 6
    assert set(zip(trials["hidden"], trials["learning_rate"], strict=True)) == {
        (hidden, rate) for hidden in GRID["hidden"] for rate in GRID["learning_rate"]
    }
    row = trials.iloc[0]
    learn, valid = (divided[divided["split"] == part] for part in ("train", "valid"))
    settings = train.Settings(**{**vars(SHORT), "learning_rate": row["learning_rate"]})
    config = {"filters": 8, "hidden": int(row["hidden"])}
    _, history = train.fit("mitar", learn, valid, tmp_path / "again", settings=settings, config=config)
    assert row["value"] == history["valid_accuracy"].max()
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["value"] == trials["value"].max()
    assert best["settings"]["epochs"] == 2
    assert best["config"].keys() == {"filters", "hidden"}


def test_test_labels_do_not_matter(divided, tmp_path):
    """Corrupted test labels leave every trial and the choice as they were."""
    corrupted = divided.assign(label=divided["label"].where(divided["split"] != "test", 1 - divided["label"]))
    assert not corrupted["label"].equals(divided["label"])
    found = [search(table, tmp_path / str(i)) for i, table in enumerate((divided, corrupted))]
    pd.testing.assert_frame_equal(timeless(found[0]), timeless(found[1]))
    wrong = divided.assign(label=divided["label"].where(divided["split"] != "valid", 1 - divided["label"]))
    assert not timeless(search(wrong, tmp_path / "2")).equals(timeless(found[0]))


def test_test_labels_do_not_matter_for_runs_either(divided, tmp_path):
    """Nor do they for the weights that a benchmark trains: its test scores are the same."""
    corrupted = divided.assign(label=divided["label"].where(divided["split"] != "test", 1 - divided["label"]))
    for folder, table in (("1", divided), ("2", corrupted)):
        experiment.benchmark([small()], table, tmp_path / folder, protocol=Protocol("given", 1))
    one, two = (pd.read_parquet(tmp_path / folder / "scores" / "mitar_00.parquet") for folder in ("1", "2"))
    pd.testing.assert_series_equal(one["score"], two["score"])
    assert (one["label"] != two["label"]).all()


def test_a_search_goes_on_as_if_it_had_not_stopped(divided, tmp_path, monkeypatch):
    whole = search(divided, tmp_path / "whole")
    fit, calls = train.fit, []

    def killed(*args, **how):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return fit(*args, **how)

    monkeypatch.setattr(train, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        search(divided, tmp_path / "cut")
    assert len(pd.read_csv(tmp_path / "cut" / "trials.tsv", sep="\t")) == 3
    cut = search(divided, tmp_path / "cut")
    assert len(calls) == 7  # the killed one anew
    columns = ["state", "value", "hidden", "learning_rate"]
    pd.testing.assert_frame_equal(cut[columns], whole[columns])
    larger = search(divided, tmp_path / "cut", n_trials=8)
    assert len(larger) == 8
    with pytest.raises(UsageError, match="holds a search with random_state 0, this one has 1"):
        search(divided, tmp_path / "cut", random_state=1)


def test_a_grid_in_processes_has_the_same_trials(divided, tmp_path):
    how = {"space": GRID, "method": "grid", "n_trials": None}
    one, two = search(divided, tmp_path / "1", **how), search(divided, tmp_path / "2", processes=2, **how)
    pd.testing.assert_frame_equal(timeless(one), timeless(two))


def test_hopeless_trials_are_pruned(divided, tmp_path):
    space = {"learning_rate": [0.05, 1e-9]}
    settings = train.Settings(epochs=4, batch_size=6)
    config = {"filters": 32, "hidden": 4}
    how = {"config": config, "settings": settings, "space": space, "n_trials": 10}
    trials = experiment.search("mitar", divided, tmp_path, **how)
    pruned = trials[trials["state"] == "pruned"]
    assert len(pruned)
    assert (pruned["epochs"] < 4).all()
    assert json.loads((tmp_path / "best.json").read_text())["trial"] not in pruned["trial"].tolist()


def test_a_diverged_trial_is_no_end(divided, tmp_path):
    trials = search(divided, tmp_path, space={"learning_rate": [1e30, 0.01]}, method="grid", n_trials=None)
    trials = trials.set_index("learning_rate")
    assert trials["state"].to_dict() == {1e30: "diverged", 0.01: "complete"}
    assert math.isnan(trials.loc[1e30, "value"])
    with pytest.raises(InputError, match="none of 1 trials is complete"):
        search(divided, tmp_path / "2", space={"learning_rate": [1e30]}, method="grid", n_trials=None)


def test_spaces_are_checked(divided, tmp_path):
    for space, word in (
        ({}, None),
        ({"filtres": [1]}, "filtres"),
        ({"dropout": [0.1, 2.0]}, "dropout"),
        ({"schedule": ["sawtooth"]}, "one-cycle"),
        ({"batch_size": [2.5]}, "batch_size"),
        ({"epochs": []}, "no choices"),
    ):
        if word:
            with pytest.raises(UsageError, match=word):
                search(divided, tmp_path, space=space)
    with pytest.raises(UsageError, match="a grid needs"):
        search(divided, tmp_path, method="grid")
    with pytest.raises(UsageError, match="seed"):
        experiment.search("seed", divided, tmp_path)
    with pytest.raises(UsageError, match="lower end first"):
        Range(2, 1)


# ----------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def toy(pairs, tmp_path):
    table = pairs.assign(split=(["train"] * 4 + ["valid"] * 2 + ["test"] * 2) * (len(pairs) // 8))
    io.write_table(table, tmp_path / "toy.tsv")
    return "--data toy.tsv --threads 1 --set filters=8 --set epochs=2 --set batch_size=12"


def test_benchmark_command(run, toy, tmp_path):
    command = f"benchmark mitar seed {toy} -o out --runs 2 --rule kfold"
    out, err = run(command)
    assert out.splitlines()[0].split("\t")[:3] == ["", "runs", "auroc"]
    assert out.splitlines()[1].startswith("mitar\t2\t")
    assert "mitar - seed\tauroc\t" in out
    assert "mitar, run 1: AUROC" in err
    again, err = run(command)
    assert again == out
    assert "run 1" not in err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    tables = {"runs.parquet", "runs.tsv", "summary.tsv", "comparisons.tsv", "within_runs.tsv"}
    assert names == tables | {"benchmark.json", "benchmark.png", "benchmark.svg", "scores"}
    assert len(pd.read_csv(tmp_path / "out" / "runs.tsv", sep="\t")) == 4


def test_commands_on_hairpins(run, hairpins, tmp_path):
    hairpins.to_csv(tmp_path / "toy.csv", index=False)
    fast = "--set epochs=1 --threads 1 --data toy.csv"
    out, _ = run(f"benchmark dnnpremir_cnn dnnpremir_cnn,dropout=0.1 {fast} --rule family-kfold --runs 2 -o bench")
    assert out.splitlines()[1].startswith("dnnpremir_cnn\t2\t")
    runs = pd.read_parquet(tmp_path / "bench" / "runs.parquet")
    assert runs.groupby("competitor")["n_test"].sum().tolist() == [48, 48]
    run(f"search dnnpremir_cnn {fast} --space dropout=0.1 --method grid -o search")
    assert len(pd.read_csv(tmp_path / "search" / "trials.tsv", sep="\t")) == 1
    _, err = run("benchmark mitar --data toy.csv -o pairs --runs 1", code=1)
    assert "no column mirna_seq, target_seq, which mitar reads" in err


def test_ablate_command(run, toy, tmp_path):
    out, _ = run(f"ablate mitar {toy} -o out --runs 1 --rule given")
    assert len(out.splitlines()) == 7
    assert "accuracy 0.914 (mirtarraw)" in out
    assert {"ablation.tsv", "ablation.png"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_search_command(run, toy, tmp_path):
    out, err = run(f"search mitar {toy} -o out --space hidden=2:8 --space learning_rate=0.01,0.02 --trials 3")
    assert len(out.splitlines()) == 4
    assert "trial 2: " in err
    assert json.loads((tmp_path / "out" / "best.json").read_text())["settings"]["epochs"] == 2
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"trials.journal", "trials.tsv", "best.json", "search.png", "search.svg"}


@pytest.mark.parametrize(
    ("command", "code", "hint"),
    [
        ("benchmark mitra", 2, "did you mean mitar"),
        ("benchmark mitar,filtres=3", 2, "no setting 'filtres'"),
        ("benchmark mitar mitar", 2, "one title"),
        ("benchmark mitar --runs 1 --rule kfold", 2, "of 2 or more"),
        ("benchmark mitar --test 1.5", 2, "shares are 1.5"),
        ("ablate seed", 2, "seed has no ABLATIONS"),
        ("search seed", 2, "seed has"),
        ("search mitar --space hidden=8:2", 2, "lower end first"),
        ("search mitar --space hidden", 2, "expected NAME=LOW:HIGH"),
        ("search mitar --method grid --space hidden=2:8", 2, "a grid needs"),
    ],
)
def test_what_cannot_be_asked_is_one_line(run, toy, tmp_path, command, code, hint):
    _, err = run(f"{command} --data toy.tsv -o out", code=code)
    assert hint in err
    assert err.startswith("mirscope: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


# ----------------------------------------------------------------------------------------------- settings from a text


def test_texts_become_settings():
    assert experiment.parse_choices("hidden=8:64") == ("hidden", Range(8, 64))
    assert experiment.parse_choices("learning_rate=0.001:0.1:log") == ("learning_rate", Range(0.001, 0.1, log=True))
    assert experiment.parse_choices("gates=tanh,relu") == ("gates", ["tanh", "relu"])
    assert experiment.parse_choices("cnn=True,False") == ("cnn", [True, False])
    found = experiment.parse_competitor("mitar,dropout=0.4,epochs=7", {"epochs": 9, "hidden": 5})
    assert (found.title, found.model) == ("mitar,dropout=0.4,epochs=7", "mitar")
    assert found.config == {"dropout": 0.4, "hidden": 5}
    assert found.settings.epochs == 7
    assert experiment.parse_competitor("seed", {"epochs": 9}) == Competitor("seed", "seed")
    for text in ("hidden", "hidden=", "=3", "hidden=a:b", "hidden=1:2:linear"):
        with pytest.raises(UsageError, match="expected NAME="):
            experiment.parse_choices(text)
    for text, word in (("mitar,epochs=x", "epochs"), ("mitar,filtres=3", "training has"), ("mitar,cnn", "NAME=VALUE")):
        with pytest.raises(UsageError, match=word):
            experiment.parse_competitor(text)
