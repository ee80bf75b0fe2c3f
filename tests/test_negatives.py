"""Shuffles keep what they promise; windows are what they say."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirscope import negatives
from mirscope.errors import InputError

rnas = st.text("ACGU", max_size=80)
states = st.integers(0, 2**32)


def dinucleotides(sequence):
    return Counter(pairwise(sequence))


@given(rnas, states)
def test_shuffle_keeps_every_dinucleotide_and_the_ends(sequence, state):
    shuffled = negatives.dinucleotide_shuffle(sequence, random_state=state)
    assert dinucleotides(shuffled) == dinucleotides(sequence)
    assert Counter(shuffled) == Counter(sequence)
    assert shuffled[:1] + shuffled[-1:] == sequence[:1] + sequence[-1:]
    assert shuffled == negatives.dinucleotide_shuffle(sequence, random_state=state)


def test_shuffle_is_even_over_all_arrangements():
    sequence = "AACGACUA"  # starts at A, ends at A
    rng = np.random.default_rng(0)
    seen = Counter(negatives.dinucleotide_shuffle(sequence, random_state=rng) for _ in range(6000))
    others = {"".join(p) for p in all_orders(sequence)}
    assert set(seen) == others
    expected = 6000 / len(others)
    assert sum((n - expected) ** 2 / expected for n in seen.values()) < 2 * len(others) + 10


def all_orders(sequence):
    """Every sequence with the same start and dinucleotides, by trying all walks."""

    def walk(path, left):
        if not left:
            yield path
        for step in [s for s in left if s[0] == path[-1]]:
            yield from walk(path + step[1], left - Counter([step]))

    return set(walk(sequence[0], dinucleotides(sequence)))


def test_shuffle_changes_a_real_window():
    utr = "UGAGGUAGUAGGUUGUAUAGUUCCAUUUGCAUACGGAUUCCAACGUAGCUAGC"
    assert negatives.dinucleotide_shuffle(utr) != utr


def test_random_sequence_follows_its_frequencies():
    sequence = negatives.random_sequence(20_000, frequencies=(0.1, 0.2, 0.3, 0.4), random_state=1)
    shares = [sequence.count(letter) / 20_000 for letter in "ACGU"]
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.02)
    assert negatives.random_sequence(0) == ""


@given(st.lists(st.text("ACGUN", max_size=30), max_size=6), st.integers(1, 8), states)
def test_windows_come_from_the_sequences(sequences, length, state):
    places = [s[i : i + length] for s in sequences for i in range(len(s) - length + 1)]
    if sum("N" not in window for window in places) * 2 < len(places) or not places:
        return  # may be refused
    windows = negatives.random_windows(sequences, length, 5, random_state=state)
    assert len(windows) == 5
    assert all(len(w) == length and "N" not in w and w in places for w in windows)


def test_every_place_is_equally_likely():
    windows = negatives.random_windows(["AC", "", "GGCAUG", "U"], 2, 6000)
    counts = Counter(windows)
    assert set(counts) == {"AC", "GG", "GC", "CA", "AU", "UG"}
    assert all(850 < n < 1150 for n in counts.values())


@pytest.mark.parametrize("sequences", [[], ["ACG"]])
def test_no_transcript_is_long_enough(sequences):
    with pytest.raises(InputError, match=f"no transcript of 4 nt or more.* found {len(sequences)}"):
        negatives.random_windows(sequences, 4, 1)


def test_windows_of_n_are_refused():
    with pytest.raises(InputError, match="only 0 of 3 windows"):
        negatives.random_windows(["NNNNNN"], 4, 3)


def test_shuffled_windows_differ_from_each_other():
    window = "ACGUGCAUGCUAGCAUCGAUUGCA"
    first, second = negatives.shuffled_windows([window, window])
    assert first != second
    assert dinucleotides(first) == dinucleotides(second) == dinucleotides(window)


def test_repaired_pairs_are_never_positives_and_keep_every_site():
    rng = np.random.default_rng(3)
    mirnas, sites = rng.integers(0, 12, 400), rng.integers(0, 90, 400)
    order, fine = negatives.repaired(mirnas, sites, random_state=1)
    assert sorted(order) == list(range(400))
    positives = set(zip(mirnas, sites, strict=True))
    assert fine.mean() > 0.95
    assert not any((m, s) in positives for m, s in zip(mirnas[fine], sites[order][fine], strict=True))
    assert np.array_equal(order, negatives.repaired(mirnas, sites, random_state=1)[0])


def test_where_no_negative_can_be_made_it_says_so():
    order, fine = negatives.repaired(np.zeros(5, int), np.arange(5))
    assert sorted(order) == list(range(5)) and not fine.any()
