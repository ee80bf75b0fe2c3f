import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
import torch

from mirscope import io, metrics, models, predict, train
from mirscope.errors import InputError, UsageError
from mirscope.models import mitar

SMALL = {"filters": 8, "hidden": 4}


def test_fit_keeps_the_best_epoch(pairs, tmp_path):
    settings = train.Settings(epochs=25, batch_size=12, learning_rate=0.01)
    model, history = train.fit("mitar", pairs, pairs, tmp_path, settings=settings, config=SMALL)
    assert list(history.columns) == list(train.HISTORY)
    assert history["epoch"].tolist() == list(range(1, len(history) + 1))
    accuracy = ((predict.score(model, pairs) >= 0.5) == pairs["label"]).mean()
    assert accuracy == pytest.approx(history["valid_accuracy"].max())
    assert accuracy > 0.6


@pytest.mark.parametrize("monitor", ["auroc", "average_precision"])
def test_another_measure_decides(pairs, tmp_path, monitor):
    settings = train.Settings(epochs=12, batch_size=12, learning_rate=0.01, monitor=monitor)
    model, history = train.fit("mitar", pairs, pairs, tmp_path, settings=settings, config=SMALL)
    measure = getattr(metrics, f"{monitor}_score")
    assert measure(pairs["label"], predict.score(model, pairs)) == pytest.approx(history[f"valid_{monitor}"].max())


def test_each_epoch_is_reported_and_the_report_may_stop_the_run(pairs, tmp_path):
    class EnoughError(Exception):
        pass

    rows = []

    def report(row):
        rows.append(row)
        if row["epoch"] == 2:
            raise EnoughError

    settings = train.Settings(epochs=4)
    with pytest.raises(EnoughError):
        train.fit("mitar", pairs, pairs, tmp_path, settings=settings, config=SMALL, report=report)
    _, history = train.fit("mitar", pairs, pairs, tmp_path, settings=settings, config=SMALL, resume=True, report=report)
    assert pd.DataFrame(rows).equals(history)


def test_no_batch_of_one_and_the_penalty_is_paid(pairs, tmp_path, monkeypatch):
    sizes, forward = [], mitar.Network.forward

    def watched(self, mirna, target):
        sizes.append(len(mirna) if self.training else None)
        return forward(self, mirna, target)

    monkeypatch.setattr(mitar.Network, "forward", watched)
    settings = train.Settings(epochs=1, batch_size=12, learning_rate=0.01)
    free, _ = train.fit("mitar", pairs[:25], pairs, tmp_path / "free", settings=settings, config=SMALL)
    assert [size for size in sizes if size] == [12, 13]
    monkeypatch.setattr(mitar.Network, "penalty", lambda self: 100 * self.conv.weight.abs().sum())
    paid, _ = train.fit("mitar", pairs[:25], pairs, tmp_path / "paid", settings=settings, config=SMALL)
    assert paid.conv.weight.abs().sum() < free.conv.weight.abs().sum()


def test_a_fresh_network_may_begin_without_labels(pairs, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(mitar.Network, "pretrains", True)
    monkeypatch.setattr(mitar.Network, "pretrain", lambda self, *given: seen.append(given))
    settings = train.Settings(epochs=1, random_state=6)
    model, _ = train.fit("mitar", pairs, pairs, tmp_path / "1", settings=settings, config=SMALL)
    [(unlabelled, random_state)] = seen
    assert random_state == 6
    assert set(unlabelled.mirnas) == set(pairs["mirna_seq"])
    assert len(unlabelled.transcripts) == pairs["target_seq"].nunique()
    train.fit("mitar", pairs, pairs, tmp_path / "1", settings=settings, config=SMALL, resume=True)
    train.fit("mitar", pairs, pairs, tmp_path / "2", settings=settings, start=model)
    assert len(seen) == 1
    with pytest.raises(UsageError, match="unlabelled"):
        other = models.Unlabelled(["ACGU"], ["ACGU"])
        train.fit("mitar", pairs, pairs, tmp_path / "1", settings=settings, config=SMALL, resume=True, unlabelled=other)


def test_validation_pairs_are_carved_out_of_training(pairs, tmp_path):
    io.write_table(pairs.assign(split=["train"] * 60 + ["test"] * (len(pairs) - 60)), tmp_path / "pairs.tsv")
    model = train.run(
        "mitar", str(tmp_path / "pairs.tsv"), tmp_path / "out", settings=train.Settings(epochs=1), config=SMALL
    )
    n = model.provenance["n"]
    assert n["train"] + n["valid"] == 60 and n["valid"] > 5
    assert n["test"] == len(pairs) - 60


def test_training_stops_when_nothing_gets_better(pairs, tmp_path):
    settings = train.Settings(epochs=50, patience=3, learning_rate=1e-9)
    _, history = train.fit("mitar", pairs, pairs, tmp_path, settings=settings, config=SMALL)
    assert len(history) == 4


def test_same_random_state_same_weights(pairs, tmp_path):
    def fit(folder, random_state):
        settings = train.Settings(epochs=2, random_state=random_state)
        return train.fit("mitar", pairs, pairs, tmp_path / folder, settings=settings, config=SMALL)[0].state_dict()

    one, two, other = fit("1", 7), fit("2", 7), fit("3", 8)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_fit_leaves_the_callers_random_numbers_alone(pairs, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train.fit("mitar", pairs, pairs, tmp_path, settings=train.Settings(epochs=1), config=SMALL)
    assert torch.equal(torch.rand(3), expected)


def test_undefined_measures_are_null(pairs, tmp_path):
    """A test split of one class: half the measures are undefined, and the run is finished all the same."""
    table = pairs.assign(split=(["train"] * 4 + ["valid"] * 2 + ["test"] * 2) * (len(pairs) // 8))
    table = table[(table["split"] != "test") | (table["label"] == 1)]
    io.write_table(table, tmp_path / "pairs.tsv")
    settings = train.Settings(epochs=1)
    train.run("mitar", str(tmp_path / "pairs.tsv"), tmp_path / "out", settings=settings, config=SMALL)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["test"]["specificity"] == [None, None, None]
    assert record["test"]["sensitivity"][0] is not None
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_an_empty_split_column_is_none(pairs, tmp_path):
    io.write_table(pairs.assign(split=""), tmp_path / "pairs.tsv")
    model = train.run(
        "mitar", str(tmp_path / "pairs.tsv"), tmp_path / "out", settings=train.Settings(epochs=1), config=SMALL
    )
    assert sum(model.provenance["n"].values()) == len(pairs)


def test_the_rate_goes_up_and_down():
    settings = train.Settings(epochs=10, schedule="one-cycle", learning_rate=0.5)
    rates = [train._learning_rate(settings, done) for done in (0, 0.15, 0.3, 0.65, 1)]
    assert rates == pytest.approx([0.02, 0.26, 0.5, 0.25, 0])
    assert train._learning_rate(train.Settings(), 0.4) == 0.001


def test_labels_are_needed(pairs, tmp_path):
    for wrong in (pairs.drop(columns="label"), pairs[pairs["label"] == 1], pairs[:0]):
        with pytest.raises(InputError, match="both labels"):
            train.fit("mitar", wrong, pairs, tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"patience": 0}, {"weight_decay": -0.1}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(UsageError):
        train.Settings(**wrong)


def test_a_checkpoint_of_another_run_is_refused(pairs, tmp_path):
    train.fit("mitar", pairs, pairs, tmp_path, settings=train.Settings(epochs=1), config=SMALL)
    with pytest.raises(UsageError, match="--resume"):
        train.fit("mitar", pairs, pairs, tmp_path, settings=train.Settings(epochs=2), config=SMALL)
    with pytest.raises(UsageError, match="learning_rate"):
        changed = train.Settings(epochs=2, learning_rate=0.5)
        train.fit("mitar", pairs, pairs, tmp_path, settings=changed, config=SMALL, resume=True)
    with pytest.raises(UsageError, match="pairs"):
        again = {"settings": train.Settings(epochs=2), "config": SMALL, "resume": True}
        train.fit("mitar", pairs[::-1], pairs, tmp_path, **again)
    with pytest.raises(UsageError, match="config"):
        train.fit("mitar", pairs, pairs, tmp_path, settings=train.Settings(epochs=2), resume=True)
    _, history = train.fit(
        "mitar", pairs, pairs, tmp_path, settings=train.Settings(epochs=2), config=SMALL, resume=True
    )
    assert len(history) == 2
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not a checkpoint"):
        train.fit("mitar", pairs, pairs, tmp_path, resume=True)


def test_killed_and_resumed_is_uninterrupted(pairs, tmp_path):
    """SIGKILL after some epochs; the resumed run ends with the very same weights, history and record."""
    table = pairs.assign(split=(["train"] * 4 + ["valid"] * 2 + ["test"] * 2) * (len(pairs) // 8))
    io.write_tsv([table], tmp_path / "toy.tsv", list(table.columns))

    def command(folder, *more):
        settings = [
            "--epochs",
            "12",
            "--batch-size",
            "6",
            "--set",
            "filters=64",
            "--threads",
            "1",
            "--random-state",
            "4",
        ]
        return [sys.executable, "-m", "mirscope", "train", "mitar", "--data", "toy.tsv", "-o", folder, *settings, *more]

    subprocess.run(command("whole"), cwd=tmp_path, check=True)
    process = subprocess.Popen(command("cut"), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("epoch 3"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert [path.name for path in (tmp_path / "cut").iterdir() if "part" not in path.name] == ["checkpoint.pt"]
    resumed = subprocess.run(command("cut", "--resume"), cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "resuming after epoch" in resumed.stderr

    whole, cut = (models.load(tmp_path / folder / "model.safetensors") for folder in ("whole", "cut"))
    assert all(torch.equal(value, cut.state_dict()[key]) for key, value in whole.state_dict().items())
    assert whole.provenance == cut.provenance
    histories = [pd.read_csv(tmp_path / folder / "history.tsv", sep="\t") for folder in ("whole", "cut")]
    pd.testing.assert_frame_equal(*(history.drop(columns="seconds") for history in histories))
    record = json.loads((tmp_path / "cut" / "run.json").read_text())
    assert record["settings"]["random_state"] == 4
    assert record["n"] == {"train": 36, "valid": 18, "test": 18}
    assert 0 <= record["test"]["accuracy"][0] <= 1
    names = {path.name for path in (tmp_path / "cut").iterdir()}
    assert names == {"model.safetensors", "history.tsv", "learning_curve.png", "learning_curve.svg", "run.json"}


def test_training_goes_on_from_given_weights(pairs, tmp_path):
    first, _ = train.fit("mitar", pairs, pairs, tmp_path / "1", settings=train.Settings(epochs=3), config=SMALL)
    tiny = train.Settings(epochs=1, learning_rate=1e-12)
    same, _ = train.fit("mitar", pairs, pairs, tmp_path / "2", settings=tiny, start=first)
    assert same.config == first.config
    for key, value in first.state_dict().items():
        torch.testing.assert_close(same.state_dict()[key], value)
    with pytest.raises(UsageError, match="shape"):
        train.fit("mitar", pairs, pairs, tmp_path / "3", settings=tiny, start=first, config={"hidden": 9})
    with pytest.raises(UsageError, match="of seed"):
        train.fit("mitar", pairs, pairs, tmp_path / "4", settings=tiny, start=models.create("seed"))
    with pytest.raises(UsageError, match="start"):
        train.fit("mitar", pairs, pairs, tmp_path / "2", settings=tiny, config=SMALL, resume=True)
