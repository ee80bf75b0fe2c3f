"""The page of an evaluation shows what the evaluation holds, in words."""

import dataclasses
import re

import pandas as pd
import pytest

from mirscope import evaluate, evaluation_report, models
from test_page import alone

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
SITE = "GGCUACCUCAGG"


def pairs(n_positive, n_negative):
    rows = [("let-7", LET7, SITE, 1)] * n_positive + [("let-7", LET7, "G" * 12, 0)] * n_negative
    return pd.DataFrame(rows, columns=["mirna_id", "mirna_seq", "target_seq", "label"])


def read(evaluation, **keywords):
    text = evaluation_report.page(evaluation, **keywords).html()
    for name in ("fitted_on", "average_precision", "auroc", "n_windows", "mirna_id", "calls_per_kb", "nan", "None"):
        assert not re.search(rf"\b{name}\b", re.sub(r'src="[^"]*"', "", text)), name
    return alone(text)


def test_floors_stand_beside_the_model():
    other = [0.9, 0.8, 0.1, 0.7, 0.2]
    found = evaluate.evaluate(models.create("seed"), pairs(3, 2), against={"other": other}, n_resamples=50)
    page = read(found, data="mine", facts={"weights of seed": "abc"})
    assert "5 pairs of mine, 3 of them positives." in page.text
    assert "seed reaches AUROC 1.000 (95 % 1.000–1.000), the best floor (" in page.text
    assert "seed class alone reaches AUROC 1.000, the model 1.000: on this set the model adds nothing" in page.text
    assert "weights of seed abc" in page.text
    assert page.tags.count("img") == 3
    rows = found.table.set_index("predictor")
    interval = "–".join(evaluate.short(rows.loc["other", f"auroc_{end}"]) for end in ("low", "high"))
    assert f"other model {evaluate.short(rows.loc['other', 'auroc'])} {interval}" in page.text
    assert "gene identity floor; not available: no gene ids – –" in page.text
    difference = found.comparison.iloc[0]
    signed = evaluate.short(difference["difference"], "+").replace("-", "−")
    assert f"model measure difference p by other AUROC {signed}" in page.text


def test_without_intervals_there_are_none_in_the_words():
    page = read(evaluate.evaluate(models.create("seed"), pairs(3, 2), n_resamples=0))
    assert re.search(r"seed reaches AUROC 1\.000, the best floor \([\w\s-]+\) [\d.]+\. ", page.text)


def test_labels_of_one_class():
    page = read(evaluate.evaluate(models.create("seed"), pairs(3, 0), n_resamples=20))
    assert "seed: accuracy 1.000" in page.text
    assert "All labels are of one class" in page.text


def test_background_calls():
    rows = [
        ("all", "random", 20, 1, 0.05, 50.0),
        ("all", "shuffled", 20, 2, 0.1, 100.0),
        ("all", "real", 20, 3, 0.15, 150.0),
        ("a", "random", 10, 0, 0.0, 0.0),
        ("a", "shuffled", 10, 1, 0.1, 100.0),
        ("a", "real", 10, 1, 0.1, 100.0),
        ("b", "random", 10, 1, 0.1, 100.0),
        ("b", "shuffled", 10, 1, 0.1, 100.0),
        ("b", "real", 10, 2, 0.2, 200.0),
    ]
    columns = ["mirna_id", "kind", "n_windows", "calls", "rate", "calls_per_kb"]
    text = alone_table(pd.DataFrame(rows, columns=columns))
    assert "all 2 5 % 10 % 15 % 50 100 150 b 10 % 10 % 20 % 100 100 200 a 0 % 10 % 10 % 0 100 100" in text
    hairpins = pd.DataFrame([("random", 50, 1, 0.02)], columns=["kind", "n", "calls", "rate"])
    assert "hairpins scored called share called random 50 1 2 %" in alone_table(hairpins)


def alone_table(background):
    found = evaluate.evaluate(models.create("seed"), pairs(3, 2), n_resamples=20)
    return read(dataclasses.replace(found, background=background)).text


def test_command(run, tmp_path):
    pairs(3, 2).to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    run("evaluate seed p.tsv --report e.html --threads 1 -q")
    text = alone((tmp_path / "e.html").read_text()).text
    assert "5 pairs of p.tsv, 3 of them positives." in text
    assert models.fingerprint(models.create("seed")) in text
    _, error = run("evaluate seed p.tsv --report none/e.html --threads 1 -q", code=1)
    assert error == "mirscope: none: no such folder\n"


@pytest.mark.parametrize("label", [0, 1])
def test_hairpins(hairpins, label):
    table = hairpins if label else hairpins[hairpins["label"] == 0]
    page = read(evaluate.evaluate(models.load("dnnpremir_cnn"), table, n_resamples=20, name="cnn"), data="mine")
    assert f"{len(table)} hairpins of mine" in page.text
