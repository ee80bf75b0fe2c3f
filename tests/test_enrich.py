"""Enrichment: seed sites as `rna` finds them, tables as R writes them, a test that holds its level, planted targets."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mirscope import annotation, enrich, io, models, plot, predict, repression, rna, scan
from mirscope.errors import InputError, UsageError
from mirscope.io import Record

LET7, MIR21, MIR1 = "UGAGGUAGUAGGUUGUAUAGUU", "UAGCUUAUCAGACUGAUGUUGA", "UGGAAUGUAAAGAAGUAUGUAU"
MIRNAS = [
    Record("let-7a", LET7),
    Record("miR-21", MIR21),
    Record("let-7b", "UGAGGUAGUAGGUUGUGUGGUU"),
    Record("miR-1", MIR1),
]
rnas = st.text("ACGUN", min_size=1, max_size=60)


@pytest.fixture(scope="module")
def utrs():
    """120 random 3'UTRs; let-7 8mers in the first 30."""
    rng = np.random.default_rng(1)
    records = []
    for number in range(120):
        text = "".join(rng.choice(list("ACGU"), int(rng.integers(100, 900))))
        if number < 30:
            text = text[:50] + "CUACCUCA" + text[58:]
        records.append(Record(f"NM_{number}", text))
    return records


@pytest.fixture(scope="module")
def table():
    """Fold changes of their genes, and of 40 others: those with the planted site are down by 2."""
    rng = np.random.default_rng(2)
    change = rng.normal(size=160) - 2 * (np.arange(160) < 30)
    return pd.DataFrame({"gene": [f"NM_{number}" for number in range(160)], "logFC": change.round(4)})


def enriched(experiment, utrs, **more):
    groups, used = enrich.families(MIRNAS), experiment.of(utrs)
    return enrich.enrich(experiment, groups, enrich.seed_scores(groups, used), used, **more)


def names(records):
    return annotation.names([record.id for record in records])


def test_families_share_nt_2_to_8():
    found = enrich.families(MIRNAS)
    assert [family.name for family in found] == ["let-7a/let-7b", "miR-21", "miR-1"]
    assert [family.seed for family in found] == ["GAGGUAG", "AGCUUAU", "GGAAUGU"]


@pytest.mark.parametrize("sequence", ["UGAGGUA", "UGANGUAGUAGG"])
def test_a_mirna_without_a_seed(sequence):
    with pytest.raises(InputError, match="short"):
        enrich.families([Record("short", sequence)])


@given(seed=st.text("ACGU", min_size=7, max_size=7), targets=st.lists(rnas, min_size=1, max_size=5), site=st.booleans())
def test_seed_sites_are_those_of_rna(seed, targets, site):
    if site:
        targets = [target + rna.reverse_complement(seed) for target in targets]
    transcript, kind = enrich.SeedSites([Record(str(n), target) for n, target in enumerate(targets)]).find(seed)
    found = sorted(zip(transcript.tolist(), kind.tolist(), strict=True))
    slow = []
    for number, target in enumerate(targets):
        matches = rna.seed_matches(rna.encode(["N" + seed])[0], rna.encode([target])[0])[:4]
        slow += [(number, int(matches[:, at].argmax())) for at in np.flatnonzero(matches.any(0))]
    assert found == sorted(slow)


def test_seed_scores_by_hand():
    targets = [
        Record("a", "GGCUACCUCAGG" + "UACCUC"),
        Record("b", "CUACCUC"),
        Record("c", "UACCUCA"),
        Record("d", "ACGU"),
    ]
    scores = enrich.seed_scores(enrich.families(MIRNAS[:1]), targets)
    assert scores[0].tolist() == pytest.approx([0.31 + 0.03, 0.16, 0.10, 0])


def test_model_scores_are_the_gene_scores_of_a_scan(utrs):
    model, groups, some = models.create("seed"), enrich.families(MIRNAS), utrs[:6]
    scores = enrich.model_scores(model, groups, some)
    settings = scan.Settings(duplexes=False, fp_per_kb=repression.load().fp_per_kb)
    genes = predict.genes(scan.scan(model, MIRNAS, some, settings=settings), how="repression")
    wide = genes.pivot(index="mirna_id", columns="target_id", values="score").fillna(0)
    wide = wide.reindex(index=[r.id for r in MIRNAS], columns=[r.id for r in some], fill_value=0)
    assert scores[0].tolist() == pytest.approx(wide.loc[["let-7a", "let-7b"]].mean().tolist())
    assert scores[1:].tolist() == [pytest.approx(row) for row in wide.loc[["miR-21", "miR-1"]].to_numpy().tolist()]
    assert (scores[0] > 0).all()


TABLES = {
    "deseq2.csv": '"","baseMean","log2FoldChange","lfcSE","stat","pvalue","padj"\n'
    '"ENSG00000000001.4",10,-1.5,.1,-3,0.001,0.01\n"ENSG00000000002.4",0,NA,NA,NA,NA,NA\n'
    '"ENSG00000000003.1",10,.5,.1,3,0.2,NA\n',
    "edger.tsv": "logFC\tlogCPM\tF\tPValue\tFDR\nENSG00000000001\t-1.5\t3\t9\t.001\t.01\n"
    "ENSG00000000002\tNA\t3\t9\t1\t1\nENSG00000000003\t.5\t3\t9\t1\t1\n",
    "limma.txt": '"logFC" "AveExpr" "t" "P.Value" "adj.P.Val" "B"\n"ENSG00000000001" -1.5 3 -4 .001 .01 2\n'
    '"ENSG00000000002" NA 3 1 1 1 1\n"ENSG00000000003" .5 3 1 1 1 1\n',
    "symbols.csv": "row;gene_name;Log2FC\n1;ABC1;-1.5\n2;ABC2;NA\n3;ABC3;.5\n4;ABC3;.7\n5;XYZ;1\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_r_writes_them(tmp_path, name):
    (tmp_path / name).write_text(TABLES[name])
    ids = [f"ENST0000000000{n}.1|ENSG0000000000{n}.2|x|ABC{n}|" for n in (1, 2, 3)] + ["ENST00000000009.1|y|z|w|"]
    found = enrich.read_experiment(tmp_path / name, annotation.names(ids))
    assert found.genes["log_fold_change"].tolist() == [-1.5, 0.5]
    assert found.used.tolist() == [0, 2]
    assert found.members.tolist() == [0, 1]
    assert found.report["n_without_change"] == 1
    assert found.report["n_transcripts_without_gene"] == 2
    assert found.report["joined_by"] == ("part 4" if name == "symbols.csv" else "part 2")
    if name == "symbols.csv":
        assert (found.report["n_repeated"], found.report["n_genes_without_transcript"]) == (1, 1)
    else:
        assert found.report["n_changed"] == 1


def test_isoforms_count_as_their_mean(tmp_path):
    (tmp_path / "t.tsv").write_text("gene\tlogFC\ng2\t1\ng1\t2\n")
    found = enrich.read_experiment(
        tmp_path / "t.tsv", annotation.names(["a", "b", "c"], {"a": "g1", "b": "g2", "c": "g1"})
    )
    assert found.members.tolist() == [1, 0, 1]
    assert found.gene_means(np.array([[1.0, 5.0, 3.0]])).tolist() == [[5.0, 2.0]]


def test_planted_targets_come_first(tmp_path, utrs, table):
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    experiment = enrich.read_experiment(tmp_path / "t.tsv", names(utrs))
    found = enriched(experiment, utrs, n_permutations=999)
    best = found.table.iloc[0]
    assert list(found.table.columns[:6]) == ["mirna_family", "n_targets", "statistic", "pvalue", "qvalue", "rank"]
    assert best["mirna_family"] == found.drawn == "let-7a/let-7b"
    assert best["direction"] == "down"
    assert best["rank"] == 1
    assert best["permutation_pvalue"] == 1 / 1000
    assert best["pvalue"] < 1e-6 < best["permutation_pvalue"]
    assert best["qvalue"] == pytest.approx(3 * best["pvalue"])
    changes = found.genes["log_fold_change"]
    has_site = found.genes["site_type"] != "no site"
    assert best["n_targets"] == has_site.sum() >= 30
    assert best["shift"] == pytest.approx(changes[has_site].mean() - changes[~has_site].mean())
    assert set(found.genes["site_type"][:30]) == {"8mer"}
    assert experiment.report["n_genes_without_transcript"] == 40


def test_the_statistic_is_the_partial_correlation(tmp_path):
    rng = np.random.default_rng(0)
    scores, changes, given = rng.normal(size=(1, 50)), rng.normal(size=50), rng.normal(size=(50, 2))
    found = enrich.test(scores, changes, given, n_permutations=99)
    design = np.column_stack([np.ones(50), given])

    def rest(y):
        return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]

    r = stats.pearsonr(rest(scores[0]), rest(stats.rankdata(changes))).statistic
    assert found["correlation"][0] == pytest.approx(r)
    assert found["statistic"][0] == pytest.approx(r * np.sqrt(46 / (1 - r**2)))  # 50 genes, 3 columns, 1


@pytest.mark.parametrize("direction", ["both", "down", "up"])
def test_p_is_uniform_where_nothing_shifts(direction):
    rng = np.random.default_rng(7)
    given = rng.normal(size=(80, 2))
    changes = rng.normal(size=80) + given[:, 0]
    scores = rng.exponential(size=(400, 80)) * (rng.random((400, 80)) < 0.3) + 0.3 * given[:, 0]
    found = enrich.test(scores, changes, given, direction=direction, n_permutations=400)
    for column in ("pvalue", "permutation_pvalue"):
        assert stats.kstest(found[column], "uniform").pvalue > 0.01
    plain = enrich.test(scores, changes, direction=direction, n_permutations=400)
    assert (plain["pvalue"] < 0.05).mean() > (0.2 if direction != "down" else -1)  # without the confounders


def test_the_tail_goes_on_where_permutations_end():
    rng = np.random.default_rng(3)
    changes = rng.normal(size=100)
    scores = np.array([rng.normal(size=100) - strength * changes for strength in np.linspace(0, 0.3, 12)])
    found = enrich.test(scores, changes, n_permutations=20_000)
    tail = 2 * stats.t.sf(found["statistic"].abs(), 98)
    seen = found["permutation_pvalue"] >= 0.002
    assert seen.sum() >= 5
    assert np.abs(np.log(found["permutation_pvalue"][seen] / tail[seen])).max() < 0.35
    resolved = found["permutation_pvalue"] * 20_001 - 1 >= enrich.RESOLVED - 0.5
    assert (found["pvalue"] == np.where(resolved, found["permutation_pvalue"], tail)).all()


def test_direction():
    changes = np.arange(60.0)
    scores = np.stack([-changes, changes]) + np.random.default_rng(0).normal(size=(2, 60))
    down, up = (enrich.test(scores, changes, direction=way, n_permutations=99)["pvalue"] for way in ("down", "up"))
    assert down[0] < 1e-6 < 0.9 < down[1]
    assert up[1] < 1e-6 < 0.9 < up[0]


def test_scores_that_say_nothing():
    given = np.random.default_rng(0).normal(size=(40, 1))
    found = enrich.test(np.stack([np.ones(40), given[:, 0]]), np.arange(40.0), given, n_permutations=99)
    assert found["statistic"].isna().all()
    assert (found["pvalue"] == 1).all()


def test_the_same_whatever_the_order_of_genes_and_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    scores, changes = rng.normal(size=(3, 40)), rng.normal(size=40)
    first = enrich.test(scores, changes, n_permutations=300)
    pd.testing.assert_frame_equal(first, enrich.test(scores, changes, n_permutations=300))
    order = rng.permutation(40)
    again = enrich.test(scores[:, order], changes[order], n_permutations=300)
    assert again["statistic"].tolist() == pytest.approx(first["statistic"].tolist())


def test_the_command(run, tmp_path, utrs, table):
    io.write_fasta(utrs, tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    table.assign(gene=table["gene"].str.replace("NM_", "g")).to_csv(tmp_path / "de.csv", index=False)
    (tmp_path / "map.tsv").write_text("".join(f"NM_{n}\tg{n}\n" for n in range(160)))
    command = "enrich de.csv --transcripts utrs.fa --mirnas mirnas.fa -m seed --genes map.tsv --permutations 199"
    _, err = run(f"{command} -o out --family let-7b --direction down --threads 1")
    assert "genes in column gene, log fold changes in logFC, joined by gene_id" in err
    assert "120 genes; 40 without a transcript" in err
    found = pd.read_csv(tmp_path / "out" / "enrichment.tsv", sep="\t")
    assert found["mirna_family"][0] == "let-7a/let-7b"
    assert found["rank"].tolist() == [1, 2, 3]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "enrichment.tsv", "genes.tsv", "curves.png", "curves.svg", "run.json"
    }  # fmt: skip
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["drawn"] == "let-7a/let-7b"
    assert record["n_genes"] == 120
    assert (tmp_path / "out" / "curves.svg").read_text().count("let-7a/let-7b") >= 0
    run(f"{command} -o again --family let-7b --direction down --threads 1 -q")
    assert (tmp_path / "again" / "enrichment.tsv").read_bytes() == (tmp_path / "out" / "enrichment.tsv").read_bytes()


BAD = [
    ("gene\tx\ng1\t1\n", "", 1, "log2FoldChange, logFC"),
    ("gene\tlogFC\nNM_1\tabc\n", "", 1, "'abc' in column logFC"),
    ("gene\tlogFC\nnobody\t1\n", "", 1, "--gtf or --genes"),
    ("gene\tlogFC\nNM_1\t1\n", "", 1, "1 genes with a fold change"),
    ("gene\tlogFC\n", "", 1, "no rows"),
    ('"gene","logFC\n"NM_1",1\n', "", 1, "t.tsv"),
    ("gene\tlogFC\nNM_1\t1\t2\t3\nNM_2\t1\n", "", 1, "t.tsv"),
    (None, "--family miR-9", 2, "no family 'miR-9'"),
    (None, "--family miR-1 --min-targets 100", 2, "--min-targets"),
    (None, "--min-targets 1000", 1, "no family has 1000 targets"),
    (None, "--genes none.tsv --gtf none.gtf", 2, "not both"),
    (None, "--genes none.tsv", 1, "none.tsv"),
    (None, "--model nothing", 2, "nothing"),
    (None, "--transcripts none.fa", 1, "none.fa"),
]


@pytest.mark.parametrize(("text", "options", "code", "hint"), BAD)
def test_bad_input_is_one_line(run, tmp_path, utrs, table, text, options, code, hint):
    io.write_fasta(utrs, tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    (tmp_path / "t.tsv").write_text(table.to_csv(sep="\t", index=False) if text is None else text)
    given = "--transcripts utrs.fa" if "--transcripts" not in options else ""
    model = "" if "--model" in options else "-m seed"
    out, err = run(f"enrich t.tsv {given} --mirnas mirnas.fa {model} -o out --permutations 99 -q {options}", code=code)
    lines = [line for line in err.splitlines() if line.startswith("mirscope: ")]
    assert len(lines) == 1, err
    assert hint in lines[0]
    assert not (tmp_path / "out").exists()
    assert out == ""


def test_curves_are_drawn_with_a_line_a_group():
    kinds = pd.Categorical(["8mer"] * 3 + ["no site"] * 5, [*enrich.SITE_TYPES, "no site"])
    table = pd.DataFrame({"log_fold_change": [-3.0, -2, -1, 0, 0.1, 0.2, 0.3, 0.4], "site_type": kinds})
    ax = plot.cumulative(table, value="log_fold_change", by="site_type")
    assert [line.get_label() for line in ax.lines[:2]] == ["8mer (3)", "no site (5)"]
    assert ax.lines[0].get_xydata().tolist() == [[-3, 0], [-3, 1 / 3], [-2, 2 / 3], [-1, 1]]


def test_an_unknown_family_is_a_question_that_cannot_be_asked(utrs, table, tmp_path):
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    experiment = enrich.read_experiment(tmp_path / "t.tsv", names(utrs))
    with pytest.raises(UsageError, match="miR-9"):
        enriched(experiment, utrs, family="miR-9")
    by_seed = enriched(experiment, utrs, family="GGAATGT", n_permutations=99)
    assert by_seed.drawn == "miR-1"


@pytest.mark.data
def test_the_family_of_mir_155_is_found(tmp_path, data_path):
    """HeLa cells with more miR-155 (E17): its family comes first; without confounders many others seem to shift."""
    tables = pd.read_csv(data_path("funmirbench_de_tables"), sep="\t")
    tables[tables["experiment"] == "E17"].to_csv(tmp_path / "E17.tsv", sep="\t", index=False)
    records = {record.id: record for record in io.iter_fasta(data_path("human_3utr_mirmark"), unique=False)}
    utrs = list(records.values())
    known = annotation.read_gene_map(data_path("utr_to_ensembl"))
    experiment = enrich.read_experiment(tmp_path / "E17.tsv", annotation.names([record.id for record in utrs], known))
    used, groups = experiment.of(utrs), enrich.families(io.read_fasta(data_path("hsa_mature_mirbase22")))
    scores = enrich.seed_scores(groups, used)
    found = enrich.enrich(experiment, groups, scores, used, n_permutations=199)
    assert len(found.genes) == 427
    best = found.table.iloc[0]
    assert (best["mirna_family"], best["direction"]) == ("hsa-miR-155-5p", "down")
    assert best["qvalue"] < 1e-6 < found.table["qvalue"][1]
    medians = found.genes.groupby("site_type")["log_fold_change"].median()
    assert medians["8mer"] < medians["7mer-m8"] < medians["6mer"] < medians["no site"]
    changes = found.genes["log_fold_change"].to_numpy()
    bare = enrich.test(experiment.gene_means(scores), changes, n_permutations=199)
    assert (bare["pvalue"] < 0.05).mean() > 0.15 > 0.08 > (found.table["pvalue"] < 0.05).mean()
