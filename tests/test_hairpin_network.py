"""The network `hairpin`: its columns, the arms it calls, what it makes of odd hairpins."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mirscope import datasets, models, rna
from mirscope.models import hairpin

LET7 = "UGGGAUGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCCACCACUGGGAGAUAACUAUACAAUCUACUGUCUUUCCUA"
texts = st.text("ACGU", min_size=0, max_size=150)


def shown(sequence: str, structure: str) -> tuple[str, str]:
    """The two strands of all columns, `.` where there is none."""
    up, down = hairpin.columns(structure)
    return tuple("".join("." if place < 0 else sequence[place] for place in side) for side in (up, down))


def test_columns_by_hand():
    #           flank  stem bulge stem loop  stem stem flank
    sequence = "AC" + "GGC" + "A" + "UC" + "UUUAA" + "GA" + "GCC" + "U"
    structure = ".." + "(((" + "." + "((" + "....." + "))" + ")))" + "."
    up, down = shown(sequence, structure)
    # the loop UUUAA from its middle to the stem, C-G, U-A, the bulge, C-G, G-C, G-C, the flanks
    assert up == "......." + "UUU"[::-1] + "CU" + "A" + "CGG" + "CA" + "." * 46
    assert down == "........" + "AA" + "GA" + "." + "GCC" + "U" + "." * 47


def test_columns_of_nothing():
    assert (hairpin.columns("") == -1).all()
    assert (hairpin.columns("....") == -1).all()


@given(texts)
def test_columns_hold_every_place_at_most_once_and_the_stem_in_order(sequence):
    structure = rna.fold(sequence)[0] if sequence else ""
    places = hairpin.columns(structure)
    seen = places[places >= 0]
    assert len(seen) == len(set(seen.tolist()))
    assert (seen < len(sequence)).all()
    stem = rna.stem(structure)[::-1]
    paired = [(int(i), int(j)) for i, j in places.T if (i, j) in set(stem)]
    assert paired == stem[: len(paired)]
    assert len(paired) == len(stem) or (places[:, -1] >= 0).any()
    for strand, step in zip(places, (-1, 1), strict=True):
        stem_and_flank = strand[hairpin.LOOP :]
        assert (np.diff(stem_and_flank[stem_and_flank >= 0]) * step > 0).all()


@given(st.integers(0, 60), st.integers(0, 60))
def test_flanks_do_not_move_the_stem(left, right):
    structure = rna.fold(LET7)[0]
    plain, flanked = (hairpin.columns(text) for text in (structure, "." * left + structure + "." * right))
    there = plain >= 0
    np.testing.assert_array_equal(plain[there], flanked[there] - left)


def test_side_branches_and_long_loops_are_cut():
    structure = "((((" + "((...))" * 3 + "((((((" + "." * 40 + "))))))" + "))))"
    places = hairpin.columns(structure)
    assert places[0, : hairpin.LOOP].tolist() == list(range(40, 30, -1))
    assert (places[0, hairpin.LOOP + 6 : hairpin.LOOP + 6 + hairpin.BULGE] >= 0).all()  # 21 nt in 12 columns
    assert places[:, hairpin.LOOP + 6 + hairpin.BULGE].tolist() == [3, 77]


@pytest.fixture(scope="module")
def model():
    return models.load("hairpin")


def test_arms_of_let7(model):
    structure = rna.fold(LET7)[0]
    (places,) = model.arms([LET7], [structure])
    first, second = LET7[places[0] : places[1]], LET7[places[2] : places[3]]
    assert abs(LET7.index("UGAGGUAGUAGGUUGUAUAGUU") - places[0]) <= 1
    assert "GAGGUAGUAGGUUGUAUAG" in first
    assert abs(LET7.index("CUAUACAAUCUACUGUCUUUC") - places[2]) <= 2
    assert "ACAAUCUACUGUCUU" in second


def test_flanks_move_the_arms_with_them(model):
    structure = rna.fold(LET7)[0]
    (plain,), (moved,) = (
        model.arms([text], [sign]) for text, sign in ((LET7, structure), ("AC" * 8 + LET7, "." * 16 + structure))
    )
    assert np.abs(moved - 16 - plain).max() <= 1


@given(st.lists(texts, max_size=4))
def test_arms_are_mature_lengths_on_their_sides_or_nothing(sequences):
    model, structures = models.create("hairpin"), [rna.fold(text)[0] if text else "" for text in sequences]
    places = model.arms(sequences, structures)
    assert places.shape == (len(sequences), 4)
    for sequence, structure, row in zip(sequences, structures, places, strict=True):
        for start, end in (row[:2], row[2:]):
            assert (start, end) == (-1, -1) or (0 <= start < end <= len(sequence) and end - start in hairpin.MATURE)
        if not rna.stem(structure):
            assert (row == -1).all()


def test_arms_one_by_one_are_arms_together(model):
    table = datasets.load_hairpins("mirbase22_hairpins_4species").head(20)
    both = table["hairpin_seq"].tolist(), table["structure"].tolist()
    together = model.arms(*both)
    for row, pair in enumerate(zip(*both, strict=True)):
        np.testing.assert_array_equal(model.arms(*([text] for text in pair))[0], together[row])


def test_hairpins_without_a_base_pair_have_a_score():
    model = models.create("hairpin")
    for text in ("", "A", "AAAAAAAAAA", "NNNNNNNN"):
        assert torch.isfinite(model(*model.encode([text], ["." * len(text)]))).all()


def test_bundled_weights_tell_mirnas_from_shuffles(model):
    from mirscope import negatives, predict

    table = datasets.load_hairpins("mirgenedb_hairpins_4species").query("species == 'hsa'").head(60)
    hairpins = table["hairpin_seq"].tolist()
    shuffled = [negatives.dinucleotide_shuffle(text, random_state=row) for row, text in enumerate(hairpins)]
    scores = predict.score(model, pd.DataFrame({"hairpin_seq": hairpins + shuffled})).reshape(2, -1)
    assert np.median(scores[0]) > 0.8
    assert np.median(scores[1]) < 0.2
