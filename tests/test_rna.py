import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirscope import rna

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"  # nt 2-8 GAGGUAG; opposite them CUACCUC

rnas = st.text("ACGUN", max_size=60)


@given(st.lists(rnas, max_size=5), st.integers(1, 40))
def test_encode_then_decode_is_cut_and_padded(sequences, length):
    assert rna.decode(rna.encode(sequences, length)) == [s[:length].ljust(length, "N") for s in sequences]


@given(rnas)
def test_complement_twice_is_nothing(sequence):
    assert rna.reverse_complement(rna.reverse_complement(sequence)) == sequence


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("GGCUACCUCAGG", "8mer"),
        ("CUACCUCA", "8mer"),
        ("GGCUACCUCGGG", "7mer-m8"),
        ("CUACCUC", "7mer-m8"),  # nothing opposite nt 1
        ("GGAUACCUCAGG", "7mer-A1"),
        ("UACCUCA", "7mer-A1"),
        ("GGAUACCUCGGG", "6mer"),
        ("UACCUC", "6mer"),
        ("GGCUACCUAAGG", "offset-6mer"),
        ("CUACCU", "offset-6mer"),
        ("GGAUACCUAAGG", ""),
        ("GGCUACUUCAGG", ""),  # a G-U pair is no match
        ("CUACCNCA", ""),
        ("", ""),
        ("UACCUCGCUACCUCA", "8mer"),  # the best one counts
    ],
)
def test_seed_types_of_let7(target, expected):
    assert rna.seed_type(LET7, target) == expected


def test_a1_is_an_a_whatever_the_mirna_starts_with():
    """TargetScan: adenosine opposite nucleotide 1, not a pair with it (Lewis 2005)."""
    for first in "ACGU":
        assert rna.seed_type(first + LET7[1:], "CUACCUCA") == "8mer"


@given(st.text("ACGU", min_size=8, max_size=24), st.text("ACGU", max_size=80))
def test_seed_matches_are_what_a_string_search_finds(mirna, target):
    matches = rna.seed_matches(rna.encode([mirna])[0], rna.encode([target])[0])
    for row, kind in zip(matches, rna.SEED_TYPES, strict=True):
        motif = rna.reverse_complement(mirna[kind.first - 1 : kind.last]) + ("A" if kind.a1 else "")
        slow = [i for i in range(len(target)) if target.startswith(motif, i)]
        intervals = [rna.seed_interval(int(place), kind) for place in np.flatnonzero(row)]
        assert [start for start, _ in intervals] == slow
        assert all(end - start == len(motif) for start, end in intervals)


def test_duplex_of_a_perfect_site():
    duplex = rna.duplex(LET7, "GGG" + rna.reverse_complement(LET7) + "GG")
    assert (duplex.start, duplex.end) == (3, 25)
    assert duplex.target == rna.reverse_complement(LET7)
    assert duplex.pairs == "|" * 22
    assert duplex.mirna == LET7[::-1]
    assert duplex.mfe < -30


@given(st.text("ACGU", min_size=5, max_size=26), st.text("ACGU", min_size=5, max_size=60))
def test_a_drawn_duplex_holds_the_sequences_and_only_pairs(mirna, target):
    duplex = rna.duplex(mirna, target)
    assert len(duplex.target) == len(duplex.pairs) == len(duplex.mirna)
    assert duplex.target.replace("-", "") == target[duplex.start : duplex.end]
    assert duplex.mirna.replace("-", "") in mirna[::-1]
    kinds = {"|": ({"A", "U"}, {"C", "G"}), ":": ({"G", "U"},)}
    for above, pair, below in zip(duplex.target, duplex.pairs, duplex.mirna, strict=True):
        assert pair == " " or {above, below} in kinds[pair]


def test_no_duplex_is_drawn_where_none_is_stable():
    assert rna.duplex("AAAAAAAA", "AAAAAAAA").pairs == ""
    assert rna.duplex("", "ACGU").mfe == 0


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        ("", []),
        ("....", []),
        ("()", [(0, 1)]),
        (".(((...))).", [(1, 9), (2, 8), (3, 7)]),
        ("((.((...)).))", [(0, 12), (1, 11), (3, 9), (4, 8)]),  # an internal loop
        ("((.(((...))((...)).))", None),
        ("((..((...))..((...)).))", [(0, 22), (1, 21), (4, 10), (5, 9)]),  # of equal branches the 5' one
        ("((..(...)..((...)).))", [(0, 20), (1, 19), (11, 17), (12, 16)]),
        ("((...)).(((...)))", [(8, 16), (9, 15), (10, 14)]),  # two hairpins beside each other
        ("(((...(.)..(.)...)))", [(0, 19), (1, 18), (2, 17), (6, 8)]),
    ],
)
def test_stem(structure, expected):
    if expected is None:
        with pytest.raises(ValueError, match="opens no pair"):
            rna.stem(structure)
    else:
        assert rna.stem(structure) == expected


def grown(draws):
    """The structure that a list of True (open, close where there is something to) and False makes."""
    signs, opened = [], 0
    for draw in draws:
        signs.append("." if draw is None else "(" if draw else ")" if opened else ".")
        opened += {"(": 1, ")": -1}.get(signs[-1], 0)
    return "".join(signs) + ")" * opened


@given(st.lists(st.sampled_from([None, True, False]), max_size=40).map(grown))
def test_stem_is_the_longest_chain_of_nested_pairs(structure):
    pairs = rna.base_pairs(structure)
    chains = [[(i, j) for i, j in sorted(pairs) if i <= inner <= j] for inner, _ in sorted(pairs)]
    assert rna.stem(structure) == max(chains, key=len, default=[])  # of equal chains the first


@given(mirna=st.text("ACGU", min_size=1, max_size=24), target=st.text("ACGU", min_size=1, max_size=60))
def test_base_pairs_of_a_drawing(mirna, target):
    drawn = rna.duplex(mirna, target)
    if not drawn.pairs:
        return
    pairs = rna.drawn_pairs(mirna, drawn.start, drawn.target, drawn.pairs, drawn.mirna)
    assert [target[down] for _, down in pairs] == [
        t for t, p in zip(drawn.target, drawn.pairs, strict=True) if p != " "
    ]
    again = rna.draw(mirna, target, pairs, mfe=drawn.mfe)
    assert again == drawn
