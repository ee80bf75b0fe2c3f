"""Shuffles keep what they promise; windows are what they say."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import io, models, negatives, rna, splits
from mirscope.errors import InputError, UsageError
from mirscope.io import Record

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


# Generators: small worlds of random transcripts, and sites cut out of them.

MIRNAS = [
    Record("let-7a", "UGAGGUAGUAGGUUGUAUAGUU"),
    Record("let-7b", "UGAGGUAGUAGGUUGUGUGGUU"),  # of let-7a's family
    Record("miR-21", "UAGCUUAUCAGACUGAUGUUGA"),
    Record("miR-122", "UGGAGUGUGACAAUGGUGUUUG"),
    Record("miR-1", "UGGAAUGUAAAGAAGUAUGUAU"),
    Record("miR-9", "UCUUUGGUUAUCUAGCUGUAUGA"),
]
SEEDS = {record.sequence[1:8] for record in MIRNAS}
ALL = list(negatives.GENERATORS)


def world(state, *, n=24, named=True, split=True):
    """Transcripts, and positives that are windows of them of two lengths."""
    rng = np.random.default_rng(state)
    texts = [negatives.random_sequence(400, random_state=rng) for _ in range(12)]
    transcripts = [Record(f"tx{number}", text) for number, text in enumerate(texts)]
    rows = []
    for number in range(n):
        mirna, place, start = MIRNAS[rng.integers(len(MIRNAS))], int(rng.integers(12)), int(rng.integers(350))
        site = texts[place][start : start + 40 + 10 * (number % 2)]
        rows.append((mirna.id, mirna.sequence, f"tx{place}" if named else "", site, ("train", "test")[number % 3 == 0]))
    table = pd.DataFrame(rows, columns=["mirna_id", "mirna_seq", "gene_id", "target_seq", "split"])
    return (table if split else table.drop(columns="split")), transcripts


def made(how, positives, transcripts, **options):
    return negatives.make(positives, how, mirnas=MIRNAS, transcripts=transcripts, **options)


def halves(pairs):
    return pairs[pairs["label"] == 1].reset_index(drop=True), pairs[pairs["label"] == 0].reset_index(drop=True)


def as_pairs(table):
    return list(zip(table["mirna_seq"], table["target_seq"], strict=True))


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    monkeypatch.setattr(negatives, "_POOL", 300)


@pytest.mark.parametrize("how", ALL)
@settings(max_examples=5, deadline=None)
@given(state=st.integers(0, 2**31), ratio=st.integers(1, 3), named=st.booleans(), split=st.booleans())
def test_every_way_gives_negatives_beside_their_positives(how, state, ratio, named, split):
    given_pairs, transcripts = world(state, named=named, split=split)
    few = {"candidates": 5} if how == "matched-window" else {}
    try:
        pairs = made(how, given_pairs, transcripts, ratio=ratio, random_state=state, **few)
    except InputError as error:
        assert how == "repaired" and "could be made" in str(error)  # too few sites of other families
        return
    positives, others = halves(pairs)
    assert list(pairs.columns) == [
        c for c in ("mirna_id", "mirna_seq", "gene_id", "target_seq", "label", "split") if c in pairs
    ]
    assert set(as_pairs(positives)) <= set(as_pairs(given_pairs))
    assert len(set(as_pairs(others))) == len(others)
    assert not set(as_pairs(others)) & set(as_pairs(given_pairs))
    assert (others["target_seq"] != "").all() and pairs["target_seq"].str.fullmatch("[ACGU]+").all()
    assert (pairs["gene_id"] != "").all() == named or how == "repaired"
    assert ("split" in pairs) == split
    assert 0 < len(others) <= ratio * len(given_pairs)
    if not how.startswith(("repaired", "same", "matched", "mock-target")):
        assert len(others) == ratio * len(given_pairs)
        if split:
            assert Counter(others["split"]) == {k: ratio * n for k, n in Counter(given_pairs["split"]).items()}
    again = made(how, given_pairs, transcripts, ratio=ratio, random_state=state, **few)
    pd.testing.assert_frame_equal(pairs, again)


@pytest.mark.parametrize("how", ALL)
def test_another_random_state_gives_other_negatives(how):
    positives, transcripts = world(1)
    few = {"candidates": 5} if how == "matched-window" else {}
    first, second = (halves(made(how, positives, transcripts, random_state=k, **few))[1] for k in (1, 2))
    assert set(as_pairs(first)) != set(as_pairs(second))


@given(st.text("ACGU", min_size=8, max_size=26), states)
def test_a_mock_is_a_shuffle_without_a_real_seed(mirna, state):
    mock = negatives.mock_mirna(mirna, SEEDS | {mirna[1:8]}, random_state=state)
    assert not mock or Counter(mock) == Counter(mirna)
    assert mock[1:8] not in SEEDS | {mirna[1:8]}
    assert mock == negatives.mock_mirna(mirna, SEEDS | {mirna[1:8]}, random_state=state)


def test_mocks_are_even_over_all_orders_and_given_up_where_there_is_none():
    rng = np.random.default_rng(0)
    seen = Counter(negatives.mock_mirna("AACG", {"ACG"}, random_state=rng) for _ in range(6000))
    assert len(seen) == 11 and all(450 < n < 650 for n in seen.values())  # 12 orders, all but AACG
    assert negatives.mock_mirna("AAAAAAAAAA", {"AAAAAAA"}) == ""


@pytest.mark.parametrize("how", ["mock-mirna", "mock-target"])
def test_no_mock_has_the_seed_of_a_mature_mirna_or_of_a_positive(how):
    positives, transcripts = world(4, n=60)
    known = negatives.seeds_of([*positives["mirna_seq"], *(record.sequence for record in MIRNAS[:2])])
    pairs = negatives.make(positives, how, mirnas=MIRNAS[:2], transcripts=transcripts, ratio=3, alignment=None)
    _, others = halves(pairs)
    assert not negatives.seeds_of(others["mirna_seq"]) & known
    assert others["mirna_id"].str.endswith("_mock").all()
    shuffled_from = {"".join(sorted(record.sequence)) for record in MIRNAS}
    assert {"".join(sorted(mock)) for mock in others["mirna_seq"]} <= shuffled_from


def test_mock_targets_align_by_the_models_score():
    positives, transcripts = world(5)
    network = models.create("miranda")
    for alignment in (110, 130):
        _, others = halves(made("mock-target", positives, transcripts, alignment=alignment))
        codes = network.encode(others["mirna_seq"].tolist(), others["target_seq"].tolist())
        scores = network.alignment_scores(*codes)
        assert len(others) > 5 and (scores >= alignment).all()
    _, unbound = halves(made("mock-target", positives, transcripts, alignment=0))
    assert len(unbound) == len(positives)


@settings(max_examples=8, deadline=None)
@given(state=st.integers(0, 2**31), distance=st.integers(0, 60), energy=st.sampled_from([-4.0, -10.0, -12.0]))
def test_windows_of_the_same_transcript_keep_their_distance_and_bind(state, distance, energy):
    positives, transcripts = world(state, n=8)
    pairs = made("same-transcript", positives, transcripts, distance=distance, energy=energy, ratio=2)
    _, others = halves(pairs)
    texts = {record.id: record.sequence for record in transcripts}
    families = dict(zip(positives["mirna_seq"], splits.families(positives["mirna_seq"].tolist()), strict=True))
    for mirna, gene, window in zip(others["mirna_seq"], others["gene_id"], others["target_seq"], strict=True):
        assert rna.joint_mfe(mirna, window) <= energy
        start = texts[gene].index(window)
        for other, site in zip(positives["mirna_seq"], positives["target_seq"], strict=True):
            known = texts[gene].find(site)
            if families[other] == families[mirna] and known >= 0:
                assert start - (known + len(site)) >= distance or known - (start + len(window)) >= distance


def test_a_window_like_a_site_of_the_family_elsewhere_is_none():
    """The transcript but for the first site is a copy of two sites of the family in another transcript."""
    first, second, third = (negatives.random_sequence(40, random_state=k) for k in range(3))
    transcripts = [Record("a", first + second + third), Record("b", second), Record("c", third)]
    table = pd.DataFrame({"mirna_seq": [r.sequence for r in MIRNAS[:2]] * 2, "gene_id": ["a", "b", "c", "c"]})
    table = table.assign(target_seq=[first, second, third, third])
    limits = {"energy": 0, "distance": 0}
    with pytest.raises(InputError, match="no negatives"):
        made("same-transcript", table, transcripts, **limits)
    other = table.assign(mirna_seq=[MIRNAS[0].sequence, *[MIRNAS[2].sequence] * 3])
    positives, others = halves(made("same-transcript", other, transcripts, **limits))
    assert positives["target_seq"].tolist() == [first] and others["target_seq"][0] in second + third


def test_a_site_is_looked_for_in_the_transcript_of_its_gene():
    window = "ACGUUGCAAGGCUUAGCAUCCGAUUAGC"
    rng = np.random.default_rng(1)
    flanks = [negatives.random_sequence(100, random_state=rng) for _ in range(3)]
    transcripts = [Record(f"tx{number}", flank + window + flank) for number, flank in enumerate(flanks)]
    table = pd.DataFrame(
        {"mirna_seq": [MIRNAS[0].sequence] * 3, "gene_id": ["tx1", "other", ""], "target_seq": [window] * 3}
    )
    found = negatives.occurrences(table, transcripts)
    assert found == [[(1, 100)], [(0, 100), (1, 100), (2, 100)], [(0, 100), (1, 100), (2, 100)]]


@settings(max_examples=15, deadline=None)
@given(state=st.integers(0, 2**31), ratio=st.integers(1, 2))
def test_repaired_pairs_keep_mirnas_and_sites_and_meet_no_cluster_of_the_family(state, ratio):
    positives, transcripts = world(state, n=60)
    _, others = halves(made("repaired", positives, transcripts, ratio=ratio, random_state=state))
    both = pd.concat([positives, others])
    families, clusters = splits.groups(both, "family"), splits.groups(both, "cluster")
    own = set(zip(families[:60], clusters[:60], strict=True))
    assert not own & set(zip(families[60:], clusters[60:], strict=True))
    for split, rows in others.groupby("split"):
        mine = positives[positives["split"] == split]
        for column in ("mirna_seq", "target_seq"):
            counts, at_most = Counter(rows[column]), Counter(mine[column])
            assert all(n <= ratio * at_most[key] for key, n in counts.items())
        sites = set(zip(mine["gene_id"], mine["target_seq"], strict=True))
        assert set(zip(rows["gene_id"], rows["target_seq"], strict=True)) <= sites


def test_shuffled_targets_keep_dinucleotides_and_mirnas():
    positives, transcripts = world(7)
    table, others = halves(made("shuffled-target", positives, transcripts))
    for site, shuffled in zip(table["target_seq"], others["target_seq"], strict=True):
        assert dinucleotides(site) == dinucleotides(shuffled) and site != shuffled
    assert others["mirna_seq"].tolist() == table["mirna_seq"].tolist()


@pytest.mark.parametrize("how", ["random-window", "matched-window", "mock-target"])
def test_windows_are_of_the_transcripts_apart_from_sites_and_from_other_splits(how):
    positives, transcripts = world(8)
    texts = {record.id: record.sequence for record in transcripts}
    _, others = halves(
        made(how, positives, transcripts, ratio=2, **({"alignment": 90} if how == "mock-target" else {}))
    )
    assert len(others) > 20
    sites = positives["target_seq"].tolist()
    clusters = splits.clusters([*sites, *others["target_seq"]], k=20)
    known = {site[k : k + 20] for site in sites for k in range(len(site) - 19)}
    for gene, window in zip(others["gene_id"], others["target_seq"], strict=True):
        assert window in texts[gene]
        assert not any(window[k : k + 20] in known for k in range(len(window) - 19))
    assert len(clusters) == len(sites) + len(others)
    genes = others.groupby("split")["gene_id"].agg(set)
    assert not genes["train"] & genes["test"]
    assert Counter(others["target_seq"].str.len()) == {k: 2 * n for k, n in Counter(map(len, sites)).items()} or (
        how == "mock-target"
    )


def test_matched_windows_are_more_alike_than_random_ones():
    positives, transcripts = world(9, n=40, split=False)

    def unlike(how):
        table, others = halves(made(how, positives, transcripts))
        assert others["mirna_seq"].tolist() == table["mirna_seq"].tolist()
        counts = [np.array([[s.count(x) for x in "ACGU"] for s in t["target_seq"]]) for t in (table, others)]
        energies = [np.array([rna.duplex_mfe(*pair) for pair in as_pairs(t)]) for t in (table, others)]
        return np.abs(counts[0] - counts[1]).mean(), np.abs(energies[0] - energies[1]).mean()

    (letters, energy), (any_letters, any_energy) = unlike("matched-window"), unlike("random-window")
    assert letters < 0.8 * any_letters
    assert energy < 0.5 * any_energy


def test_matched_windows_are_the_nearest_by_hand():
    """Two positives alike get the best two windows: a window taken is gone."""
    positives, transcripts = world(10, n=2, split=False)
    table, others = halves(made("matched-window", positives.iloc[[0, 0]], transcripts, candidates=10_000))
    target = positives["target_seq"][0]
    rows, pool = next(
        negatives._pools(positives.iloc[[0, 0]].assign(label=1), transcripts, 1, np.random.default_rng(0))
    )
    assert rows.tolist() == [0, 1]
    wanted = rna.duplex_mfe(positives["mirna_seq"][0], target)
    gaps = [max(abs(rna.duplex_mfe(positives["mirna_seq"][0], w) - wanted), negatives._CLOSE) for w in pool.windows]
    away = negatives._composition(pool.windows) - negatives._composition([target])
    ranked = sorted(range(len(gaps)), key=lambda k: (gaps[k], (away[k] ** 2).sum()))
    best = {(gaps[k], (away[k] ** 2).sum()) for k in ranked[:2]}
    chosen = [pool.windows.index(w) for w in others["target_seq"]]
    assert {(gaps[k], (away[k] ** 2).sum()) for k in chosen} == best and len(set(chosen)) == len(table) == 2


def test_positives_without_a_negative_are_left_out_or_kept():
    positives, transcripts = world(11)
    rest = positives.assign(target_seq=positives["target_seq"].where(positives.index > 3, "ACGUACGGAUUC" * 4))
    found = made("same-transcript", rest, transcripts)
    assert 0 < (found["label"] == 1).sum() <= len(rest) - 4
    every = made("same-transcript", rest, transcripts, all_positives=True)
    assert (every["label"] == 1).sum() == len(rest)
    pd.testing.assert_frame_equal(*(halves(each)[1] for each in (found, every)))


def test_label_0_is_left_out_and_columns_of_others_too():
    positives, transcripts = world(12)
    labelled = positives.assign(label=1, chr="1")
    both = pd.concat([labelled, labelled.assign(label=0, target_seq=labelled["target_seq"].str[::-1])])
    pd.testing.assert_frame_equal(
        made("mock-mirna", both, transcripts), made("mock-mirna", positives, transcripts), check_dtype=False
    )


def test_what_cannot_be_asked():
    positives, transcripts = world(13)
    with pytest.raises(UsageError, match="no negatives 'mocks'; expected one of repaired, "):
        negatives.make(positives, "mocks")
    with pytest.raises(UsageError, match="mock-target needs mirnas and transcripts; expected FASTA"):
        negatives.make(positives, "mock-target")
    with pytest.raises(UsageError, match="energy is no limit of mock-mirna; it has none"):
        made("mock-mirna", positives, transcripts, energy=-3)
    with pytest.raises(UsageError, match="ratio is 0"):
        made("repaired", positives, transcripts, ratio=0)
    with pytest.raises(InputError, match=r"tx0: 400 nt is no mature miRNA .*swapped"):
        negatives.make(positives, "mock-mirna", mirnas=transcripts)
    with pytest.raises(InputError, match="no transcript of 40 nt or more"):
        negatives.make(positives, "random-window", transcripts=MIRNAS)
    with pytest.raises(InputError, match="1 transcripts are too few for 2 splits"):
        negatives.make(positives, "random-window", transcripts=transcripts[:1])
    with pytest.raises(InputError, match="no positives among 24 pairs"):
        made("repaired", positives.assign(label=0), transcripts)
    with pytest.raises(InputError, match="no negatives of same-transcript could be made of 24 positives"):
        made("same-transcript", positives.assign(gene_id=""), [Record("a", "ACGU" * 30)])


def test_the_command_writes_what_the_library_makes(run, tmp_path):
    positives, transcripts = world(14, n=8)
    io.write_table(positives, tmp_path / "positives.tsv")
    io.write_fasta(transcripts, tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    needs = {"mirnas": "--mirnas mirnas.fa", "transcripts": "--transcripts utrs.fa"}
    for how, generator in negatives.GENERATORS.items():
        options = " ".join(needs[name] for name in generator.needs)
        _, err = run(f"negatives positives.tsv --how {how} {options} --ratio 2 --random-state 3 -o {how}.tsv")
        assert "positives" in err
        expected = made(how, positives, transcripts, ratio=2, random_state=3)
        pd.testing.assert_frame_equal(io.read_pairs(f"{how}.tsv"), expected, check_dtype=False)
    out, err = run("negatives positives.tsv --how repaired --random-state 3 -q")
    assert out.startswith("mirna_id\tmirna_seq\tgene_id\ttarget_seq\tlabel\tsplit\n")
    run("negatives positives.tsv --how same-transcript --transcripts utrs.fa --energy -4 --distance 100 -o far.tsv")


def test_the_help_names_every_way(run):
    out, _ = run("negatives --help")
    assert all(f" {how} " in out for how in ALL)
    limits = {name for generator in negatives.GENERATORS.values() for name in generator.limits}
    assert all(f"--{name} " in out for name in limits)


BAD = [
    ("negatives positives.tsv", 2, "--how"),
    ("negatives positives.tsv --how mocks", 2, "no negatives 'mocks'; expected one of repaired,"),
    ("negatives missing.tsv --how repaired", 2, "missing.tsv"),
    ("negatives utrs.fa --how repaired", 1, "utrs.fa"),
    ("negatives positives.tsv --how mock-mirna", 2, "mock-mirna needs mirnas; expected FASTA (--mirnas)"),
    ("negatives positives.tsv --how mock-mirna --mirnas utrs.fa", 1, "utrs.fa: tx0: 400 nt is no mature miRNA"),
    ("negatives positives.tsv --how random-window --transcripts mirnas.fa", 1, "no transcript of"),
    ("negatives positives.tsv --how random-window --transcripts twice.fa", 1, "--number-duplicates"),
    ("negatives positives.tsv --how random-window --transcripts protein.fa", 1, "protein.fa:2: p: unexpected 'L'"),
    ("negatives positives.tsv --how mock-mirna --mirnas protein.fa", 1, "protein.fa:2: p: unexpected 'L'"),
    ("negatives positives.tsv --how repaired --energy -3", 2, "energy is no limit of repaired"),
    ("negatives positives.tsv --how repaired --ratio 0", 2, "ratio"),
]


@pytest.mark.parametrize(("command", "code", "hint"), BAD, ids=[command for command, _, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, command, code, hint):
    positives, transcripts = world(15)
    io.write_table(positives, tmp_path / "positives.tsv")
    io.write_fasta(transcripts, tmp_path / "utrs.fa")
    io.write_fasta([*transcripts, transcripts[0]], tmp_path / "twice.fa")
    (tmp_path / "protein.fa").write_text(">p\nMKVLAA\n")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    out, err = run(f"{command} -o out.tsv", code=code)
    lines = [line for line in err.splitlines() if line.startswith("mirscope: ")]
    assert len(lines) == 1 and hint in lines[0], err
    assert out == "" and not (tmp_path / "out.tsv").exists()


@pytest.mark.data
def test_real_chimeras_have_no_mature_seed_in_their_mocks(data_path):
    positives = io.read_pairs(data_path("clash_hejret2023_mirbench")).query("label == 1").iloc[::15]
    mirnas = io.read_fasta(data_path("mature_mirbase22"))
    _, mocks = halves(negatives.make(positives, "mock-mirna", mirnas=mirnas))
    assert len(mocks) == len(positives) == 306
    assert not negatives.seeds_of(mocks["mirna_seq"]) & negatives.seeds_of([record.sequence for record in mirnas])
    _, others = halves(negatives.make(positives, "repaired"))
    assert len(others) > 300
