"""Annotation: coordinates there and back, GTF and GFF3 of the usual makers, gene maps."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirscope import annotation
from mirscope.annotation import Transcript
from mirscope.errors import InputError
from mirscope.io import Record

GTF = """#!genome-build X
1\tensembl\tgene\t101\t200\t.\t-\t.\tgene_id "ENSG00000000001.4"; gene_name "ABC1";
1\tensembl\texon\t161\t200\t.\t-\t.\tgene_id "ENSG00000000001.4"; transcript_id "ENST00000000001.2"; gene_name "ABC1"; note "a; b";
1\tensembl\texon\t101\t130\t.\t-\t.\tgene_id "ENSG00000000001.4"; transcript_id "ENST00000000001.2"; gene_name "ABC1"; tag "x"; tag "y";
1\tensembl\tCDS\t161\t190\t.\t-\t0\tgene_id "ENSG00000000001.4"; transcript_id "ENST00000000001.2"; gene_name "ABC1";
1\tensembl\tCDS\t124\t130\t.\t-\t0\tgene_id "ENSG00000000001.4"; transcript_id "ENST00000000001.2"; gene_name "ABC1";
1\tensembl\tstop_codon\t121\t123\t.\t-\t0\tgene_id "ENSG00000000001.4"; transcript_id "ENST00000000001.2"; gene_name "ABC1";
2\tensembl\texon\t11\t20\t.\t+\t.\tgene_id "G2"; transcript_id "T2";
2\tensembl\texon\t15\t30\t.\t+\t.\tgene_id "G2"; transcript_id "T2";
"""  # noqa: E501
GFF3 = """##gff-version 3
1\tx\tgene\t101\t200\t.\t-\t.\tID=gene:ENSG00000000001;Name=ABC1
1\tx\tmRNA\t101\t200\t.\t-\t.\tID=transcript:ENST00000000001;Parent=gene:ENSG00000000001
1\tx\tmRNA\t101\t130\t.\t-\t.\tID=transcript:ENST00000000002;Parent=gene:ENSG00000000001
1\tx\texon\t161\t200\t.\t-\t.\tParent=transcript:ENST00000000001
1\tx\texon\t101\t130\t.\t-\t.\tParent=transcript:ENST00000000001,transcript:ENST00000000002
1\tx\tCDS\t161\t190\t.\t-\t0\tID=c;Parent=transcript:ENST00000000001
1\tx\tCDS\t121\t130\t.\t-\t0\tID=c;Parent=transcript:ENST00000000001
"""
MIRBASE = """##gff-version 3
# microRNAs
chr9\t.\tmiRNA_primary_transcript\t101\t180\t.\t+\t.\tID=MI0000060;Alias=MI0000060;Name=hsa-let-7a-1
chr9\t.\tmiRNA\t106\t127\t.\t+\t.\tID=MIMAT0000062;Alias=MIMAT0000062;Name=hsa-let-7a-5p;Derives_from=MI0000060
chr11\t.\tmiRNA\t206\t227\t.\t-\t.\tID=MIMAT0000062_1;Alias=MIMAT0000062;Name=hsa-let-7a-5p;Derives_from=MI0000061
"""


@st.composite
def some_transcripts(draw):
    widths = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=6))
    at, exons = draw(st.integers(0, 50)), []
    for gap, width in widths:
        exons.append((at + gap, at + gap + width))
        at += gap + width
    return Transcript("t", "g", "", "1", draw(st.sampled_from("+-")), np.array(exons))


@given(some_transcripts())
def test_to_the_genome_and_back_is_nothing(transcript):
    places = np.arange(len(transcript))
    genome = transcript.to_genome(places)
    assert transcript.to_transcript(genome).tolist() == places.tolist()
    exonic = [nt for start, end in transcript.exons.tolist() for nt in range(start, end)]
    assert genome.tolist() == (exonic if transcript.strand == "+" else exonic[::-1])
    outside = sorted(set(range(-3, transcript.exons[-1, 1] + 3)) - set(exonic))
    assert (transcript.to_transcript(outside) == -1).all()
    assert (transcript.to_genome([-1, len(transcript)]) == -1).all()


@given(st.lists(some_transcripts(), min_size=1, max_size=8), st.integers(0, 150), st.integers(1, 20))
def test_overlapping_finds_what_a_look_at_each_finds(transcripts, start, width):
    known = annotation.Annotation({str(number): transcript for number, transcript in enumerate(transcripts)})
    slow = [t for t in transcripts if t.exons[0, 0] < start + width and t.exons[-1, 1] > start]
    found = known.overlapping("chr1", start, start + width)
    assert sorted(map(id, found)) == sorted(map(id, slow))
    assert known.overlapping("2", start, start + width) == []


def read(tmp_path, text, name="a.gtf"):
    (tmp_path / name).write_text(text)
    return annotation.read_annotation(tmp_path / name)


def test_gtf(tmp_path):
    found = read(tmp_path, GTF)
    assert list(found.transcripts) == ["ENST00000000001.2", "T2"]
    minus = found.find("ENST00000000001")
    assert minus is found.find("ENST00000000001.7")  # another version
    assert minus is found.find("ENST00000000001.2|ENSG00000000001.4|-|")
    assert (minus.gene_id, minus.gene_name, minus.contig, minus.strand) == ("ENSG00000000001.4", "ABC1", "1", "-")
    assert minus.exons.tolist() == [[100, 130], [160, 200]]
    assert len(minus) == 70
    assert minus.to_transcript([199, 160, 129, 100, 150]).tolist() == [0, 39, 40, 69, -1]
    assert minus.coding == (120, 190)
    assert minus.utr3 == (50, 70)  # exon of 40 nt, then 130..121 are coding with the stop codon
    assert found.transcripts["T2"].exons.tolist() == [[10, 30]]  # joined
    assert found.transcripts["T2"].utr3 is None


def test_gff3_is_the_same_transcript(tmp_path):
    found = read(tmp_path, GFF3, "a.gff3")
    both = found.transcripts
    assert list(both) == ["ENST00000000001", "ENST00000000002"]
    assert both["ENST00000000001"].exons.tolist() == [[100, 130], [160, 200]]
    assert both["ENST00000000002"].exons.tolist() == [[100, 130]]
    assert both["ENST00000000001"].utr3 == (50, 70)
    assert (both["ENST00000000002"].gene_id, both["ENST00000000002"].gene_name) == ("ENSG00000000001", "ABC1")


def test_a_compressed_gtf_is_told_by_its_content(tmp_path):
    (tmp_path / "a.txt").write_bytes(gzip.compress(GTF.encode()))
    assert list(annotation.read_annotation(tmp_path / "a.txt").transcripts) == ["ENST00000000001.2", "T2"]


def test_sequences_are_placed_by_their_length(tmp_path):
    known = read(tmp_path, GTF)
    whole, utr3, other = (Record("ENST00000000001", "ACGUA" * n) for n in (14, 4, 3))
    assert [known.find(r.id).offset(len(r.sequence)) for r in (whole, utr3, other)] == [0, 50, None]
    assert [len(known.utr3(record).sequence) for record in (whole, utr3, other)] == [20, 20, 15]
    stranger = Record("nobody", "ACGU")
    assert known.utr3(stranger) is stranger


def test_mirnas_of_mirbase(tmp_path):
    (tmp_path / "hsa.gff3").write_text(MIRBASE)
    found = annotation.read_mirnas(tmp_path / "hsa.gff3")
    [plus], [minus] = found.overlapping("chr9", 105, 106), found.overlapping("11", 226, 227)
    assert plus.id == minus.id == "hsa-let-7a-5p"
    assert plus.to_transcript([105, 126]).tolist() == [0, 21]
    assert minus.to_transcript([226, 205]).tolist() == [0, 21]


def test_names_of_genes(tmp_path):
    bars = ["ENST00000000001.2|ENSG00000000001.4|-|ABC1|", "T2"]
    table = annotation.names(bars, read(tmp_path, GTF))
    assert table.iloc[0].to_dict() == {
        "id": "ENST00000000001.2|ENSG00000000001.4|-|ABC1|",
        "part 1": "ENST00000000001",
        "part 2": "ENSG00000000001",
        "part 3": "-",
        "part 4": "ABC1",
        "gene_id": "ENSG00000000001",
        "gene_name": "ABC1",
    }
    assert table.loc["T2", "gene_id"] == "G2"
    mapped = annotation.names(["NM_000001.3", "NM_2"], {"NM_000001": "ENSG00000000001.9"})
    assert mapped["gene_id"].tolist() == ["ENSG00000000001", ""]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("ENSG00000000001.12", "ENSG00000000001"),
        ("ENSMUST00000000001.2", "ENSMUST00000000001"),
        ("NM_000123.4", "NM_000123"),
        ("AC012345.1", "AC012345.1"),  # a gene's name, not a version
        ("FBgn0000017", "FBgn0000017"),
        ("ENSG00000000001.12_PAR_Y", "ENSG00000000001.12_PAR_Y"),
    ],
)
def test_versions(name, plain):
    assert annotation.plain_id(name) == plain


@pytest.mark.parametrize("text", ["t1\tg1\nt2\tg1\n", "transcript_id,gene_id\nt1,g1\nt2,g1\n", "t1 g1\n\nt2 g1\n"])
def test_a_map_of_two_columns(tmp_path, text):
    (tmp_path / "map").write_text(text)
    assert annotation.read_gene_map(tmp_path / "map") == {"t1": "g1", "t2": "g1"}


def test_a_map_with_more_columns(data_path):
    found = annotation.read_gene_map(data_path("utr_to_ensembl"))
    assert found["NM_019004"] == "ENSG00000001629"
    assert len(found) == 439


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("t1\tg1\nt2\n", 2, "expected a transcript and its gene"),
        ("t1\tg1\nt1\tg2\n", 2, "expected one gene"),
        ("", None, "no rows"),
        ("transcript\tgene\n", None, "no rows"),
    ],
)
def test_bad_maps(tmp_path, text, line, hint):
    (tmp_path / "map.tsv").write_text(text)
    with pytest.raises(InputError, match=hint) as caught:
        annotation.read_gene_map(tmp_path / "map.tsv")
    assert caught.value.line == line


ROW = '1\tx\texon\t{}\t{}\t.\t{}\t.\tgene_id "g"; transcript_id "t";\n'


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("", None, "no GTF"),
        (">a\nACGU\n", 1, "1 fields; expected the 9"),
        (ROW.format(1, 9, "+") + "1\tx\texon\n", 2, "3 fields"),
        (ROW.format(1, 9, "+") + ROW.format("x", 9, "+"), 2, "'x' is no position"),
        (ROW.format(1, 9, "+") + ROW.format("", 9, "+"), 2, "'' is no position"),
        (ROW.format(9, 1, "+"), None, "9-1"),
        (ROW.format(1, 9, "."), None, "strand"),
        (ROW.format(1, 9, "+") + ROW.format(11, 19, "-"), None, "two contigs or strands"),
        (ROW.format(1, 9, "+").replace("exon", "gene"), None, "no exon"),
        ("\x1f\x8b", None, "no GTF|gzip"),
        ("a\0b", None, "NUL|no GTF|9"),
    ],
)
def test_bad_annotations(tmp_path, text, line, hint):
    (tmp_path / "a.gtf").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=hint) as caught:
        annotation.read_annotation(tmp_path / "a.gtf")
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


def test_rows_without_attributes_are_of_no_transcript(tmp_path):
    assert list(read(tmp_path, GTF + "2\tx\texon\t1\t9\t.\t+\t.\t\n").transcripts) == ["ENST00000000001.2", "T2"]


def test_a_missing_annotation():
    with pytest.raises(InputError, match=r"nowhere.gtf"):
        annotation.read_annotation("nowhere.gtf")


def test_a_gff_without_mirnas(tmp_path):
    (tmp_path / "a.gff3").write_text(GFF3)
    with pytest.raises(InputError, match="miRBase"):
        annotation.read_mirnas(tmp_path / "a.gff3")
