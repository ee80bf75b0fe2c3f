"""Models that are logistic in a classical score: miRanda against the program's own output and a slow reference."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import RNA
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from mirscope import datasets, floors, metrics, models, predict, rna
from mirscope.models import miranda, rnacofold, rnaduplex

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
MIR214 = "UGCCUGUCUACACUUGCUGUGC"
NETWORKS = {"miranda": miranda, "rnaduplex": rnaduplex, "rnacofold": rnacofold}


def alignment_score(mirna, target):
    network = models.create("miranda")
    return float(network.alignment_scores(*network.encode([mirna], [target])))


# What miRanda 3.3a printed with its defaults, as others have published it: miRNA 5'->3', the reference as drawn
# ("Ref: 5' ... 3'"), the score. 214-5p: a bulge of the miRNA, then ten matches alone; 156c: a bulge of three target
# nucleotides; let-7a: a wobble in the seed.
PUBLISHED = [
    (MIR214, "GAGUAGCUGGGCUGACAGGCA", 150),
    (MIR214, "UAUUAUUUUUUGUAGACAGGGU", 140),
    ("ACCCAAACCCAACUUGAUCCUCCAUUU", "AAACCGGGGUUUAACUCUUUUGGUUUGGGA", 161),
    (LET7, "CUCAGGUCAUCCUCCUGCCUCG", 143),
]


@pytest.mark.parametrize(("mirna", "target", "score"), PUBLISHED)
def test_miranda_scores_what_the_program_printed(mirna, target, score):
    assert alignment_score(mirna, target) == score


@pytest.mark.parametrize(
    ("mirna", "target", "score"),
    [
        (LET7, "CUACCUC", 7 * 20),  # opposite nucleotides 8 to 2
        (LET7, "CUACCUCA", 7 * 20),  # the first does not count
        (LET7, "ACUACCUC", 7 * 20 + 5),
        (LET7, "GCUACCUC", 7 * 20 + 1),  # U9-G
        (LET7, "CUGCCUC", 6 * 20 + 4),  # U6-G
        (LET7, "CUAGCUC", 6 * 20 - 12),
        (LET7, "CUANCUC", 6 * 20 - 4),
        (LET7, "CUACACUC", 7 * 20 - 36),  # a bulge of the target in the seed, of one nucleotide and of two
        (LET7, "CUACAACUC", 7 * 20 - 36 - 16),
        (LET7, "ACCUAGCUACCUC", 7 * 20 + 5 * 5 - 9),  # and between nucleotides 9 and 8
        (LET7, "AACCUCUACCUC", 7 * 20 + 5 * 5 - 9),  # nucleotide 9 has no partner
        (LET7, "CUACUC", 4 * 20 + 4),  # G5 may not be left out: 8 to 5 and the wobble of G4
        ("UUUUUUUU", "AAAAAAAA", 5 * 20),  # the last two do not count
        ("UUU", "AAAAAAAA", 0),
        (LET7, "", 0),
        ("N", "N", 0),
    ],
)
def test_miranda_counted_by_hand(mirna, target, score):
    assert alignment_score(mirna, target) == score


def reference(mirna, target):
    """The best chain of pairs, every next pair tried."""
    mirna = mirna.rstrip("N")

    def weight(k):
        return 4 if 2 <= k <= 8 else 1

    def points(k, j):
        pair = {mirna[k - 1], target[j]}
        if "N" in pair:
            return -1
        return 5 if pair in ({"A", "U"}, {"C", "G"}) else 1 if pair == {"G", "U"} else -3

    @cache
    def best(k, j):  # of chains from miRNA nucleotide k at target place j to the miRNA's 3' end
        further = [0]
        for i in range(j):
            if k + 1 <= len(mirna) - 2:
                n = j - i - 1
                further.append(best(k + 1, i) - (weight(k + 1) * (9 + 4 * (n - 1)) if n else 0))
        if j and k >= 8:
            further += [best(m, j - 1) - 9 - 4 * (m - k - 2) for m in range(k + 2, len(mirna) - 1)]
        return weight(k) * points(k, j) + max(further)

    return max([0, *(best(k, j) for k in range(2, len(mirna) - 1) for j in range(len(target)))])


@given(mirna=st.text("ACGUN", min_size=1, max_size=30), target=st.text("ACGUN", max_size=50))
@example(LET7, "CUCAGGUCAUCCUCCUGCCUCG")
@settings(max_examples=60, deadline=None)
def test_miranda_is_the_slow_and_obvious(mirna, target):
    assert alignment_score(mirna, target) == reference(mirna, target)


@given(seed=st.integers(0, 10**6), bulge=st.integers(0, 4), at=st.integers(1, 12), lost=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_miranda_is_the_slow_and_obvious_on_sites_with_bulges(seed, bulge, at, lost):
    rng = np.random.default_rng(seed)
    mirna = "".join(rng.choice(list("ACGU"), int(rng.integers(17, 25))))
    site = list(rna.reverse_complement(mirna))
    site[-at - lost - 8 : -at - 8] = rng.choice(list("ACGU"), bulge)
    for place in rng.integers(0, len(site), 2):
        site[place] = rng.choice(list("ACGU"))
    target = "".join([*rng.choice(list("ACGU"), 5), *site, *rng.choice(list("ACGU"), 5)])
    assert alignment_score(mirna, target) == reference(mirna, target)


def test_energy_of_a_duplex_is_that_of_its_drawing(pairs):
    energies = [rna.duplex_mfe(*pair) for pair in zip(pairs["mirna_seq"], pairs["target_seq"], strict=True)]
    assert energies == [rna.duplex(*pair).mfe for pair in zip(pairs["mirna_seq"], pairs["target_seq"], strict=True)]
    assert min(energies) < -10
    assert rna.duplex_mfe("AAAAAAAA", "AAAAAAAA") == 0
    assert rna.duplex_mfe("", "ACGU") == 0


def test_binding_energy_leaves_out_what_a_strand_does_alone():
    hairpin = "GGGGCGGCGAAAGCCGCCCC"
    assert RNA.cofold(f"{hairpin}&AAAAAAAA")[1] < -10
    assert rna.binding_energy("AAAAAAAA", hairpin) == 0
    site = "AA" + rna.reverse_complement(LET7) + "AA"
    alone = RNA.fold(LET7)[1] + RNA.fold(site)[1]
    assert rna.binding_energy(LET7, site) == pytest.approx(RNA.cofold(f"{site}&{LET7}")[1] - alone, abs=0.006)
    assert rna.binding_energy(LET7, site) < -25
    assert rna.joint_mfe(LET7, hairpin) == pytest.approx(RNA.cofold(f"{LET7}&{hairpin}")[1], abs=0.006)
    assert rna.joint_mfe("AAAAAAAA", hairpin) == rna.fold(hairpin)[1]
    assert rna.binding_energy("", site) == rna.binding_energy(LET7, "") == 0


@pytest.mark.parametrize(("name", "energy"), [("rnaduplex", rna.duplex_mfe), ("rnacofold", rna.binding_energy)])
def test_logits_are_affine_in_the_energy(name, energy, pairs):
    logits = np.log(1 / predict.score(models.create(name), pairs) - 1) * -1
    energies = [energy(*pair) for pair in zip(pairs["mirna_seq"], pairs["target_seq"].str[:50], strict=True)]
    short = pairs["target_seq"].str.len() <= 50
    expected = NETWORKS[name].SLOPE * np.array(energies) + NETWORKS[name].INTERCEPT
    np.testing.assert_allclose(logits[short], expected[short], atol=1e-3)
    assert NETWORKS[name].SLOPE < 0


def test_rnaduplex_ranks_as_the_floor(pairs):
    short = pairs[pairs["target_seq"].str.len() <= 50]
    scores = pd.Series(predict.score(models.create("rnaduplex"), short)).round(6)
    pd.testing.assert_series_equal(scores.rank(), pd.Series(floors.duplex_energy(short)).rank())


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_does_not_count(name, pairs):
    network = models.create(name)
    mirnas, targets = list(pairs["mirna_seq"][:8]), list(pairs["target_seq"][:8])
    plain, padded = (
        network(torch.from_numpy(rna.encode(mirnas, short)), torch.from_numpy(rna.encode(targets, long)))
        for short, long in ((24, 53), (40, 90))
    )
    assert torch.equal(plain, padded)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_site_is_whole_in_a_window(name):
    network = models.create(name)
    starts = predict.window_starts(400, network.lengths[1], network.stride)
    for start in range(400 - 31):
        assert ((starts <= start) & (start + 31 <= starts + network.lengths[1])).any()


@pytest.mark.data
@pytest.mark.parametrize(("name", "auroc"), [("miranda", 0.795), ("rnaduplex", 0.806)])
def test_figures_of_the_data_readme(name, auroc, data_path):
    data_path("clash_hejret2023_mirbench")
    test = datasets.load_pairs("clash_hejret2023_mirbench:test")
    found = metrics.auroc_score(test["label"], predict.score(models.create(name), test))
    assert found == pytest.approx(auroc, abs=0.002)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["miranda", "rnaduplex"])
def test_constants_are_those_of_the_training_pairs(name, data_path):
    """As recipes/classical.py; rnacofold takes a minute there."""
    data_path("clash_hejret2023_mirbench")
    train = datasets.load_pairs("clash_hejret2023_mirbench:train")
    network = models.create(name)
    logits = torch.from_numpy(predict.score(network, train)).double().logit().numpy()
    scores = (logits - NETWORKS[name].INTERCEPT) / NETWORKS[name].SLOPE
    fitted = LogisticRegression(C=np.inf).fit(scores[:, None], train["label"].to_numpy())
    assert fitted.coef_.item() == pytest.approx(NETWORKS[name].SLOPE, rel=0.01)
    assert fitted.intercept_.item() == pytest.approx(NETWORKS[name].INTERCEPT, rel=0.01)
