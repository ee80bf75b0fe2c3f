"""Hairpins to calls: what is known by hand, the same on every way, and one clear line for bad input."""

import re
import sys
import time
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import datasets, hairpins, io, models, plot, rna, tables, train
from mirscope.errors import InputError, UsageError
from mirscope.models import HAIRPIN, Model

GOLDEN = Path(__file__).parent / "golden" / "hairpins"
LET7 = "UGGGAUGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCCACCACUGGGAGAUAACUAUACAAUCUACUGUCUUUCCUA"
COLUMNS = [column.name for column in tables.CALLS]


class Toy(Model):
    """Logit: a tenth of the paired nucleotides, less 1. The mature miRNAs are the stem's outermost 22 nt."""

    inputs = HAIRPIN
    lengths = (100, 100)
    name = "toy"

    def columns(self, examples):
        folded = (rna.fold(seq)[0] for seq in examples["hairpin_seq"])
        return examples["hairpin_seq"].tolist(), [
            given or found for given, found in zip(examples["structure"], folded, strict=True)
        ]

    def encode(self, *columns):
        return (torch.tensor([[len(rna.base_pairs(structure))] for structure in columns[1]], dtype=torch.float32),)

    def forward(self, n_pairs):
        return n_pairs[:, 0] / 5 - 1

    def arms(self, hairpins, structures):
        stems = [rna.stem(structure)[:1] for structure in structures]
        ends = [(i, i + 22, j - 21, j + 1) for (i, j), *_ in filter(None, stems)]
        found = np.full((len(stems), 4), -1)
        found[[bool(stem) for stem in stems]] = np.array(ends).reshape(-1, 4)
        return found


TOY = Toy()


@pytest.fixture
def toy(monkeypatch):
    """Whatever model is asked for by name, it is the toy."""
    monkeypatch.setattr(models, "load", lambda name: TOY)


def table(*sequences, **columns):
    return pd.DataFrame({"id": [f"h{k}" for k in range(len(sequences))], "hairpin_seq": list(sequences)} | columns)


def random_hairpins(n, seed=0):
    rng = np.random.default_rng(seed)
    return table(*("".join(rng.choice(list("ACGU"), rng.integers(1, 60))) for _ in range(n)))


# ------------------------------------------------------------------------------------------------------------ RNA


@pytest.mark.parametrize(
    ("structure", "loop"),
    [
        ("", (-1, -1)),
        ("....", (-1, -1)),
        (".((...)).", (3, 6)),
        ("()", (1, 1)),
        ("((..((...))..((....)).)", None),
        ("(((..((...))..(((....))).)))", (17, 21)),  # of the branch with more pairs
        ("((...))((...))", (2, 5)),
    ],
)
def test_terminal_loop(structure, loop):
    if loop is None:
        with pytest.raises(ValueError, match="opens no pair"):
            rna.terminal_loop(structure)
    else:
        assert rna.terminal_loop(structure) == loop


@given(st.text("ACGUN", min_size=1, max_size=60))
def test_energy_of_the_fold_is_the_least(sequence):
    structure, mfe = rna.fold(sequence)
    assert rna.energy(sequence, structure) == mfe
    assert rna.energy(sequence, "." * len(sequence)) == 0 >= mfe


def test_energy_leaves_out_what_is_no_base_pair():
    assert rna.energy("GGGGAAAACCCC", "((((....))))") == rna.fold("GGGGAAAACCCC")[1]
    assert rna.energy("AGGGAAAACCCC", "((((....))))") == rna.energy("AGGGAAAACCCC", ".(((....))).")
    assert rna.energy("GGNGAAAACCCC", "((((....))))") == rna.energy("GGNGAAAACCCC", "((.(....).))")
    assert rna.energy("GAAC", "(..)") == 0  # no loop of two nt
    assert rna.energy("", "") == 0


def grown(draws):
    """The structure that a list of True (open), False (close where something is open) and None (unpaired) makes."""
    signs, opened = [], 0
    for draw in draws:
        signs.append("." if draw is None else "(" if draw else ")" if opened else ".")
        opened += {"(": 1, ")": -1}.get(signs[-1], 0)
    return "".join(signs) + ")" * opened


structures = st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=60).map(grown)


@given(structures)
def test_layout_puts_pairs_beside_each_other(structure):
    places = rna.layout(structure)
    assert places.shape == (len(structure), 2)
    pairs = np.array(rna.base_pairs(structure), dtype=int).reshape(-1, 2)
    np.testing.assert_allclose(np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1), 1)


@given(
    st.lists(st.tuples(st.integers(2, 6), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6),
    st.integers(3, 12),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_layout_of_a_single_stem_is_straight(stretches, loop, left, right):
    """However uneven its bulges are: pairs upright, 5' on top, rightward, no two nucleotides over each other."""
    structure = "." * loop
    for n_pairs, up, down in stretches:
        structure = "(" * n_pairs + "." * up + structure + "." * down + ")" * n_pairs
    structure = "." * left + structure + "." * right
    places = rna.layout(structure)
    ends = places[np.array(rna.stem(structure))]  # (pairs, 5' and 3', xy)
    np.testing.assert_allclose(ends[:, 0, 1], 0.5, atol=1e-9)
    np.testing.assert_allclose(ends[:, 1, 1], -0.5, atol=1e-9)
    np.testing.assert_allclose(ends[:, 0, 0], ends[:, 1, 0], atol=1e-9)
    assert (np.diff(ends[:, 0, 0]) > 0.9).all()
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(len(places))
    assert apart.min() > 0.75


def test_layout_without_base_pairs_is_a_line():
    assert rna.layout("...").tolist() == [[0, 0], [1, 0], [2, 0]]
    assert rna.layout("").shape == (0, 2)


# ------------------------------------------------------------------------------------------------------- identify


def test_calls_by_hand():
    given = "((((((....))))))."
    calls = hairpins.identify(TOY, table("GGGGGGAAAACCCCCCA", "AAAAA", structure=[given, ""]), arms_model=TOY)
    assert list(calls) == COLUMNS
    tables.check(calls, tables.CALLS)
    stem, line = calls.to_dict("records")
    assert stem["score"] == pytest.approx(1 / (1 + np.exp(-0.2)))
    assert (stem["call"], stem["length"], stem["structure"]) == (1, 17, given)
    assert stem["mfe"] == rna.fold("GGGGGGAAAACCCCCCA")[1]
    assert (stem["loop_start"], stem["loop_end"]) == (6, 10)
    assert (line["call"], line["mfe"], line["loop_start"], line["loop_end"]) == (0, 0, -1, -1)
    assert [line[column] for column in hairpins.ARMS] == [-1] * 4
    assert (line["mature_5p"], line["mature_3p"], line["hairpin_seq"]) == ("", "", "AAAAA")


def test_arms_are_cut_out():
    calls = hairpins.identify(TOY, table("A" + LET7), arms_model=TOY)
    assert calls.loc[0, list(hairpins.ARMS)].tolist() == [1, 23, 59, 81]
    assert calls.loc[0, "mature_5p"] == LET7[:22]
    assert calls.loc[0, "mature_3p"] == LET7[-22:]
    assert hairpins.matures(calls) == [io.Record("h0-5p", LET7[:22]), io.Record("h0-3p", LET7[-22:])]
    without = hairpins.identify(TOY, table("A" + LET7))
    assert without.loc[0, [*hairpins.ARMS, "mature_5p"]].tolist() == [-1, -1, -1, -1, ""]
    assert hairpins.matures(without) == []
    pd.testing.assert_frame_equal(without.drop(columns=[*hairpins.ARMS, "mature_5p", "mature_3p"]),
                                  calls.drop(columns=[*hairpins.ARMS, "mature_5p", "mature_3p"]))  # fmt: skip


def test_mature_mirnas_are_those_of_called_hairpins():
    calls = hairpins.identify(TOY, table(LET7, LET7), arms_model=TOY).assign(call=[0, 1])
    calls.loc[1, "mature_3p"] = ""
    assert [record.id for record in hairpins.matures(calls)] == ["h1-5p"]


def test_what_has_no_base_pair_is_not_called():
    calls = hairpins.identify(TOY, table("N" * 80, "ACAC", LET7), threshold=0.0)
    assert calls["call"].tolist() == [0, 0, 1]
    assert (calls["score"] > 0).all()
    for name in models.names(HAIRPIN):
        calls = hairpins.identify(models.create(name), table("N" * 80, "A", "N", "G" * 30, LET7), threshold=0.0)
        assert calls["call"].tolist() == [0, 0, 0, 0, 1]
        tables.check(calls, tables.CALLS)


def test_threshold_is_the_least_score():
    score = hairpins.identify(TOY, table(LET7))["score"].item()
    assert hairpins.identify(TOY, table(LET7), threshold=score)["call"].item() == 1
    assert hairpins.identify(TOY, table(LET7), threshold=score + 1e-6)["call"].item() == 0


def test_hairpins_without_names_are_numbered():
    nameless = table("ACGU", "ACGU").assign(id=["", "b"])
    assert hairpins.identify(TOY, nameless)["id"].tolist() == ["hairpin1", "b"]
    assert hairpins.identify(TOY, nameless.drop(columns="id"))["id"].tolist() == ["hairpin1", "hairpin2"]
    named = nameless.rename(columns={"id": "hairpin_id"})
    blocks = list(hairpins.iter_calls(TOY, [named, named]))
    assert [name for block in blocks for name in block["id"]] == ["hairpin1", "b", "hairpin3", "b"]


def test_no_hairpins():
    calls = hairpins.identify(TOY, table(), arms_model=TOY)
    assert list(calls) == COLUMNS
    assert calls.empty


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text("ACGUN", min_size=1, max_size=50), min_size=1, max_size=6), st.randoms())
def test_order_and_given_folds_do_not_matter(sequences, random):
    calls = hairpins.identify(TOY, table(*sequences), arms_model=TOY)
    given = table(*sequences, structure=[rna.fold(sequence)[0] for sequence in sequences])
    pd.testing.assert_frame_equal(hairpins.identify(TOY, given, arms_model=TOY), calls)
    order = random.sample(range(len(sequences)), len(sequences))
    other = hairpins.identify(TOY, table(*sequences).iloc[order], arms_model=TOY)
    pd.testing.assert_frame_equal(other, calls.iloc[order].reset_index(drop=True))


def test_many_processes_give_the_same(monkeypatch, caplog):
    monkeypatch.setattr(hairpins, "AT_ONCE", 7)
    whole = pd.concat([random_hairpins(60), table("ACGU" * 30)], ignore_index=True)
    expected = hairpins.identify(TOY, whole, arms_model=TOY)
    for processes in (1, 2):
        caplog.clear()
        blocks = hairpins.iter_calls(TOY, [whole[:13], whole[13:]], arms_model=TOY, processes=processes)
        pd.testing.assert_frame_equal(pd.concat(blocks, ignore_index=True), expected)
        assert [record.getMessage() for record in caplog.records] == [
            "1 of 61 hairpins are longer than the model's 100 nt: cut"
        ]


def test_models_are_left_as_they_are():
    model = models.create("dnnpremir_cnn")
    before = models.fingerprint(model)
    hairpins.identify(model, random_hairpins(3))
    assert models.fingerprint(model) == before
    assert not model.training


def test_hairpins_are_read_as_they_are_needed(monkeypatch):
    monkeypatch.setattr(hairpins, "AT_ONCE", 2)
    taken = []

    def blocks():
        for _ in range(20):
            taken.append(1)
            yield random_hairpins(2)

    first = next(hairpins.iter_calls(TOY, blocks()))
    assert len(first) == 2
    assert len(taken) == 1


def test_hairpins_that_are_cut_are_counted_once(caplog, monkeypatch):
    monkeypatch.setattr(hairpins, "AT_ONCE", 2)
    long = table("ACGU" * 30, "ACGU", "ACGU" * 26, "A", "ACGU" * 40)
    line = "3 of 5 hairpins are longer than the model's 100 nt: cut"
    hairpins.identify(TOY, long)
    assert [record.getMessage() for record in caplog.records] == [line]
    caplog.clear()
    list(hairpins.iter_calls(TOY, [long[:2], long[2:]]))
    assert [record.getMessage() for record in caplog.records] == [line]


def test_training_counts_them_once_a_part(caplog, hairpins, tmp_path):
    """Not their structures beside them, which are as long."""
    half = {"settings": train.Settings(epochs=1)}
    train.fit("dnnpremir_cnn", hairpins[:24], hairpins[24:], tmp_path, **half)
    assert [record.getMessage().split(" are ")[0] for record in caplog.records if "cut" in record.getMessage()] == [
        f"{(part['hairpin_seq'].str.len() > 180).sum()} of 24 hairpins of the {role} part"
        for part, role in ((hairpins[:24], "training"), (hairpins[24:], "validation"))
    ]


@pytest.mark.parametrize(
    ("hairpin", "problem"),
    [
        (table("ACGU", ""), "h1: 0 nt; expected a hairpin of 1 to 3,000 nt"),
        (table("A" * 3001), "h0: 3,001 nt; .* discover finds hairpins in longer"),
        (table("ACGU", structure=["(...)"]), "a structure of 5 signs; expected 4"),
        (pd.DataFrame({"sequence": ["ACGU"]}), "no column hairpin_seq; found sequence"),
    ],
)
def test_what_cannot_be_folded(hairpin, problem):
    with pytest.raises(InputError, match=problem):
        hairpins.identify(models.create("dnnpremir_cnn"), hairpin)


def test_models_and_thresholds_that_do_not_fit():
    with pytest.raises(UsageError, match="seed reads mirna and target; expected a model that reads hairpin"):
        hairpins.identify(models.create("seed"), table("ACGU"))
    cnn = models.create("dnnpremir_cnn")
    with pytest.raises(UsageError, match="dnnpremir_cnn does not call the arms"):
        hairpins.identify(cnn, table("ACGU"), arms_model=cnn)
    with pytest.raises(UsageError, match=r"threshold is 1\.5; expected a score"):
        hairpins.identify(cnn, table("ACGU"), threshold=1.5)


# -------------------------------------------------------------------------------------------------------- reading


def test_blocks_of_a_fasta_are_its_table(monkeypatch, tmp_path):
    path = tmp_path / "hairpins.fa"
    path.write_text("# a comment\n\n" + (GOLDEN / "hairpins.fa").read_text())
    whole = io.read_hairpins(path)
    monkeypatch.setattr(io, "_HAIRPINS_AT_ONCE", 3)
    blocks = list(io.iter_hairpins(path))
    assert [len(block) for block in blocks] == [3, 3, 1]
    pd.testing.assert_frame_equal(pd.concat(blocks, ignore_index=True), whole)
    assert hairpins.Hairpins(str(path)).check(unique=True) == 7


def test_a_chromosome_of_n_is_read_and_refused_at_once(tmp_path, toy, run):
    for name, text in (("lines", "\n".join(["N" * 60] * 166_667)), ("line", "N" * 10_000_000)):
        (tmp_path / name).write_text(f">chr1\n{text}\n")
        began = time.perf_counter()
        _, err = run(f"hairpins {name} -o out.tsv", code=1)
        assert time.perf_counter() - began < 10  # a hang, not a benchmark
        assert re.fullmatch(rf"mirscope: {name}: chr1: 10,000,0.0 nt; expected a hairpin of 1 to .*discover.*\n", err)
        assert not (tmp_path / "out.tsv").exists()


# -------------------------------------------------------------------------------------------------------- command


def test_golden(run, toy, tmp_path):
    """tests/golden/README.md has the command that made them."""
    _, err = run(f"hairpins {GOLDEN / 'hairpins.fa'} -o calls.tsv --mature mature.fa --threads 1")
    for name in ("calls.tsv", "mature.fa"):
        assert (tmp_path / name).read_text() == (GOLDEN / name).read_text()
    lines = re.sub(r"[0-9.]+ s ", "T s ", err).splitlines()
    assert lines == [
        "7 hairpins, 4 of score 0.5 or more called pre-miRNAs, 3 without a base pair; T s (toy)",
        "written: mature.fa (8 mature miRNAs)",
    ]


def test_every_layout_gives_the_same(run, toy, tmp_path, monkeypatch):
    """FASTA, with dot-bracket, tables of each kind, RNA or DNA, either case, stdin; TSV or Parquet."""
    named = [(record.id, record.sequence) for record in io.read_fasta(GOLDEN.parents[1].parent / "examples/mirnas.fa")]
    named += [("let-7", LET7), ("n", "N" * 30)]
    fasta = "".join(f">{name}\n{sequence}\n" for name, sequence in named)
    (tmp_path / "a.fa").write_text(fasta)
    (tmp_path / "b.fa").write_text("".join(f">{n}\n{s.lower().replace('u', 't')}\n" for n, s in named))
    (tmp_path / "c.fa").write_text("".join(f">{n}\n{s}\n{rna.fold(s)[0]} (-1.00)\n" for n, s in named))
    frame = pd.DataFrame(named, columns=["id", "sequence"])
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_csv(tmp_path / "e.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "f.parquet")
    expected, _ = run("hairpins a.fa")
    assert expected.splitlines()[0].split("\t") == COLUMNS
    for name in ("b.fa", "c.fa", "d.csv", "e.tsv", "f.parquet"):
        assert run(f"hairpins {name}")[0] == expected
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(fasta.encode())))
    assert run("hairpins -")[0] == expected
    run("hairpins a.fa -o out.parquet")
    pd.read_parquet(tmp_path / "out.parquet").to_csv(tmp_path / "out.tsv", index=False, sep="\t", float_format="%.6g")
    assert (tmp_path / "out.tsv").read_text() == expected


def test_few_hairpins_are_not_worth_a_process(run, toy, tmp_path, monkeypatch):
    monkeypatch.setattr("mirscope.cli.hairpins.WORTH_A_PROCESS", 20)
    io.write_fasta([io.Record(*row) for row in random_hairpins(50).itertuples(index=False)], tmp_path / "a.fa")
    asked = []
    write = hairpins.identify_files

    def note(*arguments, processes, **options):
        asked.append(processes)
        return write(*arguments, processes=1, **options)

    monkeypatch.setattr(hairpins, "identify_files", note)
    for threads in (1, 2, 8):
        run(f"hairpins a.fa -o out.tsv --threads {threads}")
    run("hairpins a.fa -o out.tsv --threads 8 --draw folds -p 0.99")
    assert asked == [1, 2, 2, 1]


def test_mature_mirnas_go_into_a_scan(run, toy, tmp_path, monkeypatch):
    run(f"hairpins {GOLDEN / 'hairpins.fa'} -o calls.tsv --mature mature.fa")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    examples = GOLDEN.parents[2] / "examples"
    run(f"scan mature.fa {examples / 'utr3_reporters.fa'} -m seed -o targets --threads 1")
    sites = io.read_sites(tmp_path / "targets" / "sites.tsv")
    assert set(sites["mirna_id"]) <= {record.id for record in io.read_fasta("mature.fa")}


def test_no_arms(run, toy):
    out, _ = run(f"hairpins {GOLDEN / 'hairpins.fa'} --no-arms")
    rows = [line.split("\t") for line in out.splitlines()[1:]]
    assert all(row[8:14] == ["-1"] * 4 + ["", ""] for row in rows)
    _, err = run(f"hairpins {GOLDEN / 'hairpins.fa'} --no-arms --mature m.fa", code=2)
    assert err == "mirscope: --mature takes the arms; leave out --no-arms\n"


@pytest.mark.parametrize("kind", plot.FORMATS)
def test_drawings_of_called_hairpins(run, toy, tmp_path, kind):
    (tmp_path / "a.fa").write_text(f">a/b\n{LET7}\n>a_b\n{LET7}\n>line\nAAAA\n>{'x' * 300}\n{LET7}\n>../up\n{LET7}\n")
    _, err = run(f"hairpins a.fa -o calls.tsv --draw folds --draw-format {kind}")
    files = sorted(path.name for path in (tmp_path / "folds").iterdir())
    assert len(files) == 4
    assert f"a_b.{kind}" in files
    assert all(re.fullmatch(rf"(a_b|_up|a_b-\w{{8}}|_up-\w{{8}}|x{{100}}-\w{{8}})\.{kind}", name) for name in files)
    assert "written: folds (4 drawings)" in err
    assert not (tmp_path / f"up.{kind}").exists()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("empty.fa", b"", "empty.fa: the file is empty; expected a table"),
        ("nothing.fa", b">a\n>b\nACGU\n", "nothing.fa:1: a: empty sequence; expected nucleotides"),
        ("protein.fa", b">p\nMKTAYIAKQR\n", "protein.fa:2: p: unexpected 'I' at position 6; expected A C G U T N or"),
        ("twice.fa", b">a\nACGU\n>a\nACGU\n", "twice.fa:3: a: this id came before; expected unique ids"),
        ("fold.fa", b">a\nGGGAAACCC\n(((...))\n", "fold.fa:1: a structure of 8 signs; expected 9"),
        ("fold.tsv", b"id\tsequence\tstructure\na\tACGU\t(..]\n", "fold.tsv:2: ']' at position 4 of the structure is"),
        ("pairs.tsv", b"mirna_seq\ttarget_seq\nA\tC\n", "pairs.tsv:1: no column hairpin_seq; found"),
        ("reads.bam", b"BAM\1" + b"\0" * 99, "reads.bam: the file is a BAM file; expected a table"),
        ("long.csv", b"id,sequence\nx," + b"A" * 3001 + b"\n", "long.csv: x: 3,001 nt; expected a hairpin of 1 to"),
        ("gap.fa", b">a\nACG-U\n", "gap.fa:2: a: unexpected '-' at position 4"),
    ],
)
def test_bad_input_is_one_line(run, toy, tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    _, err = run(f"hairpins {name} -o out.tsv --mature m.fa --draw d", code=1)
    assert err.startswith(f"mirscope: {problem}")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_ids_of_a_table_may_repeat_unless_files_are_named_after_them(run, toy, tmp_path):
    (tmp_path / "twice.csv").write_text(f"id,sequence\na,{LET7}\na,{LET7}\n")
    assert len(run("hairpins twice.csv")[0].splitlines()) == 3
    for option in ("--mature m.fa", "--draw d"):
        _, err = run(f"hairpins twice.csv {option}", code=1)
        assert err.startswith("mirscope: twice.csv: a: this id came before; expected unique ids")


def test_mixed_letters_and_one_nucleotide(run, toy, tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGUTacguntRy\n>b\nA\n")
    out, err = run("hairpins a.fa")
    assert [line.split("\t")[-1] for line in out.splitlines()[1:]] == ["ACGUUACGUNUNN", "A"]
    assert "a.fa: 2 IUPAC codes became N" in err


def test_bad_options_are_one_line(run, tmp_path):
    (tmp_path / "a.fa").write_text(f">a\n{LET7}\n")
    (tmp_path / "file").write_text("")
    models.save(models.create("dnnpremir_cnn"), tmp_path / "cnn.safetensors")
    for command, code, problem in (
        ("-m seed", 2, "seed reads mirna and target; expected a model that reads hairpin and structure"),
        ("-m cnn.safetensors -p 2", 2, "threshold is 2.0; expected a score from 0 to 1"),
        ("-m cnn.safetensors --no-arms --draw file", 1, "file: is a file; expected a folder to write to"),
        ("-m cnn.safetensors --draw-format gif", 2, "Invalid value for '--draw-format'"),
        ("-m nothing.safetensors", 1, "nothing.safetensors: no such weight file"),
    ):
        arms = "" if "--no-arms" in command else " --no-arms"
        _, err = run(f"hairpins a.fa {command}{arms}", code=code)
        assert err.startswith(f"mirscope: {problem}")
        assert err.count("\n") == 1


@pytest.mark.data
def test_data_set_by_name(run, tmp_path, data_path):
    data_path("dnnpremir_human_balanced")
    models.save(models.create("dnnpremir_cnn"), tmp_path / "cnn.safetensors")
    _, err = run("hairpins dnnpremir_human_balanced:test -m cnn.safetensors --no-arms -o out.tsv")
    assert err.startswith("752 hairpins, ")
    truth = datasets.load_hairpins("dnnpremir_human_balanced:test")
    assert pd.read_csv(tmp_path / "out.tsv", sep="\t")["structure"].tolist() == truth["structure"].tolist()


# -------------------------------------------------------------------------------------------------------- picture


def letters(ax):
    return "".join(text.get_text() for text in ax.texts if text.get_text() in list("ACGUN"))


def test_picture_of_a_hairpin(tmp_path):
    ax = plot.hairpin("GGGGUGAAAACCCCCA", "(((((.....))))).", arms=[0, 4, 11, 15], title="a$b$_")
    assert letters(ax) == "GGGGUGAAAACCCCCA"
    notes = [text.get_text() for text in ax.texts if text.get_text() not in list("ACGUN")]
    assert notes == ["5\u2032", "3\u2032", "10"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["5p: 1\u20134 (4 nt)", "3p: 12\u201315 (4 nt)"]
    discs = ax.collections[-1].get_facecolors()
    assert [tuple(colour) for colour in discs[:4]] == [tuple(ax.collections[1].get_facecolors()[0])] * 4
    assert (discs[4:11] == 1).all()
    lines = ax.collections[0].get_segments()
    assert len(lines) == 5  # no U pairs with G here
    assert ax.get_title(loc="left") == "a$b$_"
    plot.save(ax, tmp_path / "a.svg")


def test_wobble_pairs_are_dots():
    ax = plot.hairpin("GGGUAAAAGCCU", "((((....))))")
    assert len(ax.collections[0].get_segments()) == 2
    dots = ax.lines[1]
    assert len(dots.get_xdata()) == 2
    assert ax.get_legend() is None


@given(structures)
@settings(deadline=None, max_examples=10)
def test_every_fold_can_be_drawn(structure):
    assert letters(plot.hairpin("N" * len(structure), structure)) == "N" * len(structure)
