"""Sites to repression: answers countable by hand, monotone in every input, the same in any order and in chunks."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mirscope import io, metrics, models, predict, repression, rna, scan, tables
from mirscope.errors import TableError, UsageError, WeightsError
from mirscope.io import Record
from mirscope.repression import CLASSES, Head

# K is 1 for an 8mer, 1/3 for a 7mer-m8 and so on, at 1 false site per kb in 1 kb; place and AU do nothing
PLAIN = Head(dict(zip(CLASSES, np.log([1, 1 / 3, 1 / 4, 1 / 9, 1 / 19, 1 / 19]), strict=True)), 0, 0, 0, 0, 0, 1.0)
FULL = repression.load()


def site(**values) -> dict:
    row = {"mirna_id": "let-7a", "target_id": "t1", "score": 0.5, "seed_type": "8mer", "fp_per_kb": 0.1}
    return row | {"target_length": 1000, "relative_place": 0.5, "local_au": 0.6} | values


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows)


def genes(sites: pd.DataFrame, head: Head, *, level: float = 1.0) -> pd.DataFrame:
    return predict.genes(sites.assign(occupancy=head.occupancy(sites, level=level)), how="repression")


@st.composite
def site_tables(draw) -> pd.DataFrame:
    row = st.builds(
        site,
        mirna_id=st.sampled_from(["let-7a", "miR-21"]),
        target_id=st.sampled_from(["t1", "t2", "t3"]),
        score=st.floats(0, 1),
        seed_type=st.sampled_from([*CLASSES[:-1], ""]),
        fp_per_kb=st.floats(1e-6, 1),
        target_length=st.integers(1, 20_000),
        relative_place=st.floats(0, 1),
        local_au=st.floats(0, 1),
    )
    return table(*draw(st.lists(row, min_size=1, max_size=12)))


# ------------------------------------------------------------------------------------------------------ counted by hand


def test_occupancies_add_up():
    sites = table(site(), site(seed_type="7mer-m8"), site(target_id="t2", seed_type=""), site(mirna_id="miR-21"))
    found = genes(sites, PLAIN)
    assert found["mirna_id"].tolist() == ["let-7a", "let-7a", "miR-21"]
    assert found["target_id"].tolist() == ["t1", "t2", "t1"]
    assert found["score"].tolist() == pytest.approx([1 / 2 + 1 / 4, 1 / 20, 1 / 2])
    assert found["n_sites"].tolist() == [2, 1, 1]
    assert found["rank"].tolist() == [1, 2, 1]
    assert found["noisy_or"].tolist() == pytest.approx([0.75, 0.5, 0.5])
    tables.check(found, tables.GENES)
    assert found["score"].tolist() == found["repression"].tolist()


def test_a_higher_level_holds_sites_longer():
    assert PLAIN.occupancy(table(site()), level=3) == pytest.approx([3 / 4])
    assert PLAIN.occupancy(table(site(seed_type="7mer-m8")), level=3) == pytest.approx([1 / 2])


def test_each_coefficient_in_its_unit():
    head = dataclasses.replace(PLAIN, rarity=1, rarity_none=2, length=-3, place=-4, local_au=5)
    plain = site(fp_per_kb=1.0, relative_place=0.0)
    rows = [plain, plain | {"fp_per_kb": 0.01}, plain | {"fp_per_kb": 0.01, "seed_type": ""}]
    rows += [plain | {"target_length": 100}, plain | {"relative_place": 0.25}, plain | {"local_au": 0.8}]
    assert head.affinity(table(*rows)) == pytest.approx([0, 2, 4 - np.log(19), 3, -1, 1])


def test_a_rate_too_low_for_a_number():
    head = dataclasses.replace(PLAIN, rarity=1)
    assert head.affinity(table(site(fp_per_kb=0.0), site(fp_per_kb=1e-40))).tolist() == [30, 30]


def test_places_are_opposite_the_first_nucleotide():
    mirna, width = "UGAGGUAGUAGGUUGUAUAGUU", 50
    eight = rna.reverse_complement(mirna[1:8]) + "A"
    for kind, text in (
        ("8mer", eight),
        ("7mer-m8", eight[:7] + "C"),
        ("7mer-A1", "G" + eight[1:]),
        ("6mer", "G" + eight[1:7] + "C"),
    ):
        target = "C" * 30 + text + "C" * 30
        assert rna.seed_type(mirna, target) == kind
        places = rna.seed_matches(rna.encode([mirna])[0], rna.encode([target])[0])
        number = [k.name for k in rna.SEED_TYPES].index(kind)
        start = rna.seed_interval(int(places[number].argmax()), rna.SEED_TYPES[number])[0]
        row = {"start": 10, "end": 10 + width, "seed_start": start, "seed_type": kind}
        assert repression.places(table(row)).tolist() == [37], kind
    offset = {"start": 10, "end": 60, "seed_start": 30, "seed_type": "offset-6mer"}  # pairs nt 3-8
    assert repression.places(table(offset, offset | {"seed_start": -1, "seed_type": ""})).tolist() == [37, 45]


def test_local_au_by_hand():
    def slow(text: str, place: int) -> float:
        beside = [(place - 7 - d, d) for d in range(1, 31)] + [(place + d, d) for d in range(1, 31)]
        known = [(text[at], 1 / (d + 1)) for at, d in beside if 0 <= at < len(text) and text[at] != "N"]
        total = sum(weight for _, weight in known)
        return sum(weight for letter, weight in known if letter in "AU") / total if known else 0.6

    text = "".join(np.random.default_rng(0).choice(list("ACGUN"), 90))
    found = repression.local_au(rna.encode([text])[0])
    assert found == pytest.approx([slow(text, place) for place in range(len(text))])
    assert repression.local_au(rna.encode(["GGCUACCUCA"])[0])[9] == pytest.approx(0)
    assert repression.local_au(rna.encode(["CUACCUCA"])[0])[7] == pytest.approx(0.6)  # nothing beside it


def test_annotate():
    sites = table(
        {"target_id": "b", "start": 0, "end": 50, "seed_start": -1, "seed_type": ""},
        {"target_id": "a", "start": 0, "end": 20, "seed_start": 9, "seed_type": "8mer"},
    )
    codes = {"a": rna.encode(["C" * 9 + "CUACCUCA" + "AAA"])[0], "b": rna.encode(["A" * 100])[0]}
    found = repression.annotate(sites, codes)
    assert found["target_length"].tolist() == [100, 20]
    assert found["relative_place"].tolist() == [0.35, 0.8]
    weights = 1 / (np.arange(1, 10) + 1)
    assert found["local_au"].tolist() == pytest.approx([1, weights[:3].sum() / (weights[:3].sum() + weights.sum())])


# ----------------------------------------------------------------------------------------------------------- properties


@settings(max_examples=20, deadline=None)
@given(site_tables(), st.integers(0, 1000), st.floats(0.01, 10))
def test_order_and_chunks_do_not_matter(sites, random_state, level):
    whole = genes(sites, FULL, level=level).set_index(["mirna_id", "target_id"])["score"]
    shuffled = genes(sites.sample(frac=1, random_state=random_state), FULL, level=level)
    alone = [genes(chunk, FULL, level=level) for _, chunk in sites.groupby(["target_id", "mirna_id"])]
    for other in (shuffled, pd.concat(alone)):
        other = other.set_index(["mirna_id", "target_id"])["score"]
        pd.testing.assert_series_equal(other.sort_index(), whole.sort_index())


@settings(max_examples=30, deadline=None)
@given(site_tables())
def test_better_is_never_less(sites):
    held = FULL.occupancy(sites)
    assert ((held >= 0) & (held <= 1)).all()
    better = {
        "fp_per_kb": sites["fp_per_kb"] / 3,
        "target_length": (sites["target_length"] // 2).clip(lower=1),
        "relative_place": sites["relative_place"] / 2,
        "local_au": (sites["local_au"] + 0.1).clip(upper=1),
    }
    for column, values in better.items():
        assert (FULL.occupancy(sites.assign(**{column: values})) >= held).all(), column
    seeded = sites[sites["seed_type"] != ""]
    if len(seeded):
        assert (FULL.occupancy(seeded.assign(seed_type="8mer")) >= FULL.occupancy(seeded)).all()


@settings(max_examples=30, deadline=None)
@given(site_tables())
def test_one_more_site_is_never_less(sites):
    less = genes(sites[:-1], FULL).set_index(["mirna_id", "target_id"])["score"]
    more = genes(sites, FULL).set_index(["mirna_id", "target_id"])["score"]
    assert (more.reindex(less.index) >= less - 1e-12).all()


def test_the_shipped_head_keeps_its_classes_in_order():
    classes = [FULL.classes[name] for name in CLASSES]
    assert classes == sorted(classes, reverse=True) and classes[0] > classes[3] > classes[5]
    assert repression.HEAD.stat().st_size < 5000


# ------------------------------------------------------------------------------------------------------------- isoforms

SCORES = pd.DataFrame({"mirna_id": "m", "target_id": ["a1", "a3", "b1"], "repression": [0.6, 0.3, 0.2]})
TRANSCRIPTS = pd.DataFrame(
    {"target_id": ["a1", "a2", "a3", "b1", "c1"], "gene_id": list("aaabc"), "target_length": [10, 90, 50, 5, 5]}
)


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", {"a": 0.3, "b": 0.2}), ("max", {"a": 0.6, "b": 0.2}), ("longest", {"b": 0.2})]
)
def test_isoforms(how, expected):
    found = repression.combine(SCORES, TRANSCRIPTS, how=how)
    assert dict(zip(found["target_id"], found["repression"], strict=True)) == pytest.approx(expected)


def test_a_gene_of_one_transcript_keeps_its_score():
    single = TRANSCRIPTS.assign(gene_id=TRANSCRIPTS["target_id"])
    for how in ("mean", "max", "longest"):
        assert repression.combine(SCORES, single, how=how)["repression"].tolist() == SCORES["repression"].tolist()


# --------------------------------------------------------------------------------------------------------------- errors


def test_errors_name_the_value(tmp_path):
    with pytest.raises(TableError, match="'9mer'; expected 8mer, "):
        PLAIN.occupancy(table(site(seed_type="9mer")))
    with pytest.raises(TableError, match=r"-1\.0 in column fp_per_kb"):
        PLAIN.occupancy(table(site(fp_per_kb=-1.0)))
    with pytest.raises(TableError, match="no column local_au"):
        PLAIN.occupancy(table(site()).drop(columns="local_au"))
    with pytest.raises(UsageError, match="level of free miRNA is 0"):
        PLAIN.occupancy(table(site()), level=0)
    with pytest.raises(TableError, match="transcript 'b1' has no gene"):
        repression.combine(SCORES, TRANSCRIPTS[:3])
    with pytest.raises(TableError, match="'a1' comes twice"):
        repression.combine(SCORES, pd.concat([TRANSCRIPTS, TRANSCRIPTS]))
    with pytest.raises(UsageError, match="'median'"):
        repression.combine(SCORES, TRANSCRIPTS, how="median")
    for text in ("{}", "[]", "nothing", json.dumps({"head": {"classes": {}}})):
        (tmp_path / "head.json").write_text(text)
        with pytest.raises(WeightsError, match=r"head\.json: not the coefficients of a head"):
            repression.load(tmp_path / "head.json")
    with pytest.raises(WeightsError, match=r"no\.json"):
        repression.load(tmp_path / "no.json")


# ------------------------------------------------------------------------------------------------------------ real data


@pytest.mark.data
def test_repressed_genes_rank_higher_than_by_seed_classes(data_path):
    """On the HeLa transfections with 30 repressed genes or more; the head has learned from these among others."""
    human = pd.read_csv(data_path("utr_to_ensembl"), sep="\t").set_index("utr_id")["gene_id"]
    records = {r.id: r.sequence for r in io.read_fasta(data_path("human_3utr_mirmark"), unique=False) if r.id in human}
    utrs = {human[name]: sequence for name, sequence in records.items()}
    listed = pd.read_csv(data_path("funmirbench_experiments"), sep="\t").set_index("experiment")
    listed = listed.loc[["E17", "E21", "E23", "E28", "E29"]]
    changes = pd.read_csv(data_path("funmirbench_de_tables"), sep="\t")
    mirnas = [Record(row.mirna_id, row.mirna_seq) for row in listed.itertuples()]
    wanted = scan.Settings(fp_per_kb=FULL.fp_per_kb, background=50_000, duplexes=False)
    sites = scan.scan(models.load("duplex_eclip"), mirnas, [Record(*item) for item in utrs.items()], settings=wanted)
    codes = {gene: rna.encode([sequence])[0] for gene, sequence in utrs.items()}
    ranked = genes(repression.annotate(sites, codes), FULL)
    weights = np.array([0.31, 0.16, 0.10, 0.03, 0.0])
    gains = []
    for mirna, experiment in zip(mirnas, listed.index, strict=True):
        own = changes[changes["experiment"] == experiment].set_index("gene_id")
        own = own[own.index.isin(list(utrs))]
        fits = [rna.seed_matches(rna.encode([mirna.sequence])[0], codes[gene]) for gene in own.index]
        floor = [weights[fit[:, fit.any(0)].argmax(0)].sum() for fit in fits]
        score = ranked[ranked["mirna_id"] == mirna.id].set_index("target_id")["score"].reindex(own.index).fillna(0.0)
        repressed = ((own["logFC"] < 0) & (own["FDR"] < 0.05)).astype(int)
        auroc = [metrics.auroc_score(repressed, values) for values in (score, floor)]
        rho = [stats.spearmanr(values, -own["logFC"])[0] for values in (score, floor)]
        assert auroc[0] > 0.7
        gains.append((auroc[0] - auroc[1], rho[0] - rho[1]))
    assert (np.mean(gains, axis=0) > 0.01).all()
