"""The set that recipes/dmiso_chimeras.py makes: parts called, targets placed, halves that share nothing."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mirscope import models, predict, splits, train
from mirscope.io import Record
from mirscope.isomir import References

LET7, MIR21 = "UGAGGUAGUAGGUUGUAUAGUU", "UAGCUUAUCAGACUGAUGUUGA"
RNG = np.random.default_rng(6)


def drawn(n):
    return "".join(RNG.choice(list("ACGU"), n))


@pytest.fixture
def recipe(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "recipes"))
    module = importlib.import_module("dmiso_chimeras")
    monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    return module


@pytest.fixture(scope="module")
def positives():
    """24 miRNAs of 6 pairs each, every third pair by an isomiR without the first nt, 12 sites bound by two miRNAs."""
    rows = []
    sites = [drawn(50) for _ in range(12)]
    for number in range(24):
        mirna = drawn(22)
        for pair in range(6):
            site = sites[number // 2] if pair == 0 else drawn(50)
            part, classes = (mirna[1:], "5p_deletion") if pair % 3 == 1 else (mirna, "")
            rows.append((f"miR-{number}", part, site, 1, mirna, classes, ("Hejret", "Helwak")[pair % 2]))
    names = ["mirna_id", "mirna_seq", "target_seq", "label", "reference", "classes", "source"]
    return pd.DataFrame(rows, columns=names)


def test_parts_are_called_and_replaced_by_their_mirna(recipe):
    known = References.of([Record("let-7a", LET7), Record("miR-21", MIR21)])
    parts = [LET7, LET7[:-2], MIR21[1:], MIR21[:8] + "A" + MIR21[9:], LET7, "ACACACGGCUACACGUCCGCAC"]
    pairs = pd.DataFrame({"mirna_id": "", "mirna_seq": parts, "target_seq": "ACGU" * 12, "label": 1})
    found = recipe.called(pairs, known)
    columns = ["mirna_id", "mirna_seq", "reference", "classes", "n_reads"]
    assert found[columns].values.tolist() == [
        ["let-7a", parts[0], LET7, "", 2],
        ["let-7a", parts[1], LET7, "3p_deletion", 1],
        ["miR-21", parts[2], MIR21, "5p_deletion", 1],
        ["miR-21", parts[3], MIR21, "SNP", 1],
        ["let-7a", parts[4], LET7, "", 2],
    ]
    assert recipe.with_reference(found)["mirna_seq"].tolist() == [LET7, LET7, MIR21, MIR21, LET7]
    assert recipe.other_end(found).tolist() == [False, False, True, False, False]


def test_a_target_is_placed_in_the_longest_transcript_and_extended(recipe):
    site, other, absent = drawn(50), drawn(50), drawn(50)
    tail = drawn(40)
    transcripts = [Record("short", "AC" + site), Record("long", "GGG" + site + tail), Record("end", other + "ACGUACGU")]
    pairs = pd.DataFrame({"mirna_seq": LET7, "target_seq": [absent, site, other], "label": 1})
    found = recipe.placed(pairs, transcripts)
    assert found["gene_id"].tolist() == ["long", "end"]
    assert found["target_seq"].tolist() == [site + tail[:25], other + "ACGUACGU"]


@pytest.mark.parametrize("direction", [0, 1])
def test_halves_share_neither_family_nor_site(recipe, positives, direction):
    table = recipe.halves(positives, "families, sites apart", direction)
    assert set(table["split"]) >= {"train", "valid", "test"}
    whole = pd.concat([table, recipe.with_reference(table)], ignore_index=True)
    for groups in (splits.families(whole["mirna_seq"].tolist()), splits.clusters(whole["target_seq"].tolist())):
        kept = whole.assign(group=groups)[whole["split"] != ""]
        assert kept.groupby("group")["split"].nunique().max() == 1
    other = recipe.halves(positives, "families, sites apart", 1 - direction)
    asked, learned = table["split"] == "test", other["split"].isin(["train", "valid"])
    assert not (learned & ~asked).any() and not (asked & (other["split"] == "test")).any()
    # each of the 12 shared sites is of two miRNAs: a pair is dropped where these are on two sides, or in two parts
    assert (table["split"] == "").sum() <= 24
    assert (table.loc[table["split"] == "", "target_seq"].map(table["target_seq"].value_counts()) == 2).all()


def test_halves_of_the_names(recipe, positives):
    table = recipe.halves(positives, "miRNAs", 0)
    of_each = table.groupby("mirna_id")["split"].agg(set)
    assert sorted(map(sorted, of_each)) == [["test"]] * 12 + [["train"]] * 10 + [["valid"]] * 2


def test_what_shares_a_cluster_with_a_test_site_is_held_out(recipe, positives):
    published = np.where(positives["mirna_id"] == "miR-0", "test", "train")
    beside = positives["target_seq"][140]
    table = recipe.held_out(positives.assign(published=published), ["ACGU" + beside[:25]])
    own = positives["target_seq"].isin([*positives["target_seq"][:6], beside])
    assert (table["split"] == "sites").equals(own)
    assert own.sum() == 8  # six of miR-0, one that miR-1 shares with it, one that shares 25 nt with another test
    assert set(table["split"]) - {""} == {"sites", "test", "valid", "train"}


def test_negatives_are_made_within_each_part_and_set(recipe, positives):
    table = recipe.halves(positives, "families, sites apart", 0)
    made = recipe.with_negatives(table, "repaired")
    assert (made["label"] == 0).sum() == (made["label"] == 1).sum() > 100
    places = table.set_index("target_seq")[["split", "source"]].apply(tuple, axis=1)
    known = places.groupby(level=0).agg(set)
    for row in made.itertuples():
        assert (row.split, row.source) in known[row.target_seq]
        assert row.mirna_seq == (row.reference[1:] if row.classes else row.reference)
    keep = ["mirna_seq", "target_seq", "split", "source", "reference", "classes"]
    positive = made[made["label"] == 1]
    assert positive[keep].merge(table[keep]).shape[0] == len(positive)


def test_tables_of_a_small_set(recipe, positives, monkeypatch):
    """Trained for one epoch; a second call reads what the first one left."""
    monkeypatch.setattr(recipe, "SETTINGS", train.Settings(epochs=1, monitor="average_precision"))
    monkeypatch.setattr(recipe, "EPOCHS_OF_FEW", 1)
    monkeypatch.setattr(recipe, "STATES", (1, 2))
    torch.manual_seed(0)
    network = models.create("dmiso").eval()
    monkeypatch.setattr(recipe, "published", lambda: network)
    for text, n_lines in ((recipe.balanced(positives), 2 + 4 + 2 + 6), (recipe.isomirs(positives), 2 + 5 * 3)):
        lines = text.splitlines()
        assert len(lines) == n_lines and len({line.count("|") for line in lines}) == 1
    monkeypatch.setattr(train, "fit", None)
    assert recipe.isomirs(positives) == text


def test_bundled_weights():
    """What they say of let-7a with sites of lin-41, its own complement, and no site at all (which they do not see)."""
    lin41 = "UUAUACAACCAUUCUGCCUCUUUUAGUUCCACAGGGAUUUUACCAUUCUGCCUC"
    targets = [lin41, "AACUAUACAACCUACUACCUCA" + "ACGU" * 7, "AC" * 25]
    model = models.load("dmiso_chimeras")
    scores = predict.score(model, pd.DataFrame({"mirna_seq": LET7, "target_seq": targets}))
    np.testing.assert_allclose(scores, [0.784767, 0.809608, 0.754657], atol=1e-5)
    assert {"clash_hejret2023_mirbench:test", "clash_helwak2013_1to1:test"} <= set(model.provenance["left_out"])
