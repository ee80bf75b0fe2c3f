"""Floors: toy tables counted by hand, no label seen by what scores it, and the figures of the data's README."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirscope import datasets, floors, metrics, rna
from mirscope.errors import InputError, UsageError

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
MIR16 = "UAGCAGCACGUAAAUAUUGGCG"
MIR21 = "UAGCUUAUCAGACUGAUGUUGA"
# UACCUC: the 6mer of let-7 (nt 2-7); CUACCUC: 7mer-m8; CUACCUCA: 8mer
TARGETS = {"8mer": "GGCUACCUCAGG", "7mer-m8": "GGCUACCUCGGG", "7mer-A1": "GGGUACCUCAGG", "6mer": "GGGUACCUCGGG"}


def table(*rows, columns=("mirna_seq", "gene_id", "target_seq", "label")):
    return pd.DataFrame(rows, columns=list(columns))


TRAIN = table(
    (LET7, "g1", "CUACCUCA", 1),
    (LET7, "g2", "CUACCUCA", 1),
    (LET7, "g2", "GGGGGGGG", 0),
    (MIR16, "g1", "GGGGGGGG", 0),
    (MIR16, "", "GGGGGGGG", 0),
)


def test_identity_is_a_smoothed_frequency_and_unseen_the_prior():
    asked = table((MIR16, "g1", "A", 1), (LET7, "g2", "A", 0), (MIR21, "g9", "A", 1))
    np.testing.assert_allclose(floors.mirna_identity(asked, TRAIN), [1 / 4, 3 / 5, 2 / 5])
    np.testing.assert_allclose(floors.gene_identity(asked, TRAIN), [2 / 4, 2 / 4, 2 / 5])


def test_a_pair_without_a_gene_is_unseen():
    train = table((LET7, "g1", "A", 1), (LET7, "g1", "A", 1), (LET7, "g2", "A", 0), (LET7, None, "A", 0))
    asked = table((LET7, "", "A", 1), (LET7, None, "A", 1), (LET7, "g1", "A", 1))
    np.testing.assert_allclose(floors.gene_identity(asked, train), [2 / 4, 2 / 4, 3 / 4])


@given(st.lists(st.text("ACGUN", max_size=12), min_size=1, max_size=5))
def test_kmer_counts_are_the_obvious_ones(sequences):
    words = ["".join(word) for k in range(1, 5) for word in product("ACGU", repeat=k)]
    expected = [[sum(s[i:].startswith(word) for i in range(len(s))) for word in words] for s in sequences]
    np.testing.assert_array_equal(floors.kmer_counts(sequences), expected)


def test_kmers_are_counted_in_parts(monkeypatch):
    sequences = ["ACGU" * k for k in range(9)]
    whole = floors.kmer_counts(sequences)
    monkeypatch.setattr(floors, "_NT_AT_ONCE", 70)
    np.testing.assert_array_equal(floors.kmer_counts(sequences), whole)
    assert floors.kmer_counts([]).shape == (0, 340)


def test_the_energy_of_several_sites_is_that_of_the_best():
    sites = [rna.reverse_complement(LET7)[:11], rna.reverse_complement(LET7)[11:], "AAAA"]
    each = floors.duplex_energy(pd.DataFrame({"mirna_seq": LET7, "target_seq": sites}))
    joined = pd.DataFrame({"mirna_seq": [LET7], "target_seq": [floors.SITE_GAP.join(sites)]})
    assert floors.duplex_energy(joined)[0] == each.max() > 0


def pairs(n=200, state=0):
    """Positives pair a GC-rich target with one of few miRNAs; negatives are the reverse."""
    rng = np.random.default_rng(state)
    rows = []
    for k in range(n):
        label = k % 2
        weights = [0.2, 0.3, 0.3, 0.2] if label else [0.3, 0.2, 0.2, 0.3]
        target = "".join(rng.choice(list("ACGU"), 40, p=weights))
        rows.append((rng.choice([LET7, MIR16] if label else [MIR16, MIR21]), f"g{rng.integers(20)}", target, label))
    return table(*rows)


def test_kmers_equal_regression_on_all_rows():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, asked = pairs(), pairs(50, state=1)
    plain = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky", max_iter=200))
    plain.fit(floors.kmer_counts(train["mirna_seq"].tolist()), train["label"])
    expected = plain.predict_proba(floors.kmer_counts(asked["mirna_seq"].tolist()))[:, 1]
    np.testing.assert_allclose(floors.mirna_kmers(asked, train), expected, atol=1e-6)


def test_target_kmers_learn_the_composition():
    scores = floors.target_kmers(pairs(100, state=1), pairs(400))
    assert metrics.auroc_score(pairs(100, state=1)["label"], scores) > 0.8


def test_seed_class_ranks_the_types():
    asked = table(*((LET7, "", target, 1) for target in TARGETS.values()), (LET7, "", "GGGGG", 0), (LET7, "", "", 0))
    assert floors.seed_class(asked).tolist() == [5, 4, 3, 2, 0, 0]
    assert floors.threshold("seed_class", asked, floors.seed_class(asked)) == 2


@given(st.text("ACGU", min_size=8, max_size=24), st.text("ACGUN", max_size=60))
def test_seed_class_is_seed_type(mirna, target):
    names = ["", *(kind.name for kind in reversed(rna.SEED_TYPES))]
    score = floors.seed_class(table((mirna, "", target, 1)))[0]
    assert names[int(score)] == rna.seed_type(mirna, target)


def test_duplex_energy_and_its_rows():
    asked = pairs(30)
    whole = floors.duplex_energy(asked)
    assert whole[3] == -rna.duplex(asked["mirna_seq"][3], asked["target_seq"][3]).mfe
    drawn = floors.duplex_energy(asked, max_rows=12, random_state=4)
    assert (~np.isnan(drawn)).sum() == 12
    np.testing.assert_array_equal(drawn[~np.isnan(drawn)], whole[~np.isnan(drawn)])
    np.testing.assert_array_equal(drawn, floors.duplex_energy(asked, max_rows=12, random_state=4))


def test_processes_give_the_same_energies():
    asked = pairs(1100)
    np.testing.assert_array_equal(floors.duplex_energy(asked, threads=2), floors.duplex_energy(asked))


def test_all_floors_with_a_training_table():
    train, asked = pairs(), pairs(40, state=1).set_index(np.arange(100, 140))
    scores = floors.all_floors(asked, train)
    assert list(scores) == list(floors.FLOORS)
    assert scores.index.equals(asked.index)
    assert scores.notna().all().all()
    for name in ("mirna_identity", "gene_identity", "mirna_kmers", "target_kmers"):
        np.testing.assert_array_equal(scores[name], floors.FLOORS[name].learn(asked, train))


def test_order_of_rows_does_not_matter():
    train, asked = pairs(), pairs(40, state=1)
    shuffled = asked.sample(frac=1, random_state=0)
    after = floors.all_floors(shuffled, train.sample(frac=1, random_state=1)).sort_index()
    pd.testing.assert_frame_equal(floors.all_floors(asked, train), after, atol=1e-9)


def test_cross_validation_sees_no_label_of_its_own_row():
    """Every miRNA is there once: identity can know nothing, and every score is a training prior."""
    rng = np.random.default_rng(0)
    own = ["".join(rng.choice(list("ACGU"), 22)) for _ in range(50)]
    asked = table(*((m, m, "GGCUACCUCAGG", k % 2) for k, m in enumerate(own)))
    scores = floors.all_floors(asked)
    np.testing.assert_allclose(scores[["mirna_identity", "gene_identity", "target_kmers"]], 0.5, atol=0.02)
    again = floors.all_floors(asked)
    pd.testing.assert_frame_equal(scores, again)
    assert not scores.equals(floors.all_floors(pairs(50)))


@pytest.mark.parametrize(
    ("asked", "train", "missing"),
    [
        (TRAIN.drop(columns="gene_id"), TRAIN, {"gene_identity"}),
        (TRAIN, TRAIN.drop(columns="gene_id"), {"gene_identity"}),
        (TRAIN.assign(gene_id=""), TRAIN, {"gene_identity"}),
        (TRAIN, TRAIN.assign(label=1), {"mirna_identity", "gene_identity", "mirna_kmers", "target_kmers"}),
        (TRAIN.iloc[1:4], None, {"mirna_identity", "gene_identity", "mirna_kmers", "target_kmers"}),
        (TRAIN.drop(columns="label"), None, {"mirna_identity", "gene_identity", "mirna_kmers", "target_kmers"}),
        (TRAIN, None, set()),
    ],
)
def test_a_floor_that_cannot_be_had_is_nan(asked, train, missing):
    scores = floors.all_floors(asked, train)
    assert {name for name in scores if scores[name].isna().all()} == missing


def test_no_pairs():
    assert len(floors.all_floors(TRAIN.iloc[:0], TRAIN)) == 0


def test_thresholds():
    asked, train = pairs(40, state=1), pairs()
    scores = floors.all_floors(asked, train)
    for name in ("mirna_kmers", "target_kmers"):
        assert floors.threshold(name, asked, scores[name].to_numpy(), train) == 0.5
    energies = floors.duplex_energy(train)
    expected = metrics.best_threshold(train["label"], energies)
    assert floors.threshold("duplex_energy", asked, scores["duplex_energy"].to_numpy(), train) == expected
    with pytest.raises(UsageError, match="no floor 'length'; expected one of mirna_identity"):
        floors.threshold("length", asked, energies, train)


def test_identity_threshold_learns_where_unseen_ones_lie():
    """Mock miRNAs come once each, all negative: an unseen miRNA has the prior, and is to be called negative."""
    mocks = [f"{a}{b}{c}{d}GGGG" for a in "ACGU" for b in "ACGU" for c in "ACGU" for d in "AC"]
    train = table(*((LET7, "", "A", 1) for _ in range(len(mocks) + 2)), *((m, "", "A", 0) for m in mocks))
    at = floors.threshold("mirna_identity", train, np.empty(0), train)
    unseen, known = floors.mirna_identity(table((MIR21, "", "A", 0), (LET7, "", "A", 1)), train)
    assert unseen > 0.5
    assert unseen < at <= known


# The figures of the data's README: AUROC, and accuracy where it gives one.

README = {
    "deepmirtar": {
        "mirna_identity": (0.977, 0.977),
        "gene_identity": (0.148, None),
        "mirna_kmers": (0.966, None),
        "target_kmers": (0.729, None),
        "seed_class": (None, 0.552),
        "duplex_energy": (0.772, None),
    },
    "miraw": {"mirna_identity": (0.975, 0.910), "gene_identity": (0.993, 0.979), "seed_class": (None, 0.871)},
    "clash_hejret2023_mirbench": {"mirna_identity": (0.284, None), "duplex_energy": (0.806, None)},
}


@pytest.mark.data
@pytest.mark.parametrize("name", README)
def test_figures_of_the_readme(name):
    try:
        train, test = (datasets.load_pairs(f"{name}:{split}") for split in ("train", "test"))
    except InputError:
        pytest.skip(f"{name} is not on this machine")
    own = {"seed_class": floors.seed_class, "duplex_energy": floors.duplex_energy}
    for floor, (auroc, accuracy) in README[name].items():
        scores = own[floor](test) if floor in own else floors.FLOORS[floor].learn(test, train)
        if auroc is not None:
            assert metrics.auroc_score(test["label"], scores) == pytest.approx(auroc, abs=0.01), floor
        if accuracy is not None:
            at = floors.threshold(floor, test, scores, train)
            assert metrics.accuracy_score(test["label"], scores, threshold=at) == pytest.approx(accuracy, abs=0.01), (
                floor
            )


def test_hairpin_numbers_by_hand():
    stem = "GGGGAAAACCCC"
    table = pd.DataFrame({"hairpin_seq": [stem, stem, "AAAA"], "structure": ["((((....))))", None, "...."]})
    found = floors.hairpin_numbers(table)
    mfe = rna.fold(stem)[1]
    assert found.loc[0].tolist() == [12, mfe, mfe / 12, 8 / 12, 8 / 12]
    assert found.loc[1].tolist() == found.loc[0].tolist()  # folded
    assert found.loc[2].tolist() == [4, 0, 0, 0, 0]


def test_floors_of_hairpins(hairpins):
    train, asked = hairpins[:32], hairpins[32:].sample(frac=1, random_state=0)
    scores = floors.all_floors(asked, train)
    assert list(scores) == list(floors.HAIRPIN_FLOORS) == list(floors.of(asked))
    assert scores.index.equals(asked.index)
    assert scores["length"].tolist() == asked["hairpin_seq"].str.len().tolist()
    numbers = floors.hairpin_numbers(asked)
    np.testing.assert_array_equal(scores["stability"], -numbers["mfe_per_nt"])
    for key, floor in floors.HAIRPIN_FLOORS.items():
        values = scores[key].to_numpy()
        at = floors.threshold(key, asked, values, train)
        if floor.learn:
            assert at == 0.5
            assert ((values >= 0) & (values <= 1)).all()
        else:
            own = floor.sign * floors.hairpin_numbers(train)[floor.column]
            assert at == metrics.best_threshold(train["label"], own)
    # a perfect stem against its own letters shuffled: the fold tells them apart, the letters do not
    assert metrics.auroc_score(asked["label"], scores["hairpin_regression"]) > 0.9
    assert metrics.auroc_score(asked["label"], scores["gc_share"]) == 0.5
    shuffled = train.assign(label=1 - train["label"])
    turned = floors.all_floors(asked, shuffled)
    np.testing.assert_allclose(turned["hairpin_regression"], 1 - scores["hairpin_regression"], atol=1e-3)


def test_hairpin_floors_are_cross_validated_without_a_training_table(hairpins):
    scores = floors.all_floors(hairpins)
    assert metrics.auroc_score(hairpins["label"], scores["hairpin_regression"]) > 0.9
    chance = hairpins.assign(label=hairpins["label"].sample(frac=1, random_state=3).to_numpy())
    assert metrics.auroc_score(chance["label"], floors.all_floors(chance)["hairpin_trees"]) < 0.75
    none = floors.all_floors(hairpins.drop(columns="label"))
    assert none["hairpin_regression"].isna().all()
    assert none["length"].notna().all()


@pytest.mark.data
def test_five_numbers_beat_the_published_networks(data_path):
    """The figures of docs/precursors.md: 88.56 % of the paper's CNN on the same 752 hairpins."""
    data_path("dnnpremir_human_balanced")
    table = datasets.load_hairpins("dnnpremir_human_balanced")
    np.testing.assert_allclose(floors.hairpin_numbers(table[:50])["mfe"], table["mfe"][:50].astype(float), atol=0.011)
    test = table[table["split"] == "test"]
    scores = floors.all_floors(test, table[table["split"] == "train"])
    assert metrics.accuracy_score(test["label"], scores["hairpin_regression"]) == pytest.approx(0.910, abs=0.003)
    assert metrics.accuracy_score(test["label"], scores["hairpin_trees"]) == pytest.approx(0.903, abs=0.005)
