"""Variants: every kind of allele on both strands, held against editing the sequences by hand and scanning both."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import annotation, io, models, rna, scan, variants
from mirscope.annotation import Annotation, Transcript
from mirscope.errors import InputError, UsageError
from mirscope.io import Record
from mirscope.variants import Allele, Edit

LET7, MIR21 = "UGAGGUAGUAGGUUGUAUAGUU", "UAGCUUAUCAGACUGAUGUUGA"
MIRNAS = [Record("let-7a", LET7), Record("miR-21", MIR21)]
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
SITE = "CUACCUCA"  # let-7's 8mer
LEFT, RIGHT = "GGGACGACGGCGACGGGCGAGCGG", "GCGGAGCGAGGCAGGAGCGCGGG"
UTR = Record("utr", LEFT + SITE + RIGHT)  # the site is 24-32


def vcf(*rows):
    return HEADER + "".join(f"{c}\t{p}\t{i}\t{r}\t{a}\t.\t.\t.\n" for c, p, i, r, a in rows)


def told(*alleles, transcripts=(UTR,), mirnas=MIRNAS, window=8, **more):
    """What the seed match, with windows of that size, has to say."""
    model = models.create("seed")
    model.lengths = (26, window)
    found = variants.variants(model, alleles, mirnas, list(transcripts), **more)
    return found, found.table


@pytest.mark.parametrize(
    ("allele", "change", "types", "span"),
    [
        (Allele("utr", 27, "C", "G"), "lost", ("8mer", ""), (24, 32)),
        (Allele("utr", 31, "A", "C"), "changed", ("8mer", "7mer-m8"), (24, 32)),
        (Allele("utr", 24, "C", "A"), "changed", ("8mer", "7mer-A1"), (24, 32)),
        (Allele("utr", 27, "CC", "GG"), "lost", ("8mer", ""), (24, 32)),  # MNV
        (Allele("utr", 26, "ACC", "A"), "lost", ("8mer", ""), (24, 32)),  # deletion
        (Allele("utr", 27, "C", "CAG"), "lost", ("8mer", ""), (24, 32)),  # insertion
    ],
)
def test_a_site_is_hit(allele, change, types, span):
    _, table = told(allele)
    [row] = table.to_dict("records")
    assert (row["mirna_id"], row["target_id"], row["change"]) == ("let-7a", "utr", change)
    assert (row["reference_seed_type"], row["alternative_seed_type"]) == types
    assert (row["start"], row["end"]) == span
    assert row["difference"] == pytest.approx(row["alternative_score"] - row["reference_score"])
    assert row["reference_score"] == pytest.approx(0.9)
    logit = np.log(row["alternative_score"] / (1 - row["alternative_score"])) - np.log(9)
    assert row["logit_difference"] == pytest.approx(logit, abs=1e-4)


def test_a_site_is_gained_and_where():
    broken = Record("utr", LEFT + "CUAGCUCA" + RIGHT)
    _, table = told(Allele("utr", 27, "G", "C"), transcripts=[broken])
    [row] = table.to_dict("records")
    assert (row["change"], row["reference_seed_type"], row["alternative_seed_type"]) == ("gained", "", "8mer")
    assert (row["start"], row["end"]) == (24, 32)
    split = Record("utr", LEFT + "CUAGGGCCUCA" + RIGHT)  # a deletion joins the halves
    _, table = told(Allele("utr", 26, "AGGG", "A"), transcripts=[split])
    assert table["change"].tolist() == ["gained"]


@pytest.mark.parametrize(
    ("position", "width", "alternative"),
    [(10, 1, "A"), (20, 1, "{}TT"), (20, 3, "{}"), (40, 3, "{}"), (33, 2, "A"), (22, 1, "{}" + "GACG" * 5)],
)
@pytest.mark.parametrize("window", [8, 30])
def test_a_site_beside_is_left_alone(position, width, alternative, window):
    """Also where what follows an insertion or deletion moves by some nt."""
    reference = UTR.sequence[position : position + width].replace("U", "T")
    allele = Allele("utr", position, reference, alternative.format(reference[0]))
    assert told(allele, window=window)[1].empty


def test_a_second_site_does_not_hide_the_loss_of_the_first():
    twice = Record("utr", UTR.sequence + SITE + RIGHT)
    _, table = told(Allele("utr", 27, "C", "G"), transcripts=[twice], window=50)
    [row] = table.to_dict("records")
    assert (row["change"], row["reference_seed_type"], row["alternative_seed_type"]) == ("lost", "8mer", "")
    assert 27 < row["end"] < 24 + len(SITE + RIGHT + SITE)  # a window without the second


def test_scores_are_stated_for_a_prevalence():
    _, even = told(Allele("utr", 27, "C", "G"))
    _, rare = told(Allele("utr", 27, "C", "G"), settings=scan.Settings(threshold=0.05, prevalence=0.1))
    assert rare["reference_score"][0] == pytest.approx(0.5)  # odds of 9 to 1, times 1 to 9
    assert rare["logit_difference"].tolist() == even["logit_difference"].tolist()


def test_multiallelic_and_order():
    _, table = told(Allele("utr", 31, "A", "C"), Allele("utr", 27, "C", "G"), Allele("utr", 27, "C", "A"))
    assert table["variant"].tolist() == ["utr:28:C>G", "utr:28:C>A", "utr:32:A>C"]
    assert table["difference"].abs().is_monotonic_decreasing


def test_what_is_not_scored_is_counted(caplog):
    alleles = [
        Allele("utr", 27, "G", "C"),  # not what the UTR holds
        Allele("utr", 27, "C", "<DEL>"),
        Allele("utr", 27, "C", "*"),
        Allele("utr", 27, "C", ""),
        Allele("utr", 500, "A", "C"),
        Allele("other", 1, "A", "C"),
        Allele("utr", len(UTR.sequence) - 2, "GGA", "T"),
        Allele("utr", 27, "C", "G"),
    ]
    with caplog.at_level("WARNING"):
        found, table = told(*alleles)
    assert found.skipped == {"reference": 1, "symbolic": 3, "outside": 1, "contig": 1, "exon_end": 1}
    assert found.n_alleles == 8
    assert len(table) == 1
    assert "1 of 8 alleles have a REF that is not what the sequence holds there, such as utr:28:G>C" in caplog.text


def test_a_variant_of_a_mirna_moves_its_sites():
    other = Record("other", LEFT + rna.reverse_complement("GAGCUAG") + "A" + RIGHT)
    allele = Allele("let-7a", 4, "G", "C")  # UGAG-G-UAG: seed GAGGUAG becomes GAGCUAG
    _, table = told(allele, transcripts=[UTR, other])
    assert table[["target_id", "change", "within", "mirna_id"]].values.tolist() == [
        ["utr", "lost", "mirna", "let-7a"],
        ["other", "gained", "mirna", "let-7a"],
    ]
    assert (table["start"] == 24).all()


# ----------------------------------------------------------------------------------------------------- on the genome


def gene(strand, sequence=UTR.sequence, first=100, cut=20, intron=30):
    """The transcript in two exons of which the left holds `cut` nt, and its genome (DNA) from 0 on."""
    exons = np.array([[first, first + cut], [first + cut + intron, first + intron + len(sequence)]])
    transcript = Transcript("utr", "g", "", "chr1", strand, exons)
    genome = np.full(first + intron + len(sequence) + 50, "A")
    letters = np.array(list(sequence.replace("U", "T")))
    letters = letters if strand == "+" else np.array(list(rna.reverse_complement(sequence).replace("U", "T")))[::-1]
    genome[transcript.to_genome(np.arange(len(sequence)))] = letters
    return Annotation({"utr": transcript}), "".join(genome)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("cut", [20, 28, 50])  # an exon ends before, within or after the site
def test_on_the_genome_it_is_as_on_the_transcript(strand, cut):
    known, genome = gene(strand, cut=cut)
    for place in (25, 26, 29):
        at = int(known.find("utr").to_genome(place))
        for alternative in set("ACGT") - {genome[at]}:
            own = alternative if strand == "+" else rna.reverse_complement(alternative.replace("T", "U"))
            _, on_genome = told(Allele("1", at, genome[at], alternative), annotation=known)
            letter = UTR.sequence[place]
            _, on_utr = told(Allele("utr", place, letter.replace("U", "T"), own.replace("U", "T")))
            columns = [c for c in variants.COLUMNS if c != "variant"]
            pd.testing.assert_frame_equal(on_genome[columns], on_utr[columns])


@st.composite
def edits_on_genes(draw):
    sequence = draw(st.text("ACGU", min_size=30, max_size=60))
    strand = draw(st.sampled_from("+-"))
    known, genome = gene(strand, sequence, cut=draw(st.integers(5, 25)))
    transcript = known.find("utr")
    exon = transcript.exons[draw(st.integers(0, 1))]
    start = draw(st.integers(exon[0], exon[1] - 1))
    end = draw(st.integers(start + 1, exon[1]))
    reference = genome[start:end]
    alternative = draw(st.text("ACGT", min_size=1, max_size=5))
    if draw(st.booleans()):
        alternative = reference[0] + alternative  # as indels are written
    return known, genome, sequence, Allele("chr1", start, reference, alternative)


@given(edits_on_genes())
def test_the_edited_transcript_is_that_of_the_edited_genome(case):
    known, genome, sequence, allele = case
    transcript = known.find("utr")
    [[reason, *found]] = variants.place([allele], [Record("utr", sequence)], known)
    assert reason == "outside"
    [item] = found
    if not isinstance(item, Edit):  # an insertion at the end of an exon
        position, reference, _ = allele.trimmed()
        assert item in ("exon_end", "outside")
        assert not reference
        assert position in transcript.exons
        return
    parts = list(genome)
    parts[allele.position : allele.position + len(allele.reference)] = [allele.alternative] + [""] * (
        len(allele.reference) - 1
    )
    exons = "".join("".join(parts[start:end]) for start, end in transcript.exons)
    edited = exons.replace("T", "U")
    assert item.apply(sequence) == (edited if transcript.strand == "+" else rna.reverse_complement(edited))


def test_exon_ends_and_introns():
    known, genome = gene("+", cut=20, intron=30)
    alleles = [
        Allele("1", 118, genome[118:123], "G"),  # exon to intron
        Allele("1", 130, "A", "C"),  # intron
        Allele("1", 10, "A", "C"),  # beside the gene
        Allele("X", 10, "A", "C"),
        Allele("1", 119, genome[119], "T"),
    ]
    found, _ = told(*alleles, annotation=known)
    assert found.skipped == {"exon_end": 1, "outside": 2, "contig": 1}


def test_a_3utr_of_a_whole_transcript():
    sequence = "AUG" + "GCC" * 5 + "UAA" + UTR.sequence
    exons = np.array([[100, 100 + len(sequence)]])
    known = Annotation({"utr": Transcript("utr", "g", "", "1", "+", exons, coding=(100, 121))})
    allele = Allele("1", 121 + 27, "C", "G")
    _, table = told(allele, transcripts=[Record("utr", sequence)], annotation=known)
    _, cut = told(allele, annotation=known)
    assert table["start"].tolist() == [45]
    assert cut["start"].tolist() == [24]
    with pytest.raises(InputError, match="lacks 0 of 1 transcripts; 1 are of another length"):
        told(allele, transcripts=[Record("utr", sequence[:-1])], annotation=known)


def test_mirnas_on_the_genome(tmp_path):
    text = "##gff-version 3\n9\t.\tmiRNA\t101\t122\t.\t-\t.\tID=MIMAT1;Name=let-7a\n"
    (tmp_path / "m.gff3").write_text(text)
    known = annotation.read_mirnas(tmp_path / "m.gff3")
    with pytest.raises(InputError, match="lacks 1 of 1 miRNAs"):
        told(Allele("chr9", 117, "C", "G"), mirna_annotation=known, mirnas=MIRNAS[1:])
    _, table = told(Allele("chr9", 117, "C", "G"), mirna_annotation=known)  # nt 5 of the miRNA: 121 - 4
    assert table[["mirna_id", "change", "within"]].values.tolist() == [["let-7a", "lost", "mirna"]]


# ---------------------------------------------------------------------------------------------- against a look at all


def drops(one, other, held_one, held_other, shift):
    """The largest drop from a site of `one`, a sequence, to the best window of `other` near it; window by window."""
    model = models.create("seed")

    def logits(text, held):
        low, high = held
        starts = [n for n in range(len(text) - 7) if (n < high and n + 8 > low if low < high else n < low < n + 8)]
        windows = {n: text[n : n + 8] for n in starts}
        if not windows:  # of a deletion at an end only the nt beside it are left
            windows = {max(0, low - 7): text[max(0, low - 7) : high + 7]}
        return {n: float(model(*model.encode([LET7], [window]))[0]) for n, window in windows.items()}

    here, there = logits(one, held_one), logits(other, held_other)
    found = [0.0]
    for start, logit in here.items():
        near = [there[n] for n in range(start - shift, start + shift + 1) if n in there]
        if logit >= 0 and near:
            found.append(logit - max(near))
    return max(found)


@settings(max_examples=40, deadline=None)
@given(
    st.text("ACGU", min_size=12, max_size=30),
    st.integers(0, 11),
    st.integers(-4, 12),
    st.integers(0, 4),
    st.text("ACGU", max_size=4),
)
def test_the_difference_is_that_of_a_look_at_every_window(sequence, place, shift, width, alternative):
    sequence = sequence[:place] + SITE + sequence[place:]
    start = max(0, place + shift)
    end = min(start + width, len(sequence))
    edit = Edit(Allele("t", 0, "A", "C"), 0, start, end, alternative)
    edited = edit.apply(sequence)
    moved = abs(len(edited) - len(sequence))
    table = variants.in_transcripts(
        models.create("seed"), MIRNAS[:1], [Record("t", sequence)], [edit], min_difference=0.1
    )
    held = (start, end), (start, start + len(alternative))
    expected = max(drops(sequence, edited, *held, moved), drops(edited, sequence, *held[::-1], moved))
    assert len(table) == (expected >= 0.1)
    if len(table):
        assert table["logit_difference"].abs()[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["seed", "mitar", "deeptarget"])
def test_any_model(name):
    """Scores are those of the model on the windows told."""
    try:
        model = models.load(name)
    except UsageError as error:
        pytest.skip(str(error))
    rng = np.random.default_rng(0)
    sequence = "".join(rng.choice(list("ACGU"), 200))
    sequence = sequence[:100] + SITE + sequence[108:]
    transcript = Record("t", sequence)
    edit = Edit(Allele("t", 103, "C", "G"), 0, 103, 104, "G")
    table = variants.in_transcripts(model, MIRNAS, [transcript], [edit], min_difference=0)
    [row] = table[table["mirna_id"] == "let-7a"].to_dict("records")
    assert row["change"] in ("lost", "changed", "gained")
    window = model.lengths[-1]
    assert row["start"] <= 103 < row["end"] <= row["start"] + window
    pairs = [LET7] * 2, [text[row["start"] : row["end"]] for text in (sequence, edit.apply(sequence))]
    logits = model(*model.encode(*pairs)).detach().numpy()
    scores = 1 / (1 + np.exp(-logits.astype(float)))
    ours = [row["reference_score"], row["alternative_score"]]
    for score, own in zip(scores, ours, strict=True):
        assert own == pytest.approx(score, abs=1e-4) or own == 0  # 0: not a candidate of this model


# -------------------------------------------------------------------------------------------------------- the command


def test_the_command(run, tmp_path):
    other = Record("utr", UTR.sequence[::-1])
    io.write_fasta([UTR, other], tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    rows = [("utr", 28, "rs1", "C", "G,T"), ("utr", 28, ".", "A", "T"), ("let-7a", 5, ".", "G", "C")]
    (tmp_path / "v.vcf.gz").write_bytes(gzip.compress(vcf(*rows).encode()))
    _, err = run("variants v.vcf.gz --transcripts utrs.fa --mirnas mirnas.fa -m seed -o out --threads 1")
    assert "4 alleles; sites 0 gained, 3 lost, 0 changed" in err
    assert "1 of 4 alleles have a REF" in err
    assert "utrs.fa: 1 records have an id that came before; left out" in err
    table = pd.read_csv(tmp_path / "out" / "variants.tsv", sep="\t", keep_default_na=False)
    assert list(table.columns) == list(variants.COLUMNS)
    assert table["variant"].tolist() == ["utr:28:C>G", "utr:28:C>T", "let-7a:5:G>C"]
    assert table["vcf_id"].tolist() == ["rs1", "rs1", ""]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["skipped"] == {"reference": 1}
    assert record["changes"] == {"gained": 0, "lost": 3, "changed": 0}


def test_the_command_on_the_genome(run, tmp_path):
    known, genome = gene("-")
    exons = known.find("utr").exons
    text = "".join(
        f'chr1\tx\texon\t{start + 1}\t{end}\t.\t-\t.\tgene_id "g"; transcript_id "utr";\n' for start, end in exons
    )
    (tmp_path / "a.gtf").write_text(text)
    io.write_fasta([UTR], tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    at = int(known.find("utr").to_genome(27))
    (tmp_path / "v.vcf").write_text(vcf(("chr1", at + 1, ".", genome[at], "A" if genome[at] != "A" else "C")))
    run("variants v.vcf --transcripts utrs.fa --mirnas mirnas.fa -m seed --gtf a.gtf -o out --threads 1 -q")
    table = pd.read_csv(tmp_path / "out" / "variants.tsv", sep="\t")
    assert table[["mirna_id", "change", "variant_start"]].values.tolist() == [["let-7a", "lost", 27]]


def test_nothing_found_is_a_table_with_a_header(run, tmp_path):
    io.write_fasta([UTR], tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    (tmp_path / "v.vcf").write_text(vcf(("utr", 3, ".", "G", "A")))
    run("variants v.vcf --transcripts utrs.fa --mirnas mirnas.fa -m seed -o out --threads 1 -q")
    assert (tmp_path / "out" / "variants.tsv").read_text() == "\t".join(variants.COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("content", "options", "code", "hint"),
    [
        (None, "", 1, "no such file"),
        ("hello\n", "", 1, "no VCF"),
        ("", "", 1, "no VCF"),
        (HEADER + "utr\tx\t.\tC\tG\t.\t.\t.\n", "", 1, "v.vcf"),
        (HEADER + "utr\t28\n", "", 1, "v.vcf"),
        (vcf(("chr7", 28, ".", "C", "G")), "", 1, "'chr7'"),
        (vcf(("utr", 28, ".", "C", "G")), "--gtf none.gtf", 1, "none.gtf"),
        (vcf(("utr", 28, ".", "C", "G")), "--threshold 2", 2, "threshold is 2"),
        (vcf(("utr", 28, ".", "C", "G")), "--min-difference -1", 2, "smallest difference"),
        (vcf(("utr", 28, ".", "C", "G")), "--model nothing", 2, "nothing"),
        (vcf(("utr", 28, ".", "C", "G")), "--mirna-gff utrs.fa", 1, "utrs.fa"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, content, options, code, hint):
    io.write_fasta([UTR], tmp_path / "utrs.fa")
    io.write_fasta(MIRNAS, tmp_path / "mirnas.fa")
    if content is not None:
        (tmp_path / "v.vcf").write_text(content)
    model = "" if "--model" in options else "-m seed"
    _, err = run(f"variants v.vcf --transcripts utrs.fa --mirnas mirnas.fa {model} -o out -q {options}", code=code)
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1, err
    assert hint in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.data
def test_a_known_let7_site_of_a_real_3utr(data_path):
    """The first 8mer of let-7 in MirMark's 3'UTR of NM_003243 (TGFBR3)."""
    seen = {}
    for record in io.read_fasta(data_path("human_3utr_mirmark"), unique=False):
        seen.setdefault(record.id, record)
    utr = seen["NM_003243"]
    at = utr.sequence.index(SITE)
    _, table = told(Allele("NM_003243", at + 3, "C", "A"), transcripts=[utr])
    assert table[["mirna_id", "change", "reference_seed_type", "start"]].values.tolist() == [
        ["let-7a", "lost", "8mer", at]
    ]
