"""The page of a miRNA and a transcript says what scan's table says, and loads nothing."""

import pandas as pd

from mirscope import io
from mirscope.io import Record
from test_page import Strict, alone

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
UTR = "GGGGGCUACCUCAGGGGGGGGGGGGGGUACCUCGGGGGGGG"


def test_numbers_are_those_of_scan(run, tmp_path):
    io.write_fasta([Record("g1", UTR), Record("g2", "G" * 30)], tmp_path / "u.fa")
    run(f"report let-7={LET7} g1 --transcripts u.fa -m seed -o a.html --threads 1 -q")
    run(f"scan u.fa --mirna let-7={LET7} -m seed -o out --threads 1 -q")
    table = pd.read_csv(tmp_path / "out" / "sites.tsv", sep="\t")
    assert table["seed_type"].tolist() == ["8mer", "6mer"]
    text = (tmp_path / "a.html").read_text()
    page = Strict(text)
    assert "seed calls 2 sites, at score 0.5. The best is at nt 6-13 (score 0.9, seed match 8mer)" in page.text
    for row in table.to_dict("records"):
        assert f"{row['start']} {row['end']} {row['score']:.3g} {row['seed_type']}" in page.text
    assert all(address.startswith(("data:image/svg", "https://")) for address in page.references)
    assert text.count("<a href=") == sum(address.startswith("https://") for address in page.references) == 2
    assert "script" not in page.tags
    assert "link" not in page.tags


def test_bad_input_is_one_line(run, tmp_path):
    io.write_fasta([Record("g1", UTR)], tmp_path / "u.fa")
    _, error = run(f"report {LET7} g9 --transcripts u.fa -m seed -q", code=1)
    assert error.count("\n") == 1
    assert "g9" in error
    _, error = run(f"report {LET7} g1 --transcripts u.fa -m seed -m seed -q", code=2)
    assert error == "mirscope: a model is given twice\n"
    assert not (tmp_path / "report.html").exists()


def test_page_of_an_evaluation(run, tmp_path):
    rows = [("UGAGGUAGUAGGUUGUAUAGUU", "GGCUACCUCAGG", 1)] * 3 + [(LET7, "GGGGGGGGGGGG", 0)] * 2
    pd.DataFrame(rows, columns=["mirna_seq", "target_seq", "label"]).to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    run("evaluate seed p.tsv --report e.html --threads 1 -q")
    page = alone((tmp_path / "e.html").read_text())
    assert "seed on 5 pairs, 3 of them positive: AUROC 1.000" in page.text
    assert page.tags.count("img") == 3
    assert "seed class floor" in page.text


def test_rates_are_of_all_transcripts(run, tmp_path):
    io.write_fasta([Record("g1", UTR), Record("g2", "ACGUCUACCUCAGGUUACG" * 20)], tmp_path / "u.fa")
    options = "-m seed --fp-per-kb 1 --background 10000 --threads 1 -q"
    run(f"report let-7={LET7} g1 --transcripts u.fa -o a.html {options}")
    run(f"scan u.fa --mirna let-7={LET7} -o out {options}")
    table = pd.read_csv(tmp_path / "out" / "sites.tsv", sep="\t")
    best = table[table["target_id"] == "g1"].sort_values("fp_per_kb").iloc[0]
    told = f"{best['fp_per_kb']:.3g} sites as good per kb of shuffled transcript, q-value {best['q_value']:.3g}."
    assert told in Strict((tmp_path / "a.html").read_text()).text
