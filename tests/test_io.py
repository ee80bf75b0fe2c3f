"""Readers and writers: each error with its line, round trips, and the real files where they are."""

import gzip
import io as streams
import logging
import os
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirscope import io
from mirscope.errors import (
    InputError,
    MirscopeError,
    RepeatedIdError,
    SequenceError,
    TableError,
    UsageError,
    WeightsError,
)
from mirscope.tables import SITES

DATA = Path(os.environ.get("MIRSCOPE_DATA", Path(__file__).parents[2] / "shared" / "data"))

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
MIR21 = "UAGCUUAUCAGACUGAUGUUGA"

same_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
rnas = st.text(alphabet="ACGUN", min_size=1, max_size=40)
ids = st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)


@pytest.fixture
def write(tmp_path):
    def write(content, name="file"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def stdin(monkeypatch):
    def stdin(content):
        monkeypatch.setattr(sys, "stdin", streams.TextIOWrapper(streams.BytesIO(content.encode())))

    return stdin


@pytest.fixture
def data():
    if not DATA.is_dir():
        pytest.skip(f"no data at {DATA}")
    return DATA


def message(read, path, kind=InputError):
    with pytest.raises(kind) as caught:
        read(path)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text or str(path) == "-"
    return text.replace(str(path), "FILE")


# normalise


def test_normalise_by_hand():
    assert io.normalise("acgtuNnT") == ("ACGUUNNU", 0)
    assert io.normalise("AryswkmbdhvC") == ("A" + "N" * 10 + "C", 10)
    assert io.normalise("") == ("", 0)


@pytest.mark.parametrize("char", ["-", "*", ".", "1", "X", "E", "L", " ", "\n", "\0", "é", "\u212a", "\ud800"])
def test_normalise_refuses(char):
    with pytest.raises(SequenceError) as caught:
        io.normalise(f"ACG{char}U?", path="x.fa", line=7, record="a")
    error = caught.value
    assert (error.char, error.position, error.line, error.path, error.record) == (char, 4, 7, "x.fa", "a")
    assert "\n" not in str(error)


@given(st.text(alphabet="ACGTURYSWKMBDHVNacgturyswkmbdhvn", max_size=60))
def test_case_and_t_do_not_matter(sequence):
    normal, n = io.normalise(sequence)
    assert set(normal) <= set("ACGUN")
    assert len(normal) == len(sequence)
    for other in (sequence.upper(), sequence.lower(), sequence.replace("T", "U").replace("t", "u")):
        assert io.normalise(other) == (normal, n)
    assert io.normalise(normal) == (normal, 0)


# FASTA and FASTQ

FASTA = f">let-7a first of all\nTGAGGtagta\nGGTTGTATAGTT\n\n>miR-21\n{MIR21}\n"
RECORDS = [io.Record("let-7a", LET7), io.Record("miR-21", MIR21)]


@pytest.mark.parametrize(
    "content",
    [
        FASTA,
        FASTA.replace("\n", "\r\n"),
        FASTA.replace("\n", "\r"),
        "\ufeff" + FASTA,
        "\n\n" + FASTA,
        "# a comment\n" + FASTA,
        FASTA.replace("first", "prémier"),
        FASTA.rstrip("\n"),
        f"@let-7a x\n{LET7.lower()}\n+\n{'I' * 22}\n@miR-21\n{MIR21}\n+\n{'I' * 22}\n",
        f"@let-7a x\r\n{LET7}\r\n+\r\n{'I' * 22}\r\n@miR-21\r\n{MIR21}\r\n+\r\n{'I' * 22}\r\n",
    ],
)
def test_read_fasta(write, stdin, content):
    assert io.read_fasta(write(content)) == RECORDS
    assert io.read_fasta(write(gzip.compress(content.encode()), "no_telling_name")) == RECORDS
    assert (
        io.read_fasta(str(write(gzip.compress(content.encode()[:7]) + gzip.compress(content.encode()[7:])))) == RECORDS
    )
    stdin(content)
    assert io.read_fasta("-") == RECORDS
    assert not sys.stdin.buffer.closed


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "FILE: the file is empty; expected FASTA or FASTQ"),
        ("\n\n", "FILE: no records; expected FASTA or FASTQ"),
        ("# nothing\n", "FILE: no records; expected FASTA or FASTQ"),
        (">a\nACGU\n>b\n>c\nA\n", "FILE:3: b: empty sequence; expected nucleotides"),
        (">a\nACGU\n\n>b\n", "FILE:4: b: empty sequence; expected nucleotides"),
        (">a\nACGU\n>\nACGU\n", "FILE:3: no id in the header; expected one right after > or @"),
        (">a\nACGU\n> b\nACGU\n", "FILE:3: no id in the header; expected one right after > or @"),
        (">a\nACGU\n>b\x1b[1m\nACGU\n", r"FILE:3: control character in the id 'b\x1b[1m'; expected text"),
        (">a x\nACGU\nACGU\n>a y\nA\n", "FILE:4: a: this id came before; expected unique ids"),
        (
            ">a\nAC\nGU\n# no\n\nACLU\n",
            "FILE:6: a: unexpected 'L' at position 7; expected A C G U T N or an IUPAC code",
        ),
        (">a\nMKLV\n", "FILE:2: a: unexpected 'L' at position 3; expected A C G U T N or an IUPAC code"),
        (">a\rAC\rA-C\r", "FILE:3: a: unexpected '-' at position 4; expected A C G U T N or an IUPAC code"),
        (">a\nAC GU\n", "FILE:2: a: unexpected ' ' at position 3; expected A C G U T N or an IUPAC code"),
        ("\n\nACGU\n", "FILE:3: starts with 'ACGU'; expected FASTA (>) or FASTQ (@)"),
        ("; old\n>a\nA\n", "FILE:1: starts with '; old'; expected FASTA (>) or FASTQ (@)"),
        (
            "mirna_id\tmirna_seq\nlet-7a\tACGU\n",
            r"FILE:1: starts with 'mirna_id\tmirna_seq'; expected FASTA (>) or FASTQ (@)",
        ),
        ("# x\nmirna_id\n", "FILE:2: Expected '>' at beginning of record, but got 'mirna_id'."),
        (
            "@a\nACGU\n+\nIIII\n@b\nACXU\n+\nIIII\n",
            "FILE:6: b: unexpected 'X' at position 3; expected A C G U T N or an IUPAC code",
        ),
        ("@a\nACGU\n+\nIIII\n@a\nACGU\n+\nIIII\n", "FILE:5: a: this id came before; expected unique ids"),
        ("@a\n\n+\n\n", "FILE:1: a: empty sequence; expected nucleotides"),
        ("@a\nACGU\n+\nIII\n", "FILE:4: Length of sequence and qualities differ"),
        (b"\x89PNG\r\n\x1a\n\0\0", "FILE: the file is a PNG image; expected FASTA or FASTQ"),
        (b"\x89HDF\r\n\x1a\n\0\0", "FILE: the file is an HDF5 file; expected FASTA or FASTQ"),
        (b"PAR1\0\0", "FILE: the file is a Parquet file; expected FASTA or FASTQ"),
        (">a\nACGU\n".encode("utf-16"), "FILE: the file is UTF-16 text; expected FASTA or FASTQ"),
        (">a\nACGU\n".encode("utf-16-le"), "FILE: the file is binary (it holds NUL bytes); expected FASTA or FASTQ"),
        (b">a\nACGU\n>b caf\xe9\nACGU\n", "FILE:3: not UTF-8 text; expected FASTA or FASTQ"),
        (gzip.compress(b"", mtime=0), "FILE: the file is empty; expected FASTA or FASTQ"),
        (
            gzip.compress(gzip.compress(b">a\nA\n", mtime=0), mtime=0),
            "FILE: the file is gzip within gzip; expected FASTA or FASTQ",
        ),
        (b"\x1f\x8bgarbage, no gzip at all", "FILE: damaged gzip file: Unknown compression method"),
        (
            gzip.compress(FASTA.encode(), mtime=0)[:-12],
            "FILE: damaged gzip file: Compressed file ended before the end-of-stream marker was reached",
        ),
    ],
)
def test_fasta_errors(write, content, expected):
    kind = SequenceError if "unexpected" in expected else InputError
    kind = RepeatedIdError if "came before" in expected else kind
    path = write(content)
    text = message(io.read_fasta, path, kind)
    assert text.startswith(expected) if "differ" in expected else text == expected


def test_errors_of_the_file_system(tmp_path, write):
    assert message(io.read_fasta, tmp_path / "none.fa") == "FILE: cannot read: No such file or directory"
    assert message(io.read_fasta, tmp_path) == "FILE: cannot read: Is a directory"
    with pytest.raises(InputError, match="NUL in the file name"):
        io.read_fasta("a\0b")
    path = write(FASTA)
    path.chmod(0)
    if not os.access(path, os.R_OK):
        assert message(io.read_fasta, path) == "FILE: cannot read: Permission denied"


def test_error_in_gzip_has_its_line(write):
    path = write(gzip.compress(b">a\nACGU\nAC*U\n"))
    assert message(io.read_fasta, path, SequenceError).startswith("FILE:3: a: unexpected '*' at position 7")


def test_error_on_stdin_names_the_record(stdin):
    stdin(">a\nACGU\n>b\nAC*U\n")
    assert message(io.read_fasta, "-", SequenceError).startswith("stdin: b: unexpected '*' at position 3")


def test_error_late_in_a_long_file(write):
    lines = "".join(f">r{i}\nACGU\nACGU\n" for i in range(20_000))
    assert message(io.read_fasta, write(lines + ">x\nACGU\nACG!\n"), SequenceError).startswith("FILE:60003: x: ")


def test_error_from_a_pipe_does_not_hang(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=(">a\nAC*U\n",))
    writer.start()
    assert message(io.read_fasta, pipe, SequenceError).startswith("FILE: a: unexpected '*'")
    writer.join()


def test_ids_may_repeat_where_asked(write):
    path = write("@a\nACGU\n+\nIIII\n" * 2)
    assert len(io.read_fasta(path, unique=False)) == 2


def test_codes_are_counted_once(write, caplog):
    path = write(">a\nACRYU\n>b\nNNK\n")
    with caplog.at_level(logging.WARNING, "mirscope"):
        assert [record.sequence for record in io.read_fasta(path)] == ["ACNNU", "NNN"]
    assert caplog.messages == [f"{path}: 3 IUPAC codes became N"]


def test_iter_fasta_streams(write):
    records = io.iter_fasta(write(">a\nACGU\n>b\nAC*U\n"))
    assert next(records).id == "a"
    records.close()


@same_directory
@given(st.dictionaries(ids, rnas, min_size=1, max_size=5), st.sampled_from(["a.fa", "a.fa.gz"]))
def test_fasta_round_trip(tmp_path, records, name):
    expected = [io.Record(identity, sequence) for identity, sequence in records.items()]
    io.write_fasta(expected, tmp_path / name)
    assert io.read_fasta(tmp_path / name) == expected


# pairs

HEADER = "mirna_id\tmirna_seq\tgene_id\ttarget_seq\tlabel\tsplit\n"
PAIRS = HEADER + f"NA\t{LET7}\t1e5\tACTNacu\t1\ttrain\n007\t{MIR21}\t\tGGRCC\t0\ttest\n"


def test_read_pairs_by_hand(write, stdin, caplog):
    path = write(PAIRS)
    table = io.read_pairs(path)
    assert list(table) == ["mirna_id", "mirna_seq", "gene_id", "target_seq", "label", "split"]
    assert table.dtypes.astype(str).tolist() == ["str", "str", "str", "str", "int8", "str"]
    assert table.to_numpy().tolist() == [
        ["NA", LET7, "1e5", "ACUNACU", 1, "train"],
        ["007", MIR21, "", "GGNCC", 0, "test"],
    ]
    assert caplog.messages == [f"{path}: 1 IUPAC codes became N"]
    csv = PAIRS.replace("\t", ",").replace("NA,", '"NA",')
    for content in (PAIRS.replace("\n", "\r\n"), PAIRS + "\n\n", "\ufeff" + PAIRS, PAIRS.rstrip("\n"), csv):
        pd.testing.assert_frame_equal(io.read_pairs(write(content)), table)
        pd.testing.assert_frame_equal(io.read_pairs(write(gzip.compress(content.encode()))), table)
    stdin(PAIRS)
    pd.testing.assert_frame_equal(io.read_pairs("-"), table)


def test_pairs_with_the_least_columns_and_extra_ones(write):
    table = io.read_pairs(write('extra\ttarget_seq\tmirna_seq\nNA\tACGU\tGG\n"\tA\tC\n'))
    assert list(table) == ["mirna_id", "mirna_seq", "gene_id", "target_seq", "extra"]
    assert table.to_numpy().tolist() == [["", "GG", "", "ACGU", "NA"], ["", "C", "", "A", '"']]


def test_pairs_of_parquet(tmp_path):
    path = tmp_path / "pairs"
    table = pd.DataFrame(
        {
            "score": [0.5, 1.5],
            "mirna_seq": pd.Categorical(["acgt", "GG"]),
            "target_seq": ["AAC", "G"],
            "gene_id": [7, 100],
            "mirna_id": ["x", None],
            "label": [True, False],
        }
    )
    table.to_parquet(path)
    found = io.read_pairs(path)
    assert found.to_numpy().tolist() == [["x", "ACGU", "7", "AAC", 1, 0.5], ["", "GG", "100", "G", 0, 1.5]]
    assert found["label"].dtype == "int8"
    path.write_bytes(gzip.compress(path.read_bytes()))
    pd.testing.assert_frame_equal(io.read_pairs(path), found)


# dmiso.py -p: no header; from README.md of github.com/amlantalukder/DMISO, columns in the order of its input
DMISO = (
    "hsa-miR-7111-3p|MIMAT0028120\tENST00000569083.1_3|ENSG00000134419.15_7|RPS15A|protein_coding\t"
    "UCCUCUUCUCCCUCCUCCCAG\tCUUAAUUAAAAGAAGUUAAUGCUAAGAAUUUCUGUGGUGCAGUUUGACUUAAG\n"
    "hsa-miR-4286|MIMAT0016916\tENST00000338086.9_5|ENSG00000055917.16_9|PUM2|protein_coding\t"
    "ACCCCACUCCUGGUACCA\tGUAGAUUAUUGGAAGAUUUCAGAAACAACCGCUUCCCAAACCUUCAGCUUAGA\n"
)


def test_dmiso_layout(write):
    table = io.read_pairs(write(DMISO))
    assert list(table) == ["mirna_id", "mirna_seq", "gene_id", "target_seq"]
    assert table.mirna_seq.tolist() == ["UCCUCUUCUCCCUCCUCCCAG", "ACCCCACUCCUGGUACCA"]
    assert table.gene_id[1].startswith("ENST00000338086.9_5|")
    bad = write(DMISO.replace("ACCCCACU", "ACCCQACU"))
    assert message(io.read_pairs, bad, SequenceError).startswith("FILE:2: mirna_seq: unexpected 'Q' at position 5")
    output = "miRNA ID\tTarget ID\tmiRNA Sequence\tTarget Sequence\tPrediction Score\tPrediction\n"
    output += DMISO.replace("\n", "\t0.07\t0\n")
    assert io.read_pairs(write(output))[list(table)].equals(table)


@pytest.mark.parametrize("header", ["mirna_id\tmirna_seq\tmrna_id\tmrna_seq\tlabel\tsplit", "a\tb\tc\td\te\tf"])
def test_targetnet_layout(write, header):
    content = f"{header}\nlet-7a\t{LET7}\tENSG01\tACGTACGT\t1\ttrain\nmiR-21\t{MIR21}\tENSG02\tCCC\t0.0\tval\n"
    table = io.read_pairs(write(content))
    assert list(table) == ["mirna_id", "mirna_seq", "gene_id", "target_seq", "label", "split"]
    assert table.to_numpy().tolist() == [
        ["let-7a", LET7, "ENSG01", "ACGUACGU", 1, "train"],
        ["miR-21", MIR21, "ENSG02", "CCC", 0, "valid"],
    ]
    four = "\n".join("\t".join(line.split("\t")[:4]) for line in content.splitlines())
    assert list(io.read_pairs(write(four))) == ["mirna_id", "mirna_seq", "gene_id", "target_seq"]
    bad = write(content.replace("\t0.0\t", "\tno\t"))
    assert message(io.read_pairs, bad, TableError) == "FILE:3: 'no' in column label; expected 0 or 1"


def test_a_first_row_is_not_taken_for_a_header(write):
    for gene in ("ENSG01", "CAT"):
        path = write(f"let-7a\t{LET7}\t{gene}\tACGU\n" * 2)
        assert "no column mirna_seq, target_seq; found 'let-7a, " in message(io.read_pairs, path, TableError)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "FILE: the file is empty; expected a table"),
        ("\n", "FILE:1: no column mirna_seq, target_seq; found ''"),
        (HEADER, "FILE:1: no rows; expected at least one pair"),
        ("mirna_id\tmirna_seq\nx\tA\n", "FILE:1: no column target_seq; found 'mirna_id, mirna_seq'"),
        (
            "mirna_id;mirna_seq;target_seq\nx;A;A\n",
            "FILE:1: no column mirna_seq, target_seq; found 'mirna_id;mirna_seq;target_seq'",
        ),
        (FASTA, "FILE:1: no column mirna_seq, target_seq; found '>let-7a first of all'"),
        ("mirna_seq\ttarget_seq\tx\tx\nA\tA\t\t\n", "FILE:1: column 'x' comes twice; expected unique names"),
        ("mirna_seq\ttarget_seq\nA\tC\nA\nG\tG\n", "FILE:3: 1 fields; expected 2 fields as in line 1"),
        ("mirna_seq\ttarget_seq\nA\tC\n\nG\tG\n", "FILE:3: blank line; expected 2 fields as in line 1"),
        ("mirna_seq\ttarget_seq\nA\tC\tG\n", "FILE:2: 3 fields; expected 2 fields as in line 1"),
        ("mirna_seq,target_seq\nA,C\nA,C,\n", "FILE:3: 3 fields; expected 2 fields as in line 1"),
        ('mirna_seq,target_seq\nA,C\nA,"C\n', "FILE:3: not CSV: unexpected end of data"),
        ('mirna_seq,target_seq\nA,"C\nG"\n', "FILE:2: a line end within quotes; expected one line a row"),
        ("mirna_seq\ttarget_seq\nA\tC\nA\t\n", "FILE:3: empty target_seq; expected nucleotides"),
        (
            "mirna_seq\ttarget_seq\nA\tC\nA\tCC-C\n",
            "FILE:3: target_seq: unexpected '-' at position 3; expected A C G U T N or an IUPAC code",
        ),
        ("mirna_seq\ttarget_seq\tlabel\nA\tC\t1\nA\tC\t2\n", "FILE:3: '2' in column label; expected 0 or 1"),
        ("mirna_seq\ttarget_seq\tlabel\nA\tC\t\n", "FILE:2: '' in column label; expected 0 or 1"),
        (
            "mirna_seq\ttarget_seq\nA\tC\n".encode("utf-16"),
            "FILE: the file is UTF-16 text; expected a table (TSV, CSV or Parquet)",
        ),
        (b"mirna_seq\ttarget_seq\tid\nA\tC\t\xe9\n", "FILE:2: not UTF-8 text; expected a table"),
        (
            b"mirna_seq\ttarget_seq\n" + b"A\tC\n" * 40_000 + b"A\t\0\n",
            "FILE:40002: a NUL byte; expected a table in text",
        ),
        (b"\x89PNG\r\n", "FILE: the file is a PNG image; expected a table (TSV, CSV or Parquet)"),
        (gzip.compress(PAIRS.encode(), mtime=0)[:-5], "FILE: damaged gzip file: Compressed file ended before"),
        (b"PAR1 but nothing else", "FILE: damaged Parquet file: "),
    ],
)
def test_pair_errors(write, content, expected):
    kind = (
        SequenceError
        if "unexpected '" in expected
        else InputError
        if any(word in expected for word in ("the file is", "damaged", "UTF-8", "NUL"))
        else TableError
    )
    text = message(io.read_pairs, write(content), kind)
    assert text.startswith(expected) if "damaged" in expected else text == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"mirna_seq": ["A"]}, "FILE: no column target_seq; found 'mirna_seq'"),
        ({"mirna_seq": ["A", "-"], "target_seq": ["A", "A"]}, "FILE: row 2, mirna_seq: unexpected '-' at position 1"),
        ({"mirna_seq": ["A", None], "target_seq": ["A", "A"]}, "FILE: row 2: empty mirna_seq; expected nucleotides"),
        ({"mirna_seq": [1.5], "target_seq": ["A"]}, "FILE: column mirna_seq is of type float64; expected text"),
        ({"mirna_seq": ["A"], "target_seq": ["A"], "label": [2]}, "FILE: row 1: '2' in column label; expected 0 or 1"),
        ({"mirna_seq": ["A"], "target_seq": ["A"], "label": [[1]]}, "FILE: column label is of type object; expected"),
        ({"mirna_seq": ["A"], "target_seq": ["A"], "gene_id": ["a\tb"]}, r"FILE: row 1: 'a\tb' in column gene_id;"),
        ({"mirna_seq": [], "target_seq": []}, "FILE: no rows; expected at least one pair"),
    ],
)
def test_parquet_errors(tmp_path, columns, expected):
    path = tmp_path / "pairs.parquet"
    pd.DataFrame(columns).to_parquet(path)
    kind = SequenceError if "unexpected" in expected else TableError
    assert message(io.read_pairs, path, kind).startswith(expected)


@same_directory
@given(
    st.lists(st.tuples(ids, rnas, ids, rnas, st.integers(0, 1)), min_size=1, max_size=6),
    st.sampled_from(["p.tsv", "p.tsv.gz", "p.parquet"]),
)
def test_pairs_round_trip(tmp_path, rows, name):
    names = ["mirna_id", "mirna_seq", "gene_id", "target_seq", "label"]
    table = pd.DataFrame(rows, columns=names).astype({"label": "int8"})
    if name == "p.parquet":
        io.write_parquet(table, tmp_path / name, tuple(c for c in io.PAIRS if c.name in names))
    else:
        io.write_tsv(table, tmp_path / name, names)
    pd.testing.assert_frame_equal(io.read_pairs(tmp_path / name), table)


# sites

COLUMNS = [column.name for column in SITES]


def sites(*rows):
    table = pd.DataFrame(rows, columns=["mirna_id", "target_id", "start", "end", "score", "seed_type"])
    n = len(table)
    table = table.assign(
        strand=pd.Series(["+"] * n, dtype="str"),
        n_windows=np.full(n, 2),
        seed_start=table.start,
        fp_per_kb=np.full(n, 0.05),
        q_value=np.full(n, 0.2),
        occupancy=np.full(n, 0.1),
        mfe=np.full(n, -12.3),
        seed_pairing=np.full(n, 0.9),
        supplementary_pairing=np.full(n, 0.3),
        duplex_start=np.full(n, -1),
        duplex_target=pd.Series(["AC-G"] * n, dtype="str"),
        duplex_pairs=pd.Series(["|  :"] * n, dtype="str"),
        duplex_mirna=pd.Series(["UGAU"] * n, dtype="str"),
    )
    kinds = {"text": "str", "integer": "int64", "number": "float64", "score": "float64"}
    return table[COLUMNS].astype({column.name: kinds[column.kind] for column in SITES})


TWO = [
    sites(("let-7a", "NM_1", 3, 12, 0.123456789, "8mer"), ("miR-21", "NM_1", 0, 9, 1.0, "")),
    sites(),
    sites(("let-7a", "a;b=c d", 10, 19, 1e-7, "6mer")),
]


def test_write_tsv(tmp_path, capfdbinary):
    path = tmp_path / "sites.tsv"
    io.write_tsv(iter(TWO), path, COLUMNS[:6])
    expected = (
        b"mirna_id\ttarget_id\tstart\tend\tstrand\tscore\n"
        b"let-7a\tNM_1\t3\t12\t+\t0.123457\n"
        b"miR-21\tNM_1\t0\t9\t+\t1\n"
        b"let-7a\ta;b=c d\t10\t19\t+\t1e-07\n"
    )
    assert path.read_bytes() == expected
    io.write_tsv([], path, ["a", "b"])
    assert path.read_bytes() == b"a\tb\n"
    io.write_tsv(TWO, "-", COLUMNS[:6])
    assert capfdbinary.readouterr().out == expected
    with pytest.raises(TableError, match="a value holds a tab or a line end"):
        io.write_tsv(TWO[0].assign(mirna_id="a\tb"), path, COLUMNS)
    assert path.read_bytes() == b"a\tb\n"
    assert list(tmp_path.iterdir()) == [path]


def test_gzip_is_reproducible(tmp_path):
    for name in ("a.tsv.gz", "b.tsv.gz"):
        io.write_tsv(TWO, tmp_path / name, COLUMNS)
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    assert (tmp_path / "a.tsv.gz").read_bytes()[4:8] == bytes(4)


@pytest.mark.parametrize("name", ["s.tsv", "s.tsv.gz", "s.parquet"])
@pytest.mark.parametrize("chunks", [TWO, [], [sites()]])
def test_sites_round_trip(tmp_path, name, chunks):
    path = tmp_path / name
    if name.endswith("parquet"):
        io.write_parquet(chunks, path, SITES)
    else:
        io.write_tsv(chunks, path, COLUMNS)
    expected = pd.concat(chunks or [sites()], ignore_index=True)
    pd.testing.assert_frame_equal(io.read_sites(path), expected, rtol=1e-5)


def test_parquet_to_stdout(capfdbinary, tmp_path):
    io.write_parquet(TWO, "-", SITES)
    path = tmp_path / "sites.parquet"
    path.write_bytes(capfdbinary.readouterr().out)
    assert len(io.read_sites(path)) == 3


def test_many_chunks_make_few_row_groups(tmp_path):
    path = tmp_path / "sites.parquet"
    io.write_parquet((TWO[0] for _ in range(100)), path, SITES)
    assert io.pq.ParquetFile(path).num_row_groups == 1
    assert len(io.read_sites(path)) == 200


def test_extra_columns_of_sites_come_last(tmp_path):
    io.write_tsv(TWO[0].assign(gene="x"), tmp_path / "s", ["gene", *COLUMNS[:11]])
    assert list(io.read_sites(tmp_path / "s")) == [*COLUMNS[:11], "gene"]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("start", "3.5", "FILE:3: '3.5' in column start; expected an integer"),
        ("end", "1e300", "FILE:3: '1e300' in column end; expected a smaller integer"),
        ("score", "1.5", "FILE:3: '1.5' in column score; expected a number from 0 to 1"),
        ("score", "", "FILE:3: '' in column score; expected a number from 0 to 1"),
        ("mfe", "low", "FILE:3: 'low' in column mfe; expected a number"),
    ],
)
def test_site_errors(tmp_path, column, value, expected):
    table = TWO[0].astype({column: "str"}).astype("object")
    table.loc[1, column] = value
    path = tmp_path / "sites.tsv"
    io.write_tsv(table, path, COLUMNS)
    assert message(io.read_sites, path, TableError) == expected
    assert "no column" in message(io.read_pairs, path, TableError)


def test_site_errors_of_parquet_name_the_row(tmp_path):
    path = tmp_path / "sites.parquet"
    io.write_parquet(TWO[0].assign(score=[0.5, 2.0]), path, SITES)
    assert message(io.read_sites, path, TableError).startswith("FILE: row 2: ")


def test_write_bed(tmp_path):
    io.write_bed(TWO, tmp_path / "sites.bed")
    assert (tmp_path / "sites.bed").read_text() == (
        "NM_1\t3\t12\tlet-7a|8mer\t123\t+\nNM_1\t0\t9\tmiR-21\t1000\t+\na;b=c d\t10\t19\tlet-7a|6mer\t0\t+\n"
    )


def test_write_gff3(tmp_path):
    path = tmp_path / "sites.gff3"
    io.write_gff3(TWO, path)
    lines = path.read_text().splitlines()
    assert lines[0] == "##gff-version 3"
    assert lines[1].split("\t") == [
        "NM_1",
        "mirscope",
        "miRNA_target_site",
        "4",
        "12",
        "0.123457",
        "+",
        ".",
        "ID=site1;Name=let-7a;mirna=let-7a;seed_type=8mer;fp_per_kb=0.05;q_value=0.2;mfe=-12.3",
    ]
    assert lines[2].endswith("\tID=site2;Name=miR-21;mirna=miR-21;fp_per_kb=0.05;q_value=0.2;mfe=-12.3")
    assert lines[3].startswith("a%3Bb%3Dc%20d\t")
    io.write_gff3(TWO[0].assign(mirna_id="a=b;c,d&e%f").drop(columns=["fp_per_kb", "q_value", "mfe"]), path)
    assert (
        path.read_text()
        .splitlines()[1]
        .endswith("\tID=site1;Name=a%3Db%3Bc%2Cd%26e%25f;mirna=a%3Db%3Bc%2Cd%26e%25f;seed_type=8mer")
    )


def test_write_sites_fasta(tmp_path):
    """By hand; the second transcript has no sites."""
    path = tmp_path / "sites.fa"
    transcripts = [io.Record("t1", "ACGUACGUACGU"), io.Record("t2", "AAAA"), io.Record("t3", "GGGGG")]
    chunks = [
        sites(("m1", "t1", 0, 4, 0.75, ""), ("m1", "t1", 7, 12, 0.5, ""), ("m2", "t1", 6, 10, 0.25, "")),
        sites(),
        sites(("m1", "t3", 0, 5, 1.0, "")),
    ]
    settings = {"mirna_length": 6, "window": 6, "stride": 3}
    io.write_sites_fasta(chunks, path, {"m1": "AAC", "m2": "ACGUAC"}, transcripts, **settings)
    assert path.read_text() == (
        ">m1|t1|2|0|0.75\nCAANNNACGUNN\n"
        ">m1|t1|2|3|0.5\nCAANNNUACGUN\n"
        ">m2|t1|1|2|0.25\nCAUGCAGUACNN\n"
        ">m1|t3|1|0|1\nCAANNNGGGGGN\n"
    )
    with pytest.raises(TableError, match="no sequence of miRNA 'm2'"):
        io.write_sites_fasta(chunks, path, {"m1": "AAC"}, transcripts, **settings)
    with pytest.raises(TableError, match="no transcript 't1'"):
        io.write_sites_fasta(chunks, path, {"m1": "AAC"}, transcripts[1:], **settings)


@pytest.mark.data
def test_sites_fasta_is_mitars(data, tmp_path):
    """The first record of miTAR's own example output, from its own input (window 53, miRNA 26)."""
    expected = (data / "published_weights" / "mitar_example_output.fa").read_text().splitlines()[:2]
    mirna, gene, _, _, score = expected[0][1:].split("|")
    mirnas = {
        record.id: record.sequence for record in io.iter_fasta(data / "published_weights/mitar_example_mirnas.fa")
    }
    transcripts = io.read_fasta(data / "transcripts" / "human_mrna_mitar_examples.fa.gz")
    transcript = next(record.sequence for record in transcripts if record.id == gene)
    start = transcript.index(expected[1][26:])
    table = sites((mirna, gene, start, start + 53, float(score), ""))
    io.write_sites_fasta(table, tmp_path / "s.fa", mirnas, transcripts, mirna_length=26, window=53, stride=start // 4)
    header, sequence = (tmp_path / "s.fa").read_text().splitlines()
    assert sequence == expected[1]
    assert header == f">{mirna}|{gene}|1|4|{float(score):.6g}"


# atomic


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, InputError])
def test_atomic_leaves_nothing_half_written(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("before")
    with pytest.raises(error), io.atomic(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path
        raise error("now")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with io.atomic(path) as temporary:
        temporary.write_text("after")
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_are_atomic(tmp_path):
    def chunks():
        yield TWO[0]
        raise InputError("the input ends")

    for writer in (
        lambda path: io.write_tsv(chunks(), path, COLUMNS),
        lambda path: io.write_parquet(chunks(), path, SITES),
        lambda path: io.write_bed(chunks(), path),
        lambda path: io.write_gff3(chunks(), path),
        lambda path: io.write_fasta((io.Record("a", "A") for _ in chunks()), path),
    ):
        for name in ("out", "out.gz"):
            with pytest.raises(InputError, match="the input ends"):
                writer(tmp_path / name)
            assert not list(tmp_path.iterdir())


def test_atomic_errors(tmp_path):
    def write(path):
        io.write_fasta(RECORDS, path)

    assert message(write, tmp_path / "none" / "a.fa") == "FILE: cannot write: No such file or directory"
    assert message(write, tmp_path) == "FILE: is a directory; expected the name of a file to write"


def test_atomic_writes_through_links_and_devices(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    io.write_fasta(RECORDS, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert io.read_fasta(tmp_path / "file") == RECORDS
    io.write_fasta(RECORDS, "/dev/null")
    assert not Path("/dev/null").is_file()


# Keras


def keras_file(path, *, root="model_weights", config='{"class_name": "Sequential"}', dtype="f4"):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = config.encode()
        top = file.create_group(root) if root else file
        top.attrs["layer_names"] = [b"lstm_9", b"drop_2", b"both_1"]
        top.create_group("drop_2").attrs["weight_names"] = np.zeros(0)
        for layer, names in {
            "lstm_9": ["lstm_9/cell/kernel:0", "lstm_9/cell/bias:0"],
            "both_1": ["both_1/forward_lstm_1/kernel:0", "both_1/backward_lstm_1/kernel:0"],
        }.items():
            group = top.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for i, name in enumerate(names):
                group[name] = np.full((2, 3), i, dtype=dtype)
    return path


@pytest.mark.parametrize("root", ["model_weights", None])
def test_read_keras(tmp_path, root):
    model = io.read_keras_h5(keras_file(tmp_path / "m.h5", root=root))
    assert model.config == {"class_name": "Sequential"}
    assert {layer: list(found) for layer, found in model.weights.items()} == {
        "lstm_9": ["kernel", "bias"],
        "both_1": ["forward/kernel", "backward/kernel"],
    }
    assert (model.weights["both_1"]["backward/kernel"] == 1).all()
    assert io.read_keras_h5(keras_file(tmp_path / "m.h5", config=None)).config == {}


def test_keras_errors(tmp_path, write, monkeypatch):
    path = keras_file(tmp_path / "m.h5")
    content = path.read_bytes()
    assert message(io.read_keras_h5, write(FASTA), WeightsError).startswith(
        "FILE: not an HDF5 file; it starts with b'>let"
    )
    assert message(io.read_keras_h5, write(content[:900]), WeightsError).startswith("FILE: damaged or no Keras file: ")
    assert "is no array of numbers" in message(io.read_keras_h5, keras_file(path, dtype="S8"), WeightsError)
    assert "damaged or no" in message(io.read_keras_h5, keras_file(path, config="[1"), WeightsError)
    assert "expected a Keras model" in message(io.read_keras_h5, keras_file(path, config="[1]"), WeightsError)
    assert message(io.read_keras_h5, tmp_path / "none.h5") == "FILE: cannot read: No such file or directory"
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r"needs h5py: pip install 'mirscope\[keras\]'"):
        io.read_keras_h5(path)


def test_a_keras_file_that_hangs_hdf5(tmp_path):
    """HDF5 2.0 loops for ever in a global heap with an empty entry."""
    path = keras_file(tmp_path / "m.h5")
    content = bytearray(path.read_bytes())
    second = content.index(b"GCOL") + 16 + 16 + len('{"class_name": "Sequential"}') + 4
    content[second : second + 16] = bytes(16)
    path.write_bytes(content)
    assert message(io.read_keras_h5, path, WeightsError).endswith("an empty entry in an HDF5 heap")


@pytest.mark.data
def test_published_keras_files(data):
    pytest.importorskip("h5py")
    mitar = io.read_keras_h5(data / "published_weights" / "mitar.h5")
    assert list(mitar.weights) == ["embedding_22", "conv1d_22", "bidirectional_22", "dense_43", "dense_44"]
    assert mitar.weights["conv1d_22"]["kernel"].shape == (12, 5, 320)
    assert mitar.weights["bidirectional_22"]["forward/recurrent_kernel"].shape == (32, 128)
    assert mitar.config["class_name"] == "Sequential"
    dmiso = io.read_keras_h5(data / "published_weights" / "dmiso.h5")
    assert dmiso.config == {}
    assert list(dmiso.weights["batch_normalization_1"]) == ["gamma", "beta", "moving_mean", "moving_variance"]


# real files


@pytest.mark.data
def test_real_pairs(data):
    table = io.read_pairs(data / "targets" / "miraw.tsv.gz")
    assert len(table) == 62_653
    assert int(table.label.sum()) == 31_660
    assert set(table.split) == {"train", "valid", "test"}


@pytest.mark.data
def test_real_sequences(data):
    assert len(io.read_fasta(data / "mirbase" / "hsa_mature_mirbase22.fa.gz")) == 2_656
    reads = data / "reads" / "mouse_mireclip_mir181_IP10_1000.fastq.gz"
    assert len(io.read_fasta(reads, unique=False)) == 1_000
    with pytest.raises(InputError, match=r"fastq.gz:3601: .*: this id came before"):
        io.read_fasta(reads)
    with pytest.raises(InputError, match=r"mirmark.fa.gz:1529: NM_002341: this id came before"):
        io.read_fasta(data / "transcripts" / "human_3utr_mirmark.fa.gz")


def test_all_is_one_kind_of_error():
    assert issubclass(InputError, MirscopeError)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "excel.csv").write_bytes("mirna_seq,target_seq\nUGAGGUAG,CUACCUCA\n".encode("utf-8-sig"))
    assert io.read_pairs(tmp_path / "excel.csv")["mirna_seq"].tolist() == ["UGAGGUAG"]


# ----------------------------------------------------------------------------------------------------------- hairpins

HAIRPIN = "GGGGAAAACCCC"
FOLD = "((((....))))"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f">a b\nggggaaaa\nCCCC\n>c\n{HAIRPIN}\n", [("a", ""), ("c", "")]),
        (f">a\n{HAIRPIN}\n{FOLD}\n>c\n{HAIRPIN}\n", [("a", FOLD), ("c", "")]),
        (f">a\n{HAIRPIN}\n{FOLD} (-5.40)\n>c\n{HAIRPIN}\n{FOLD} ( -5.40)\n", [("a", FOLD), ("c", FOLD)]),
        (f"{HAIRPIN}\n{FOLD} (-5.40)\n{HAIRPIN}\n{FOLD}\n", [("hairpin1", FOLD), ("hairpin2", FOLD)]),
        (f"{HAIRPIN}\n{HAIRPIN}\n", [("hairpin1", ""), ("hairpin2", "")]),
        (f"id\tsequence\tstructure\na\t{HAIRPIN}\t{FOLD}\nc\t{HAIRPIN}\t\n", [("a", FOLD), ("c", "")]),
        (f"hairpin_seq,id\n{HAIRPIN},a\n", [("a", "")]),
        (f"sequence,mfe\n{HAIRPIN},-5.4\n", [("", "")]),
    ],
)
def test_hairpins_of_every_layout(write, text, expected):
    for path in (write(text), write(text.replace("\n", "\r\n")), write(gzip.compress(text.encode()))):
        table = io.read_hairpins(path)
        assert set(table["hairpin_seq"]) == {HAIRPIN}
        assert list(zip(table["hairpin_id"], table["structure"], strict=True)) == expected


def test_hairpins_keep_other_columns(write):
    table = io.read_hairpins(write(f"id\tsequence\tlabel\tmfe\na\t{HAIRPIN.replace('U', 'T')}\t1\t-5.4\n"))
    assert list(table.columns) == ["hairpin_id", "hairpin_seq", "structure", "label", "mfe"]
    assert table.loc[0, "label"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        (">\nACGU\n", ":1: no id in the header"),
        (">a\n>b\nACGU\n", ":1: a: empty sequence"),
        (">a\n((...))\n", ":1: a: empty sequence"),
        (">a\nACGU\n>a\nACGU\n", ":3: a: this id came before"),
        (">a\nMKTAYIAKQRQ\n", ":2: a: unexpected 'I' at position 6"),
        (f">a\n{HAIRPIN}\n>b\n{HAIRPIN}\n(((....)))\n", ":3: a structure of 10 signs; expected 12"),
        (f">a\n{HAIRPIN}\n((((....))).\n", ":1: '(' at position 1 of the structure opens no pair"),
        (f">a\n{HAIRPIN}\n((((.[..))))\n", ":1: '[' at position 6 of the structure is none of . ( )"),
        (f"id\tsequence\tstructure\na\t{HAIRPIN}\t((\n", ":2: a structure of 2 signs; expected 12"),
        (f"id\tsequence\tlabel\na\t{HAIRPIN}\tyes\n", ":2: 'yes' in column label; expected 0 or 1"),
        ("id\tseq\na\tACGU\n", ":1: no column hairpin_seq; found 'id, seq'"),
        ("id\tsequence\n", ":1: no rows; expected at least one hairpin"),
    ],
)
def test_bad_hairpins_are_one_line(write, text, problem):
    with pytest.raises(InputError) as caught:
        io.read_hairpins(write(text))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hairpins_from_stdin(monkeypatch):
    for text in (f">a\n{HAIRPIN}\n", f"id\tsequence\na\t{HAIRPIN}\n"):
        monkeypatch.setattr(sys, "stdin", streams.TextIOWrapper(streams.BytesIO(text.encode())))
        assert io.read_hairpins("-")["hairpin_seq"].tolist() == [HAIRPIN]
