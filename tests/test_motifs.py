"""Kernels whose matrices can be counted by hand; planted motifs come out first; MEME files; the command."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mirscope import io, language, models, motifs, plot, rna
from mirscope.errors import InputError, RepeatedIdError, TableError, UsageError
from mirscope.io import Motif, MotifSet, Record
from mirscope.models import PAIR, Kernels, Model


class Toy(Model):
    """A network that is its kernels: its logit is the sum of what they find, where that is above 0."""

    lengths = (8, 12)
    name = "toy"

    def __init__(self, *kernels):
        super().__init__()
        self.parts = [bank.part for bank in kernels]
        self.convs = torch.nn.ModuleList(bank.conv for bank in kernels)

    def kernels(self):
        return tuple(Kernels(part, conv.weight, conv) for part, conv in zip(self.parts, self.convs, strict=True))

    def forward(self, *codes):
        letters = {part: torch.eye(5)[own.long(), :4].transpose(1, 2) for part, own in zip(PAIR, codes, strict=True)}
        return sum(conv(letters[part]).relu().sum((1, 2)) for part, conv in zip(self.parts, self.convs, strict=True))


def bank_of(weight, *, part="target", bias=0.0):
    """Kernels of these weights (units, symbols, taps)."""
    conv = torch.nn.Conv1d(weight.shape[1], len(weight), weight.shape[2])
    with torch.no_grad():
        conv.weight[:], conv.bias[:] = weight, bias
    return Kernels(part, conv.weight, conv)


def likes(text, *, part="target", bias=0.0):
    """A kernel that adds 1 for each nucleotide of a text."""
    weight = torch.eye(5)[torch.from_numpy(rna.encode([text])[0]).long(), :4].T[None]
    return bank_of(weight, part=part, bias=bias)


def pairs(*targets, mirna="UGAGGUAG"):
    return pd.DataFrame({"mirna_seq": mirna, "target_seq": targets})


# ------------------------------------------------------------------------------------------------------------ matrices


@torch.inference_mode()
def test_main_effects_of_nucleotides_are_the_weights_from_their_mean():
    (found,) = motifs.main_effects(likes("GA"))
    np.testing.assert_array_equal(found, [[-0.25, -0.25, 0.75, -0.25], [0.75, -0.25, -0.25, -0.25]])


@torch.inference_mode()
def test_main_effects_of_kmers_are_means_over_the_other_nucleotides():
    """+1 for AC: an A first makes it 1/4 on average, where 1/16 is the mean of all; two taps overlap in the middle."""
    weight = torch.zeros(1, 16, 1)
    weight[0, 1] = 1
    (found,) = motifs.main_effects(bank_of(weight))
    high, low = 3 / 16, -1 / 16
    np.testing.assert_array_equal(found, [[high, low, low, low], [low, high, low, low]])
    (twice,) = motifs.main_effects(bank_of(weight.expand(1, 16, 2)))
    np.testing.assert_array_equal(twice, [found[0], found[0] + found[1], found[1]])


@torch.inference_mode()
def test_a_tilted_matrix_holds_the_bits_and_keeps_the_order():
    effects = motifs.main_effects(likes("GACU"))[0]
    matrix = motifs.tilted(effects, 2.0)
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(motifs.bits(matrix), 0.5)  # the four places are alike
    high = matrix[0, 2]
    np.testing.assert_allclose(np.delete(matrix[0], 2), (1 - high) / 3)
    assert high == pytest.approx(matrix[1, 0]) == pytest.approx(matrix[2, 1]) == pytest.approx(matrix[3, 3])
    np.testing.assert_allclose(motifs.tilted(7 * effects, 2.0), matrix)  # a kernel's scale means nothing


def test_a_tilted_matrix_holds_no_more_than_it_can():
    two = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert motifs.bits(motifs.tilted(two, 6.0)).sum() == pytest.approx(0.9 * (1 + 2))
    np.testing.assert_array_equal(motifs.tilted(np.full((3, 4), 0.1), 6.0), np.full((3, 4), 0.25))


def test_bits_and_consensus():
    matrix = np.array([[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0.25] * 4, [0.4, 0.1, 0.1, 0.4], [0.3, 0.45, 0.1, 0.15]])
    np.testing.assert_allclose(motifs.bits(matrix)[:3], [2, 1, 0])
    assert motifs.consensus(matrix) == "AANWM"
    assert motifs.telling(matrix) == (0, 4)
    assert motifs.telling(matrix[::-1]) == (1, 5)
    assert motifs.telling(matrix[2:3]) == (0, 0)


@torch.inference_mode()
def test_favourite_windows_are_counted():
    """Of AG GG GA CG GU (GG and CG twice in the sequences) the kernel fires, at 2 - 1.5, in GG alone."""
    codes = torch.from_numpy(rna.encode(["AGGA", "CGGU", "CGGU", "NNCG"]))
    (found,) = motifs.favourites(likes("GG", bias=-1.5), codes, share=0.5)
    np.testing.assert_array_equal(found.counts, [[0, 0, 1, 0], [0, 0, 1, 0]])
    assert (found.n, found.structure, found.active) == (1, "", 1 / 5)


@torch.inference_mode()
def test_ties_are_all_in():
    """The second best of AG GG GA CG GU is tied by all four others, each with one G."""
    codes = torch.from_numpy(rna.encode(["AGGA", "CGGU"]))
    (found,) = motifs.favourites(likes("GG"), codes, share=0.4)
    np.testing.assert_array_equal(found.counts, [[1, 1, 3, 0], [1, 0, 3, 1]])
    assert found.active == 1


@torch.inference_mode()
def test_kernels_over_kmers_see_what_they_see():
    """+1 for AC, two taps: of the windows of 3 nt, ACA and GAC have it once, and ACAC begins with a window of one."""
    weight = torch.zeros(1, 16, 2)
    weight[0, 1] = 1
    bank = bank_of(weight, bias=-0.5)
    (found,) = motifs.favourites(bank, torch.from_numpy(rna.encode(["ACAC", "UUUU", "GACU"])), share=0.9)
    # windows ACA CAC UUU GAC ACU: CAC has it at its second tap
    assert found.active == 4 / 5
    np.testing.assert_array_equal(found.counts, [[2, 1, 1, 0], [2, 2, 0, 0], [1, 2, 0, 1]])


@torch.inference_mode()
def test_kernels_that_read_the_structure_tell_letters_by_their_signs():
    """+1 for a G that pairs upstream, `(G`: of the windows `.G`, `(G` and `)G` it fires in one."""
    weight = torch.zeros(1, 12, 1)
    weight[0, 4 + 2] = 1
    bank = bank_of(weight, part="hairpin")
    assert (bank.signs, bank.k) == (3, 1)
    np.testing.assert_allclose(motifs.main_effects(bank)[0], [[-1 / 12, -1 / 12, 3 / 12, -1 / 12]])
    symbols = rna.encode(["GGAG"]) + 5 * rna.encode_structures(["(.))"], 4)
    (found,) = motifs.favourites(bank, torch.from_numpy(symbols), share=0.5)
    np.testing.assert_array_equal(found.counts, [[0, 0, 1, 0]])
    assert (found.structure, found.active) == ("(", 1 / 4)


def test_table_of_kernels():
    toy = Toy(likes("GAG", part="mirna"), likes("GGGG", bias=-3.5), likes("UUUU", bias=-5.0))
    found = motifs.motifs(toy, pairs("AGGGGA", "CAGGGGU", "UUUUUUU"), share=0.01)
    assert list(found.table.columns) == list(motifs.KERNEL_COLUMNS)
    assert found.table["kernel"].tolist() == [
        "mirna0",
        "target0",
        "target1",
        "mirna0",
        "target0",
    ]  # target1 never fires
    assert found.table["method"].tolist() == ["weights"] * 3 + ["windows"] * 2
    assert found.table["consensus"].tolist() == ["GAG", "GGGG", "UUUU", "GAG", "GGGG"]
    np.testing.assert_array_equal(found.motifs[4].matrix, np.eye(4)[[2] * 4])
    assert found.table["n_windows"].tolist() == [0, 0, 0, 1, 1]
    assert found.table["bits"].tolist()[3:] == [6, 8]
    assert found.motifs[4].id == "target0_windows"
    weights = motifs.motifs(toy)
    pd.testing.assert_frame_equal(weights.table, found.table[:3])


def test_what_is_lost_without_a_kernel():
    """Logits are 5, 5, 1 and 1, by GAG and UU. The network adds up, so that silence keeps the mean of its logits.

    Without GAG, in 10 places each, all have 2.5 of it: positives 2.5, negatives 3.5. Without UU all have .5 of it.
    """
    toy = Toy(likes("GAG"), likes("GGGGG", bias=-5), likes("UU", bias=-1))
    table = pairs("CGAGCCCCCCCC", "AGAGACCCCCCC", "CUUCCCCCCCCC", "AUUACCCCCCCC").assign(label=[1, 1, 0, 0])
    with torch.no_grad():
        toy.convs[0].weight[:] *= 5
        toy.convs[0].bias[:] = -10
    calls = []
    before = {key: value.clone() for key, value in toy.state_dict().items()}
    found = motifs.effects(toy, table, report=calls.append)
    assert list(found.columns) == list(motifs.EFFECTS)
    np.testing.assert_allclose(found["logit_change"], 0, atol=1e-6)
    np.testing.assert_allclose(found["logit_spread"], [2.5, 0, 0.5], atol=1e-6)
    assert found["auroc_change"].to_dict() == {"target0": -1, "target1": 0, "target2": 0}
    assert calls == [1, 1, 1]
    assert all((before[key] == value).all() for key, value in toy.state_dict().items())
    pd.testing.assert_frame_equal(found, motifs.effects(toy, table, batch_size=1))
    alone = motifs.effects(toy, table.drop(columns="label"))
    assert alone["auroc_change"].isna().all()
    assert (alone["logit_change"] == found["logit_change"]).all()
    said = motifs.needed(found)
    assert said.startswith("silenced one by one, 3 kernels change the logit by 1 on average; without 1 of them")
    assert "(most, target0: -1)" in said
    assert motifs.needed(alone) == "silenced one by one, 3 kernels change the logit by 1 on average"


@torch.inference_mode()
def test_levels_are_means_of_what_the_network_sees():
    """GG - 1 in AGGA GGN: 0 1 0 and 1; of two neighbours the largest: 1 1 and 1. The same kernels twice count once."""
    one = likes("GG", bias=-1)
    codes = {"target": torch.from_numpy(rna.encode(["AGGA", "GGN"], 4)), "mirna": torch.from_numpy(rna.encode(["CCC"]))}
    key = id(one.conv)
    assert motifs._levels([one], codes)[key].tolist() == [2 / 4]
    assert motifs._levels([one._replace(pool=2)], codes)[key].tolist() == [1]
    assert motifs._levels([one, one._replace(part="mirna")], codes)[key].tolist() == [2 / 6]


@pytest.mark.parametrize("name", [name for name in models.names() if models.create(name).kernels()])
def test_a_silent_kernel_is_silent_in_the_network(name):
    """Whatever way the network computes its convolution: with all kernels silent the letters say nothing any more."""
    torch.manual_seed(0)
    model = models.create(name)
    mirnas, targets = ["UGAGGUAGUAGGUUGUAUAGUU", "UAGCUUAUCAGACUGAUGUUGA"], ["GCAUCUACCUCAGGAUUACGGAUCCA"] * 2
    texts = (mirnas, targets) if model.inputs == PAIR else (["GGGGAAAACCCC", "GCGCAAAAGCGC"], ["((((....))))"] * 2)
    with torch.inference_mode():
        codes = model.encode(*texts)
        assert len(set(model(*codes).tolist())) == 2
        for bank in model.kernels():
            bank.conv.weight[:], bank.conv.bias[:] = 0, 0
        assert len(set(model(*codes).tolist())) == 1


@pytest.mark.parametrize("name", ["dmiso", "mitar1"])
def test_kernels_are_what_the_network_convolves(name):
    """The target's kernels, slid along a sequence, stand among what the network's own convolutions give."""
    model, text = models.load(name), "UGAGGUAGUAGGUUGUAUAGUUCGAACC"
    seen = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv1d):
            module.register_forward_hook(lambda module, given, out: seen.append(out[0]))
    letters = torch.nn.functional.one_hot(torch.from_numpy(rna.encode([text])[0]).long(), 4).float().T[None]
    with torch.inference_mode():
        model(*model.encode([text[:22]], [text]))
        bank = next(bank for bank in model.kernels() if bank.part == "target")
        ours = torch.nn.functional.conv1d(letters, bank.weight, bank.bias)[0]
    width = ours.shape[1]
    assert any(
        torch.allclose(ours, theirs[:, low : low + width], atol=1e-5)
        for theirs in seen
        for low in range(theirs.shape[1] - width + 1)
    )


def test_a_kernel_along_both_strands_reads_the_mirna_backwards():
    mirna, target = models.load("mitar1").kernels()
    assert (mirna.part, target.part) == ("mirna", "target")
    torch.testing.assert_close(mirna.weight.flip(2), target.weight)


@torch.inference_mode()
def test_kernels_over_kmers_are_what_the_network_convolves():
    model = models.create("deepmirnatar")
    codes = torch.from_numpy(rna.encode(["UGAGGUAGUAGGUUGUAUAGUU"]))
    tokens = language.tokens(codes)
    bank = [bank for bank in model.kernels() if bank.part == "mirna"][2]  # of 5 taps
    conv = model.mirna.convolutions[2]
    theirs = conv(model.mirna.embed(tokens).transpose(1, 2))[0, :, 2:-2]  # without the padded ends
    ours = sum(bank.weight[:, tokens[0, tap : tap + theirs.shape[1]], tap] for tap in range(5)) + bank.bias[:, None]
    torch.testing.assert_close(ours, theirs)
    assert len(models.create("deepmirnatar", target_encoder="bert", bert_hidden=8, bert_layers=1).kernels()) == 3


@torch.inference_mode()
def test_kernels_over_hairpins_are_what_the_network_convolves():
    model = models.create("dnnpremir_cnn")
    table = pd.DataFrame({"hairpin_seq": ["GGGACGAAAACGUCCC", "GCGAUUACGGCUUUUGCCGUAAUCGC"]})  # folded on the way
    symbols = motifs._symbols(model, model.columns(table))["hairpin"]
    (bank,) = model.kernels()
    theirs = bank.conv(model.symbols(*model.encode(*model.columns(table))).transpose(1, 2)).transpose(1, 2)
    windows = motifs._windows(bank, symbols)
    known = motifs._known(windows)
    assert known.sum() == 13 + 23
    torch.testing.assert_close(motifs._outputs(bank, windows[known]), theirs[known])
    found = motifs.motifs(model, table).table
    assert (found["part"] == "hairpin").all()
    assert found.loc[found["method"] == "windows", "structure"].str.fullmatch(r"[.()?]{4}").all()
    assert list(motifs.effects(model, table).index) == [f"hairpin{number}" for number in range(16)]


@pytest.mark.parametrize(("name", "settings"), [("mitar", {"cnn": False}), ("deepmirnatar", {"text_cnn": False})])
def test_without_a_convolution_there_are_no_kernels(name, settings):
    with pytest.raises(UsageError, match="no kernels that slide along a sequence"):
        motifs.motifs(models.create(name, **settings))


def test_bad_questions():
    with pytest.raises(UsageError, match="seed has no kernels that slide along a sequence"):
        motifs.motifs(models.load("seed"))
    with pytest.raises(UsageError, match="hairpin has no kernels"):
        motifs.motifs(models.load("hairpin"))
    with pytest.raises(TableError, match="no column hairpin_seq, which dnnpremir_cnn reads"):
        motifs.motifs(models.load("dnnpremir_cnn"), pairs("ACGU"))
    with pytest.raises(UsageError, match="share is 1"):
        motifs.motifs(Toy(likes("GG")), share=1)
    with pytest.raises(InputError, match="no target has 2 known nt in a row"):
        motifs.motifs(Toy(likes("GG")), pairs("ANCN"))
    with pytest.raises(UsageError, match="no database of motifs 'rpb'"):
        motifs.database("rpb")


# --------------------------------------------------------------------------------------------------------- comparisons


def known(n=40, both_strands=False):
    generator = np.random.default_rng(4)
    made = [generator.dirichlet([0.2] * 4, int(generator.integers(6, 9))) for _ in range(n)]
    return MotifSet(tuple(Motif(f"m{i}", "", matrix) for i, matrix in enumerate(made)), both_strands)


@pytest.mark.slow  # memelite compiles when it is first used
def test_a_planted_motif_comes_first():
    """Motif 17 as a kernel's matrix, 2 empty positions before it; a kernel of weights log p finds it as well."""
    others = known()
    planted = others.motifs[17].matrix
    empty = np.full((2, 4), 0.25)
    bank = bank_of(torch.from_numpy(np.log(planted + 1e-3).T[None]).float())
    of_kernel = motifs.motifs(Toy(bank)).motifs[0]
    found = motifs.compare([Motif("planted", "", np.concatenate([empty, planted])), of_kernel], others)
    assert {part.shape for part in found} == {(2, 40)}
    assert found.pvalue.argmin(1).tolist() == [17, 17]
    assert found.offset[:, 17].tolist() == [-2, 0]
    assert not found.turned.any()
    assert (found.qvalue[:, 17] < 0.05).all()
    # Benjamini and Hochberg by hand, over all 80
    order = np.argsort(found.pvalue, axis=None)
    raised = found.pvalue.ravel()[order] * 80 / np.arange(1, 81)
    expected = np.minimum.accumulate(raised[::-1])[::-1].clip(max=1)
    np.testing.assert_allclose(found.qvalue.ravel()[order], expected)


@pytest.mark.slow
def test_the_other_strand_counts_for_dna_only():
    others = known(both_strands=True)
    planted = others.motifs[5].matrix
    turned = Motif("planted", "", planted[::-1, ::-1])
    found = motifs.compare([turned], others)
    start, end = motifs.telling(planted)  # what is compared of it
    assert found.pvalue.argmin() == 5
    assert (found.turned[0, 5], found.offset[0, 5], found.overlap[0, 5]) == (True, 0, end - start)
    one = motifs.compare([turned], MotifSet(others.motifs))
    assert not one.turned.any()
    assert one.pvalue[0, 5] > 1e-3


@pytest.mark.slow
def test_a_matrix_without_information_is_like_nothing():
    found = motifs.compare([Motif("flat", "", np.full((8, 4), 0.25))], known())
    assert (found.qvalue == 1).all()


def test_few_motifs_give_no_p_values():
    with pytest.raises(InputError, match="3 motifs to compare with; expected 25 or more"):
        motifs.compare([Motif("a", "", np.eye(4))], known(3))


def test_a_seed_for_each_family():
    mirnas = [Record("let-7a", "UGAGGUAGUAGGUUGUAUAGUU"), Record("miR-98", "UGAGGUAGUAAGUUGUAUUGUU")]
    (own,) = motifs.database("seeds", mirnas).motifs
    assert (own.id, own.name, motifs.consensus(own.matrix)) == ("GAGGUAG", "let-7a/miR-98", "GAGGUAG")
    turned = motifs.facing(own)
    assert (turned.id, motifs.consensus(turned.matrix)) == ("GAGGUAG", "CUACCUC")


@torch.inference_mode()
def test_shuffled_kernels_keep_their_positions():
    """Of nucleotides the columns of a kernel, of 2-mers what it finds in GA where it found it in AG, or the same."""
    own = bank_of(torch.randn(5, 4, 7))
    other = motifs.shuffled(own, np.random.default_rng(3))
    for one, two in zip(own.weight, other.weight, strict=True):
        assert sorted(map(tuple, one.T.tolist())) == sorted(map(tuple, two.T.tolist()))
    assert (own.weight != other.weight).any()
    torch.testing.assert_close(motifs.shuffled(own, np.random.default_rng(3)).weight, other.weight)
    weight = torch.zeros(20, 16, 1)
    weight[:, 2] = 1
    found = motifs.shuffled(bank_of(weight), np.random.default_rng(3)).weight[:, :, 0].argmax(1)
    assert set(found.tolist()) == {2, 8}


@pytest.mark.slow
def test_a_kernel_for_let7_sites_finds_the_seed(tmp_path):
    """It comes first, on either strand, with about the p-value of seven letters by chance, never 0."""
    rng = np.random.default_rng(2)
    mirnas = [Record(f"mir{i}", "".join(rng.choice(list("ACGU"), 22))) for i in range(60)]
    mirnas.append(Record("let-7", "UGAGGUAGUAGGUUGUAUAGUU"))
    toy = Toy(likes("CUACCUC"), likes("GAGGUAG", part="mirna"))
    found = motifs.motifs(toy)
    calls = []
    seeds = {"seeds": motifs.database("seeds", mirnas)}
    floor = (motifs.motifs(toy, shuffle=state) for state in range(19))
    similar, summary = motifs.matches(found, seeds, floor, top=1, report=calls.append)
    assert calls == [1] * 20
    assert list(similar.columns) == list(motifs.MATCH_COLUMNS)
    assert similar["motif_name"].tolist() == ["let-7", "let-7"]
    assert similar["motif_id"].tolist() == ["GAGGUAG", "GAGGUAG"]
    assert ((similar["pvalue"] > 4**-8) & (similar["pvalue"] < 4**-6)).all()
    assert list(summary.columns) == list(motifs.SUMMARY_COLUMNS)
    assert summary.loc[0, "best_pvalue"] == pytest.approx(np.sqrt(similar["pvalue"].prod()))
    assert summary.loc[0, "best_pvalue"] < summary.loc[0, "floor_best_pvalue"]
    assert summary.loc[0, "shuffle_pvalue"] in np.arange(1, 21) / 20
    assert (summary.loc[0, "n_kernels"], summary.loc[0, "n_similar"]) == (2, (similar["qvalue"] < 0.05).sum())
    assert 0 <= summary.loc[0, "floor_mean"] <= summary.loc[0, "floor_most"] <= 2
    files = motifs.write(found, similar, summary, tmp_path / "out", settings={"model": "toy"})
    assert [path.name for path in files][:4] == ["kernels.tsv", "matches.tsv", "summary.tsv", "motifs.meme"]
    assert [path.name for path in files][4:] == ["logos.png", "logos.svg", "logos.pdf", "run.json"]
    assert [motif.id for motif in io.read_meme(files[3]).motifs] == ["target0_weights", "mirna0_weights"]
    assert json.loads(files[-1].read_text())["summary"][0]["n_kernels"] == 2
    assert files[4].stat().st_size > 1000


@pytest.mark.slow
def test_many_kernels_for_seeds_are_nearer_than_their_shuffles():
    """Of 2,000 seeds none can be told by its q-value, but that five kernels are each one of them can."""
    rng = np.random.default_rng(2)
    mirnas = [Record(f"mir{i}", "".join(rng.choice(list("ACGU"), 22))) for i in range(2000)]
    seeds = {"seeds": motifs.database("seeds", mirnas)}
    sites = Toy(*(likes(rna.reverse_complement(mirna.sequence[1:8])) for mirna in mirnas[:5]))
    any_letters = Toy(*(likes("".join(rng.choice(list("ACGU"), 7))) for _ in range(5)))

    def asked(toy):
        floor = [motifs.motifs(toy, shuffle=state) for state in range(39)]
        return motifs.matches(motifs.motifs(toy), seeds, floor)[1].loc[0]

    found, other = asked(sites), asked(any_letters)
    assert math.isnan(motifs.matches(motifs.motifs(sites), seeds)[1].loc[0, "shuffle_pvalue"])
    assert found["n_similar"] == 0
    assert found["shuffle_pvalue"] == 1 / 40
    assert other["shuffle_pvalue"] > 0.05


@pytest.mark.slow
@pytest.mark.data
def test_a_planted_rbp_motif_comes_first(data_path):
    data_path("rbp_attract_2017_12")
    others = motifs.database("rbp")
    number = next(i for i, motif in enumerate(others.motifs) if motif.id == "PUM2_A")
    found = motifs.compare([others.motifs[number]], others)
    assert found.pvalue[0, number] == found.pvalue.min() < 1e-6
    assert (found.offset[0, number], found.qvalue[0, number] < 0.001) == (0, True)


def test_logos_are_as_high_as_their_information():
    table = pd.DataFrame(
        [("target0", "weights", 2 * np.eye(4)[[2, 0]], "target0\nlogit +1", "near X")],
        columns=["kernel", "method", "heights", "label", "note"],
    )
    figure = plot.logos(table)
    (ax,) = (ax for ax in figure.axes if ax.axison)
    heights = [patch.get_extents().height for patch in ax.patches]
    assert len(heights) >= 2
    assert ax.get_ylim() == (0, 2)
    assert ax.get_title(loc="left") == "near X"


# ---------------------------------------------------------------------------------------------------------------- MEME


@given(arrays(float, st.tuples(st.integers(1, 9), st.just(4)), elements=st.floats(0.01, 1)), st.integers(1, 99))
def test_meme_round_trip(weights, n):
    matrix = weights / weights.sum(1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.meme.gz"
        io.write_meme([Motif("one", "GGA", matrix, n), Motif("two", "", matrix[::-1])], path)
        found = io.read_meme(path)
    assert not found.both_strands
    assert [(m.id, m.name, m.n_sites) for m in found.motifs] == [("one", "GGA", n), ("two", "", 20)]
    np.testing.assert_allclose(found.motifs[0].matrix, matrix, atol=2e-6)


HEAD = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
ROWS = "letter-probability matrix: alength= 4 w= 2 nsites= 7 E= 0\n 0.5 0.5 0 0\n 0\t0 1 0\n"


def written(tmp_path, text):
    path = tmp_path / "x.meme"
    path.write_text(text)
    return path


def test_meme_of_dna_and_of_programs(tmp_path):
    """Text between MOTIF and its matrix, as the program meme writes; no w=; no blank line before the next motif."""
    text = HEAD + "MOTIF MA1.1 Arnt\nlog-odds matrix: alength= 4 w= 1\n 1 2 3 -4\n" + ROWS
    text += "MOTIF b\nsome words\nletter-probability matrix: alength= 4\n0 0 0 1\n\nURL x\n"
    found = io.read_meme(written(tmp_path, text))
    assert found.both_strands
    assert [(m.id, m.name, m.n_sites, len(m.matrix)) for m in found.motifs] == [
        ("MA1.1", "Arnt", 7, 2),
        ("b", "", 20, 1),
    ]
    one = io.read_meme(written(tmp_path, text.replace("strands: + -", "strands: +")))
    assert not one.both_strands
    assert not io.read_meme(written(tmp_path, text.replace("ACGT", "ACGU").replace("strands: + -\n", ""))).both_strands


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", InputError, "no motif"),
        (HEAD, InputError, "no motif"),
        (">MA0004.1 Arnt\nA [4 19]\n", InputError, "no motif; expected MEME's format"),
        (HEAD.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY"), TableError, ":3: alphabet 'ACDEFGHIKLMNPQRSTVWY'"),
        (HEAD + "MOTIF a\n" + ROWS + "MOTIF a\n" + ROWS, RepeatedIdError, ":11: the motif 'a' comes twice"),
        (HEAD + "MOTIF a\n" + ROWS.replace("0.5 0.5", "0.5 0.7"), TableError, ":9: a: ' 0.5 0.7 0 0'"),
        (HEAD + "MOTIF a\n" + ROWS.replace("0.5 0.5", "nan 0.5"), TableError, "expected four probabilities"),
        (HEAD + "MOTIF a\n" + ROWS.replace("0.5 0.5 0 0", "0.5 0.5 0"), TableError, "expected four probabilities"),
        (HEAD + "MOTIF a\n" + ROWS.replace("w= 2", "w= 3"), TableError, ":10: a: a matrix of 2 rows; expected 3"),
        (HEAD + "MOTIF a\n" + ROWS.replace("w= 2", "w= 0"), TableError, "expected"),
    ],
)
def test_bad_meme_is_one_line(tmp_path, text, error, message):
    with pytest.raises(error) as caught:
        io.read_meme(written(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.data
def test_files_of_the_catalogue(data_path):
    data_path("rbp_attract_2017_12"), data_path("jaspar2024_core_vertebrates")
    assert len(motifs.database("rbp").motifs) == 1322 + 71
    assert not motifs.database("rbp").both_strands
    jaspar = motifs.database("jaspar")
    assert len(jaspar.motifs) == 879
    assert jaspar.both_strands


# ------------------------------------------------------------------------------------------------------------- command


@pytest.mark.slow
def test_command(run, tmp_path):
    io.write_meme(known().motifs, tmp_path / "mine.meme")
    header, text = "mirna_seq\ttarget_seq\n", "UGAGGUAGUAGGUUGUAUAGUU\t"
    rows = ["GCAUCUACCUCAGGAUUACGGAUCCA", "AAUUCGGACUUAGGCAUCGAUUCGAGC"]
    (tmp_path / "pairs.tsv").write_text(header + "".join(f"{text}{row}\n" for row in rows))
    _, err = run("motifs dmiso pairs.tsv --database mine.meme --shuffles 1 --logos 2 -o out --threads 1")
    assert "mine.meme, from weights:" in err
    assert "of 20 kernels are like a motif" in err
    assert "silenced one by one, 20 kernels change the logit by" in err
    names = [
        "kernels.tsv",
        "logos.pdf",
        "logos.png",
        "logos.svg",
        "matches.tsv",
        "motifs.meme",
        "run.json",
        "summary.tsv",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    table = pd.read_csv(tmp_path / "out" / "kernels.tsv", sep="\t")
    assert (table["method"] == "weights").sum() == 20
    assert math.isclose(table["bits"].min(), -math.log2(0.01), abs_tol=3)


def test_command_says_what_is_wrong(run, tmp_path):
    assert "no kernels" in run("motifs seed -o out", code=2)[1]
    assert "no database of motifs 'nothing'" in run("motifs dmiso --database nothing -o out", code=2)[1]
    (tmp_path / "mirnas.fa").write_text(">a\nUGAGGUAGUAGGUUGUAUAGUU\n")
    assert "add --database seeds" in run("motifs dmiso --database rbp --mirnas mirnas.fa -o out", code=2)[1]
    (tmp_path / "bad.meme").write_text("x\n")
    assert "bad.meme: no motif" in run("motifs dmiso --database bad.meme -o out", code=1)[1]
    assert not (tmp_path / "out").exists()
