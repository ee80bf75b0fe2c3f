"""dnnPreMiR's networks: what they see of a hairpin, against slow and obvious answers."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import datasets, experiment, models, predict, rna, train
from mirscope.errors import TableError, UsageError
from mirscope.models._hairpin import KERAS_ROWS, around_hairpin

NAMES = models.names(models.HAIRPIN)
STEM = "GGGAAACCC"


def table(*rows):
    return pd.DataFrame(rows, columns=["hairpin_seq", "structure"])


def test_published_symbols():
    """The authors' table: A. U. G. C. A( U( G( C( A) U) G) C), zeros at the right."""
    model = models.create("dnnpremir_cnn", cut="right")
    symbols = model.symbols(*model.encode(["AUGC" * 3], ["....(((())))"]))[0]
    assert symbols.shape == (180, 12)
    theirs = torch.zeros(180, 12)
    theirs[:, KERAS_ROWS] = symbols  # our column is their column KERAS_ROWS
    assert torch.equal(theirs[:12], torch.eye(12))
    assert not symbols[12:].any()


def test_n_is_no_symbol():
    model = models.create("dnnpremir_cnn")
    symbols = model.symbols(*model.encode(["ANG"], ["(.)"]))[0]
    assert symbols.sum(1)[:4].tolist() == [1, 0, 1, 0]


def test_structure_is_folded_where_it_is_not_given():
    model = models.create("dnnpremir_cnn")
    folded = model.columns(table((STEM, ""), (STEM, None), (STEM, ".........")))[1]
    assert folded == ["(((...)))", "(((...)))", "........."]
    assert model.columns(pd.DataFrame({"hairpin_seq": [STEM]}))[1] == ["(((...)))"]


@pytest.mark.parametrize(
    ("structure", "problem"),
    [
        ("(((...))", "row 2 of column structure: a structure of 8 signs; expected 9"),
        ("(((....))", r"row 2 of column structure: '\(' at position 1 of the structure opens no pair"),
        ("((....)))", r"'\)' at position 9 of the structure closes no pair"),
        ("(((.[.)))", r"'\[' at position 5 of the structure is none of \. \( \)"),
    ],
)
def test_bad_structure_is_one_line(structure, problem):
    with pytest.raises(TableError, match=problem):
        predict.score(models.create("dnnpremir_cnn"), table((STEM, ""), (STEM, structure)))


structures = st.integers(0, 2**32).map(lambda state: drawn(np.random.default_rng(state)))


def drawn(rng):
    """A random balanced structure of 1 to 60 signs."""
    signs, opened = [], 0
    for left in range(int(rng.integers(1, 61)), 0, -1):
        kinds = ["."] * (opened < left) + ["("] * (opened + 1 < left) + [")"] * (opened > 0)
        signs.append(str(rng.choice(kinds)))
        opened += {"(": 1, ")": -1}.get(signs[-1], 0)
    return "".join(signs)


@settings(deadline=None)
@given(structure=structures, length=st.integers(1, 60))
def test_around_hairpin_keeps_most_pairs(structure, length):
    pairs = rna.base_pairs(structure)
    sequence = "".join("ACGU"[i % 4] for i in range(len(structure)))
    part, folded = around_hairpin(sequence, structure, length)
    assert len(part) == len(folded) == min(length, len(sequence))
    most = max(
        sum(low <= i and j < low + length for i, j in pairs) for low in range(max(1, len(structure) - length + 1))
    )
    assert len(rna.base_pairs(folded)) == most
    assert part in sequence
    if length >= len(sequence):
        assert (part, folded) == (sequence, structure)


def test_long_sequence_is_centred_on_its_hairpin():
    """The same hairpin gets its score wherever it stands in a long sequence; the published way loses it."""
    stem = "GCGGAUCCAUGCCAUGGACUGCAU"
    hairpin = stem + "GAAA" * 4 + rna.reverse_complement(stem)
    flank, far = "A" * 58, "A" * 200
    structure = "(" * len(stem) + "." * 16 + ")" * len(stem)

    def embedded(before, after):
        return table((before + hairpin + after, "." * len(before) + structure + "." * len(after)))

    for name in ("dnnpremir_cnn", "dnnpremir_rnn"):
        torch.manual_seed(2)
        ours = models.create(name)
        published = models.create(name, cut="right")
        published.load_state_dict(ours.state_dict())
        short, long = embedded(flank, flank), embedded(far, far)
        assert len(short["hairpin_seq"][0]) == 180
        np.testing.assert_allclose(predict.score(ours, long), predict.score(ours, short), atol=1e-6)
        np.testing.assert_array_equal(predict.score(published, short), predict.score(ours, short))
        plain = table(("A" * 180, "." * 180))
        np.testing.assert_allclose(predict.score(published, long), predict.score(published, plain), atol=1e-6)
        assert predict.score(ours, short) != predict.score(ours, plain)


def test_long_hairpins_are_counted_in_a_warning(hairpins, caplog):
    n_long = (hairpins["hairpin_seq"].str.len() > 180).sum()
    assert n_long > 3
    with caplog.at_level("WARNING", logger="mirscope"):
        predict.score(models.create("dnnpremir_cnn"), hairpins)
    assert f"{n_long} of {len(hairpins)} hairpins are longer than the model's 180 nt: cut" in caplog.text


def test_rnn_is_a_masked_lstm():
    """Against torch's own LSTM on each sequence without its padding."""
    torch.manual_seed(3)
    model = models.create("dnnpremir_rnn", hidden=8)
    columns = ["GGGGAAAACCCC", "GCNAAAGC", STEM], ["((((....))))", "((....))", "(((...)))"]
    logits = model(*model.encode(*columns))
    for row, (hairpin, structure) in enumerate(zip(*columns, strict=True)):
        x = model.symbols(*model.encode([hairpin], [structure]))[0]
        x = x[x.any(1)][None]
        for layer in model.lstms:
            inputs, hidden = layer.kernel.shape[1:]
            reference = torch.nn.LSTM(inputs, hidden, batch_first=True)
            with torch.no_grad():
                reference.weight_ih_l0.copy_(layer.kernel.transpose(1, 2).flatten(0, 1))
                reference.weight_hh_l0.copy_(layer.recurrent.transpose(1, 2).flatten(0, 1))
                reference.bias_ih_l0.copy_(layer.bias.flatten())
                reference.bias_hh_l0.zero_()
            x = reference(x)[0]
        torch.testing.assert_close(logits[row], x[0, -1, 0] - x[0, -1, 1], rtol=1e-5, atol=1e-6)


def test_bad_settings_are_one_line():
    for name, bad in (
        ("dnnpremir_cnn", {"kernel": 181}),
        ("dnnpremir_cnn", {"l2": -1.0}),
        ("dnnpremir_cnn", {"dropout": 1.0}),
        ("dnnpremir_rnn", {"hidden": 1}),
        ("dnnpremir_rnn", {"dropout": -0.1}),
        ("dnnpremir_rnn", {"cut": "left"}),
    ):
        with pytest.raises(UsageError, match=next(iter(bad)) if "hidden" not in bad else "hidden is 1"):
            models.create(name, **bad)


def test_training_run_on_a_table_of_hairpins(tmp_path, hairpins):
    """From a file without a split to weights that load; no validation part is needed."""
    hairpins.to_csv(tmp_path / "hairpins.csv", index=False)
    made = train.run(
        "dnnpremir_cnn", str(tmp_path / "hairpins.csv"), tmp_path / "run", settings=train.Settings(epochs=2)
    )
    again = models.load(tmp_path / "run" / "model.safetensors")
    np.testing.assert_array_equal(predict.score(again, hairpins), predict.score(made, hairpins))
    assert made.provenance["n"] == {"train": 30, "valid": 8, "test": 10}


def test_pair_commands_say_that_it_reads_hairpins(run, tmp_path, pairs):
    models.save(models.create("dnnpremir_cnn"), tmp_path / "hairpin.safetensors")
    pairs.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    (tmp_path / "a.fa").write_text(">a\nUGAGGUAGUAGGUUGUAUAGUU\n")
    for command in (
        "score pairs.tsv -m hairpin.safetensors",
        "scan a.fa a.fa -m hairpin.safetensors -o out",
        "evaluate hairpin.safetensors pairs.tsv",
        "heatmap a.fa a.fa -m hairpin.safetensors -o out",
    ):
        _, err = run(command, code=2)
        assert err == "mirscope: hairpin reads hairpin and structure; expected a model that reads mirna and target\n"
    out, _ = run("models info hairpin.safetensors")
    assert "dnnpremir_cnn" in out
    _, err = run("benchmark dnnpremir_cnn --data pairs.tsv -o out --runs 2", code=1)
    assert "no column hairpin_seq, which dnnpremir_cnn reads" in err
    _, err = run("train dnnpremir_cnn --data pairs.tsv -o out", code=1)
    assert "pairs.tsv:1: no column hairpin_seq; found 'mirna_id, mirna_seq" in err


@pytest.mark.data
def test_load_hairpins(data_path):
    data_path("dnnpremir_human_balanced")
    test = datasets.load_hairpins("dnnpremir_human_balanced:test")
    assert len(test) == 752
    with pytest.raises(UsageError, match="dnnpremir_human_balanced holds no pairs but hairpins"):
        datasets.load_pairs("dnnpremir_human_balanced")
    with pytest.raises(UsageError, match="miraw_in holds no hairpins but pairs"):
        datasets.load_hairpins("miraw_in")


def test_benchmark_on_hairpins(tmp_path, hairpins):
    """Cross-validation as for pairs; other structures are other data."""
    competitor = experiment.Competitor("CNN", "dnnpremir_cnn", settings=train.Settings(epochs=1))
    protocol = experiment.Protocol(rule="kfold", n_runs=2)
    runs = experiment.benchmark([competitor], hairpins, tmp_path / "bench", protocol=protocol)
    assert runs["n_test"].tolist() == [24, 24]
    with pytest.raises(UsageError, match="choose another folder"):
        experiment.benchmark([competitor], hairpins.assign(structure=""), tmp_path / "bench", protocol=protocol)
