"""The pages of commands hold what their report.json says, and nothing else is needed to read them."""

import json

import numpy as np
import pandas as pd
import pytest

from mirscope import chimera, io, reads, reports
from mirscope.io import Record
from mirscope.isomir import References
from test_page import alone

MIRNAS = [Record("hsa-let-7a-5p", "UGAGGUAGUAGGUUGUAUAGUU"), Record("hsa-miR-21-5p", "UAGCUUAUCAGACUGAUGUUGA")]
COMMAND = "chimeras reads.fastq.gz --mirnas mirnas.fa --transcripts utrs.fa -o out --quiet"


@pytest.fixture
def files(tmp_path, run):
    rng = np.random.default_rng(8)
    records = [Record(f"ENST{i}", "".join(rng.choice(list("ACGU"), 400))) for i in range(12)]
    io.write_fasta(records, tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 300 --error-rate 0 -o . --quiet")
    return tmp_path


def page_and_report(folder):
    return alone((folder / "report.html").read_text()), json.loads((folder / "report.json").read_text())


def test_page_of_chimeras(run, files):
    run(COMMAND)
    page, report = page_and_report(files / "out")
    ends = report["n_reads"]
    numbers = [report["reads"]["n_reads"], *ends.values(), report["n_molecules"], report["n_interactions"]]
    numbers += [step["n_reads"] for step in report["reads"]["steps"]]
    numbers += report["noise"]["n_below"].values()
    for number in numbers:
        assert f" {number:,} " in page.text.replace(" (", " ").replace(".", " ")
    for words in (report["reads"]["state"]["says"], "told apart by the UMI", "noise_fdr", "q_value", *report["mirnas"]):
        assert words in page.text
    for name, value in report["run"]["versions"].items():
        assert f"{name} {value}" in page.text
    assert "least chimeras 10" in page.text
    assert page.tags.count("img") == 6
    table = pd.read_csv(files / "out" / "interactions.tsv", sep="\t")
    assert all(name in page.text for name in table["gene_id"][:25])
    assert page.text.index("In short") < page.text.index("How far to trust") < page.text.index("How this was made")


def test_numbers_of_the_noise(run, files):
    run(COMMAND)
    every, report = pd.read_csv(files / "out" / "interactions.tsv", sep="\t"), page_and_report(files / "out")[1]
    noise = report["noise"]
    assert {rate: int((every["noise_fdr"] <= float(rate)).sum()) for rate in noise["n_below"]} == noise["n_below"]
    assert every["n_ligations"].sum() == noise["n_ligations"]
    assert (every["n_ligations"] <= every["n_molecules"]).all()
    assert sum(noise["energies"]["random"]) == pytest.approx(1)
    assert noise["evidence"]["observed"][0] == len(every)
    middle = every["noise_fdr"].median()
    run(f"{COMMAND} --noise-fdr {middle}")
    kept = pd.read_csv(files / "out" / "interactions.tsv", sep="\t")
    assert 0 < len(kept) < len(every)
    assert kept.equals(every[every["noise_fdr"] <= middle].reset_index(drop=True))
    hyb = (files / "out" / "interactions.hyb").read_text().splitlines()
    assert len(hyb) == kept["n_chimeras"].sum()


def test_regions_where_an_annotation_knows_them(run, files):
    rows = [("exon", 1001, 1400), ("CDS", 1051, 1200)]
    lines = [
        f'chr1\tx\t{kind}\t{start}\t{end}\t.\t+\t.\tgene_id "g{i}"; transcript_id "ENST{i}";\n'
        for i in range(11)
        for kind, start, end in rows
    ]
    (files / "a.gtf").write_text("".join(lines))
    run(f"{COMMAND} --gtf a.gtf")
    page, report = page_and_report(files / "out")
    table = pd.read_csv(files / "out" / "interactions.tsv", sep="\t", keep_default_na=False)
    counts = table["region"].replace("", "unknown").value_counts()
    assert report["positions"] == {"region": {name: counts[name] for name in ("5'UTR", "CDS", "3'UTR", "unknown")}}
    assert "Where the sites lie in their transcripts." in page.text


def test_positions_along_transcripts():
    library = chimera.Library.of(References.of(MIRNAS), [Record("a", "ACGU" * 100), Record("b", "ACGU" * 25)])
    places = [("a", 0, 40), ("a", 180, 219), ("a", 180, 220), ("a", 360, 400), ("b", 0, 20), ("b", 0, 19)]
    pairs = pd.DataFrame(places, columns=["gene_id", "start", "end"])
    assert chimera.positions(pairs, library) == {"tenth": [2, 1, 0, 0, 1, 1, 0, 0, 0, 1]}


def test_a_page_of_no_interactions(run, files):
    run(f"{COMMAND} --min-chimeras 1000")
    page, report = page_and_report(files / "out")
    assert report["n_interactions"] == 0
    assert "How far to trust" not in page.text
    io.write_fastq([reads.Read("a", "ACGT" * 8, "I" * 32)], files / "reads.fastq.gz")
    run(COMMAND)
    assert "No miRNA." in page_and_report(files / "out")[0].text


def test_page_of_isomirs(run, files):
    lines = [
        f">{name}_x{n}\n{sequence}\n" for name, sequence, n in (("a", MIRNAS[0].sequence, 1200), ("b", "A" * 22, 7))
    ]
    (files / "small.fa").write_text("".join(lines))
    run("isomirs small.fa --mirnas mirnas.fa -o out --quiet")
    page, report = page_and_report(files / "out")
    assert report["n_reads_called"] == 1200
    assert "1,200 of 1,207 reads (99 %) are of a miRNA" in page.text
    assert "hsa-let-7a-5p UGAGGUAGUAGGUUGUAUAGUU NA – 1,200" in page.text
    run("isomirs reads.fastq.gz --mirnas mirnas.fa -o out --quiet")
    page, report = page_and_report(files / "out")
    assert report["reads"]["state"]["says"] in page.text


def test_reads_that_nothing_was_cut_from():
    step = {"step": "3' N cut", "n_reads": 0}
    state = {"n_reads": 10, "says": "reads of 20-30 nt; no known adapter and unequal lengths: trimmed already"}
    words = reports._state({"steps": [step], "state": state, "umi": False, "n_reads": 10})
    assert words.endswith("trimmed already. Done: nothing was cut. No UMI: every read counts as a molecule.")
