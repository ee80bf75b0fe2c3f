"""Explanations of toy models, whose answers can be counted by hand, and of every model under the contract."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mirscope import interpret, models, predict, rna
from mirscope.models import Model, _letters
from mirscope.rna import reverse_complement

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
SITE = "ACGUACGGUUACCAGUAACUAUACAACCUACUACCUCAGGUUAACCGGUA"
PAIRS = torch.tensor([[0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).float()


class Toy(Model):
    """+1 for each of nt 2-8 that is complementary to the target nt it faces, nt 2 facing the last."""

    lengths = (22, 10)
    soft = True

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(offset))
        self.name, self.config, self.provenance = "toy", None, {}

    def forward(self, mirna, target):
        one = _letters.look_up(torch.eye(5), mirna)[:, 1:8]
        other = _letters.look_up(torch.eye(5), target).flip(1)[:, 0:7]
        return (one @ PAIRS * other).sum((1, 2)) + self.offset


def table(mirna=LET7, target="UCUACUACCUCA"[1:11], **more):
    return pd.DataFrame({"mirna_id": ["let-7a"], "mirna_seq": [mirna], "target_seq": [target], **more})


@pytest.fixture
def toy():
    return Toy().eval()


def only(found):
    [one] = found
    return one


def test_each_seed_base_counts_one(toy):
    """The target's last 7 nt are those that nt 2-8 pair with: ...ACUACCUC."""
    found = only(interpret.explain(toy, table(target="GGG" + reverse_complement(LET7[1:8])), k=1))
    mirna, target = found.strands
    assert found.logit == 7
    expected = np.zeros(22)
    expected[1:8] = -1
    np.testing.assert_array_equal(found.values(mirna, "mask"), expected)
    np.testing.assert_array_equal(found.values(mirna, "mutate"), expected)
    np.testing.assert_array_equal(found.values(target, "mask"), [0, 0, 0, -1, -1, -1, -1, -1, -1, -1])
    np.testing.assert_array_equal(found.changes(mirna, "mutate")[2], [0, -1, -1, -1])  # A, its own letter, stays
    np.testing.assert_array_equal(found.support(target, "mutate"), [0, 0, 0, 1, 1, 1, 1, 1, 1, 1])
    # of the logit 7 a baseline of quarters has 7/4; both nt of a base pair get (1 + 1/4 - 1/4 - 1/4) / 2
    np.testing.assert_allclose(found.values(mirna, "gradient"), -0.375 * expected, atol=1e-6)
    assert found.completeness_errors["gradient"] == pytest.approx(0, abs=1e-5)


def test_a_gain_is_told_as_well(toy):
    """nt 4 (G) faces A: C in the target there, or U in the miRNA, adds 1; everything else stays or takes 1."""
    site = reverse_complement(LET7[1:8])
    at = 7 - 3  # nt 2 faces the last, so nt 4 the third from the end
    site = "GGG" + site[:at] + "A" + site[at + 1 :]
    found = only(interpret.explain(toy, table(target=site), methods=["mutate"]))
    mirna, target = found.strands
    assert found.logit == 6
    np.testing.assert_array_equal(found.changes(mirna, "mutate")[3], [0, 0, 0, 1])
    np.testing.assert_array_equal(found.changes(target, "mutate")[3 + at], [0, 1, 0, 0])
    assert found.values(mirna, "mutate")[3] == pytest.approx(1 / 3)


def test_runs_of_four(toy):
    """A run loses as many as it covers of nt 2-8; a nucleotide's value is the mean over the runs that cover it."""
    found = only(interpret.explain(toy, table(target="GGG" + reverse_complement(LET7[1:8])), methods=["mask"]))
    mirna, target = found.strands
    units = found.units(mirna, "mask")
    assert len(units) == 22 - 4 + 1
    np.testing.assert_array_equal(units[:9], [-3, -4, -4, -4, -4, -3, -2, -1, 0])
    values = found.values(mirna, "mask")
    np.testing.assert_allclose(values[:6], [-3, -3.5, -11 / 3, -3.75, -4, -3.75])
    assert values[21] == 0
    np.testing.assert_array_equal(found.units(target, "mask"), [-1, -2, -3, -4, -4, -4, -4])
    change = found.changes(mirna, "mask", "score")
    assert change[1] == pytest.approx(1 / (1 + math.exp(-3)) - 1 / (1 + math.exp(-7)))


def test_a_run_longer_than_the_sequence_masks_all_of_it(toy):
    found = only(interpret.explain(toy, table(target="UC"), k=5, methods=["mask"]))
    assert len(found.units(found.strands[1], "mask")) == 1
    assert interpret.masked("ACG", 3) == interpret.masked("ACG", 9) == ["NNN"]


def test_base_pairs_are_the_interactions(toy):
    """Masking both nt of a base pair takes 1, as masking either does: 1 more than the sum of the two."""
    found = interpret.interactions(toy, table(target="GGG" + reverse_complement(LET7[1:8])))
    expected = np.zeros((22, 10))
    expected[np.arange(1, 8), np.arange(9, 2, -1)] = 1
    np.testing.assert_array_equal(found.change, expected)


def test_the_best_window_is_explained(toy):
    """Beyond the model's window of 10 nt: positions are those of the target as given."""
    toy.stride = 1
    target = "A" * 13 + "GGG" + reverse_complement(LET7[1:8]) + "AAAAA"
    found = only(interpret.explain(toy, table(target=target), methods=["mask"], k=1))
    assert found.strands[1].start == 13
    rows = interpret.table([found], table(target=target), ["mask"])
    changed = rows[(rows["strand"] == "target") & (rows["mask_change"] == -1)]
    assert changed["position"].tolist() == list(range(16, 23))
    assert "".join(changed["nucleotide"]) == reverse_complement(LET7[1:8])


def test_the_seed_is_seen_and_said(toy):
    tally = interpret.Tally(["mask", "mutate", "gradient"])
    mirnas = [LET7, "UAGCUUAUCAGACUGAUGUUGA", "UGGAAUGUAAAGAAGUAUGUAU"]
    pairs = pd.concat(
        [table(mirna, "GG" + letter + reverse_complement(mirna[1:8])) for mirna in mirnas for letter in "ACG"]
    )
    for found in interpret.explain(toy, pairs):
        tally.add(found, "1", pairs["mirna_seq"].iloc[found.row])
    regions = tally.regions().set_index(["region", "method"])
    row = regions.loc[("seed", "mutate")]
    assert (row["inside"], row["outside"], row["difference"], row["low"], row["high"]) == (1, 0, 1, 1, 1)
    assert (row["n"], row["n_groups"]) == (9, 3)
    assert (regions.loc[("seed", "mask"), ["inside", "outside"]] == [4, 0]).all()
    assert regions.loc[("supplementary", "mask"), "difference"] == 0
    said = interpret.words(tally.regions())
    assert said[0] == (
        "seed (label 1): with 4 nt masked, the logit loses 4 within nt 2-8 of the miRNA, 0 within its other nt; "
        "difference +4 (95 % +4 to +4; 9 examples in 3 groups): visible"
    )
    assert said[3].endswith("not visible")
    profile = tally.profile().set_index(["strand", "method", "measure", "position"])
    assert profile.loc[("mirna", "mutate", "logit", 3), ["n", "mean", "sd"]].tolist() == [9, -1, 0]


def test_the_interval_is_over_groups():
    """Three groups of 1, 1 and 2 examples; the mean over examples, the interval from resamples of groups."""
    values, groups = np.array([1.0, 3.0, 5.0, 5.0]), np.array([0, 1, 2, 2])
    low, high = interpret._interval(values, groups, 0)
    assert 1 <= low < 3.5 < high <= 5
    assert all(map(math.isnan, interpret._interval(values, np.zeros(4, int), 0)))


WITHOUT_WEIGHTS = [name for name in models.names() if not models.needs_weights(name)]


def examples_of(model, pairs, hairpins):
    return hairpins.iloc[:3] if model.inputs == models.HAIRPIN else pairs.iloc[[1, 14]]


@pytest.mark.parametrize("name", [*models.bundled(), *WITHOUT_WEIGHTS])
def test_every_model_is_explained(name, pairs, hairpins, caplog):
    """A change is what the score of the edited example is less that of the example."""
    model = models.load(name)
    examples = examples_of(model, pairs, hairpins)
    found = list(interpret.explain(model, examples, methods=["mask", "mutate", "gradient"]))
    assert ("no gradients" in caplog.text) == (not model.soft)
    np.testing.assert_allclose([each.score for each in found], predict.score(model, examples), atol=1e-5)
    each = found[1]
    for strand in each.strands:
        row = examples.iloc[[1]]
        if "structure" in model.inputs:
            row = row.assign(structure=each.texts[1])
        given = row[f"{strand.name}_seq"].iloc[0]
        text = strand.sequence[:2] + "NNNN" + strand.sequence[6:]
        edited = given[: strand.start] + text + given[strand.start + len(text) :]
        assert each.strands[0].name != strand.name or strand.sequence == given
        if len(given) > len(strand.sequence):
            continue
        after = predict.score(model, row.assign(**{f"{strand.name}_seq": edited}))[0]
        assert each.changes(strand, "mask", "score")[2] == pytest.approx(after - each.score, abs=1e-5)
        letter = "CAAAA"["ACGUN".index(strand.sequence[5])]
        edited = given[: strand.start] + strand.sequence[:5] + letter + strand.sequence[6:]
        after = predict.score(model, row.assign(**{f"{strand.name}_seq": edited}))[0]
        change = each.changes(strand, "mutate", "score")[5, "ACGU".index(letter)]
        assert change == pytest.approx(after - each.score, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in models.bundled() if models.load(name).soft])
def test_contributions_add_up(name, pairs, hairpins):
    """To the difference of the logit from that of the baseline, within the tolerance, or none are shown."""
    model = models.load(name)
    examples = examples_of(model, pairs, hairpins)
    for each in interpret.explain(model, examples, methods=["gradient"]):
        total = sum(each.values(strand, "gradient").sum() for strand in each.strands)
        error = each.completeness_errors["gradient"]
        if math.isnan(total):
            assert abs(error) > interpret.TOLERANCE
            continue
        columns = model.encode(*[[text] for text in each.texts])
        strands = interpret.STRANDS[model.inputs]
        quarters = torch.tensor([0.25] * 4 + [0.0])
        padding = torch.eye(5)[rna.N]
        soft = [torch.where((part == rna.N)[..., None], padding, quarters) for part in columns[: len(strands)]]
        with torch.no_grad():
            baseline = float(model(*soft, *columns[len(strands) :]))
        assert total - error == pytest.approx(each.logit - baseline, abs=1e-3)
        assert abs(error) <= interpret.TOLERANCE * max(1, abs(each.logit - baseline))


@pytest.mark.parametrize("name", ["dmiso", "duplex", "dnnpremir_cnn", "seed"])
def test_company_and_batch_size_do_not_matter(name, pairs, hairpins):
    model = models.load(name)
    examples = hairpins.iloc[:5] if model.inputs == models.HAIRPIN else pairs.iloc[:18]
    methods = ["mask", "mutate", *["gradient"] * model.soft]
    together = list(interpret.explain(model, examples, methods=methods))
    for row in (0, len(examples) - 1):
        alone = only(interpret.explain(model, examples.iloc[[row]], methods=methods, batch_size=7))
        for one, other in zip(alone.strands, together[row].strands, strict=True):
            for method in methods:
                np.testing.assert_allclose(
                    alone.values(one, method), together[row].values(other, method), rtol=1e-3, atol=1e-4
                )


@pytest.mark.gpu
@pytest.mark.parametrize("name", models.bundled())
def test_device_does_not_matter(name, pairs, hairpins):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    here, there = models.load(name), models.load(name).to("cuda")
    examples = examples_of(here, pairs, hairpins)
    methods = ["mask", "mutate", *["gradient"] * here.soft]
    found = zip(*(list(interpret.explain(model, examples, methods=methods)) for model in (here, there)), strict=True)
    for one, other in found:
        for first, second in zip(one.strands, other.strands, strict=True):
            for method in methods:
                np.testing.assert_allclose(
                    one.values(first, method), other.values(second, method), rtol=1e-2, atol=1e-2
                )
