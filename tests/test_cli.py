"""Commands as users call them: output, errors of one line, exit codes."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from mirscope import cli, datasets, io, models

EXAMPLES = Path(__file__).parents[1] / "examples"
GOLDEN = Path(__file__).parent / "golden"
MIRNAS, REPORTERS = EXAMPLES / "mirnas.fa", EXAMPLES / "utr3_reporters.fa"
LET7 = "UGAGGUAGUAGGUUGUAUAGUU"


def test_help_is_fast_and_loads_no_torch():
    code = "import sys, mirscope.cli as c; c.main(['--help']); sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "scan" in done.stdout
    assert time.perf_counter() - began < 10  # a hang, not a benchmark


def every_command():
    """Path and help of each command."""
    groups = [("", cli.app), *((f"{each.name} ", each.typer_instance) for each in cli.app.registered_groups)]
    return {
        f"{prefix}{command.name or command.callback.__name__}": command.help
        for prefix, group in groups
        for command in group.registered_commands
    }


@pytest.mark.parametrize("command", ["", "simulate", "models", "data", *every_command()])
def test_every_command_explains_itself(run, command):
    out, _ = run(f"{command} --help")
    assert "Usage: mirscope" in out
    assert len(out) > 400


@pytest.mark.parametrize("command", every_command())
def test_paragraphs_of_the_help_are_broken_by_the_terminal(command):
    text = every_command()[command]
    assert not re.search(r"\S\n\S", text)
    assert text[0].isupper()


def test_version(run):
    assert run("--version")[0].startswith("mirscope 0.")


@pytest.mark.parametrize("name", ["sites.tsv", "genes.tsv", "sites.bed", "sites.gff3", "sites.fasta"])
def test_scan_golden(run, tmp_path, name):
    """tests/golden/README.md has the command that made them."""
    run(
        f"scan {MIRNAS} {REPORTERS} --model seed -o out --threads 1 "
        "--format tsv --format bed --format gff3 --format fasta"
    )
    assert (tmp_path / "out" / name).read_text() == (GOLDEN / "seed" / name).read_text()


def test_predict_is_scan(run, tmp_path):
    run(f"predict {MIRNAS} {REPORTERS} --model seed -o out --threads 1 --quiet")
    assert (tmp_path / "out" / "sites.tsv").read_text() == (GOLDEN / "seed" / "sites.tsv").read_text()


def test_scan_to_stdout_and_from_stdin(run, tmp_path, monkeypatch):
    out, err = run(f"scan {MIRNAS} {REPORTERS} --model seed -o - --threads 1 --quiet")
    assert out == (GOLDEN / "seed" / "sites.tsv").read_text()
    assert err == ""
    command = [sys.executable, "-m", "mirscope", "scan", str(MIRNAS), "-", "-m", "seed", "-o", "-", "--threads", "1"]
    with REPORTERS.open() as file:
        piped = subprocess.run(command, stdin=file, capture_output=True, text=True, check=True)
    assert piped.stdout == out


def test_scan_with_a_mirna_given_inline(run, tmp_path):
    run(f"scan --mirna let-7={LET7.lower().replace('u', 't')} {REPORTERS} --model seed -o out --threads 1 --quiet")
    sites = io.read_sites(tmp_path / "out" / "sites.tsv")
    assert set(sites["mirna_id"]) == {"let-7"}
    assert set(sites["target_id"]) == {"reporter_let-7a-5p"}


def test_scan_options_reach_the_library(run, tmp_path):
    run(
        f"scan {MIRNAS} {REPORTERS} --model seed -o out --threads 1 -p 0.85 --stride 2 --all-windows --no-duplex "
        "--gene-score count --min-sites 2 --format parquet --plot 1"
    )
    sites = io.read_sites(tmp_path / "out" / "sites.parquet")
    assert (sites["score"] >= 0.85).all()
    assert (sites["n_windows"] == 1).all()
    assert (sites["start"] % 2 == 0).all()
    assert "mfe" not in sites
    genes = pd.read_csv(tmp_path / "out" / "genes.tsv", sep="\t")
    assert (genes["score"] == genes["n_sites"]).all()
    assert (genes["n_sites"] >= 2).all()
    assert len(list((tmp_path / "out" / "plots").iterdir())) == 2
    assert not (tmp_path / "out" / "sites.tsv").exists()


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz", "parquet"])
def test_score_appends_a_column(run, tmp_path, pairs, suffix):
    io.write_table(pairs, tmp_path / f"pairs.{suffix}")
    run(f"score pairs.{suffix} --model seed -o scored.{suffix} --quiet --threads 1")
    scored = io.read_pairs(tmp_path / f"scored.{suffix}")
    assert list(scored.columns) == [*pairs.columns, "score"]
    assert scored["target_seq"].tolist() == pairs["target_seq"].tolist()
    assert pd.to_numeric(scored["score"]).between(0, 1).all()


def test_score_of_dna_and_lower_case_is_the_same(run, tmp_path, pairs):
    io.write_table(pairs, tmp_path / "rna.tsv")
    dna = pairs.assign(**{c: pairs[c].str.replace("U", "T").str.lower() for c in ("mirna_seq", "target_seq")})
    io.write_table(dna, tmp_path / "dna.tsv")
    scores = [
        pd.read_csv(tmp_path / f"{name}.out", sep="\t")["score"]
        for name in ("rna", "dna")
        if run(f"score {name}.tsv -m mitar -o {name}.out --quiet --threads 1")
    ]
    pd.testing.assert_series_equal(*scores)


def test_evaluate_prints_the_floors_and_writes_them(run, tmp_path, pairs):
    io.write_table(pairs, tmp_path / "pairs.tsv")
    out, _ = run("evaluate seed pairs.tsv --json out.json --plots plots --threads 1")
    for floor in ("miRNA", "gene", "target", "seed", "energy"):
        assert floor in out
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["n"] == len(pairs)
    assert len(report["predictors"]) == 7
    assert {path.name for path in (tmp_path / "plots").iterdir()} >= {
        "roc.png",
        "precision_recall.svg",
        "reliability.png",
    }


def test_evaluate_with_plots_alone_writes_the_figures_beside_them(run, tmp_path, pairs):
    io.write_table(pairs, tmp_path / "pairs.tsv")
    run("evaluate seed pairs.tsv --plots some/plots --threads 1")
    assert (tmp_path / "some" / "plots" / "evaluation.json").is_file()


def test_evaluate_background(run, tmp_path, pairs):
    io.write_table(pairs, tmp_path / "pairs.tsv")
    out, _ = run(f"evaluate seed pairs.tsv --background --transcripts {REPORTERS} --json out.json --threads 1")
    rates = pd.DataFrame(json.loads((tmp_path / "out.json").read_text())["background"])
    assert set(rates["kind"]) == {"random", "shuffled", "real"}
    assert "per kb" in out


def test_models_list_and_info(run):
    out, _ = run("models list")
    for name in (*models.bundled(), "seed"):
        assert name in out
    out, _ = run("models info mitar")
    assert "# mitar" in out
    assert "provenance" in out


def test_models_import(run, tmp_path, data_path):
    run(f"models import {data_path('mitar_h5')} --as mitar -o published.safetensors")
    assert models.load(tmp_path / "published.safetensors").config.gates == "relu"


def test_data_commands(run, tmp_path, monkeypatch):
    out, _ = run("data list")
    assert all(name in out for name in datasets.names())
    out, _ = run("data info mirtarraw")
    assert "miTAR" in out
    assert "licence" in out
    monkeypatch.setenv("MIRSCOPE_DATA", str(tmp_path))
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "mirtarraw.tsv.gz").write_text("not the file")
    assert run("data path mirtarraw")[0].strip() == str(tmp_path / "targets" / "mirtarraw.tsv.gz")
    out, err = run("data verify mirtarraw", code=1)
    assert "different" in out
    assert "mirtarraw" in err


BAD = [
    ("scan", 2, "mirnas"),
    ("scan {mirnas}", 2, "transcripts"),
    ("scan {mirnas} {utrs} --mirna ACGU", 2, "--mirna"),
    ("scan {mirnas} missing.fa", 1, "missing.fa"),
    ("scan {utrs} {mirnas} -o out", 1, "swapped"),
    ("scan {mirnas} protein.fa -o out", 1, "protein.fa:2"),
    ("scan {mirnas} empty.fa -o out", 1, "empty.fa"),
    ("scan {mirnas} twice.fa -o out", 1, "twice.fa:3: a: this id came before; expected unique ids (--number-dup"),
    ("scan {mirnas} . -o out", 1, "directory"),
    ("scan {mirnas} {utrs} -m mitra", 2, "mitar"),
    ("scan {mirnas} {utrs} -m dnnpremir_cnn", 2, "reads hairpin and structure"),
    ("scan {mirnas} {utrs} -m missing.safetensors", 1, "missing.safetensors"),
    ("scan {mirnas} {utrs} -m {utrs}", 1, "weight file"),
    ("scan {mirnas} {utrs} -p 1.5", 2, "1.5"),
    ("scan {mirnas} {utrs} -p high", 2, "high"),
    ("scan {mirnas} {utrs} --stride 0", 2, "stride"),
    ("scan {mirnas} {utrs} --format xls -m seed --threads 1", 2, "xls"),
    ("scan {mirnas} {utrs} --threads 0", 2, "threads"),
    ("scan --mirna ACGX {utrs}", 1, "'X'"),
    ("scan --mirna ACG {utrs}", 1, "3 nt"),
    ("score missing.tsv", 1, "missing.tsv"),
    ("score {mirnas} -m seed", 1, "mirnas.fa"),
    ("score nolabel.tsv -m seed -o .", 1, "directory"),
    ("evaluate seed nolabel.tsv", 1, "label"),
    ("evaluate seed nothing_like_it", 2, "nothing_like_it"),
    ("evaluate seed mirtarraw:tset", 2, "tset"),
    ("train mitar --data nolabel.tsv -o out", 1, "label"),
    ("train mitra --data labels.tsv -o out", 2, "mitar"),
    ("train mitar --data {utrs} -o out", 1, "utr3_reporters"),
    ("train mitar --data labels.tsv -o out --set filter=3", 2, "filter"),
    ("train mitar --data labels.tsv -o out --set filters", 2, "NAME=VALUE"),
    ("train mitar --data labels.tsv -o out --epochs 0", 2, "epochs"),
    ("train seed --data labels.tsv -o out", 2, "seed"),
    ("train mitar --data labels.tsv -o out --set gates=elu", 2, "elu"),
    ("train mitar --data labels.tsv -o out --set filters=abc", 2, "abc"),
    ("train mitar --data labels.tsv -o out --set dropout=2", 2, "dropout"),
    ("train mitar --data labels.tsv -o out --schedule slow", 2, "slow"),
    ("scan - -", 2, "stdin"),
    ("scan {mirnas} {utrs} -m seed -o labels.tsv", 1, "folder"),
    ("score labels.tsv -m published.h5", 1, "models import"),
    ("models info nothing", 2, "nothing"),
    ("models import {utrs} --as mitar -o x", 1, "utr3_reporters"),
    ("models import {utrs} --as nothing -o x", 2, "nothing"),
    ("data info nothing", 2, "nothing"),
    ("data path nothing", 2, "nothing"),
    ("frobnicate", 2, "frobnicate"),
    ("scan {mirnas} {utrs} --frobnicate", 2, "frobnicate"),
]


@pytest.mark.parametrize(("command", "code", "hint"), BAD, ids=[command for command, _, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, pairs, command, code, hint):
    (tmp_path / "protein.fa").write_text(">p\nMKVLAA\n")
    (tmp_path / "empty.fa").write_text("")
    (tmp_path / "twice.fa").write_text(">a\nACGU\n>a\nACGU\n")
    io.write_table(pairs.drop(columns="label"), tmp_path / "nolabel.tsv")
    io.write_table(pairs, tmp_path / "labels.tsv")
    before = {path.name for path in tmp_path.iterdir()}
    out, err = run(command.format(mirnas=MIRNAS, utrs=REPORTERS).split(), code=code)
    lines = [line for line in err.splitlines() if line.startswith("mirscope: ")]
    assert len(lines) == 1, err
    assert hint in lines[0]
    assert "Traceback" not in err
    assert out == ""
    assert {path.name for path in tmp_path.iterdir()} - before <= {"out", "results"}
    assert not list(tmp_path.glob("*/*"))


def test_a_scan_leaves_nothing_of_an_earlier_one(run, tmp_path):
    run(f"scan {MIRNAS} {REPORTERS} -m seed -o out --format tsv --format bed --threads 1 --quiet")
    run(f"scan {MIRNAS} {REPORTERS} -m seed -o out --format bed --threads 1 --quiet")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sites.bed", "genes.tsv", "run.json"}


def test_a_pipe_is_read_as_a_file_is(tmp_path):
    command = f"{sys.executable} -m mirscope scan {MIRNAS} <(cat {REPORTERS}) -m seed -o - --threads 1 --quiet"
    piped = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert piped.stdout == (GOLDEN / "seed" / "sites.tsv").read_text()


def test_an_error_in_stdin_names_stdin(tmp_path):
    command = [sys.executable, "-m", "mirscope", "scan", str(MIRNAS), "-", "-m", "seed", "-o", "-"]
    done = subprocess.run(command, input=">a\nMKLV\n", capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("mirscope: stdin:2: a: unexpected 'L'")


def test_a_warning_comes_once_though_the_file_is_read_twice(run, tmp_path):
    (tmp_path / "iupac.fa").write_text(">a\nACGURYACGU\n")
    _, err = run(f"scan {MIRNAS} iupac.fa -m seed -o - --threads 1")
    assert err.count("2 IUPAC codes became N") == 1


def test_debug_shows_the_traceback(run):
    with pytest.raises(Exception, match="nothing"):
        cli.main(["models", "info", "nothing", "--debug"])


def test_interrupt_is_quiet(run, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(io, "read_pairs", interrupt)
    _, err = run("score x.tsv -m seed", code=130)
    assert err == "mirscope: interrupted\n"
