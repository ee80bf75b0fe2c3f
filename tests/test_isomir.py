"""isomiRs: hand-made ones, properties, mirGFF3 to and fro, the command."""

import json
import random
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirscope import io, isomir, reads, rna, tables
from mirscope.errors import InputError, TableError
from mirscope.io import Record
from mirscope.isomir import References, Settings, call
from mirscope.reads import Fragment

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
HAIRPIN = "GGAACC" + LET7 + "CGGAA"
START = 6

CASES = [  # sequence, variant and CIGAR without a hairpin, with one, classes
    (LET7, ("NA", "22M"), ("NA", "22M"), ""),
    (LET7[1:], ("iso_5p:+1", "21M"), ("iso_5p:+1", "21M"), "5p_deletion"),
    (LET7[:-2], ("iso_3p:-2", "20M"), ("iso_3p:-2", "20M"), "3p_deletion"),
    (LET7 + "A", ("iso_add3p:1", "22M1I"), ("iso_add3p:1", "22M1I"), "3p_addition"),
    (LET7 + "CG", ("iso_add3p:2", "22M2I"), ("iso_3p:+2", "24M"), "3p_addition"),
    (LET7 + "CGU", ("iso_add3p:3", "22M3I"), ("iso_3p:+2,iso_add3p:1", "24M1I"), "3p_addition"),
    ("C" + LET7, ("iso_add5p:1", "1I22M"), ("iso_5p:-1", "23M"), "5p_addition"),
    ("G" + LET7, ("iso_add5p:1", "1I22M"), ("iso_add5p:1", "1I22M"), "5p_addition"),
    (LET7[:-1] + "A", ("iso_3p:-1,iso_add3p:1", "21M1I"), ("iso_3p:-1,iso_add3p:1", "21M1I"), "3p_replacement"),
    ("A" + LET7[1:], ("iso_5p:+1,iso_add5p:1", "1I21M"), ("iso_5p:+1,iso_add5p:1", "1I21M"), "5p_replacement"),
    (LET7[:4] + "C" + LET7[5:], ("iso_snv_seed", "4MG17M"), ("iso_snv_seed", "4MG17M"), "SNP"),
    (LET7[:7] + "C" + LET7[8:], ("iso_snv_central_offset", "7MG14M"), ("iso_snv_central_offset", "7MG14M"), "SNP"),
    (LET7[:9] + "CC" + LET7[11:], ("iso_snv_central", "9MAG11M"), ("iso_snv_central", "9MAG11M"), "MNP"),
    (LET7[:12] + "A" + LET7[13:], ("iso_snv_central_supp", "12MT9M"), ("iso_snv_central_supp", "12MT9M"), "SNP"),
    (LET7[:17] + "G" + LET7[18:], ("iso_snv", "17MT4M"), ("iso_snv", "17MT4M"), "SNP"),
    (
        LET7[2:] + "AA",
        ("iso_5p:+2,iso_add3p:2", "20M2I"),
        ("iso_5p:+2,iso_add3p:2", "20M2I"),
        "5p_deletion;3p_addition",
    ),
]


@pytest.mark.parametrize(("sequence", "alone", "placed", "classes"), CASES)
def test_calls(sequence, alone, placed, classes):
    without, within = call(sequence, LET7), call(sequence, LET7, hairpin=HAIRPIN, mirna_start=START)
    assert (without.variant, without.cigar) == alone
    assert (within.variant, within.cigar) == placed
    assert ";".join(without.classes) == ";".join(within.classes) == classes


@given(
    mirna=st.text(alphabet="ACGU", min_size=18, max_size=25), cut=st.integers(0, 3), tail=st.text("ACGU", max_size=2)
)
def test_the_template_and_the_call_give_the_sequence_back(mirna, cut, tail):
    found = call(mirna[cut:] + tail, mirna)
    body = mirna[found.shift_5p : len(mirna) + found.shift_3p]
    middle = found.sequence[found.added_5p : len(found.sequence) - found.added_3p]
    differ = [i for i, (a, b) in enumerate(zip(middle, body, strict=True), found.added_5p) if a != b]
    assert differ == list(found.differing)
    assert found.n_changes <= cut + 2 * len(tail)  # never worse than how it was made


def test_what_is_no_isomir():
    assert call("ACGCGCAUAUACGCGCGAUAUC", LET7) is None
    assert call(LET7[:12], LET7) is None  # ten nt are gone
    assert call(LET7 + "ACGUACGUAC", LET7) is None


@given(st.text(alphabet="ACGU", min_size=1, max_size=40))
def test_uid_and_back(sequence):
    assert rna.sequence_of(rna.uid(sequence)) == sequence


def test_uid_is_that_of_mintplates():
    """Of mirGFF3's example file and of the table of MINTplates."""
    assert rna.uid("A") == "iso-1-B"
    assert rna.uid("AAAAA") == "iso-5-BB"
    assert rna.uid("UUUUUAUA") == "iso-8-ZZDB"
    assert rna.uid("AAAAAAAAA") == "iso-9-BB06"
    for wrong in ("iso-5-B!", "iso-5", "iso-x-BB", "iso-5-BBB", "iso-1-Z"):
        with pytest.raises(ValueError, match="no UID"):
            rna.sequence_of(wrong)
    with pytest.raises(ValueError, match="expected no N"):
        rna.uid("ACN")


@pytest.fixture
def references() -> References:
    mirnas = [Record("hsa-let-7a-5p", LET7), Record("hsa-miR-21-5p", "UAGCUUAUCAGACUGAUGUUGA")]
    return References.of(mirnas, [Record("hsa-let-7a-1", HAIRPIN), Record("mmu-let-7a-1", "A" + HAIRPIN)])


def table(references) -> pd.DataFrame:
    fragments = {
        LET7: Fragment(5),
        LET7 + "C": Fragment(20),
        "UAGCUUAUCAGACUGAUGUUG": Fragment(12),
        "A" * 22: Fragment(9),
    }
    fragments[LET7[:10] + "C" + LET7[11:]] = Fragment(30, qualities=b"I" * 10 + b"5" + b"I" * 11)
    return isomir.isomirs(fragments, references)


def test_isomirs_of_sequences(references):
    found = table(references).set_index("sequence")
    assert len(found) == 4  # poly-A is of no miRNA
    assert found.loc[LET7, "filter"] == "PASS"  # exact, however few
    assert found.loc[LET7 + "C", ["hairpin_id", "variant", "start", "end"]].tolist() == [
        "hsa-let-7a-1",
        "iso_3p:+1",
        6,
        29,
    ]
    assert found.loc[LET7[:10] + "C" + LET7[11:], "filter"] == "REJECT:quality"
    assert found.loc["UAGCUUAUCAGACUGAUGUUG", ["hairpin_id", "start", "end"]].tolist() == ["", 0, 21]


def test_few_reads_are_rejected_and_changes_are_limited(references):
    fragments = {LET7 + "AA": Fragment(9)}
    assert isomir.isomirs(fragments, references)["filter"].tolist() == ["REJECT:lowcount"]
    assert isomir.isomirs(fragments, references, Settings(most_changes=1)).empty
    assert isomir.isomirs({}, references).empty


def test_mirgff3_round_trip(references, tmp_path):
    found = table(references)
    io.write_mirgff3(found, tmp_path / "a.gff3", sample="liver", database="miRBase22", command="mirscope isomirs")
    back = io.read_mirgff3(tmp_path / "a.gff3")
    pd.testing.assert_frame_equal(back, found, check_column_type=False)
    text = (tmp_path / "a.gff3").read_text()
    assert "## mirGFF3. VERSION 1.2\n##source-ontology: miRBase22 doi:10.25504/fairsharing.hmgte8\n" in text
    assert "## COLDATA: liver\n" in text
    line = next(line for line in text.splitlines() if "Variant=iso_3p:+1;" in line)
    assert line.startswith("hsa-let-7a-1\tmiRBase22\tisomiR\t7\t29\t.\t+\t.\tRead=TGAGGTAGTAGGTTGTATAGTTC; UID=iso-23-")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("chr1\tx\tisomiR\t1\t2\t.\t+\t.\tUID=iso-1-B\n", "no line '## mirGFF3. VERSION' before it"),
        ("## mirGFF3. VERSION 1.2\nchr1\tx\n", "2: 2 fields; expected 9"),
        ("## mirGFF3. VERSION 1.2\na\tb\tisomiR\t1\t2\t.\t+\t.\tUID=iso-1-B; Name=x\n", "no attribute hairpin_id"),
    ],
)
def test_mirgff3_errors(tmp_path, text, problem):
    (tmp_path / "a.gff3").write_text(text)
    with pytest.raises(TableError, match=problem.replace("hairpin_id", "Parent")):
        io.read_mirgff3(tmp_path / "a.gff3")


def test_mirtop_takes_our_files(references, tmp_path):
    """The field's own validator, where it is installed (it needs Biopython and pybedtools)."""
    pytest.importorskip("mirtop", reason="mirtop is not installed")
    io.write_mirgff3(table(references), tmp_path / "a.gff3", database="miRBase22")
    code = "import sys; from mirtop.gff.validator import _check_file; sys.exit(_check_file(sys.argv[1]))"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "a.gff3")], check=True)


def test_command_on_fasta(run, tmp_path):
    (tmp_path / "mirnas.fa").write_text(f">hsa-let-7a-5p\n{LET7}\n")
    (tmp_path / "reads.fa").write_text(f">a_x40\n{LET7}\n>b_x11\n{LET7}A\n>c_x3\n{LET7[1:]}\n>d\nACGUACGUACGUAACC\n")
    run("isomirs reads.fa --mirnas mirnas.fa -o out --quiet")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["n_reads"], report["n_reads_called"], report["n_reads_passed"]) == (55, 54, 51)
    assert report["classes"]["exact"] == 40
    assert report["classes"]["3p_addition"] == 11
    assert len(io.read_mirgff3(tmp_path / "out" / "isomirs.gff3")) == 3


def test_parts_change_nothing_and_a_stopped_run_is_resumed(run, tmp_path, monkeypatch):
    rng = random.Random(3)
    (tmp_path / "mirnas.fa").write_text(f">hsa-let-7a-5p\n{LET7}\n")
    edited = [LET7, LET7[1:], LET7 + "A", LET7[:9] + "C" + LET7[10:], "ACGUACGUACGUAACC"]
    drawn = [rng.choice(edited).replace("U", "T") for _ in range(200)]
    (tmp_path / "reads.fq").write_text("".join(f"@{i}\n{text}\n+\n{'I' * len(text)}\n" for i, text in enumerate(drawn)))
    command = "isomirs reads.fq --mirnas mirnas.fa --quiet -o"
    run(f"{command} whole")
    monkeypatch.setattr(reads, "AT_ONCE", 30)
    monkeypatch.setattr(reads, "_SHARE_BYTES", 3000)
    real, calls = isomir._isomirs_of_share, []

    def deadly(shared, share, path):
        calls.append(share)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(shared, share, path)

    monkeypatch.setattr(isomir, "_isomirs_of_share", deadly)
    run(f"{command} parts", code=130)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["unfinished"]
    _, err = run(f"{command} parts", code=2)
    assert "parts holds an unfinished search; --resume goes on with it" in err
    _, err = run(f"{command} parts --resume --min-reads 3", code=2)
    assert "had other settings" in err
    run(f"{command} parts --resume")
    assert calls == [0, 1, 2, 2, 3]
    for name in ("isomirs.tsv", "isomirs.gff3"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    one, other = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "parts"))
    assert {**one, "run": {}} == {**other, "run": {}}
    assert one["n_reads"] == 200
    assert one["n_sequences"] == 5


def test_swapped_files_are_told(run, tmp_path):
    rng = random.Random(1)
    long = "".join(rng.choice("ACGU") for _ in range(300))
    (tmp_path / "long.fa").write_text(f">utr\n{long}\n")
    (tmp_path / "mirnas.fa").write_text(f">hsa-let-7a-5p\n{LET7}\n")
    _, err = run("isomirs mirnas.fa --mirnas long.fa", code=1)
    assert "long.fa: sequences of 300 nt (median); expected mature miRNAs" in err
    with pytest.raises(InputError, match="swapped"):
        References.of([Record("utr", long)])


def test_empty_tables_have_their_kinds():
    empty = tables.table([], tables.ISOMIRS)
    assert empty["n_reads"].dtype == "int64"
    tables.check(empty, tables.ISOMIRS)
