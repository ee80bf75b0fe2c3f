"""Reads made ready: what is seen in them, each step, counts, collapse; errors of FASTQ files."""

import gzip
from collections import Counter

import numpy as np
import pytest

from mirscope import align, io, reads
from mirscope.errors import InputError, UsageError
from mirscope.io import Record
from mirscope.reads import Fragment, Preparation, Read

LET7 = "TGAGGTAGTAGGTTGTATAGTT"
INDEX = align.Index.build([Record("let-7a", LET7.replace("T", "U"))], 8)
L3 = reads.ADAPTERS["HITS-CLIP L3"]


def read(sequence: str, quality: str = "I", name: str = "r") -> Read:
    return Read(name, sequence, quality * len(sequence))


def synthetic(n: int, *, prefix: int = 0, fixed: str = "", adapter: str = "", length: int | None = None) -> list[Read]:
    rng = np.random.default_rng(2)

    def random(size):
        return "".join(rng.choice(list("ACGT"), size))

    made = [random(prefix) + fixed + LET7 + random(int(rng.integers(15, 25))) + adapter for _ in range(n)]
    return [read(text.ljust(length, "A")[:length] if length else text) for text in made]


def test_state_of_raw_reads():
    state = reads.look(synthetic(100, prefix=4, fixed="G", adapter=L3, length=70), INDEX)
    assert (state.prefix, state.adapter, state.umi) == ("NNNNG", L3, True)
    assert (state.shortest, state.longest, state.adapter_share, state.prefix_share) == (70, 70, 1.0, 1.0)
    assert "5' UMI NNNNG" in str(state)


def test_state_of_reads_that_were_trimmed_already():
    """Trimming again would delete the seed."""
    state = reads.look(synthetic(100), INDEX)
    assert (state.prefix, state.adapter) == ("", "")
    assert "unequal lengths: trimmed already" in str(state)
    assert reads.look([], INDEX).n_reads == 0


def test_state_of_real_reads(data_path):
    mirnas = align.Index.build(io.read_fasta(data_path("hsa_mature_mirbase22")), 8)
    state = reads.look(io.iter_fastq(data_path("human_ago_clip_chimeric_SRR1742056_10k")), mirnas)
    assert (state.prefix, state.adapter_name) == ("NNNNG", "HITS-CLIP L3")
    mirnas = align.Index.build(io.read_fasta(data_path("mouse_mature_mirbase_racoon")), 8)
    state = reads.look(io.iter_fastq(data_path("mouse_mireclip_mir181_IP10_1000")), mirnas)
    assert (len(state.prefix), state.umi, state.adapter_name) == (11, True, "Illumina TruSeq")
    state = reads.look(io.iter_fastq(data_path("mouse_chira_example_24reads")), mirnas)
    assert (state.prefix, state.adapter, state.longest) == ("", "", 55)


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (reads.CutQuality(3), Read("r", "ACGTACGT", "IIIII###"), "ACGTA"),
        (reads.CutAdapter(L3), read("ACGTACGT" + L3 + "AAAA"), "ACGTACGT"),
        (reads.CutAdapter(L3), read("ACGTACGT" + L3[:9] + "A" + L3[10:]), "ACGTACGT"),  # an error
        (reads.CutAdapter(L3), read("ACCCACCC" + L3[:5]), "ACCCACCC"),
        (reads.CutAdapter(L3), read("ACCCACCC" + L3[:4]), "ACCCACCC" + L3[:4]),  # too little to be sure
        (reads.CutN(), read("ACNGTNN"), "ACNGT"),
        (reads.CutPrefix(5), read("CCCCGACGT"), "ACGT"),
        (reads.LongEnough(4), read("ACG"), None),
        (reads.WithoutN(), read("ACNG"), None),
        (reads.WithoutN(), read("acug"), "acug"),
        (reads.GoodEnough(0.05), read("ACGT", "("), None),
        (reads.GoodEnough(0.05), read("ACGT", "5"), "ACGT"),
    ],
)
def test_steps(step, before, after):
    left = step(before, {})
    assert (left.sequence if left else None) == after


def test_run_counts_and_collapse_joins():
    steps = [reads.CutPrefix(5), reads.LongEnough(4)]
    some = [read(text, quality, name) for text, quality, name in (
        ("AAAAGACGTT", "I", "a"), ("AAAAGACGTT", "5", "b"), ("CCCCGACGTT", "5", "c"), ("CCCCGAC", "I", "d"),
    )]  # fmt: skip
    counts: Counter[str] = Counter()
    found = reads.collapse(reads.run(some, steps, counts), umi=True)
    assert counts == {"reads": 4, "5' barcode cut": 4, "too short": 1, "kept": 3}
    assert found == {"ACGUU": Fragment(3, {"AAAAG", "CCCCG"}, b"IIIII", "a")}
    assert found["ACGUU"].n_molecules == 2
    assert reads.collapse(reads.run(some, steps, Counter()))["ACGUU"].n_molecules == 3


def test_parts_and_processes_do_not_change_what_is_prepared(tmp_path, monkeypatch):
    io.write_fastq(synthetic(60, prefix=4, fixed="G", adapter=L3), tmp_path / "a.fastq.gz")
    ready = Preparation()

    def made(name, **more):
        (tmp_path / name).mkdir()
        found, summary = reads.make_ready(tmp_path / "a.fastq.gz", INDEX, ready, tmp_path / name, **more)
        shares = [found.fragments(share) for share in range(found.n_shares)]
        merged = {key: fragment for fragments, _ in shares for key, fragment in fragments.items()}
        places = [place for fragments, order in shares for place in zip(order, fragments, strict=True)]
        ranked = [key for _, key in sorted(places)]
        return found, summary, merged, ranked

    one, summary, fragments, ranked = made("one")
    assert (one.n_shares, summary["n_kept"], len(one.paths)) == (1, 60, 1)
    assert ranked == list(fragments)  # as in the file
    monkeypatch.setattr(reads, "AT_ONCE", 7)
    monkeypatch.setattr(reads, "_SHARE_BYTES", 500)
    monkeypatch.setattr(reads, "_WORTH_PROCESSES", 0)
    other = made("other", threads=2)
    assert other[0].n_shares > 2
    assert len(other[0].paths) == 9
    assert other[1:] == (summary, fragments, ranked)


def test_what_is_told_goes_before_what_is_seen():
    state = reads.State(1, 50, 50, adapter=L3, adapter_name="L3", prefix="NNNNG")
    found = [step.name for step in Preparation().steps(state)]
    assert found == ["3' N cut", "3' adapter cut", "5' barcode cut", "too short", "with N"]
    told = Preparation(adapter="", prefix=0, least_quality=3, most_errors=0.05).steps(state)
    assert [step.name for step in told] == ["low-quality 3' end cut", "3' N cut", "too short", "with N", "low quality"]
    assert Preparation(prefix=3).by_umi(state) is False
    assert Preparation(umi=False).by_umi(state) is False
    assert Preparation(adapter="acgu").steps(state)[1].adapter == "ACGT"
    with pytest.raises(UsageError, match="expected letters A C G T N"):
        Preparation(adapter="xyz")


def text(data: bytes):
    return lambda path: path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (text(b"@a\nACGT\n+\nIII\n"), "4: Length of sequence and qualities differ"),
        (text(b"@a\nACGT\n+\n"), "Premature end of file"),
        (text(b">a\nACGT\n"), "the file is FASTA, without qualities; expected FASTQ"),
        (text(b""), "the file is empty"),
        (text(b"@a\nACGT\n+\nIIII\n@b\nAC!T\n+\nIIII\n"), "6: b: unexpected '!' at position 3"),
        (text(gzip.compress(b"@a\nACGT\n+\nIIII\n" * 2000, mtime=0)[:60]), "damaged gzip file"),
    ],
)
def test_bad_files_are_told_in_one_line(tmp_path, make, problem):
    make(tmp_path / "a.fastq")
    with pytest.raises(InputError) as error:
        list(io.iter_fastq(tmp_path / "a.fastq"))
    assert problem in str(error.value)
    assert "\n" not in str(error.value)
