"""Splits: no group in two parts, every label in each, the same on every call and in any order of the rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import datasets, splits
from mirscope.errors import InputError, UsageError

GROUPED = ("family", "gene", "cluster", "all")


def obvious(sequences, linked):
    """Groups by brute force: joined while any two sequences of two groups are linked."""
    found = [{i} for i in range(len(sequences))]
    merged = True
    while merged:
        merged = False
        for a in range(len(found)):
            for b in range(a + 1, len(found)):
                if any(linked(sequences[i], sequences[j]) for i in found[a] for j in found[b]):
                    found[a] |= found.pop(b)
                    merged = True
                    break
            if merged:
                break
    return sorted(map(sorted, found))


def partition(numbers):
    return sorted(np.flatnonzero(numbers == number).tolist() for number in np.unique(numbers))


def share(a, b, k):
    pieces = {a[i : i + k] for i in range(len(a) - k + 1)}
    return any(b[i : i + k] in pieces and "N" not in b[i : i + k] for i in range(len(b) - k + 1))


rnas = st.text("ACGU", min_size=1, max_size=12)


@settings(deadline=None)  # the first call imports scipy and rapidfuzz
@given(st.lists(st.text("ACN", min_size=0, max_size=9), max_size=9))
def test_clusters_are_the_obvious_ones(sequences):
    expected = obvious(sequences, lambda a, b: a == b or share(a, b, 3))
    assert partition(splits.clusters(sequences, k=3)) == expected


@given(st.lists(rnas, max_size=12), st.integers(0, 9))
def test_a_chain_of_overlaps_is_one_cluster(sequences, cut):
    text = "".join(sequences)
    tiles = [text[start : start + 30] for start in range(0, max(1, len(text) - 29), 10)]  # neighbours share 20 nt
    assert len(set(splits.clusters(tiles[cut:] + tiles[:cut]))) == 1


def test_families_share_a_seed_or_a_14mer():
    let7a, let7b = "UGAGGUAGUAGGUUGUAUAGUU", "UGAGGUAGUAGGUUGUGUGGUU"
    same_seed = "AGAGGUAGCCCCCCCCCCCC"  # nt 2-8 of let-7, another first nucleotide
    shifted = "CCCCC" + let7a[6:20]
    other = "UAGCUUAUCAGACUGAUGUUGA"
    seed_elsewhere = "AAAAAAAAAAAAAGAGGUAGAAA"
    found = splits.families([let7a, other, let7b, same_seed, shifted, seed_elsewhere, let7a])
    assert len({found[i] for i in (0, 2, 3, 4, 6)}) == 1
    assert len({found[0], found[1], found[5]}) == 3


@given(st.lists(st.text("ACGUN", max_size=20), max_size=10), st.randoms())
def test_order_and_repetition_do_not_matter(sequences, random):
    for group in (splits.clusters, splits.families):
        numbers = dict(zip(sequences, group(sequences).tolist(), strict=True))
        again = sequences * 2
        random.shuffle(again)
        assert dict(zip(again, group(again).tolist(), strict=True)) == numbers


def test_no_sequences():
    assert len(splits.clusters([])) == len(splits.families([])) == len(splits.hairpin_families([], [])) == 0


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, last = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]


@settings(deadline=None)  # the first call imports scipy and rapidfuzz
@given(st.lists(st.text("AC", min_size=1, max_size=18), max_size=9))
def test_hairpins_of_four_fifths_identity_are_a_family(sequences):
    def alike(a, b):
        return 5 * edits(a, b) <= max(len(a), len(b))

    found = splits.hairpin_families([""] * len(sequences), sequences)
    assert partition(found) == obvious(sequences, alike)


def test_hairpins_of_one_name_or_20_nt_are_a_family():
    rng = np.random.default_rng(0)
    drawn = ["".join(rng.choice(list("ACGU"), 80)) for _ in range(12)]
    drawn[11] = drawn[10][40:] + drawn[11][:60]
    ids = ["hsa-let-7a-1", "mmu-let-7g", "Hsa-Let-7-P1_pre", "hsa-mir-19a", "dme-mir-190", "hsa-mir-19b-2", "cds_7"]
    ids += ["", "cds_7", "mir-19", "hsa-mir-1", "hsa-mir-2"]
    found = splits.hairpin_families(ids, drawn)
    assert partition(found) == [[0, 1, 2], [3, 5], [4], [6], [7], [8], [9], [10, 11]]
    table = pd.DataFrame({"hairpin_id": [*ids[:-1], None], "hairpin_seq": drawn})
    assert (splits.groups(table, "family") == splits.hairpin_families([*ids[:-1], ""], drawn)).all()
    assert partition(splits.groups(table, "cluster")) == [[i] for i in range(10)] + [[10, 11]]


def test_many_hairpins_in_blocks_of_rows():
    """Relatives are found across the blocks, whatever the order of lengths."""
    rng = np.random.default_rng(1)
    drawn = ["".join(rng.choice(list("ACGU"), int(rng.integers(40, 120)))) for _ in range(300)]
    relatives = [text[:18] + text[18 + len(text) // 5 :] for text in drawn]
    found = splits.hairpin_families([""] * 600, drawn + relatives)
    assert (found[:300] == found[300:]).all()
    assert len(set(found)) == 300


def table(n=400, random_state=0, n_mirnas=40, n_sites=150):
    """Pairs whose sites overlap on genes of 200 nt; positives are scarce in half of the genes."""
    rng = np.random.default_rng(random_state)
    mirnas = ["".join(rng.choice(list("ACGU"), 22)) for _ in range(n_mirnas)]
    genes = ["".join(rng.choice(list("ACGU"), 200)) for _ in range(n_sites)]
    rows = []
    for _ in range(n):
        mirna, gene = rng.integers(n_mirnas), rng.integers(n_sites)
        start = int(rng.integers(0, 160))
        named = f"gene{gene}" if rng.random() < 0.9 else ""
        rows.append((f"mir{mirna}", mirnas[mirna], named, genes[gene][start : start + 40], int(rng.random() < 0.5)))
    return pd.DataFrame(rows, columns=["mirna_id", "mirna_seq", "gene_id", "target_seq", "label"])


@pytest.mark.parametrize("rule", GROUPED)
@settings(max_examples=15, deadline=None)
@given(random_state=st.integers(0, 1000))
def test_no_group_is_in_two_parts(rule, random_state):
    pairs = table(random_state=random_state)
    split = splits.make(pairs, rule, random_state=random_state, test=0.3)
    assert set(split) == {"train", "valid", "test"} | ({""} if rule == "all" else set())
    for group in ("family", "gene", "cluster") if rule == "all" else (rule,):
        kept = pd.DataFrame({"group": splits.groups(pairs, group), "split": split})[split != ""]
        assert (kept.groupby("group")["split"].nunique() == 1).all(), group
    assert (pairs["label"].groupby(split).nunique() == 2).all()


@pytest.mark.parametrize("rule", ["family", "gene", "cluster"])
def test_shares_are_kept_in_each_class(rule):
    pairs = table(3000, n_mirnas=400)
    split = splits.make(pairs, rule)
    for label in (0, 1):
        shares = split[pairs["label"] == label].value_counts(normalize=True)
        assert shares["test"] == pytest.approx(0.2, abs=0.02)
        assert shares["valid"] == pytest.approx(0.16, abs=0.02)


@pytest.mark.parametrize("rule", splits.RULES)
def test_deterministic_and_another_state_is_another_split(rule):
    pairs = table()
    one = splits.make(pairs, rule, random_state=3)
    pd.testing.assert_series_equal(splits.make(pairs, rule, random_state=3), one)
    assert (splits.make(pairs, rule, random_state=4) != one).mean() > 0.1


@pytest.mark.parametrize("rule", GROUPED)
def test_the_order_of_rows_does_not_matter(rule):
    pairs = table()
    mixed = pairs.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(splits.make(mixed, rule).sort_index(), splits.make(pairs, rule))


def test_all_drops_only_what_straddles(caplog):
    pairs = table()
    caplog.set_level("INFO", "mirscope")
    split = splits.make(pairs, "all", test=0.3, valid=0)
    family, locus = splits.groups(pairs, "family"), splits._loci(pairs)
    tested = split == "test"
    held_family, held_locus = np.isin(family, family[tested]), np.isin(locus, locus[tested])
    assert (tested == (held_family & held_locus)).all()
    assert (split[~held_family & ~held_locus] == "train").mean() > 0.9  # but for families held out with no such locus
    assert f"{(split == '').sum()} of 400 pairs straddle" in caplog.text


def test_random_is_the_catalogues_rule():
    pairs = table()
    expected = datasets.random_split(pairs, random_state=5)
    pd.testing.assert_series_equal(splits.make(pairs, "random", random_state=5), expected)
    split = splits.make(pairs, "random", test=0.3, valid=0)
    assert split.value_counts().to_dict() == {"train": 280, "test": 120}


def test_kfold_tests_every_pair_once():
    pairs = table(403)
    parts = [splits.make(pairs, "kfold", n_parts=4, part=part, random_state=2) for part in range(4)]
    tested = np.array([part == "test" for part in parts])
    assert (tested.sum(0) == 1).all()
    for part in parts:
        share_positive = pairs["label"].groupby(part).mean()
        assert share_positive.max() - share_positive.min() < 0.02
        assert (part == "valid").sum() == pytest.approx(0.2 * (part != "test").sum(), abs=1)
    assert set(splits.make(pairs, "kfold", valid=0)) == {"train", "test"}


def test_family_kfold_tests_every_family_once():
    pairs = table(403)
    parts = [splits.make(pairs, "family-kfold", n_parts=4, part=part, random_state=2) for part in range(4)]
    assert (np.array([part == "test" for part in parts]).sum(0) == 1).all()
    family = splits.groups(pairs, "family")
    for part in parts:
        assert set(part) == {"train", "valid", "test"}
        of = [set(family[part == name]) for name in ("train", "valid", "test")]
        assert not (of[0] & of[1] or of[0] & of[2] or of[1] & of[2])
    mixed = pairs.sample(frac=1, random_state=1)
    again = splits.make(mixed, "family-kfold", n_parts=4, part=3, random_state=2)
    pd.testing.assert_series_equal(again.sort_index(), parts[3])
    with pytest.raises(InputError, match="families of one label are too few for 300 parts"):
        splits.make(pairs, "family-kfold", n_parts=300)


def test_splits_of_hairpins(hairpins):
    alone = splits.make(hairpins, "family")
    pd.testing.assert_series_equal(splits.make(hairpins, "all"), alone)
    family = splits.groups(hairpins, "family")
    assert not set(family[alone == "test"]) & set(family[alone != "test"])
    with pytest.raises(UsageError, match="hairpins have no genes"):
        splits.make(hairpins, "gene")


def test_carve_takes_validation_out_of_train_by_cluster():
    pairs = table()
    pairs["split"] = np.where(np.arange(len(pairs)) < 300, "train", "test")
    split = splits.carve(pairs, random_state=1)
    assert (split[pairs["split"] == "test"] == "test").all()
    assert (split == "valid").sum() == pytest.approx(60, abs=5)
    cluster = splits.clusters(pairs["target_seq"][:300].tolist())
    assert not set(cluster[split[:300] == "valid"]) & set(cluster[split[:300] == "train"])
    pairs["split"] = split
    pd.testing.assert_series_equal(splits.carve(pairs, random_state=9), split)  # one that is there stays


def test_a_group_larger_than_a_part_is_in_train():
    pairs = table(300, n_mirnas=60)
    pairs.loc[: len(pairs) // 2, "gene_id"] = "titin"
    split = splits.make(pairs, "gene")
    assert set(split[pairs["gene_id"] == "titin"]) == {"train"}
    assert {"test", "valid"} < set(split)


def test_pairs_without_labels():
    split = splits.make(table().drop(columns="label"), "cluster")
    assert (split == "test").mean() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        ({"rule": "mirna"}, UsageError, "no rule 'mirna' to split by; expected one of random, kfold"),
        ({"rule": "gene", "test": 0}, UsageError, "shares are 0 for test"),
        ({"rule": "gene", "valid": 1}, UsageError, "1 for valid"),
        ({"rule": "kfold", "part": 5}, UsageError, "part 5 of 5"),
        ({"rule": "kfold", "n_parts": 1}, UsageError, "part 0 of 1"),
        ({"rule": "kfold", "n_parts": 300}, InputError, "too few for 300 parts"),
    ],
)
def test_bad_questions(arguments, error, problem):
    with pytest.raises(error, match=problem):
        splits.make(table(), **arguments)


def test_bad_tables():
    pairs = table()
    with pytest.raises(UsageError, match="no pair names a gene"):
        splits.make(pairs.assign(gene_id=""), "gene")
    with pytest.raises(InputError, match="1 groups are too few"):
        splits.make(pairs.assign(mirna_seq=pairs["mirna_seq"][0]), "family")
    with pytest.raises(InputError, match="5 or more"):
        splits.make(pairs[:3], "random")
    with pytest.raises(UsageError, match="k is 32"):
        splits.clusters(["A"], k=32)


@pytest.mark.data
def test_real_sets(data_path):
    for name in ("mirtarraw", "clash_helwak2013_1to1"):
        data_path(name)
        pairs = datasets.load_pairs(name)
        split = splits.make(pairs, "all")
        family, locus = splits.groups(pairs, "family"), splits._loci(pairs)
        for part in ("valid", "test"):
            rows, others = split == part, ~split.isin([part, ""])
            assert rows.sum() > 500
            assert not np.isin(family[rows], family[others]).any()
            assert not np.isin(locus[rows], locus[others]).any()
