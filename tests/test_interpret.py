"""Explanations of toy models, whose answers can be counted by hand, and of every model under the contract."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mirscope import explanations, gradients, interpret, models, plot, predict, rna, train
from mirscope.errors import InputError, UsageError
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


class Stem(Model):
    """+1 for each base pair of the structure, +1 more where its letters are C and G."""

    inputs = models.HAIRPIN
    lengths = (30, 30)

    def __init__(self) -> None:
        super().__init__()
        self.name, self.config, self.provenance = "stem", None, {}

    def columns(self, examples):
        hairpins = examples["hairpin_seq"].tolist()
        return hairpins, [rna.fold(hairpin)[0] for hairpin in hairpins]

    def encode(self, hairpins, structures):
        return torch.from_numpy(rna.encode(hairpins, 30)), torch.from_numpy(rna.encode_structures(structures, 30))

    def forward(self, hairpin, structure):
        found = []
        for letters, signs in zip(hairpin.tolist(), structure.tolist(), strict=True):
            pairs = rna.base_pairs("".join(".()."[sign] for sign in signs))
            strong = [{"ACGUN"[letters[i]], "ACGUN"[letters[j]]} == {"C", "G"} for i, j in pairs]
            found.append(len(pairs) + sum(strong))
        return torch.tensor(found, dtype=torch.float32)


def test_a_hairpin_with_its_structure_and_folded_anew():
    """GGGG and CCCC pair: 4 base pairs, all strong. Where the structure stays an edit takes the 1 of the letters;
    folded anew an outer or inner base pair is lost as well, and three strong ones stay; the loop does nothing.
    """
    model, hairpin = Stem().eval(), pd.DataFrame({"hairpin_seq": ["GGGGAAAACCCC"]})
    for refold, lost in ((False, 1), (True, 2)):
        found = only(interpret.explain(model, hairpin, methods=["mask", "mutate"], k=1, refold=refold))
        [strand] = found.strands
        assert found.logit == 8
        assert found.values(strand, "mask")[[0, 3, 8, 11]].tolist() == [-lost] * 4
        assert found.values(strand, "mutate")[[0, 11]].tolist() == [-lost] * 2
        assert found.values(strand, "mask")[5:7].tolist() == found.values(strand, "mutate")[5:7].tolist() == [0, 0]
    assert found.changes(strand, "mutate")[5].tolist() == [0, 0, 0, 0]


def test_the_map_of_a_hairpin():
    """Masking both nt of a base pair takes 1, as masking either does; a nt is not masked twice."""
    found = interpret.interactions(Stem().eval(), pd.DataFrame({"hairpin_seq": ["GGGGAAAACCCC"]}))
    places = np.arange(12)
    expected = ((places[:, None] + places == 11) & (np.abs(places - 5.5) > 2)).astype(float)
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_array_equal(found.change, expected)
    assert sorted(found.base_pairs) == [(i, 11 - i) for i in (0, 1, 2, 3, 8, 9, 10, 11)]
    apart = interpret.interactions(Stem().eval(), pd.DataFrame({"hairpin_seq": ["GGGGAAAACCCC"]}), k=2)
    assert np.isnan(apart.change[0, 1]) and apart.change[0, 2] == 0 and apart.base_pairs == []  # GG lost twice


def test_the_best_window_is_explained(toy):
    """Beyond the model's window of 10 nt: positions are those of the target as given."""
    toy.stride = 1
    target = "A" * 13 + "GGG" + reverse_complement(LET7[1:8]) + "AAAAA"
    found = only(interpret.explain(toy, table(target=target), methods=["mask"], k=1))
    assert found.strands[1].start == 13
    rows = explanations.table([found], table(target=target), ["mask"])
    changed = rows[(rows["strand"] == "target") & (rows["mask_change"] == -1)]
    assert changed["position"].tolist() == list(range(16, 23))
    assert "".join(changed["nucleotide"]) == reverse_complement(LET7[1:8])


def test_the_seed_is_seen_and_said(toy):
    tally = interpret.Tally(["mask", "mutate", "gradient"])
    mirnas = [letter + LET7[1:] for letter in "ACGU"] + ["UGGAAUGUAAAGAAGUAUGUAU"]
    pairs = pd.concat(
        [table(mirna, "GG" + letter + reverse_complement(mirna[1:8])) for mirna in mirnas for letter in "ACG"]
    )
    for found in interpret.explain(toy, pairs):
        tally.add(found, "1", pairs["mirna_seq"].iloc[found.row])
    regions = tally.regions().set_index(["region", "method"])
    row = regions.loc[("seed", "mutate")]
    assert (row["inside"], row["outside"], row["difference"], row["low"], row["high"]) == (1, 0, 1, 1, 1)
    assert (row["n"], row["n_groups"]) == (15, 5)
    assert (regions.loc[("seed", "mask"), ["inside", "outside"]] == [4, 0]).all()
    assert regions.loc[("supplementary", "mask"), "difference"] == 0
    row = regions.loc[("miRNA", "mutate")]
    assert (row["inside"], row["outside"], row["difference"]) == (7, 7, 0)
    said = interpret.words(tally.regions())
    assert said[0] == (
        "seed (label 1): with 4 nt masked, the logit loses 4 within nt 2-8 of the miRNA, 0 within its other nt; "
        "difference +4 (95 % +4 to +4; 15 examples in 5 groups): visible"
    )
    assert said[1].endswith("not visible")
    profile = tally.profile().set_index(["strand", "method", "measure", "position"])
    assert profile.loc[("mirna", "mutate", "logit", 3), ["n", "mean", "sd"]].tolist() == [15, -1, 0]


def test_mean_and_spread_by_position():
    """Changes -1 and -3 of a run that both have: mean -2, standard deviation root 2; a run of the longer miRNA only."""
    tally = interpret.Tally(["mask"])
    for masked in ([-1.0, 0.0], [-3.0]):
        strand = interpret.Strand("mirna", "ACGU" + "A" * (len(masked) - 1), masked=np.array(masked))
        tally.add(interpret.Explanation(0, (strand.sequence,), 0.0, (strand,)))
    logits = tally.profile().query("measure == 'logit'")[["position", "n", "mean", "sd"]]
    assert logits.to_numpy().tolist() == [[0, 2, -2, pytest.approx(math.sqrt(2))], [1, 1, 0, 0]]


def test_the_picture_of_a_set_reaches_its_last_nt(toy):
    """Masked runs of 4 end 3 nt earlier, so that the first row of panels is shorter than the others."""
    tally = interpret.Tally(["mask", "mutate"])
    for found in interpret.explain(toy, table(), methods=["mask", "mutate"]):
        tally.add(found)
    axes = interpret.draw_profile(tally.profile()).axes
    assert {ax.get_xlim() for ax in axes} == {(0.5, 22.5), (0.5, 10.5)}
    assert [text.get_text() for text in axes[0].texts] == ["seed", "3\u2032 part"]


def test_few_groups_have_no_interval():
    values, groups = np.array([1.0, 3.0, 1.0, 3.0, 5.0, 5.0]), np.array([0, 1, 2, 3, 4, 4])
    assert not any(map(math.isnan, interpret._interval(values, groups, 0)))
    assert all(map(math.isnan, interpret._interval(values, groups // 2, 0)))  # three are too few


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
            assert abs(error) > gradients.TOLERANCE
            continue
        columns = model.encode(*[[text] for text in each.texts])
        strands = models.strands(model)
        quarters = torch.tensor([0.25] * 4 + [0.0])
        padding = torch.eye(5)[rna.N]
        soft = [torch.where((part == rna.N)[..., None], padding, quarters) for part in columns[: len(strands)]]
        with torch.no_grad():
            baseline = float(model(*soft, *columns[len(strands) :]))
        assert total - error == pytest.approx(each.logit - baseline, abs=1e-3)
        assert abs(error) <= gradients.TOLERANCE * max(1, abs(each.logit - baseline))


@pytest.mark.parametrize("name", [*models.bundled(), *WITHOUT_WEIGHTS])
def test_company_and_batch_size_do_not_matter(name, pairs, hairpins, monkeypatch):
    monkeypatch.setattr(interpret, "AT_ONCE", 2)
    model = models.load(name)
    examples = hairpins.iloc[:3] if model.inputs == models.HAIRPIN else pairs.iloc[[1, 2, 15]]
    methods = ["mask", "mutate", *["gradient"] * model.soft]
    together = list(interpret.explain(model, examples, methods=methods))
    for row in (1, 2):
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


# ------------------------------------------------------------------------------------------------------------- sanity


def test_randomised_weights_destroy_the_attributions(pairs):
    model, some = models.load("duplex"), pairs[pairs["label"] == 1].iloc[:12]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for method in interpret.METHODS:
        same = interpret.agreement(model, model, some, method=method)
        assert same.value == pytest.approx(1)
        other = interpret.agreement(model, interpret.randomised(model), some, method=method)
        assert abs(other.value) < 0.3
        assert (other.n, other.low <= other.value <= other.high) == (12, True)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_randomised_keeps_the_numbers_and_what_has_none_says_so():
    model = models.load("duplex")
    other = interpret.randomised(model, random_state=3)
    assert torch.equal(other.pair.sort().values.flatten().sort().values, model.pair.flatten().sort().values)
    assert not torch.equal(other.pair, model.pair)
    with pytest.raises(UsageError, match="seed has no weights"):
        interpret.randomised(models.load("seed"))


MOTIF = "GGCAGGCA"


def planted(n, state):
    """Random pairs; half of the targets hold a motif at nt 21-28."""
    rng = np.random.default_rng(state)
    rows = []
    for number in range(n):
        mirna, text = ("".join(rng.choice(list("ACGU"), length)) for length in (22, 50))
        rows.append((mirna, text[:20] + MOTIF + text[28:] if number % 2 else text, number % 2))
    return pd.DataFrame(rows, columns=["mirna_seq", "target_seq", "label"])


def test_shuffled_labels_destroy_the_attributions(tmp_path):
    """Two networks that learned the motif agree on it; one that learned from shuffled labels agrees with neither."""
    learned, valid, some = planted(400, 0), planted(100, 1), planted(40, 2).query("label == 1")
    config = {"filters": 8, "hidden": 4, "dense": 12, "dropout": 0.0, "dropout_early": 0.0, "l1": 0.0}
    fitted = []
    for state in (0, 1):
        settings = train.Settings(epochs=5, batch_size=40, learning_rate=0.01, random_state=state)
        folder = tmp_path / str(state)
        fitted.append(train.fit("dmiso", learned, valid, folder, settings=settings, config=config)[0].cpu())
    shuffled = interpret.relabelled(fitted[0], learned, valid, settings=settings)
    both, neither = interpret.agreement(*fitted, some), interpret.agreement(fitted[0], shuffled, some)
    assert both.low > 0.15
    assert abs(neither.value) < 0.1
    support = np.mean([each.support(each.strands[1], "mutate") for each in interpret.explain(fitted[0], some)], 0)
    assert support[20:28].mean() > 5 * np.abs(np.delete(support, range(18, 30))).mean()


# ---------------------------------------------------------------------------------------------------------- gradients


class Rectified(Toy):
    """A for 1 and U for 2 in the target, A for 1 in the miRNA, each by a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, mirna, target):
        weights = torch.tensor([1.0, 0, 0, 2, 0]), torch.tensor([1.0, 0, 0, 0, 0])
        target, mirna = (
            _letters.look_up(torch.eye(5), part) @ own for part, own in zip((target, mirna), weights, strict=True)
        )
        return self.relu(torch.cat([target[:, 3:], mirna], 1)).sum(1)


def test_deeplift_where_its_rule_holds_and_one_line_where_not(pairs):
    """The ReLUs see 1 for A, 2 for U, and 3/4 of the baseline's quarters: what a letter is above that, it gives."""
    found = only(interpret.explain(Rectified().eval(), table(target="GGGACGUACG"), methods=["deeplift"]))
    np.testing.assert_allclose(
        found.values(found.strands[1], "deeplift"),
        [0, 0, 0, 0.25, -0.75, -0.75, 1.25, 0.25, -0.75, -0.75],
        atol=1e-6,
    )
    with pytest.raises(UsageError, match=r"mitar: DeepLIFT's rule does not hold .* use gradient"):
        list(interpret.explain(models.load("mitar"), pairs.iloc[:2], methods=["deeplift"]))


def test_what_the_model_does_not_look_at_contributes_nothing():
    """Of 24 nt it reads 22: an A gives 1 less the quarter of the baseline, any other letter takes the quarter."""
    model, given = Rectified().eval(), table(mirna="C" * 21 + "AAA", target="GGGACGUACG")
    for method in ("gradient", "deeplift"):
        found = only(interpret.explain(model, given, methods=[method]))
        np.testing.assert_allclose(found.values(found.strands[0], method), [-0.25] * 21 + [0.75, 0, 0], atol=1e-6)


class Turned(Rectified):
    """Reads the target from its 3' end."""

    def encode(self, mirnas, targets):
        return super().encode(mirnas, [target[::-1] for target in targets])


def test_contributions_are_those_of_the_nt_wherever_the_codes_have_it():
    found = only(interpret.explain(Turned().eval(), table(target="GGGACGUACG"), methods=["gradient"]))
    expected = [-0.75, -0.75, -0.75, 0.25, -0.75, -0.75, 1.25, 0, 0, 0]
    np.testing.assert_allclose(found.values(found.strands[1], "gradient"), expected, atol=1e-6)


class Jumpy(Toy):
    """What no path of 256 points can follow."""

    def forward(self, mirna, target):
        x = super().forward(mirna, target)
        return x + 100 * torch.sin(3000 * x)


def test_what_does_not_add_up_is_not_shown(caplog):
    model = Jumpy().eval()
    found = only(interpret.explain(model, table(target="GGG" + reverse_complement(LET7[1:8])), methods=["gradient"]))
    assert np.isnan(found.values(found.strands[0], "gradient")[:10]).all()
    assert abs(found.completeness_errors["gradient"]) > gradients.TOLERANCE
    assert "toy: integrated gradients of 1 of 1 do not add up to the logit, left empty" in caplog.text
    assert math.isnan(interpret.agreement(model, model, table(), method="gradient").value)


def test_no_gradients_is_one_line():
    with pytest.raises(UsageError, match="seed has no gradients by letter; ask for mask or mutate"):
        list(interpret.explain(models.load("seed"), table(), methods=["gradient"]))
    with pytest.raises(UsageError, match="no method saliency; expected some of mask, mutate, gradient, deeplift"):
        list(interpret.explain(models.load("seed"), table(), methods=["saliency"]))
    with pytest.raises(UsageError, match="k is 0"):
        list(interpret.explain(models.load("seed"), table(), k=0))


# ---------------------------------------------------------------------------------------------------- files, pictures


def test_examples_stream():
    """The first explanation is there before most of the examples were looked at."""
    model, seen = Toy().eval(), []
    encode = model.encode
    model.encode = lambda *columns: (seen.append(len(columns[0])), encode(*columns))[1]
    pairs = pd.concat([table()] * 1000)
    found = interpret.explain(model, pairs, methods=["mask"])
    assert next(found).row == 0
    assert sum(seen) < interpret.AT_ONCE * 40
    assert [each.row for each in found] == list(range(1, 1000))


def test_the_files_of_a_set(tmp_path):
    pairs = pd.concat([table(target="GG" + x + reverse_complement(LET7[1:8]), label=[1]) for x in "ACGU"])
    said, files = explanations.write(Toy().eval(), pairs, tmp_path / "out", export=True, drawings=1, check=True)
    assert {file.name for file in files} == {file.name for file in (tmp_path / "out").iterdir()}
    rows = pd.read_csv(tmp_path / "out" / "nucleotides.tsv", sep="\t")
    assert len(rows) == 4 * (22 + 10)
    first = rows[(rows["row"] == 1) & (rows["strand"] == "mirna")]
    assert "".join(first["nucleotide"]) == LET7
    assert first["mutate_change"].tolist() == [0] + [-1] * 7 + [0] * 14
    assert first.loc[1, ["to_A", "to_C", "to_G", "to_U"]].tolist() == [-1, -1, 0, -1]
    letters, contributions = (np.load(tmp_path / "out" / f"{name}.npz")["arr_0"] for name in ("ohe", "shap"))
    assert letters.shape == contributions.shape == (4, 4, 10)
    assert "".join("ACGU"[at] for at in letters[2].argmax(0)) == "GGG" + reverse_complement(LET7[1:8])
    np.testing.assert_allclose((letters * contributions).sum(1)[0], [0, 0, 0] + [0.375] * 7, atol=1e-6)
    np.testing.assert_allclose(contributions.sum(1), 0, atol=1e-6)
    assert (tmp_path / "out" / "summary.txt").read_text().splitlines() == said
    assert said[-1].startswith("export: targets of 4 of 4 examples, up to 10 nt")
    assert said[-2].startswith(
        "randomised weights: rank correlation of the same 4 examples: mask +1.00"
    )  # its weights are one
    with pytest.raises(InputError, match="no examples"):
        explanations.write(Toy().eval(), pairs[:0], tmp_path)
    with pytest.raises(UsageError, match="an export takes gradients or mutate"):
        explanations.write(Toy().eval(), pairs, tmp_path, methods=["mask"], export=True)


def test_what_is_exported(tmp_path):
    """Of mutants: a letter of a base pair is 3/4 above the mean of all four. What does not add up is left out."""
    pairs = pd.concat([table(target=text) for text in ("GGG" + reverse_complement(LET7[1:8]), "AC")])
    for model, methods, n_pairs, n in ((Toy(), ["mutate"], 2, 2), (Jumpy(), ["gradient"], 1, 0)):
        some = pairs.iloc[:n_pairs]
        said, _ = explanations.write(model.eval(), some, tmp_path, methods=methods, export=True, drawings=0)
        letters, contributions = (np.load(tmp_path / f"{name}.npz")["arr_0"] for name in ("ohe", "shap"))
        assert len(letters) == len(contributions) == n
        assert said[-1].startswith(f"export: targets of {n} of {n_pairs} examples")
        assert ("modisco" in said[-1]) == (n > 0)
        if n:
            worth = (letters * contributions).sum(1)
            assert worth.tolist() == [[0] * 3 + [0.75] * 7, [0] * 10]
            assert letters.sum((1, 2)).tolist() == [10, 2]


def test_the_drawing_has_every_nucleotide_once(pairs):
    model = models.load("rnaduplex")
    for found in interpret.explain(model, pairs.iloc[:30], methods=["mask"]):
        columns, base_pairs = interpret.facing(model, found.texts)
        mirna, target = found.texts
        assert "".join(columns["upper"]) == target
        assert "".join(columns["lower"])[::-1] == mirna
        assert columns.loc[columns["upper_place"] >= 0, "upper_place"].tolist() == list(range(len(target)))
        assert columns.loc[columns["lower_place"] >= 0, "lower_place"].tolist() == list(range(len(mirna)))[::-1]
        paired = columns[columns["sign"] != " "]
        assert list(zip(paired["lower_place"], paired["upper_place"], strict=True)) == base_pairs
        assert {a + b for a, b in zip(paired["upper"], paired["lower"], strict=True)} <= rna._PAIRED


def test_pictures(pairs, hairpins, tmp_path):
    for name, examples in (("duplex", pairs), ("hairpin", hairpins)):
        model = models.load(name)
        [found] = interpret.explain(model, examples.iloc[[1]], methods=["mutate"])
        figure = interpret.draw(found, model, ["mutate"])
        assert len(figure.axes) == 1 + len(found.strands)
        plot.save(figure, tmp_path / f"{name}.svg")
    both = interpret.interactions(models.load("duplex"), pairs.iloc[[1]])
    ax = interpret.draw_interactions(both)
    assert len(ax.patches) > 6  # the base pairs
    plot.save(ax, tmp_path / "map.png")


# ------------------------------------------------------------------------------------------------------------ command


def test_explain_one_pair(run, tmp_path):
    out, _ = run(f"explain seed --mirna {LET7} --target AAACUACCUCAAA -o out")
    assert "seed: with 4 nt masked, the logit loses 4.39 within nt 2-8 of the miRNA, 0 within its other nt" in out
    rows = pd.read_csv(tmp_path / "out" / "nucleotides.tsv", sep="\t")
    target = rows[rows["strand"] == "target"]
    assert target["position"].tolist() == list(range(3, 11))
    assert {"duplex.svg", "duplex.png", "map.tsv", "map.svg", "summary.txt", "run.json"} <= {
        file.name for file in (tmp_path / "out").iterdir()
    }
    columns = ["mirna_position", "mirna_nucleotide", "target_position", "target_nucleotide", "interaction"]
    both = pd.read_csv(tmp_path / "out" / "map.tsv", sep="\t")
    assert list(both) == columns
    assert both["target_position"].unique().tolist() == list(range(3, 11))


def test_explain_a_hairpin(run, tmp_path):
    """Of the letters as they are, and folded anew; a map of the hairpin; pictures of three kinds."""
    changes = []
    for option in ("--refold --no-map --draw 0", "--pdf"):
        out, _ = run(f"explain hairpin --hairpin stem=GGGAGGCUCUGAAAACAGAGCCUCCC {option} -o out")
        assert "paired: with a nt changed" in out
        changes.append(pd.read_csv(tmp_path / "out" / "nucleotides.tsv", sep="\t")["mutate_change"])
    assert (changes[0] != changes[1]).mean() > 0.5
    names = ["hairpin_position", "hairpin_nucleotide", "other_hairpin_position", "other_hairpin_nucleotide"]
    assert list(pd.read_csv(tmp_path / "out" / "map.tsv", sep="\t")) == [*names, "interaction"]
    assert (tmp_path / "out" / "hairpin.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "out" / "map.pdf").is_file()


def test_nothing_but_n_is_drawn(run):
    out, _ = run("explain dnnpremir_cnn --hairpin NNNNNNNN --method mask --no-map -o out")
    assert out == ""


def test_explain_a_table_in_dna(run, tmp_path, pairs):
    some = pairs.iloc[:6].assign(target_seq=pairs["target_seq"].str.replace("U", "T").str.lower())
    some.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    out, err = run("explain miranda pairs.tsv -o out --method mutate --draw 0")
    assert "seed (label 1)" in out
    assert len(pd.read_csv(tmp_path / "out" / "examples.tsv", sep="\t")) == 6
    assert "profile.svg" in err


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        ("seed", 2, "give examples: a table, a data set, or --mirna and --target"),
        (f"seed --mirna {LET7}", 2, "--mirna and --target"),
        (f"seed table.tsv --mirna {LET7}", 2, "either a table or --mirna"),
        ("seed --mirna ACG! --target ACG", 1, "unexpected '!'"),
        ("hairpin --mirna ACG --target ACG", 2, "--hairpin"),
        (f"seed --mirna {LET7} --target ACG --refold", 2, "reads no hairpins"),
        (f"seed --mirna {LET7} --target ACG --method shap", 2, "no method shap"),
        (f"seed --mirna {LET7} --target ACG --check", 2, "no weights"),
        ("seed nosuch.tsv", 2, "neither a data set"),
    ],
)
def test_bad_questions_are_one_line(run, tmp_path, arguments, code, hint):
    _, err = run(f"explain {arguments} -o out --quiet", code=code)
    assert hint in err
    assert err.count("\n") <= 2
    assert not (tmp_path / "out").exists()
