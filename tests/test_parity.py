"""Ports against the original programs: published weights give the published answers."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from mirscope import datasets, io, metrics, models, predict, rna, scan
from mirscope.errors import InputError, UsageError, WeightsError

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def published():
    def load(name):
        try:
            return models.import_keras(datasets.path(f"{name}_h5"), "mitar")
        except Exception as error:  # no data here
            pytest.skip(str(error))

    return load


def test_mitar_is_the_network_of_the_paper(published):
    model = published("mitar")
    assert sum(parameter.numel() for parameter in model.parameters()) - 4 * 64 == 110_970  # torch has two biases a gate
    assert model.config == models.create("mitar", gates="relu").config
    assert published("mitar2").lengths == (26, 40)


def test_mitar_worked_example(published, data_path, tmp_path):
    """The tool's own example (step 22, p > 0.8, at least two sites), to 1e-5; and its file, but for the last digits."""
    mirnas = io.read_fasta(data_path("mitar_example_mirnas"))
    transcripts = scan.Transcripts(data_path("human_mrna_mitar_examples"))
    settings = scan.Settings(threshold=0.8, stride=22, merge=False)
    scan.scan_files(published("mitar"), mirnas, transcripts, tmp_path, settings=settings, formats=["fasta"])
    ours = read_calls(tmp_path / "sites.fasta")
    theirs = read_calls(data_path("mitar_example_output"))
    assert len(theirs) == 14
    kept = {key: value for key, value in ours.items() if int(key[2]) > 1}  # its -ns 1
    assert kept.keys() == theirs.keys()
    for key, (score, sequence) in theirs.items():
        assert kept[key][0] == pytest.approx(score, abs=1e-5)
        assert kept[key][1] == sequence


def read_calls(path):
    lines = path.read_text().split("\n")
    calls = {}
    for header, sequence in zip(lines[::2], lines[1::2], strict=False):
        *key, score = header[1:].split("|")
        calls[tuple(key)] = float(score), sequence
    return calls


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "data", "n_right", "n"),
    [
        ("mitar", "mirtarraw:test", 5337, 5544),  # 96.27 %
        ("mitar", "deepmirtar_left", 809, 828),  # 97.70 %
        ("mitar", "miraw_left", 39671, 41863),  # 94.76 %
        ("mitar", "deepmirtar_in", 45, 48),
        ("mitar1", "deepmirtar_in", 36, 48),
        ("mitar", "miraw_in", 1729, 1819),  # 95.05 %
    ],
)
def test_mitar_published_figures(published, data_path, weights, data, n_right, n):
    data_path(data.partition(":")[0])
    pairs = datasets.load_pairs(data)
    right = metrics.accuracy_score(pairs["label"], predict.score(published(weights), pairs)) * n
    assert len(pairs) == n
    assert round(right) == n_right


@pytest.fixture(scope="module")
def dmiso():
    try:
        return models.import_keras(datasets.path("dmiso_h5"), "dmiso")
    except InputError as error:
        pytest.skip(str(error))


def test_dmiso_worked_example(dmiso, data_path):
    """The ten scores that DMISO reports, to 1e-6 of single precision; its targets have 53 to 75 nt."""
    pairs = datasets.load_pairs(str(data_path("dmiso_examples")))
    expected = pairs["dmiso_score"].to_numpy(float)
    assert len(expected) == 10
    np.testing.assert_allclose(predict.score(dmiso, pairs), expected, rtol=1e-6, atol=1e-6)


def test_dmiso_is_the_network_of_its_json(dmiso, data_path):
    """What the weights do not tell: the file of the architecture says what the port takes for granted."""
    layers = json.loads(data_path("dmiso_json").read_text())["config"]["layers"]
    found = {layer["name"]: layer["config"] for layer in layers}
    recurrent = found["bidirectional_1"]["layer"]["config"]
    assert (recurrent["activation"], recurrent["recurrent_activation"]) == ("tanh", "sigmoid")
    assert recurrent["unit_forget_bias"] and recurrent["return_sequences"]
    assert [found[part]["batch_input_shape"][1] for part in ("mirna", "target")] == list(dmiso.lengths)
    assert {(c["epsilon"], c["momentum"]) for n, c in found.items() if "batch_normalization" in n} == {(0.001, 0.99)}
    assert [found[f"dropout_{i}"]["rate"] for i in (1, 2, 3)] == [0.25, 0.5, 0.5]
    assert dmiso.config == models.create("dmiso").config
    regularised = [n for n, c in found.items() if c.get("kernel_regularizer")]
    assert regularised == ["conv1d_1", "conv1d_2", "dense_1"]
    assert {round(found[n]["kernel_regularizer"]["config"]["l1"], 6) for n in regularised} == {dmiso.config.l1}
    assert [found[f"max_pooling1d_{i}"][k] for i in (1, 2) for k in ("pool_size", "strides")] == [[4], [1]] * 2


def test_dmiso_windows_score_as_pairs_do(dmiso, data_path):
    """With weights that were learned: those of a fresh network hardly use what is shared between windows."""
    pairs = datasets.load_pairs(str(data_path("dmiso_examples")))
    mirnas, _ = dmiso.encode(list(pairs["mirna_seq"].unique()), ["A"] * pairs["mirna_seq"].nunique())
    transcript = torch.from_numpy(rna.encode(["".join(pairs["target_seq"].unique())])[0])
    starts = torch.arange(0, len(transcript) - 60, 7)
    with torch.inference_mode():
        expected = models.Model.score_windows(dmiso, mirnas, transcript, starts)
        torch.testing.assert_close(dmiso.score_windows(mirnas, transcript, starts), expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 1


@pytest.fixture(scope="module")
def dnnpremir():
    def load(name):
        try:
            return models.import_keras(datasets.path(f"{name}_h5"), name)
        except InputError as error:
            pytest.skip(str(error))

    return load


@pytest.mark.parametrize(
    ("name", "n_parameters", "n_right"),
    [("dnnpremir_cnn", 60_882, 666), ("dnnpremir_rnn", 122_136, 665)],  # 88.56 and 88.43 %
)
def test_dnnpremir_published_figures(dnnpremir, data_path, name, n_parameters, n_right):
    """The paper's test on the authors' structures, and the same from sequences alone, folded by ViennaRNA."""
    data_path("dnnpremir_human_balanced")
    model, hairpins = dnnpremir(name), datasets.load_hairpins("dnnpremir_human_balanced")
    assert sum(parameter.numel() for parameter in model.parameters()) == n_parameters
    assert model.config == models.create(name, **{"cut": "right", **PUBLISHED.get(name, {})}).config
    assert hairpins["split"].value_counts().to_dict() == {"train": 2408, "test": 752, "valid": 602}
    test = hairpins[hairpins["split"] == "test"]
    for given in (test, test.drop(columns="structure")):
        calls = predict.score(model, given) >= 0.5
        assert (calls == test["label"]).sum() == n_right


PUBLISHED = {"dnnpremir_rnn": {"gates": "hard_sigmoid"}}


def published_calls():
    """The published calls with the hairpins they are of."""
    names = ("mirbase22_hairpins_4species", "mirgenedb_hairpins_4species", "pseudo_hairpins_8492")
    tables = pd.concat([datasets.load_hairpins(name) for name in names])
    source = tables["dataset"] + "_" + tables["species"]
    tables["dataset"] = source.where(tables["label"] == 1, "pseudo_8492")
    calls = pd.read_csv(datasets.path("dnnpremir_published_cnn_calls"), sep="\t").rename(columns={"id": "hairpin_id"})
    return calls.merge(tables, on=["dataset", "hairpin_id"], how="left", validate="one_to_one")


def test_dnnpremir_published_calls(dnnpremir, data_path):
    """All 14,705 calls that the authors published, on structures of ViennaRNA 2.7.2."""
    data_path("dnnpremir_published_cnn_calls")
    calls = published_calls()
    assert len(calls) == 14_705
    np.testing.assert_array_equal(predict.score(dnnpremir("dnnpremir_cnn"), calls) >= 0.5, calls["called_premirna"])


@pytest.mark.slow
def test_dnnpremir_published_calls_from_sequences(dnnpremir, data_path):
    """The same with our own folding."""
    data_path("dnnpremir_published_cnn_calls")
    calls = published_calls().drop(columns="structure")
    np.testing.assert_array_equal(predict.score(dnnpremir("dnnpremir_cnn"), calls) >= 0.5, calls["called_premirna"])


def test_only_the_right_file_is_imported(tmp_path, data_path):
    path = tmp_path / "no.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(WeightsError, match=r"no\.h5"):
        models.import_keras(path, "mitar")
    with pytest.raises(UsageError, match="mitar"):
        models.import_keras(data_path("mitar_h5"), "seed")


def test_scores_are_probabilities(published, pairs):
    scores = predict.score(published("mitar"), pairs)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.ptp(scores) > 0.5
