"""DMISO: what it sees of a pair, what it is penalised for, abundances, windows."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from mirscope import models, predict, rna, train
from mirscope.errors import TableError, UsageError

ABUNDANCES = ("mirna_abundance", "target_abundance")


@pytest.fixture
def model():
    torch.manual_seed(1)
    return models.create("dmiso")


def test_of_a_long_target_it_sees_the_middle(model):
    for length, first in ((60, 0), (61, 0), (62, 1), (75, 7), (90, 15)):
        target = ("ACGU" * 25)[:length]
        assert rna.decode(model.encode(["UGAGG"], [target])[1].numpy()) == [target[first : first + 60]]
    mirna, target = model.encode(["UGAGG" * 7], ["ACG"])
    assert rna.decode(mirna.numpy()) == ["UGAGG" * 6]
    assert rna.decode(target.numpy()) == ["ACG" + "N" * 57]


def test_n_is_a_quarter_of_each_letter(model):
    torch.testing.assert_close(model.letters[:4], torch.eye(4))
    torch.testing.assert_close(model.letters[4], model.letters[:4].mean(0))


def test_a_target_of_up_to_90_nt_is_one_window(model):
    model.norm_head.running_var /= 100  # logits that differ
    text = "".join(np.random.default_rng(2).choice(list("ACGU"), 91))
    mirna = "UGAGGUAGUAGGUUGUAUAGUU"

    def scores(*targets):
        return predict.score(model, pd.DataFrame({"mirna_seq": mirna, "target_seq": targets}))

    assert scores(text[:90]) == scores(text[15:75])
    windows = scores(text[:60], text[30:90], text[31:])
    assert np.ptp(windows) > 0.001
    assert scores(text) == windows.max()


def test_every_site_of_30_nt_lies_in_a_window(model):
    for length in (60, 61, 100, 333):
        starts = predict.window_starts(length, model.lengths[1], model.stride)
        for site in range(length - 29):
            assert ((starts <= site) & (site + 30 <= starts + model.lengths[1])).any()


def test_penalty_is_l1_of_kernels_and_dense_layer(model):
    expected = sum(
        0.01 * abs(parameter.detach().numpy()).sum()
        for name, parameter in model.named_parameters()
        if name in ("conv_mirna.weight", "conv_target.weight", "dense.weight")
    )
    assert model.penalty().item() == pytest.approx(expected, rel=1e-5)
    assert models.create("dmiso", l1=0.0).penalty() == 0


def test_weights_begin_as_in_keras(model):
    limit = math.sqrt(6 / (1400 + 100))
    assert 0.99 * limit < model.dense.weight.max() < limit
    limit = math.sqrt(6 / (8 * 4 + 8 * 10))
    assert 0.9 * limit < model.conv_target.weight.max() < limit
    for lstm in (model.ahead, model.back):
        torch.testing.assert_close(lstm.weight_hh_l0.T @ lstm.weight_hh_l0, torch.eye(10), atol=1e-5, rtol=0)
        assert lstm.bias_ih_l0.tolist() == [0] * 10 + [1] * 10 + [0] * 20
        assert not lstm.bias_hh_l0.any()


def test_both_directions_reach_every_step(model):
    """The miRNA's first nucleotide matters where only the forward LSTM carries it; the target's last likewise."""
    mirna, target = model.encode(["UGAGGUAGUAGGUUGUAUAGUU"], ["ACGU" * 15])
    seen = []
    model.dense.register_forward_pre_hook(lambda layer, given: seen.append(given[0].unflatten(1, (70, 2, 10))))
    changed_mirna, changed_target = mirna.clone(), target.clone()
    changed_mirna[0, 0], changed_target[0, -1] = 0, 0
    for pair in ((mirna, target), (changed_mirna, target), (mirna, changed_target)):
        model(*pair)
    before, other_mirna, other_target = seen
    assert (before[0, -1, 0] != other_mirna[0, -1, 0]).any()  # forward, last step
    assert (before[0, -1, 1] == other_mirna[0, -1, 1]).all()  # backward, last step
    assert (before[0, 0, 1] != other_target[0, 0, 1]).any()
    assert (before[0, 0, 0] == other_target[0, 0, 0]).all()


# --- abundance


@pytest.fixture
def with_abundance():
    torch.manual_seed(1)
    model = models.create("dmiso", abundance=True)
    model.norm_abundance.running_mean.copy_(torch.tensor([2.0, 3.0]))
    return model


def test_abundances_count_and_unknown_ones_are_average(with_abundance, pairs):
    some = pairs.iloc[:4]
    unknown = predict.score(with_abundance, some)
    average = dict(zip(ABUNDANCES, np.expm1([2.0, 3.0]), strict=True))
    np.testing.assert_allclose(predict.score(with_abundance, some.assign(**average)), unknown, rtol=1e-6)
    np.testing.assert_array_equal(predict.score(with_abundance, some.assign(**dict.fromkeys(ABUNDANCES, ""))), unknown)
    for name in ABUNDANCES:
        other = predict.score(with_abundance, some.assign(**average | {name: ["1000", "0", "", "12.5"]}))
        assert ((other != unknown) == [True, True, False, True]).all()


@pytest.mark.parametrize("value", ["much", "-1", "inf", -1.0])
def test_abundance_that_is_no_number(with_abundance, pairs, value):
    table = pairs.iloc[:2].assign(mirna_abundance=[1, value])
    with pytest.raises(TableError, match=f"^{value} in row 2 of column mirna_abundance; expected a number from 0 up"):
        predict.score(with_abundance, table)


def test_abundance_is_learned_from(pairs, tmp_path):
    """Labels told by the transcript's abundance alone; some of the values are missing."""
    rng = np.random.default_rng(0)
    amounts = np.where(pairs["label"] == 1, rng.uniform(50, 200, len(pairs)), rng.uniform(0, 5, len(pairs)))
    amounts[::9] = np.nan
    table = pairs.assign(
        target_seq="ACGU" * 12, mirna_abundance=rng.uniform(0, 9, len(pairs)), target_abundance=amounts
    )
    settings = train.Settings(epochs=30, batch_size=12, learning_rate=0.01, monitor="auroc")
    model, history = train.fit("dmiso", table, table, tmp_path, settings=settings, config={"abundance": True})
    assert history["valid_auroc"].max() > 0.9
    known = table[table["target_abundance"].notna()]
    scores = predict.score(model, known)
    assert scores[known["label"] == 1].mean() > scores[known["label"] == 0].mean() + 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filters": 0}, "sizes must be above 0"),
        ({"kernel": 28}, "kernel at most 27 nt"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout_early": -0.1}, "dropout_early is -0.1"),
        ({"l1": -1.0}, "l1 is -1.0"),
        ({"l1": math.nan}, "l1 is nan"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UsageError, match=message):
        models.create("dmiso", **settings)


def test_the_longest_kernel_works(pairs):
    assert np.isfinite(predict.score(models.create("dmiso", kernel=27), pairs)).all()
