"""The page of a miRNA and a gene says what scan's table says, what comes by chance, and what model cards say."""

import numpy as np
import pandas as pd
import pytest

from mirscope import annotation, io, models, page, pair_report, scan
from mirscope.errors import InputError
from mirscope.io import Record
from mirscope.pair_report import find
from test_page import Strict

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
UTR = "GGGGGCUACCUCAGGGGGGGGGGGGGGUACCUCGGGGGGGG"
GENES = {"t1": "HMGA2", "t2": "HMGA2", "t3": "HMGA2", "NM_000004": "ENSG00000000004"}


@pytest.fixture
def folder(tmp_path):
    io.write_fasta([Record("g1", UTR), Record("g2", "ACGUCUACCUCAGGUUACG" * 20)], tmp_path / "u.fa")
    return tmp_path


def read(path):
    return Strict(path.read_text())


@pytest.mark.parametrize("called", ["", "--fp-per-kb 1", "--threshold 0.8"])
def test_sites_and_rates_are_those_of_scan(run, folder, called):
    options = f"{called} --background 20000 --threads 1 -q"
    run(f"report let-7={LET7} g1 --transcripts u.fa -m seed -o a.html {options}")
    run(f"scan u.fa --mirna let-7={LET7} -m seed -o out {options}")
    table = pd.read_csv(folder / "out" / "sites.tsv", sep="\t", keep_default_na=False)
    table = table[table["target_id"] == "g1"].sort_values("fp_per_kb", kind="stable")
    text = read(folder / "a.html").text
    assert f"seed calls {page.shown(len(table))} site" in text
    for row in table.to_dict("records"):
        rates = f"{page.shown(row['fp_per_kb'])} {page.shown(row['q_value'])}"
        shown = (
            f"{row['start'] + 1}–{row['end']} {row['score']:.3g} {rates} {row['seed_type']} {page.shown(row['mfe'])}"
        )
        assert shown in text
    best = table.iloc[0]
    told = (
        f"The best is at nt 6–13 (score 0.9, seed match 8mer): {best['fp_per_kb']:.3g} false sites per kb are as good"
    )
    assert f"{told}, q-value {best['q_value']:.3g}." in text


def test_by_chance_is_counted_in_shuffled_transcript(folder):
    mirna, transcripts = Record("let-7", LET7), scan.Transcripts(folder / "u.fa")
    target, seed = find(transcripts, "g2"), models.create("seed")
    found = pair_report.look(seed, mirna, transcripts, target)
    background = scan.shuffled_sites(seed, [mirna], transcripts, settings=scan.Settings(background=scan.BACKGROUND))
    n = (background.logits[0] > 0).sum()  # a score above one half
    assert n > 100
    assert found.by_chance == pytest.approx(n / background.n_kb * 0.38)
    asked = pair_report.look(seed, mirna, transcripts, target, settings=scan.Settings(fp_per_kb=0.5))
    assert asked.by_chance == pytest.approx(0.5 * 0.38)
    assert not asked.is_least
    without = pair_report.look(seed, mirna, transcripts, target, settings=scan.Settings(background=0))
    assert np.isnan(without.by_chance)
    assert len(without.sites) == len(found.sites) == 20
    assert pair_report._words("seed", found).startswith("seed calls 20 sites at score 0.5, where ")
    assert "was not counted. The best is at nt 5–12 (score 0.9, seed match 8mer)." in pair_report._words(
        "seed", without
    )


def test_peaks_have_weaker_ones_that_were_not_counted(folder):
    mirna, transcripts = Record("let-7", LET7), scan.Transcripts(folder / "u.fa")
    target, low = find(transcripts, "g1"), scan.Settings(threshold=0.01)
    found = pair_report.look(models.load("duplex"), mirna, transcripts, target, settings=low)
    assert found.is_least
    assert "at least" in pair_report._words("duplex", found)


@pytest.mark.parametrize(
    ("n", "by_chance", "told"),
    [
        (0, 0.5, "m calls no site at score 0.5, where 0.5 are expected by chance."),
        (1, 2.0, "m calls 1 site at score 0.5, not clearly more than the 2 expected by chance."),
        (9, 2.0, "m calls 9 sites at score 0.5, where 2 are expected by chance."),
        (5, 2.0, "m calls 5 sites at score 0.5, not clearly more than the 2 expected by chance."),  # p = .0527
        (6, 2.0, "m calls 6 sites at score 0.5, where 2 are expected by chance."),  # p = .0166
    ],
)
def test_more_than_by_chance(n, by_chance, told):
    site = {"start": 3, "end": 9, "score": 0.75, "seed_type": "", "fp_per_kb": 0.125, "q_value": 0.25}
    settings = scan.Settings(threshold=0.5, background=1)
    found = pair_report.Found(settings, pd.DataFrame([site] * n), by_chance, False, {})
    best = " The best is at nt 4–9 (score 0.75, no seed match): 0.125 false sites per kb are as good, q-value 0.25."
    assert pair_report._words("m", found) == told + best * (n > 0)


def test_every_model_has_its_row(run, folder):
    run(f"report mir={'C' * 22} g2 --transcripts u.fa -m seed -m rnaduplex -o a.html --threads 1 -q --threshold 0.99")
    text = read(folder / "a.html").text
    assert "seed calls no site at score 0.99" in text
    assert "rnaduplex calls no site at score 0.99" in text
    assert "Sites by" not in text


def test_nothing_is_loaded(run, folder):
    run(f"report let-7={LET7} g1 --transcripts u.fa -m seed -o a.html --threads 1 -q --background 0")
    text = (folder / "a.html").read_text()
    found = Strict(text)
    assert all(address.startswith(("data:image/svg", "https://")) for address in found.references)
    assert text.count("<a href=") == sum(address.startswith("https://") for address in found.references) == 3
    assert not {"script", "link"} & {*found.tags}


# --------------------------------------------------------------------------------------------------------------- genes


def records(**lengths):
    return [Record(name, "A" * length) for name, length in lengths.items()]


def test_a_gene_is_its_longest_transcript():
    transcripts = records(t2=9, t1=9, t3=5, t4=20)
    found = find(transcripts, "HMGA2", GENES)
    assert found.record.id == "t1"  # of equals the first in the alphabet
    assert found.lengths == {"t2": 9, "t1": 9, "t3": 5}
    assert found.symbol == "HMGA2"
    alone = find(transcripts, "t3", GENES)
    assert (alone.record.id, alone.lengths, alone.symbol) == ("t3", {"t3": 5}, "HMGA2")


def test_names_of_a_gene(tmp_path):
    transcripts = records(**{"NM_000004.3": 5, "ENST00000000001.2|ENSG00000000002.1|-|LIN28B|": 7})
    mapped = find(transcripts, "ENSG00000000004", GENES)
    assert mapped.accessions == ("NM_000004", "ENSG00000000004")
    assert mapped.symbol == ""
    assert find(transcripts, "NM_000004").record.id == "NM_000004.3"
    barred = find(transcripts, "LIN28B")
    assert barred.accessions == ("ENST00000000001", "ENSG00000000002")
    assert barred.symbol == "LIN28B"
    fields = ("1", "x", "exon", "1", "5", ".", "+", ".")
    names = 'gene_id "ENSG00000000004.7"; transcript_id "NM_000004.3"; gene_name "HMGA2";'
    (tmp_path / "a.gtf").write_text("\t".join([*fields, names]) + "\n")
    known = annotation.read_annotation(tmp_path / "a.gtf")
    assert find(transcripts, "HMGA2", known).accessions == ("NM_000004", "ENSG00000000004")
    assert find(transcripts, "ENSG00000000004.9", known).symbol == "HMGA2"


def test_unknown_gene():
    with pytest.raises(InputError, match=r"^X: neither a transcript nor a gene of 2 .*\(t1, t2 \.\.\.\); genes take"):
        find(records(t1=3, t2=3), "X")
    with pytest.raises(InputError, match=r"\(t1, t2 \.\.\.\)$"):
        find(records(t1=3, t2=3), "X", GENES)


def test_page_of_a_gene(run, tmp_path):
    io.write_fasta([Record("t1", UTR), Record("t2", UTR + "A")], tmp_path / "u.fa")
    (tmp_path / "map.tsv").write_text("t1\tHMGA2\nt2\tHMGA2\n")
    run(f"report let-7={LET7} HMGA2 --transcripts u.fa --genes map.tsv -m seed -o a.html --threads 1 -q")
    text = read(tmp_path / "a.html").text
    assert "let-7 and HMGA2" in text
    assert "HMGA2: transcript t2 (42 nt)" in text
    assert "transcript nt sites by seed t2 42 2 t1 41 2" in text


def test_links():
    target = pair_report.Target(Record("x", "A"), {}, ("ENST00000000001", "NM_000004"), "HMGA2")
    (section,) = pair_report._links("mmu-let-7a-5p;iso_5p:+1/mmu-let-7b-5p;iso_3p:-1", target)
    found = section.parts[1].values
    assert list(found) == [
        "mmu-let-7a-5p at miRBase (a search)",
        "mmu-let-7b-5p at miRBase (a search)",
        "ENST00000000001 at Ensembl",
        "NM_000004 at NCBI",
        "HMGA2 at NCBI Gene (a search)",
        "HMGA2 at TargetScanMouse (a search)",
    ]
    assert found["mmu-let-7a-5p at miRBase (a search)"] == "https://www.mirbase.org/results/?query=mmu-let-7a-5p"
    assert "/mmu_80/targetscan.cgi?species=Mouse&gid=HMGA2&" in found["HMGA2 at TargetScanMouse (a search)"]
    nothing = pair_report.Target(Record("reporter_1", "A"), {}, (), "")
    assert pair_report._links(LET7, nothing) == []
    (fly,) = pair_report._links("dme-miR-1", pair_report.Target(Record("x", "A"), {}, (), "wg"))
    assert list(fly.parts[1].values) == ["dme-miR-1 at miRBase (a search)", "wg at NCBI Gene (a search)"]


# --------------------------------------------------------------------------------------------------------------- trust


@pytest.mark.parametrize("name", models.bundled(models.PAIR))
def test_floors_of_the_card_stand_beside_the_model(name):
    network = models.load(name)
    told, *parts = pair_report._trust(name, network)
    value, low, high = network.provenance["test"]["auroc"]
    assert f"AUROC {value:.3f} (95 % {low:.3f}–{high:.3f}), calibration error" in told
    assert ("fitted to be probabilities where 50 %" in told) == ("calibration" in network.provenance)
    floors = next(part.frame for part in parts if isinstance(part, page.Table))
    assert list(floors)[:2] == ["pairs", name]
    assert f"{value:.4f} ({low:.3f}–{high:.3f})" in set(floors[name])
    assert (floors["seed class"].astype(float) > 0.5).all()
    assert any(word in parts[-1].caption for word in ("calls on sequence", "scans"))
    worse = [part.text for part in parts if isinstance(part, page.Note)]
    numbers = floors.iloc[:, 1:].map(lambda text: float(text.split()[0]) if text else 0)
    beaten = floors["pairs"][numbers.iloc[:, 1:].max(axis=1) >= numbers.iloc[:, 0]]
    assert len(worse) == (len(beaten) > 0)
    assert all(f"{pairs}" in worse[0] for pairs in beaten)


def test_a_card_speaks_of_the_bundled_weights_only(tmp_path):
    assert pair_report._trust("seed", models.create("seed")) == [
        "seed has learned nothing. Its scores need not be probabilities. Its floors are not known: mirscope evaluate "
        "seed DATA measures it beside them, on labelled pairs."
    ]
    other = models.create("mitar")
    other.provenance = {"data": "mine"}
    models.save(other, tmp_path / "mitar.safetensors")
    assert models.card(models.load(tmp_path / "mitar.safetensors")) == ""
    (told,) = pair_report._trust("mitar", models.load(tmp_path / "mitar.safetensors"))
    assert told.startswith("mitar learned from mine. Its scores need not be probabilities.")
    models.save(models.load("mitar"), tmp_path / "mitar.safetensors")
    assert models.card(models.load(tmp_path / "mitar.safetensors")).startswith("# mitar")


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (f"{LET7} g9 --transcripts u.fa", 1, "g9: neither a transcript nor a gene of 2 transcripts (g1, g2 ...)"),
        (f"{LET7} g1 --transcripts none.fa", 1, "none.fa"),
        (f"{LET7} g1 --transcripts empty.fa", 1, "empty.fa: "),
        (f"{LET7} g1 --transcripts bad.fa", 1, "bad.fa:2: g1: unexpected '!' at position 4"),
        (f"{LET7} g1 --transcripts u.fa -o none/a.html", 1, "none: no such folder"),
        (f"{LET7} g1 --transcripts u.fa --genes none.tsv", 1, "none.tsv"),
        (f"{LET7} g1 --transcripts u.fa --genes a --gtf b", 2, "give --genes or --gtf, not both"),
        ("UGAXGU g1 --transcripts u.fa", 1, "MIRNA: unexpected 'X' at position 4"),
        ("UGA g1 --transcripts u.fa", 1, "3 nt is no mature miRNA"),
        ("miR-9 g1 --transcripts u.fa --mirnas m.fa", 1, "m.fa: miR-9: no such miRNA among 1 (let-7 ...)"),
        (f"{LET7} g1 --transcripts u.fa -m hairpin", 2, "hairpin reads hairpin and structure"),
        (f"{LET7} g1 --transcripts u.fa -m mitarr", 2, "no model 'mitarr'; did you mean mitar?"),
        (f"{LET7} g1 --transcripts u.fa -m seed -m seed", 2, "model seed is given twice"),
        (f"{LET7} g1 --transcripts u.fa --candidates peaks", 2, "seed has no peaks of its own"),
        (f"{LET7} g1 --transcripts u.fa -p 2", 2, "threshold is 2.0"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, folder, command, code, told):
    (folder / "empty.fa").write_text("")
    (folder / "bad.fa").write_text(">g1\nACG!\n")
    (folder / "m.fa").write_text(f">let-7\n{LET7}\n")
    before = sorted(folder.iterdir())
    model = "" if " -m " in command else "-m seed"
    _, error = run(f"report {command} {model} -q --threads 1", code=code)
    assert error.count("\n") == 1, error
    assert told in error
    assert sorted(folder.iterdir()) == before


def test_rejected_isomirs_are_said(run, folder):
    rows = [(LET7, "let-7a", "NA", "PASS"), (LET7 + "A", "let-7a", "iso_add3p:1", "REJECT lowcount")]
    table = pd.DataFrame(rows, columns=["sequence", "mirna_id", "variant", "filter"])
    table.to_csv(folder / "i.tsv", sep="\t", index=False)
    options = "g1 --mirnas i.tsv --transcripts u.fa -m seed --threads 1 -q"
    run(f"report let-7a {options}")
    assert "rejected" not in read(folder / "report.html").text
    (folder / "report.html").unlink()
    _, error = run(f"report let-7a;iso_add3p:1 {options}", code=1)
    assert error == "mirscope: i.tsv: let-7a;iso_add3p:1: marked as rejected there; --rejected takes it all the same\n"
    assert not (folder / "report.html").exists()
    run(f"report let-7a;iso_add3p:1 {options} --rejected")
    assert "let-7a;iso_add3p:1 is marked as rejected in i.tsv" in read(folder / "report.html").text
    table[1:].to_csv(folder / "i.tsv", sep="\t", index=False)
    run(f"report let-7a;iso_add3p:1 {options} --rejected")
    _, error = run(f"report let-7a;iso_add3p:1 {options}", code=1)
    assert "1 that are rejected" in error


def test_settings_and_inputs_are_told(run, folder):
    run(f"report {LET7} g1 --transcripts u.fa -m seed -m rnaduplex --prevalence 0.25 --stride 2 --threads 1 -q")
    text = read(folder / "report.html").text
    assert "prevalence seed 0.25, rnaduplex 0.25" in text
    assert "transcripts u.fa (sha256 " in text
    assert models.fingerprint(models.create("seed")) in text
