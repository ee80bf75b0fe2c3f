"""deepTarget's own: how the strands face each other, what pre-training does, what padding does not."""

import logging

import numpy as np
import pytest
import torch

from mirscope import datasets, metrics, models, predict, rna
from mirscope.errors import UsageError
from mirscope.models import Unlabelled, _letters, deeptarget

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
SITE = "AACUAUACAACGGCUACCUCA"
VARIANTS = [
    {},
    {"cell": "lstm", "layers": 3},
    {"bidirectional": True, "layers": 1},
    {"cell": "lstm", "bidirectional": True, "layers": 2, "hidden": 7, "encoded": 5},
]


def network(**settings):
    torch.manual_seed(4)
    return models.create("deeptarget", **settings)


def codes(model, mirna, target):
    return model.encode([mirna], [target])


@torch.inference_mode()
def by_hand(model, mirna, target):
    """Logit and states of one pair without padding or packing: the target turned, zeros after a strand's end."""
    strands = []
    for encoder, text in ((model.mirna_encoder, mirna), (model.target_encoder, target[::-1])):
        strands.append(encoder(model.embed(torch.from_numpy(rna.encode([text])).long()))[0][0])
    joined = torch.zeros(max(map(len, strands)), sum(strand.shape[1] for strand in strands))
    for strand, column in zip(strands, (0, strands[0].shape[1]), strict=True):
        joined[: len(strand), column : column + strand.shape[1]] = strand
    states = model.rnn(joined[None])[0][0]
    last = states[-1]
    if model.config.bidirectional:  # each direction's last step
        last = torch.cat([states[-1, : model.config.hidden], states[0, model.config.hidden :]])
    return model.head(last)[0], states


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
@pytest.mark.parametrize("target", [SITE, SITE[-9:], "GGGACUUCAGUAGCAUCGAUCGAACUAGCAUC" + SITE], ids=len)
@torch.inference_mode()
def test_a_pair_is_what_it_is_by_hand(settings, target):
    model = network(**settings)
    logit, states = by_hand(model, LET7, target)
    company = model.encode([LET7, LET7, "UAGC"], [target, "A" * 53, "GCUA"])
    torch.testing.assert_close(model(*company)[0], logit, rtol=1e-5, atol=1e-6)
    found = model.states(*company)["rnn"].values
    assert found.shape == (3, 53, model.config.hidden * (1 + model.config.bidirectional))
    torch.testing.assert_close(found[0, : len(states)], states, rtol=1e-5, atol=1e-6)
    assert (found[0, len(states) :] == 0).all()
    assert (found[2, 4:] == 0).all()


def test_position_i_of_the_mirna_is_beside_position_i_from_the_end_of_the_target():
    model = network()
    before = model.states(*codes(model, LET7, SITE))["rnn"].values[0]

    def first_change(mirna, target):
        return int((model.states(*codes(model, mirna, target))["rnn"].values[0] != before).any(1).nonzero()[0, 0])

    for place in (0, 1, 7, 20):
        other = LET7[:place] + ("A" if LET7[place] != "A" else "C") + LET7[place + 1 :]
        assert first_change(other, SITE) == place
        turned = SITE[::-1]
        other = turned[:place] + ("A" if turned[place] != "A" else "C") + turned[place + 1 :]
        assert first_change(LET7, other[::-1]) == place


def test_n_within_a_sequence_keeps_its_place():
    model = network()
    with_n = LET7[:9] + "N" + LET7[10:]
    shorter = LET7[:9] + LET7[10:]
    logits = model(*model.encode([with_n, shorter], [SITE, SITE]))
    assert logits[0] != logits[1]


def test_windows_are_scored_from_their_end():
    """A window that ends with the site, and the site alone, agree in all states up to the site's length."""
    model = network()
    alone, window = (model.states(*codes(model, LET7, target))["rnn"].values[0] for target in (SITE, "GCA" * 10 + SITE))
    torch.testing.assert_close(alone[: len(SITE)], window[: len(SITE)])
    assert not torch.allclose(alone[len(SITE)], window[len(SITE)])


def sequences():
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(list("ACGU"), length)) for length in (15, 22, 26, 400, 7, 900)]
    return Unlabelled(texts[:3] * 60, texts[3:])


def losses(caplog, strand):
    messages = [record.getMessage() for record in caplog.records if strand in record.getMessage()]
    return [float(message.rsplit(" ", 1)[1]) for message in messages]


def test_pretraining_teaches_the_encoders_to_give_sequences_back(caplog):
    caplog.set_level(logging.INFO)
    model = network(pretrain_epochs=8)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.pretrain(sequences(), 0)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert not any("decoder" in key for key in after)
    changed = {key.split(".")[0] for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed == {"mirna_encoder", "target_encoder"}
    for strand in ("mirna", "target"):
        found = losses(caplog, strand)
        assert len(found) == 8
        assert found[-1] < 0.5 * found[0]


def test_pretraining_depends_on_its_random_state_alone():
    found = []
    for random_state, noise in ((0, 1), (0, 2), (1, 1)):
        model = network(pretrain_epochs=1)
        torch.manual_seed(noise)
        expected = torch.rand(1)
        torch.manual_seed(noise)
        model.pretrain(sequences(), random_state)
        assert torch.rand(1) == expected  # nobody else's chance is used up
        found.append(model.target_encoder.weight_hh_l0.detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_no_epochs_of_pretraining_change_nothing():
    model = network(pretrain_epochs=0)
    before = models.fingerprint(model)
    model.pretrain(sequences(), 0)
    assert models.fingerprint(model) == before


def test_windows_to_learn_from_lie_anywhere_in_the_transcripts(monkeypatch):
    monkeypatch.setattr(deeptarget, "WINDOWS", 300)
    transcripts = ["ACGU" * 25, "GG", "C" * 53]
    windows = rna.decode(deeptarget._windows(transcripts, 53, 0))
    assert len(windows) == 48 + 1 + 1  # no more than there are
    assert {len(window) for window in windows} == {53}
    for window in windows:
        assert window.rstrip("N") in transcripts[0] or window.rstrip("N") in transcripts
    starts = {window[:4] for window in windows}
    assert {"ACGU", "CGUA", "GUAC", "UACG"} <= starts
    assert deeptarget._windows(["ACGU" * 250], 53, 0).shape == (300, 53)
    np.testing.assert_array_equal(deeptarget._windows(transcripts, 53, 3), deeptarget._windows(transcripts, 53, 3))


def test_the_padding_is_at_the_right_after_a_turn():
    turned = _letters.reverse(torch.from_numpy(rna.encode(["ACGNU", "GA", "NACNN", ""], 6)))
    assert rna.decode(turned.numpy()) == ["UNGCAN", "AGNNNN", "CANNNN", "NNNNNN"]


@pytest.mark.parametrize(
    "settings", [{"layers": 0}, {"dropout": 1.0}, {"hidden": 0}, {"pretrain_epochs": -1}, {"cell": "rnn"}]
)
def test_settings_are_checked(settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        models.create("deeptarget", **settings)


def test_bundled_weights_reach_what_their_record_says(data_path):
    data_path("deepmirtar")
    model = models.load("deeptarget")
    pairs = datasets.load_pairs("deepmirtar:test")
    accuracy = metrics.accuracy_score(pairs["label"], predict.score(model, pairs))
    assert accuracy == pytest.approx(model.provenance["test"]["accuracy"][0], abs=0.002)
    assert accuracy > 0.95
