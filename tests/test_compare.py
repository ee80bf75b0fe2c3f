"""An isomiR against its reference: toy transcripts with answers by hand, properties, the command, bad input."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirscope import compare, io, models, scan
from mirscope.compare import Pair
from mirscope.errors import InputError, UsageError
from mirscope.io import Record

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
REFERENCE, ISOMIR = Record("let-7a", LET7), Record("let-7a;iso_5p:+1", LET7[1:])
LEFT, RIGHT = "GGGACGACGGCGACGGGCGAGCGG", "GCGGAGCGAGGCAGGAGCGCGGG"
UTRS = [
    Record("changed", LEFT + "ACUACCUCA" + RIGHT),  # 8mer of the reference, 7mer-m8 of what lacks its first nt
    Record("lost", LEFT + "GCUACCUCA" + RIGHT),  # 8mer; 6mer
    Record("gained", LEFT + "ACUACCUAG" + RIGHT),  # offset-6mer; 8mer
    Record("none", LEFT + RIGHT),
    Record("twice", LEFT + "GCUACCUCA" + RIGHT + "ACUACCUAG" + RIGHT),
]
TOLD = [  # target, change, scores, seed types, place
    ("changed", "changed", 0.9, 0.8, "8mer", "7mer-m8", 25, 33),
    ("gained", "gained", 0.4, 0.9, "offset-6mer", "8mer", 24, 32),
    ("lost", "lost", 0.9, 0.6, "8mer", "6mer", 25, 33),
    ("twice", "gained", 0.4, 0.9, "offset-6mer", "8mer", 56, 64),
    ("twice", "lost", 0.9, 0.6, "8mer", "6mer", 25, 33),
]
COLUMNS = [
    *("target_id", "change", "reference_score", "isomir_score"),
    *("reference_seed_type", "isomir_seed_type", "start", "end"),
]
SEVEN_MERS = scan.Settings(threshold=0.65)


def told(found: compare.Compared) -> list[tuple]:
    rows = found.sites[COLUMNS].sort_values(["target_id", "change"]).round(6)
    return list(rows.itertuples(index=False, name=None))


def test_toy_transcripts():
    found = compare.compare(models.load("seed"), [Pair(REFERENCE, ISOMIR)], UTRS, settings=SEVEN_MERS)
    assert told(found) == TOLD
    sites = found.sites.set_index("target_id")
    assert sites.loc["changed", "difference"] == pytest.approx(-0.1)
    assert sites.loc["changed", "logit_difference"] == pytest.approx(np.log(4) - np.log(9), abs=1e-5)
    assert sites["log10_fold"].isna().all()  # no background
    genes = found.genes.set_index("target_id")
    assert genes["change"].to_dict() == {"gained": "gained", "lost": "lost", "changed": "kept", "twice": "kept"}
    assert genes.loc["twice", ["n_gained", "n_lost", "n_changed", "n_kept"]].tolist() == [1, 1, 0, 0]
    assert genes.loc["changed", ["reference_score", "isomir_score"]].tolist() == pytest.approx([0.9, 0.8])
    assert genes.loc["gained", ["reference_score", "isomir_score"]].tolist() == pytest.approx([0, 0.9])  # no site: 0
    assert sorted(found.genes["rank"]) == [1, 2, 3, 4]
    assert found.genes["difference"].abs().is_monotonic_decreasing
    [row] = found.summary.to_dict("records")
    assert (row["reference_seed"], row["isomir_seed"]) == ("GAGGUAG", "AGGUAGU")
    assert [row[f"sites_{change}"] for change in compare.CHANGES] == [2, 2, 1, 0]
    assert [row[f"genes_{change}"] for change in compare.GENE_CHANGES] == [1, 1, 2]


def test_genes_are_of_all_their_transcripts():
    """`changed` (.9, .8), `gained` (0, .9) and `none` are one gene: the best of each form, and the sites of all."""
    genes_of = {"changed": "A", "gained": "A", "none": "A", "lost": "B", "twice": "C"}
    how = {"settings": SEVEN_MERS, "genes_of": genes_of}
    found = compare.compare(models.load("seed"), [Pair(REFERENCE, ISOMIR)], UTRS, **how)
    assert told(found) == TOLD  # sites are of transcripts
    genes = found.genes.set_index("target_id")
    assert genes["change"].to_dict() == {"A": "kept", "B": "lost", "C": "kept"}
    assert genes.loc["A", ["reference_score", "isomir_score"]].tolist() == pytest.approx([0.9, 0.9])
    assert genes.loc["A", ["n_gained", "n_lost", "n_changed", "n_kept"]].tolist() == [1, 0, 1, 0]
    assert [found.summary[f"genes_{change}"].item() for change in compare.GENE_CHANGES] == [0, 1, 2]
    found = compare.compare(models.load("seed"), [Pair(REFERENCE, ISOMIR)], UTRS, isoforms="longest", **how)
    assert found.genes.set_index("target_id").loc["A", "reference_score"] == pytest.approx(0.9)


def test_a_smaller_difference_is_kept():
    pair = [Pair(REFERENCE, ISOMIR)]
    found = compare.compare(models.load("seed"), pair, UTRS, settings=SEVEN_MERS, min_difference=1)
    assert found.sites.set_index("target_id").loc["changed", "change"] == "kept"
    assert (found.sites["change"] == "kept").sum() == 1
    same_seed = Pair(REFERENCE, Record("let-7a;iso_3p:-1", LET7[:-1]))
    found = compare.compare(models.load("seed"), [same_seed], UTRS, settings=SEVEN_MERS)
    assert set(found.sites["change"]) == {"kept"}
    assert (found.sites["difference"] == 0).all()


def test_no_sites_at_all():
    found = compare.compare(models.load("seed"), [Pair(REFERENCE, ISOMIR)], UTRS[3:4], settings=SEVEN_MERS)
    assert found.sites.empty
    assert found.genes.empty
    assert found.summary["sites_gained"].tolist() == [0]


def test_several_isomirs_are_as_each_alone():
    other = Pair(Record("miR-21", "UAGCUUAUCAGACUGAUGUUGA"), Record("miR-21;iso_5p:+1", "AGCUUAUCAGACUGAUGUUGA"))
    pairs = [Pair(REFERENCE, ISOMIR), other, Pair(REFERENCE, Record("let-7a;iso_5p:+2", LET7[2:]))]
    together = compare.compare(models.load("seed"), pairs, UTRS, settings=SEVEN_MERS)
    for number, pair in enumerate(pairs):
        alone = compare.compare(models.load("seed"), [pair], UTRS, settings=SEVEN_MERS)
        for name in ("sites", "genes"):
            own = getattr(together, name)
            own = own[own["isomir_id"] == pair.isomir.id].reset_index(drop=True)
            pd.testing.assert_frame_equal(own, getattr(alone, name), check_dtype=False)
        assert together.summary.iloc[number].tolist() == alone.summary.iloc[0].tolist()


@pytest.fixture(scope="module")
def utrs() -> list[Record]:
    rng = np.random.default_rng(4)
    sites = ("CUACCUCA", "ACUACCUA", "ACUACCUCA", "AACUAUACAACCUACUACCUCA", "AACUAUACAACCUACUACCUAA")
    parts = [["".join(rng.choice(list("ACGU"), 150)), site] for site in sites for _ in range(3)]
    return [Record(f"utr{n}", "".join(parts[n] + parts[n + 1] + parts[n + 2])) for n in range(0, len(parts), 3)]


@pytest.mark.parametrize("name", ["duplex", "deeptarget", "dmiso", "seed"])
def test_it_is_what_scans_of_both_forms_say(utrs, name):
    """Every site that a scan calls of either form has its row, with that score; what is gained or lost stands there."""
    model = models.load(name)
    pair, settings = Pair(REFERENCE, ISOMIR), scan.Settings(fp_per_kb=0.8, background=20_000, duplexes=False)
    forms = [REFERENCE, ISOMIR]
    found = compare.compare(model, [pair], utrs, settings=settings, min_fold=1)
    background = scan.shuffled_sites(model, forms, utrs, settings=settings)
    called = scan.scan(model, forms, utrs, settings=settings, background=background)
    assert len(called)
    for form, record in zip(("reference", "isomir"), forms, strict=True):
        own = called[called["mirna_id"] == record.id]
        rows = found.sites[found.sites[f"{form}_fp_per_kb"] <= 0.8 + 1e-6]
        values = [
            {(target, round(float(score), 4)) for target, score in zip(table["target_id"], table[column], strict=True)}
            for table, column in ((own, "score"), (rows, f"{form}_score"))
        ]
        assert values[0] <= values[1]
        here = found.sites["change"].isin([{"reference": "lost", "isomir": "gained"}[form]])
        alone = list(zip(found.sites[here]["target_id"], found.sites[here]["start"], strict=True))
        assert set(alone) <= set(zip(own["target_id"], own["start"], strict=True))


def test_the_other_way_round_what_was_lost_is_gained(utrs):
    model, settings = models.load("duplex"), scan.Settings(fp_per_kb=0.5, background=20_000)
    one = compare.compare(model, [Pair(REFERENCE, ISOMIR)], utrs, settings=settings)
    other = compare.compare(model, [Pair(ISOMIR, REFERENCE)], utrs, settings=settings)
    assert len(one.sites) == len(other.sites) > 0
    for change, back in {"lost": "gained", "gained": "lost", "kept": "kept", "changed": "changed"}.items():
        own, its = (each.sites[each.sites["change"] == word] for each, word in ((one, change), (other, back)))
        assert sorted(own["log10_fold"].round(4)) == sorted(-its["log10_fold"].round(4) + 0.0)
        assert (own["log10_fold"].abs() >= np.log10(3)).all() or change == "kept"
    assert np.allclose(np.sort(one.genes["difference"]), np.sort(-other.genes["difference"]), atol=1e-6)


def test_threads_do_not_matter(utrs):
    model, settings = models.load("duplex"), scan.Settings(fp_per_kb=0.5, background=20_000)
    one, two = (
        compare.compare(model, [Pair(REFERENCE, ISOMIR)], utrs, settings=settings, threads=n).sites for n in (1, 2)
    )
    pd.testing.assert_frame_equal(one, two)


places = st.lists(st.integers(0, 60), unique=True, max_size=8).map(
    lambda found: np.array(sorted(found), dtype=np.int64)
)


@given(places, places, st.integers(1, 20))
def test_nearest_of_each_other(first, second, near):
    got = list(zip(*compare._nearest(first, second, near), strict=True))
    expected = []
    for a, place in enumerate(first):
        for b, other in enumerate(second):
            distance = abs(place - other)
            best = min(range(len(second)), key=lambda k: (abs(second[k] - first[a]), second[k]))
            back = min(range(len(first)), key=lambda k: (abs(first[k] - second[b]), first[k]))
            if best == b and back == a and distance < near:
                expected.append((a, b))
    assert got == expected


# ---------------------------------------------------------------------------------------------------------- references


def test_each_isomir_finds_its_reference(caplog):
    references = [REFERENCE, Record("let-7c", "UGAGGUAGUAGGUUGUAUGGUU")]
    both = Record("let-7a;iso_3p:-5/let-7c;iso_3p:-5", LET7[:17])
    lost = Record("miR-21;iso_5p:+1", "AGCUUAUCAGACUGAUGUUGA")
    with caplog.at_level("INFO"):
        found = compare.pairs_of(references, [ISOMIR, both, REFERENCE, lost])
    assert [(pair.reference.id, pair.isomir.id) for pair in found] == [
        ("let-7a", ISOMIR.id),
        ("let-7a", both.id),
        ("let-7c", both.id),
    ]
    assert "1 of 4 isomiRs have no reference here, such as miR-21;iso_5p:+1; left out" in caplog.text
    assert "1 of 4 sequences are their own reference; left out" in caplog.text
    joined = compare.pairs_of([Record("let-7a/let-7x", LET7)], [ISOMIR])
    assert [pair.reference for pair in joined] == [REFERENCE]


def test_one_reference_takes_all_that_name_none():
    found = compare.pairs_of([REFERENCE], [Record("a", LET7[1:]), Record("b", LET7[:-1])])
    assert [(pair.reference.id, pair.isomir.id) for pair in found] == [("let-7a", "a"), ("let-7a", "b")]
    exact = Record("miR-21", "UAGCUUAUCAGACUGAUGUUGA")  # of a file with isomiRs of many
    assert [pair.isomir for pair in compare.pairs_of([REFERENCE], [ISOMIR, exact])] == [ISOMIR]


@pytest.mark.parametrize(
    ("references", "isomirs", "problem"),
    [
        ([REFERENCE], [REFERENCE], "nothing to compare: all are their references"),
        ([Record("miR-21", "UAGC"), Record("x", "A")], [ISOMIR], "no reference of 'let-7a;iso_5p:.1' among 2 miRNAs"),
        ([REFERENCE, Record("x", "A")], [Record("a", LET7[1:])], "an isomiR is named after its reference"),
    ],
)
def test_no_pairs(references, isomirs, problem):
    with pytest.raises(InputError, match=problem):
        compare.pairs_of(references, isomirs)


def test_bad_questions():
    seed, same = models.load("seed"), Pair(REFERENCE, Record("let-7a", LET7[1:]))
    with pytest.raises(InputError, match="let-7a: reference and isomiR have the same name"):
        compare.compare(seed, [same], UTRS)
    with pytest.raises(UsageError, match=r"smallest ratio is 0\.5; expected 1 or more"):
        compare.compare(seed, [Pair(REFERENCE, ISOMIR)], UTRS, min_fold=0.5)
    with pytest.raises(UsageError, match="smallest difference is -1; expected 0 or more"):
        compare.compare(seed, [Pair(REFERENCE, ISOMIR)], UTRS, min_difference=-1)
    with pytest.raises(UsageError, match="hairpin reads hairpin and structure"):
        compare.compare(models.load("hairpin"), [Pair(REFERENCE, ISOMIR)], UTRS)


# ------------------------------------------------------------------------------------------------------------- command

HEADER = "## mirGFF3. VERSION 1.2\n## source-ontology: miRBase22 doi:x\n## TOOLS: some\n## COLDATA: a,b\n"


def mirgff3(*rows: tuple[str, str, str, str]) -> str:
    """Lines as other tools write them, the sequence as UID alone."""
    from mirscope import rna

    return HEADER + "".join(
        f"hsa-{name}\tmiRBase22\tisomiR\t1\t20\t.\t+\t.\tUID={rna.uid(sequence)}; Name={name}; Parent=hp-{name}; "
        f"Variant={variant}; Cigar=20M; Expression=3,4; Filter={filter_}; Hits=1;\n"
        for name, sequence, variant, filter_ in rows
    )


@pytest.fixture
def files(tmp_path):
    io.write_fasta(UTRS, tmp_path / "utrs.fa")
    io.write_fasta([REFERENCE, Record("miR-21", "UAGCUUAUCAGACUGAUGUUGA")], tmp_path / "mature.fa")
    rows = [
        ("let-7a", LET7, "NA", "Pass"),
        ("let-7a", LET7[1:], "iso_5p:+1", "Pass"),
        ("let-7a", LET7[2:], "iso_5p:+2", "REJECT:lowcount"),
        ("miR-21", "AGCUUAUCAGACUGAUGUUGA", "iso_5p:+1", "Pass"),
    ]
    (tmp_path / "isomirs.gff3").write_text(mirgff3(*rows))
    return tmp_path


OPTIONS = "utrs.fa --model seed -p 0.65 --min-fold 1 --threads 1 --quiet"


def test_the_command_on_two_sequences(run, files):
    run(f"compare let-7a={LET7.replace('U', 'T').lower()} iso={LET7[1:]} {OPTIONS} -o out")
    sites = pd.read_csv(files / "out" / "sites.tsv", sep="\t", keep_default_na=False)
    assert list(sites) == list(compare.SITE_COLUMNS)
    assert list(sites.sort_values(["target_id", "change"])[COLUMNS].itertuples(index=False, name=None)) == TOLD
    assert pd.to_numeric(sites["log10_fold"]).notna().all()
    beds = [(files / "out" / f"{name}.bed").read_text().splitlines() for name in ("gained", "lost")]
    assert sorted(beds[0]) == ["gained\t24\t32\tiso|8mer\t900\t+", "twice\t56\t64\tiso|8mer\t900\t+"]
    assert sorted(beds[1]) == ["lost\t25\t33\tiso|8mer\t900\t+", "twice\t25\t33\tiso|8mer\t900\t+"]
    genes = pd.read_csv(files / "out" / "genes.tsv", sep="\t")
    assert list(genes) == list(compare.GENE_COLUMNS)
    assert set(genes["target_id"]) == {"changed", "gained", "lost", "twice"}
    assert {path.name for path in (files / "out" / "plots").iterdir()} == {"iso.png", "iso.svg"}
    record = json.loads((files / "out" / "run.json").read_text())
    assert record["sites"] == {"gained": 2, "lost": 2, "changed": 1, "kept": 0}
    assert (record["model"], record["threshold"], record["fp_per_kb"], record["min_fold"]) == ("seed", 0.65, None, 1)


def test_the_command_on_genes(run, files):
    (files / "genes.tsv").write_text("changed\tA\ngained\tA\nlost\tB\n")
    _, err = run(f"compare a={LET7} iso={LET7[1:]} utrs.fa --model seed -p 0.65 --genes genes.tsv --threads 1 -o out")
    genes = pd.read_csv(files / "out" / "genes.tsv", sep="\t")
    assert set(genes["target_id"]) == {"A", "B", "twice"}
    assert "2 of 5 transcripts have no gene: each is its own" in err
    record = json.loads((files / "out" / "run.json").read_text())
    assert (record["isoforms"], record["inputs"]["genes"]["path"]) == ("mean", "genes.tsv")


@pytest.mark.parametrize(
    ("reference", "isomir"),
    [
        ("mature.fa", "isomirs.gff3"),  # each against its own
        ("let-7a", "isomirs.gff3"),  # names within the other file
        ("isomirs.gff3", "let-7a;iso_5p:+1"),
        ("isomirs.gff3", "isomirs.gff3"),
    ],
)
def test_files_and_names(run, files, reference, isomir):
    run(["compare", reference, isomir, *OPTIONS.split(), "-o", "out", "--plot", "0"])
    sites = pd.read_csv(files / "out" / "sites.tsv", sep="\t", keep_default_na=False)
    assert list(sites.sort_values(["target_id", "change"])[COLUMNS].itertuples(index=False, name=None)) == TOLD
    summary = pd.read_csv(files / "out" / "summary.tsv", sep="\t")
    expected = ["let-7a;iso_5p:+1", "miR-21;iso_5p:+1"] if reference == "mature.fa" else ["let-7a;iso_5p:+1"]
    assert summary["isomir_id"].tolist() == expected
    assert not (files / "out" / "plots").exists()


def test_the_command_by_rates_tells_how_many_are_chance(run, files):
    _, err = run(f"compare let-7a={LET7} iso={LET7[1:]} utrs.fa --fp-per-kb 0.5 --threads 1 -o out")
    assert "isomiRs: 1; sites: " in err
    assert "sites of each form are expected by chance (0.5 in a kb)" in err
    run("compare mature.fa isomirs.gff3 utrs.fa --rejected --model seed -p 0.65 --threads 1 -o more -q")
    assert len(pd.read_csv(files / "more" / "summary.tsv", sep="\t")) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (
            "nothing.fa isomirs.gff3 utrs.fa",
            1,
            "nothing.fa: neither a file, nor a sequence, nor a miRNA of isomirs.gff3",
        ),
        ("let-7 iso utrs.fa", 1, "let-7: no such file; expected a file, a sequence, or the name of a miRNA"),
        ("a=UAGX b=UAGC utrs.fa", 1, "REF: a: unexpected 'X' at position 4"),
        (f"a={LET7} b={LET7} utrs.fa", 1, "nothing to compare: all are their references"),
        (f"a={LET7} b=ACGU utrs.fa", 1, "b: 4 nt is no mature miRNA"),
        ("mature.fa utrs.fa isomirs.gff3", 1, "nothing to compare"),
        (f"mature.fa iso={LET7[1:]} utrs.fa", 1, "an isomiR is named after its reference"),
        ("mature.fa isomirs.gff3 none.fa", 1, "none.fa: cannot read"),
        ("mature.fa isomirs.gff3 utrs.fa -p 0.5 --fp-per-kb 0.1", 2, "not both"),
        ("mature.fa isomirs.gff3 utrs.fa --min-fold 0", 2, "smallest ratio is 0.0; expected 1 or more"),
        ("mature.fa isomirs.gff3 utrs.fa -m nothing", 2, "no model"),
        ("mature.fa isomirs.gff3 utrs.fa -o mature.fa", 1, "is a file; expected a folder"),
        ("mature.fa", 2, "Missing argument"),
        ("mature.fa isomirs.gff3 utrs.fa --genes no.tsv", 1, "no.tsv: names none of the 5 transcripts"),
        ("mature.fa isomirs.gff3 utrs.fa --genes no.tsv --gtf no.gtf", 2, "give --genes or --gtf, not both"),
    ],
)
def test_bad_input_is_one_line(run, files, arguments, code, problem):
    (files / "no.tsv").write_text("NM_1\tA\n")
    _, err = run(f"compare {arguments} --quiet --threads 1", code=code)
    assert problem in err
    assert len(err.strip().splitlines()) == 1
