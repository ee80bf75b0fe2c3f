"""Units and attention of toy networks whose answers are known; states of every network; masking; the command."""

import numpy as np
import pandas as pd
import pytest
import torch

from mirscope import activations, interpret, models, rna
from mirscope.errors import InputError, UsageError
from mirscope.models import Model, States, _letters, along

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
MIR21 = "UAGCUUAUCAGACUGAUGUUGA"


class Toy(Model):
    """Adds 1 for every nucleotide of the target that pairs, in order, with the 3' end of what it reads of the miRNA."""

    lengths = (22, 40)
    name = "toy"

    def paired(self, mirna, target):
        """Of each target nucleotide (n, 40), whether the miRNA's reverse complement of 8 nt of its 5' end is there."""
        site = (3 - mirna[:, :8]).flip(1)  # what pairs with nt 1-8
        windows = target.unfold(1, 8, 1)  # (n, 33, 8)
        fits = (windows == site[:, None]).all(2).float()
        return torch.nn.functional.pad(fits, (7, 7)).unfold(1, 8, 1).amax(2)  # (n, 40)

    def forward(self, mirna, target):
        return self.paired(mirna, target).sum(1)

    def states(self, *codes):
        """Unit 0 is 0, unit 1 falls on the site, unit 2 is the place, unit 3 the target's A."""
        on = self.paired(*codes)
        step = torch.arange(on.shape[1]).expand_as(on)
        values = torch.stack([0 * on, 1 - on, step.float(), (codes[1] == 0).float()], 2)
        on_target = along(step, step + 1, _letters.lengths(codes[1]))
        return {"only": States(values, torch.stack([torch.full_like(on_target, -1), on_target], 2))}

    def attention(self, *codes):
        """Two heads of one layer: on the site, and even."""
        on = self.paired(*codes)
        known = codes[1] != rna.N
        even = known.float() / known.sum(1, keepdim=True)
        heads = torch.stack([on / on.sum(1, keepdim=True).clamp(min=1), even], 1)  # (n, heads, 40)
        return heads[:, None, :, None].expand(-1, 1, 2, 22, -1)


def pairs(n=40):
    """A site of let-7 or miR-21 of 8 nt, anywhere in random targets of 30 to 40 nt."""
    rng = np.random.default_rng(6)
    rows = []
    for number in range(n):
        mirna = (LET7, MIR21)[number % 2]
        text = list(rng.choice(list("ACGU"), int(rng.integers(30, 41))))
        place = int(rng.integers(0, len(text) - 8))
        text[place : place + 8] = rna.reverse_complement(mirna[:8])
        rows.append((f"m{number % 2}", mirna, f"t{number}", "".join(text), 1, place))
    columns = ["mirna_id", "mirna_seq", "target_id", "target_seq", "label", "place"]
    return pd.DataFrame(rows, columns=columns)


def sites(model, table):
    """As `activations.sites`, with the planted sites for duplexes."""
    found = activations.sites(model, table)
    places = table.set_index("target_id").loc[found.pairs["target_id"], "place"].to_numpy()
    return activations.Sites(found.pairs, found.codes, np.stack([places, places + 8], 1), found.other)


def test_aurocs_by_hand():
    """Of 3 inside and 2 outside: all above; all below; ties; one of six pairs wrong. A step that counts not."""
    values = np.array([[[5, 0, 1, 4], [6, 1, 1, 5], [7, 2, 1, 2], [1, 3, 1, 1], [2, 4, 1, 3], [9, 9, 9, 9]]], float)
    inside = np.array([[1, 1, 1, 0, 0, np.nan]])
    np.testing.assert_array_equal(activations.aurocs(values, inside), [[1, 0, 0.5, 5 / 6]])
    assert np.isnan(activations.aurocs(values, np.ones((1, 6)))).all()


def test_correlations_by_hand():
    one = np.array([[1, 2, 3, np.nan], [1, 2, 3, 4], [1, 1, 1, 1]])
    other = np.array([[10, 20, 90, 0], [4, 3, 2, 1], [1, 2, 3, 4]], float)
    found = activations.correlations(one, other)
    np.testing.assert_allclose(found[:2], [1, -1])
    assert np.isnan(found[2])


def test_the_unit_that_is_the_site_is_found():
    model = Toy()
    found = sites(model, pairs())
    table = activations.units(model, found)
    assert list(table.columns) == list(activations.UNIT_COLUMNS)
    assert table["unit"].tolist() == [0, 1, 2, 3]
    best = table[table["best"]].iloc[0]
    assert (best["unit"], best["direction"], best["auroc"]) == (1, "down", 1)
    assert (best["low"], best["high"]) == (1, 1)
    assert best["auroc_other_mirna"] == 0.5  # the other miRNA has no site there: the unit is flat
    assert table["auroc"][0] == 0.5
    assert 0.3 < table["auroc"][3] < 0.7
    assert ((table["low"] <= table["auroc"]) & (table["auroc"] <= table["high"])).all()
    pd.testing.assert_frame_equal(table, activations.units(model, found, batch_size=7))


def test_a_unit_that_tells_the_place_is_no_better_than_the_place():
    """All sites at the target's 5' end: the place alone is right in every pair, and so is the unit that counts."""
    table = pairs()
    table["target_seq"] = [rna.reverse_complement(m[:8]) + "C" * 22 for m in table["mirna_seq"]]
    found = sites(Toy(), table.assign(place=0))
    result = activations.units(Toy(), found)
    assert result["auroc_place"].tolist() == [1] * 4
    assert result.loc[2, ["auroc", "auroc_other_mirna"]].tolist() == [1, 1]


def test_attention_on_the_site_goes_with_what_masking_changes():
    model = Toy()
    found = sites(model, pairs())
    result = activations.attention(model, found, k=1)
    heads = result.heads.set_index(["layer", "head"])
    assert list(result.heads.columns) == list(activations.HEAD_COLUMNS)
    assert heads.loc[(1, 1), "in_duplex"] == pytest.approx(1)
    assert heads.loc[(1, 2), "in_duplex"] == pytest.approx(heads.loc[(1, 2), "duplex"])
    assert heads.loc[(1, 1), "correlation"] == pytest.approx(1)
    assert np.isnan(heads.loc[(1, 2), "correlation"])  # even attention tells nothing
    runs = result.masked.set_index("run")["change"]
    assert runs["most attended"] == 8  # without any of its nucleotides the site is none
    assert runs["least attended"] == 0
    assert 0 < runs["average"] < 8


def test_masked_logits_by_hand():
    model, table = Toy(), pairs(6)
    base, masked = interpret.masked_logits(model, table, "target", k=4, batch_size=5)
    np.testing.assert_array_equal(base, 8)
    assert masked.shape == (6, 37)
    for row, length, place in zip(masked, table["target_seq"].str.len(), table["place"], strict=True):
        assert np.isnan(row[length - 3 :]).all()
        touched = np.arange(place - 3, place + 8)
        touched = touched[(touched >= 0) & (touched <= length - 4)]
        expected = np.full(length - 3, 8.0)
        expected[touched] = 0
        np.testing.assert_array_equal(row[: length - 3], expected)
    base, masked = interpret.masked_logits(model, table, "mirna", k=22)
    np.testing.assert_array_equal(masked, np.zeros((6, 1)))
    with pytest.raises(UsageError, match="k is 41"):
        interpret.masked_logits(model, table, "target", k=41)


# ----------------------------------------------------------------------------------------------- states of networks

MAKES = {
    "dmiso": {},
    "mitar": {"filters": 16, "hidden": 8},
    "mitar relu": {"filters": 16, "hidden": 8, "gates": "relu"},
    "mitar without pooling": {"filters": 16, "hidden": 8, "pooling": False},
    "mitar without cnn": {"hidden": 8, "cnn": False},
    "deeptarget": {"bidirectional": True},
    "deepmirnatar": {},
}


def network(name):
    torch.manual_seed(1)
    model = models.create(name.split()[0], **MAKES[name])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@torch.inference_mode()
@pytest.mark.parametrize("name", MAKES)
def test_places_are_those_of_the_sequences(name):
    """Every nucleotide has a step; no step is beyond a sequence; places are of the part they say."""
    model = network(name)
    texts = [LET7, "UGAGGUAGUAGGUUGU"], ["GCAUCUACCUCAGGAUUACGGAUCCAUUAGC", "ACGGAUCAUUAGCCGAUAGG"]
    for state in model.states(*model.encode(*texts)).values():
        n, steps, parts, ends = state.places.shape
        assert (n, parts, ends) == (2, 2, 2)
        assert state.values.shape[:2] == (n, steps)
        for row in range(n):
            for part in range(2):
                places = state.places[row, :, part]
                known = places[:, 0] >= 0
                assert (places[~known] == -1).all()
                seen = {nt for start, end in places[known].tolist() for nt in range(start, end)}
                assert seen in (set(), set(range(len(texts[part][row]))))


@torch.inference_mode()
@pytest.mark.parametrize("name", ["dmiso", "mitar", "mitar relu", "mitar without pooling", "mitar without cnn"])
def test_a_step_sees_its_nucleotides(name):
    """What the recurrent layer reads at a step changes when a nucleotide of its places does, and only then."""
    model = network(name)
    codes = model.encode([LET7], ["GCAUCUACCUCAGGAUUACGGAUCCAUUAGC"])
    (state,) = model.states(*codes).values()
    read = [torch.zeros(())]

    def steps(*given):
        if hasattr(model, "_convolve") and name.startswith("mitar"):
            return model._convolve(*given)[0]
        joined = [
            model._convolve(conv, part) for conv, part in zip((model.conv_mirna, model.conv_target), given, strict=True)
        ]
        return torch.cat(joined, 1)[0]

    read = steps(*codes)
    for part, place in ((0, 0), (0, 11), (0, 21), (1, 0), (1, 15), (1, 30)):
        changed = [part_.clone() for part_ in codes]
        reached = torch.zeros(len(read), dtype=torch.bool)
        for letter in range(4):
            changed[part][0, place] = letter
            reached |= (steps(*changed) != read).any(1)
        start, end = state.places[0, :, part].unbind(1)
        within = (start <= place) & (place < end)
        assert not (reached & ~within).any()
        assert (reached & within).sum() >= within.sum() // 2  # a rectifier or a maximum may hide it


@torch.inference_mode()
def test_states_of_rectified_gates_end_as_the_network_does():
    """The last states of either direction are what the classifier gets."""
    for name in ("mitar", "mitar relu"):
        model = network(name)
        codes = model.encode([LET7, MIR21], ["GCAUCUACCUCAGGAUUACGGAUCCAUUAGC", "ACGUUAGC" * 6])
        values = model.states(*codes)["bilstm"].values
        half = values.shape[2] // 2
        last = torch.cat([values[:, -1, :half], values[:, 0, half:]], 1)
        torch.testing.assert_close(model._classify(last), model(*codes))


# ------------------------------------------------------------------------------------------------------- files, command


def test_what_has_no_sites_or_nothing_to_show(tmp_path):
    with pytest.raises(InputError, match="0 positive pairs with a duplex"):
        activations.sites(Toy(), pairs().assign(label=0))
    found = activations.sites(models.load("seed"), pairs())
    with pytest.raises(UsageError, match="seed has neither recurrent layers nor attention"):
        activations.write(models.load("seed"), found, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="seed has no recurrent layer"):
        activations.units(models.load("seed"), found)
    with pytest.raises(UsageError, match="k is 41; expected 1 to 40 nt"):
        activations.write(Toy(), found, tmp_path / "out", k=41)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="seed has no attention"):
        activations.attention(models.load("seed"), found)


def test_files(tmp_path):
    model = Toy()
    files, report = activations.write(model, sites(model, pairs()), tmp_path, drawn=3, k=1)
    names = ["units.tsv", "units.png", "units.svg", "units.pdf", "attention.tsv", "masked.tsv", "attention.png"]
    assert [path.name for path in files] == [*names, "attention.svg", "attention.pdf", "run.json"]
    assert all(path.stat().st_size > 40 for path in files)
    assert report["drawn"] == "m1 on t3"
    assert report["best_unit"]["unit"] == 1
    again, _ = activations.write(model, sites(model, pairs()), tmp_path / "again", drawn=3, k=1)
    assert [a.read_bytes() for a in files[:-1]] == [a.read_bytes() for a in again[:-1]]


def test_the_model_is_left_as_it_was():
    model = network("deepmirnatar").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    activations.units(model, sites(model, pairs()))
    assert model.training
    assert all((before[key] == value).all() for key, value in model.state_dict().items())


def test_command(run, tmp_path):
    table = pairs()
    table.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    _, err = run("activations deeptarget pairs.tsv --draw 2 -o out --threads 1")
    assert "follows the duplex best: AUROC" in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "run.json",
        "units.pdf",
        "units.png",
        "units.svg",
        "units.tsv",
    ]
    assert (
        "row 99 of pairs.tsv is no positive pair"
        in run("activations deeptarget pairs.tsv --draw 99 -o out2", code=2)[1]
    )
