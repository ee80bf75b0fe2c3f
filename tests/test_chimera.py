"""Chimeras: hand-made reads, the real examples with their truth, simulated ones, the commands and their errors."""

import gzip
import json
import re
import shutil
from collections import Counter
from io import TextIOWrapper

import numpy as np
import pandas as pd
import pytest

from mirscope import align, chimera, io, isomir, ligation, reads, simulate, tables
from mirscope.annotation import read_annotation
from mirscope.chimera import Library, Settings
from mirscope.io import Record
from mirscope.isomir import References
from mirscope.reads import Fragment, Preparation

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
MIR21 = "UAGCUUAUCAGACUGAUGUUGA"
ENGINES = [
    "index",
    pytest.param("blast", marks=pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")),
]
FEW = {"least_chimeras": 1, "least_reads": 1}


@pytest.fixture(scope="module")
def transcripts() -> list[Record]:
    rng = np.random.default_rng(8)
    return [Record(f"ENST{i}", "".join(rng.choice(list("ACGU"), 400))) for i in range(12)]


@pytest.fixture(scope="module")
def library(transcripts) -> Library:
    return Library.of(References.of([Record("let-7a", LET7), Record("miR-21", MIR21)]), transcripts)


def calls(library, *sequences, **settings):
    fragments = {
        sequence: Fragment(2, qualities=b"I" * len(sequence), read_id=f"r{i}") for i, sequence in enumerate(sequences)
    }
    return chimera.chimeras(fragments, library, Settings(**settings))


@pytest.mark.parametrize("engine", ENGINES)
def test_both_orders_and_the_isomir(library, transcripts, engine):
    site = transcripts[3].sequence[110:140]
    first, last, added = LET7 + site, site + MIR21[:-2], LET7[:-1] + "A" + site
    found, fates = calls(library, first, last, added, engine=engine)
    assert (fates == "chimera").all()
    assert found["mirna_seq"].tolist() == [LET7, MIR21[:-2], LET7[:-1] + "A"]
    assert found["mirna_first"].tolist() == [1, 0, 1]
    assert found["classes"].tolist() == ["", "3p_deletion", "3p_replacement"]
    assert found["quality"].tolist() == [-1, -1, 40]
    assert (found["target_id"] == "ENST3").all()
    assert (found["end"] == 140).all()
    assert found["start"].between(106, 110).all()  # the miRNA's last letters may be the transcript's by chance
    tables.check(found, tables.CHIMERAS)


@pytest.mark.parametrize("engine", ENGINES)
def test_fates(library, transcripts, engine):
    text = transcripts[5].sequence
    library = Library.of(library.references, [*transcripts, Record("host", "CCC" + LET7 + text[:100] + "C" * 20)])
    reads = {
        text[50:100]: "no_mirna",
        MIR21 + "ACACACACAC": "no_transcript",
        LET7 + "CACACACC" + text[50:80]: "apart",
        LET7 + text[:30]: "one_transcript",
        "CACCAC" + LET7[6:] + text[150:180]: "no_isomir",
        LET7 + text[150:180]: "chimera",
    }
    _, fates = calls(library, *reads, engine=engine)
    assert fates.tolist() == list(reads.values())
    assert list(chimera.FATES) == list(reads.values())


def test_gap_and_top(library, transcripts):
    site = transcripts[0].sequence[40:70]
    apart = LET7 + "ACACAC" + site
    assert calls(library, apart)[0].empty
    found, _ = calls(library, apart, most_gap=7, most_changes=9)
    assert found.loc[0, "gap"] == 6 - _shared(apart, 28, transcripts[0].sequence, 40)
    two = Library.of(library.references, [*transcripts, Record("copy", transcripts[0].sequence)])
    found, _ = calls(two, LET7 + site)
    assert (found.loc[0, "target_id"], found.loc[0, "n_ties"], len(found)) == ("ENST0", 2, 1)
    found, _ = calls(two, LET7 + site, top=5)
    assert found["target_id"].tolist() == ["ENST0", "copy"]


def _shared(read: str, place: int, transcript: str, start: int) -> int:
    n = 0
    while read[place - n - 1] == transcript[start - n - 1]:
        n += 1
    return n


def test_supported_isomirs_and_frequent_mirnas(library, transcripts):
    site = transcripts[2].sequence
    edited = LET7[:10] + "A" + LET7[11:]
    found, _ = calls(
        library, *[LET7 + site[i : i + 30] for i in (0, 60)], *[edited + site[i : i + 30] for i in (0, 60, 120)]
    )
    assert chimera.supported(found, Settings())["filter"].tolist() == ["PASS"] * 2 + ["REJECT:lowcount"] * 3
    assert (chimera.supported(found, Settings(least_reads=6))["filter"] == "PASS").all()
    poor = found.assign(quality=np.where(found["quality"] >= 0, 20, -1))
    assert chimera.supported(poor, Settings(least_reads=6))["filter"].tolist()[2:] == ["REJECT:quality"] * 3
    assert chimera.supported(found, Settings(least_chimeras=11)).empty


def test_q_values_by_hand():
    q = chimera.q_values(np.array([1e-3, 1e-9, 1e-6, 1e-1]), np.array([1e-4, 1e-2]))
    assert q.tolist() == [1 / 3, 0, 0, 0.5]
    assert chimera.q_values(np.array([1e-3]), np.array([])).tolist() == [0]
    assert chimera.q_values(np.array([]), np.array([1.0])).tolist() == []


def test_interactions_join_overlapping_sites_and_extend_them(library, transcripts):
    site = transcripts[2].sequence
    found, _ = calls(library, LET7 + site[20:50], LET7 + site[25:52], LET7 + site[200:230], LET7 + site[375:400])
    believed = chimera.supported(found, Settings(**FEW))
    pairs, kept = chimera.interactions(believed, library, Settings(**FEW))
    assert pairs["n_chimeras"].tolist() == [2, 1]  # the last has 25 nt, and nothing behind it
    assert pairs.loc[0, ["end", "n_reads", "n_mirna_first"]].tolist() == [77, 4, 2]
    assert pairs["target_seq"].tolist() == [
        site[start:end] for start, end in zip(pairs["start"], pairs["end"], strict=True)
    ]
    assert kept["interaction"].tolist() == [0, 0, 1]
    tables.check(pairs, tables.INTERACTIONS)
    assert pairs.equals(chimera.interactions(believed[::-1], library, Settings(**FEW))[0])


def test_regions_and_genome(library, transcripts, tmp_path):
    rows = ["exon 1001 1200", "exon 1301 1500", "CDS 1051 1100"]
    lines = [
        f'chr1\tx\t{kind}\t{start}\t{end}\t.\t+\t.\tgene_id "g"; transcript_id "ENST2";\n'
        for kind, start, end in map(str.split, rows)
    ]
    (tmp_path / "a.gtf").write_text("".join(lines))
    site = transcripts[2].sequence
    found, _ = calls(library, *[LET7 + site[i : i + 30] for i in (5, 60, 190)], LET7 + transcripts[3].sequence[:40])
    believed = chimera.supported(found, Settings(**FEW))
    pairs, _ = chimera.interactions(
        believed, library, Settings(extension=0, **FEW), annotation=read_annotation(tmp_path / "a.gtf")
    )
    by_end = pairs.set_index("end")
    assert by_end.loc[[35, 90, 220, 40], "region"].tolist() == ["5'UTR", "CDS", "3'UTR", ""]
    assert by_end.loc[220, "chrom_end"] == 1320
    assert by_end.loc[40, "chrom_start"] == -1
    tables.check(pairs, tables.INTERACTIONS)


def test_sites_on_the_genome_are_a_bed_file(run, files, transcripts):
    length = len(transcripts[2].sequence)
    (files / "a.gtf").write_text(
        f'chr1\tx\texon\t1001\t{1000 + length}\t.\t-\t.\tgene_id "g"; transcript_id "{transcripts[2].id}";\n'
    )
    target = transcripts[2].sequence[20:60].replace("U", "T")
    fastq = [reads.Read(f"r{i}", LET7.replace("U", "T") + target, "I" * 62) for i in range(12)]
    io.write_fastq(fastq, files / "reads.fastq.gz")
    run(COMMAND + " --gtf a.gtf --no-umi --prefix 0 --adapter none")
    end = 1000 + length - 20  # the last nt of the site, on the strand of the genome
    low = end - (min(60 + 25, length) - 20)
    assert (files / "out/targets.genome.bed").read_text().split("\t")[:3] == ["chr1", str(low), str(end)]
    assert (files / "out/targets.genome.bed").read_text().endswith("\t12\t-\n")
    assert (files / "out/targets.bed").read_text().startswith(f"{transcripts[2].id}\t20\t")


CHIRA = {  # hand-checked, by the read's first letters; ChiRA itself knows no gap
    "UGUUGAAU": "no_mirna",  # ENSMUST00000182010 24-74 with 2 mismatches, behind 5 nt of barcode (9 reads)
    "UGUGGUCA": "no_mirna",  # the same, 19-68
    "AUGCAGGG": "apart",  # miR-6898-5p 11-21 and ENSMUST00000137264 12-27 share 6 nt (2 reads)
    "CGCGGUAA": "apart",  # miR-20a-5p whole, then 6 nt, then ENSMUST00000136025 132-142 (2 reads)
    "UGUAGACA": "no_transcript",  # 9 nt of miR-802-3p (8 reads)
    "AAAAGACU": "no_mirna",  # nothing of the nine references
    "UCAGGACU": "apart",  # ENSMUST00000136025 32-46, then 14 nt, then 10 nt of miR-6979-3p
}


def fragments(path, index, preparation, folder):
    folder.mkdir()
    ready, _ = reads.make_ready(path, index, preparation, folder)
    return ready.fragments(0)[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_chira_example_every_read_is_explained(data_path, tmp_path, engine):
    references = io.read_fasta(data_path("mouse_chira_example_ref"))
    mirnas, transcripts = (
        list(filter(lambda one: ("miR" in one.id) == is_mirna, references)) for is_mirna in (True, False)
    )
    library = Library.of(References.of(mirnas), transcripts)
    path = data_path("mouse_chira_example_24reads")
    made = fragments(path, library.references.index, Preparation(), tmp_path / "as seen")
    assert sum(fragment.n_reads for fragment in made.values()) == 24
    _, fates = chimera.chimeras(made, library, Settings(engine=engine))
    assert {sequence[:8]: fate for sequence, fate in fates.items()} == CHIRA
    made = fragments(path, library.references.index, Preparation(prefix=5), tmp_path / "cut")
    found, _ = chimera.chimeras(made, library, Settings(engine=engine, most_gap=6, most_changes=6))
    row = found.set_index("mirna_id").loc["mmu-miR-20a-5p"]
    assert row[["target_id", "start", "end", "n_reads"]].tolist() == ["ENSMUST00000136025", 132, 142, 2]


def test_mouse_mireclip_has_a_mirna_in_about_half(data_path, tmp_path):
    references = References.of(io.read_fasta(data_path("mouse_mature_mirbase_racoon")))
    path = data_path("mouse_mireclip_mir181_IP10_1000")
    made = fragments(path, references.index, Preparation(), tmp_path / "parts")
    hits = align.find(list(made), references.index, e_value=0.1, most=1)
    n_reads = np.array([fragment.n_reads for fragment in made.values()])
    assert n_reads[hits["query"]].sum() == 572  # 518 where 3' ends are cut by quality: 100 reads are of quality 2
    names = pd.Series([references.mirnas[i].id for i in hits["reference"]])
    assert names.str.startswith("mmu-miR-181").mean() > 0.8


def test_human_candidates_are_found(data_path):
    """169 reads start with a miRNA by exact match; three of them have quality 2 throughout."""
    references = References.of(io.read_fasta(data_path("hsa_mature_mirbase22")))
    candidates = pd.read_csv(data_path("human_SRR1742056_chimera_candidates"), sep="\t").set_index("read_id")[
        "mirna_id"
    ]
    path = data_path("human_ago_clip_chimeric_SRR1742056_10k")
    some = {read.id.split("/")[0]: read for read in io.iter_fastq(path)}
    state = reads.look(io.iter_fastq(path), references.index)
    for preparation, least in ((Preparation(), 169), (Preparation(least_quality=3, most_errors=0.05), 166)):
        kept = [
            read
            for read, _ in reads.run((some[name] for name in candidates.index), preparation.steps(state), Counter())
        ]
        hits = align.find([reads.to_rna(read.sequence) for read in kept], references.index, e_value=0.1)
        found = {
            (kept[q].id.split("/")[0], references.mirnas[r].id)
            for q, r in zip(hits["query"], hits["reference"], strict=True)
        }
        assert len(found & set(candidates.items())) == least


@pytest.mark.parametrize("engine", ENGINES)
def test_simulated_chimeras_are_found(data_path, engine):
    references = References.of(io.read_fasta(data_path("hsa_mature_mirbase22")))
    utrs = {record.id: record for record in io.read_fasta(data_path("human_3utr_mirmark"), unique=False)}
    transcripts = list(utrs.values())[:300]
    parts = simulate.real_parts(io.read_pairs(data_path("clash_hejret2023_realseq")), references)
    library = Library.of(references, transcripts)
    for error_rate, least in ((0, 0.95), (0.01, 0.85)):
        settings = simulate.Settings(n_molecules=1000, error_rate=error_rate)
        fastq, truth = simulate.chimeras(parts, transcripts, references, settings, random_state=1)
        figures = simulate.judge(fastq, truth, library, Settings(engine=engine))
        assert figures["pair_precision"] >= least
        assert figures["pair_recall"] >= least
        assert figures["chimera_precision"] >= 0.98
        assert figures["site_recall"] >= figures["pair_recall"]
        assert figures["class_recall"] >= least - 0.2
        assert error_rate or figures["class_precision"] >= 0.98
        assert figures["site_error"] <= 1


def test_simulation_is_the_same_again_and_says_the_truth(library, transcripts):
    parts = [("let-7a", LET7), ("miR-21", MIR21[:-1])]
    once, again = (simulate.chimeras(parts, transcripts, library.references, random_state=3) for _ in range(2))
    assert [read.sequence for read in once[0]] == [read.sequence for read in again[0]]
    assert once[1].equals(again[1])
    truth = once[1].set_index("read_id")
    tables.check(once[1], tables.TRUTH)
    assert set(truth["kind"]) == set(simulate.KINDS)
    by_id = {record.id: record.sequence for record in transcripts}
    clean, truth = simulate.chimeras(
        parts, transcripts, library.references, simulate.Settings(error_rate=0), random_state=3
    )
    for read, row in zip(clean, truth.itertuples(), strict=True):
        target = by_id[row.target_id][row.start : row.end] if row.target_id else ""
        insert = row.mirna_seq + target if row.mirna_first else target + row.mirna_seq
        assert reads.to_rna(read.sequence)[5:].startswith(insert[:76])
        assert read.sequence[4] == "G"


# -------------------------------------------------------------------------------------------------------- the commands


@pytest.fixture
def files(tmp_path, transcripts, monkeypatch):
    monkeypatch.setattr(ligation, "N_DUPLEXES", 200)
    io.write_fasta(transcripts, tmp_path / "utrs.fa")
    io.write_fasta([Record("hsa-let-7a-5p", LET7), Record("hsa-miR-21-5p", MIR21)], tmp_path / "mirnas.fa")
    return tmp_path


COMMAND = "chimeras reads.fastq.gz --mirnas mirnas.fa --transcripts utrs.fa -o out --quiet"


def test_commands_from_simulated_reads_to_pairs(run, files):
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 300 --error-rate 0 -o . --quiet")
    run(COMMAND)
    out = files / "out"
    assert {path.name for path in out.iterdir()} == set(chimera.FILES)
    report = json.loads((out / "report.json").read_text())
    truth = pd.read_csv(files / "truth.tsv", sep="\t")
    assert report["reads"]["state"]["prefix"] == "NNNNG"
    assert report["reads"]["n_reads"] == len(truth)
    assert sum(report["n_reads"][fate] for fate in chimera.FATES) == report["reads"]["n_kept"]
    assert report["n_reads"]["chimera"] >= 0.95 * (truth["kind"] == "chimera").sum()
    assert report["n_reads"]["chimera_of_decoys"] <= 0.05 * report["n_reads"]["chimera"]
    assert (pd.read_csv(out / "interactions.tsv", sep="\t")["q_value"] < 0.05).all()
    pairs = io.read_pairs(out / "pairs.tsv")
    assert len(pairs) == report["n_interactions"] > 20
    assert (pairs["target_seq"].str.len() >= 30).all()
    hyb = [line.split("\t") for line in (out / "interactions.hyb").read_text().splitlines()]
    assert {len(fields) for fields in hyb} == {16}
    for fields in hyb:
        assert set(fields[1]) <= set("ACGT")
        target = fields[3:9] if fields[3].startswith("ENST") else fields[9:15]
        library = {record.id: record.sequence for record in io.read_fasta(files / "utrs.fa")}
        read, on = (
            fields[1][int(target[1]) - 1 : int(target[2])],
            library[target[0]][int(target[3]) - 1 : int(target[4])],
        )
        assert read == on.replace("U", "T")
    found = io.read_mirgff3(out / "isomirs.gff3")
    assert set(found["mirna_id"]) == {"hsa-let-7a-5p", "hsa-miR-21-5p"}
    bed = (out / "targets.bed").read_text().splitlines()
    assert len(bed) == len(pairs)


def test_few_chimeras_give_empty_tables_and_no_failure(run, files):
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 10 -o . --quiet")
    run(COMMAND + " --min-chimeras 1000")
    assert (files / "out" / "pairs.tsv").read_text() == "mirna_id\tmirna_seq\tgene_id\ttarget_seq\tlabel\n"


def outputs(folder):
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    report = json.loads(found.pop("report.json"))
    found["report.html"] = re.sub(rb">finished<.*", b"", found["report.html"])
    return found, {key: value for key, value in report.items() if key != "run"}


@pytest.fixture
def many_parts(monkeypatch):
    """Small files make many parts and shares."""
    monkeypatch.setattr(reads, "AT_ONCE", 60)
    monkeypatch.setattr(reads, "_SHARE_BYTES", 9_000)
    monkeypatch.setattr(chimera, "_RANGE", 150)


def test_parts_shares_and_processes_change_nothing(run, files, request, monkeypatch):
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 300 -o . --quiet")
    run(COMMAND + " --top 2")
    once = outputs(files / "out")
    request.getfixturevalue("many_parts")
    run(COMMAND + " --top 2")
    assert outputs(files / "out") == once
    monkeypatch.setattr(reads, "_WORTH_PROCESSES", 0)
    run(COMMAND + " --top 2 --threads 2")
    assert outputs(files / "out") == once
    assert len(once[0]["interactions.hyb"].splitlines()) > 30


@pytest.mark.usefixtures("many_parts")
@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        (reads, "_collapse_part", 4),
        (chimera, "_find", 1),
        (chimera, "_find", 3),
        (chimera, "_join", 2),
        (io, "write_bed", 1),
    ],
)
def test_a_run_that_was_killed_is_resumed(run, files, monkeypatch, module, name, call):
    """To the same bytes, and without doing anything again."""
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 300 -o . --quiet")
    real, calls, deadly = getattr(module, name), [], False

    def counted(*arguments):
        calls.append(arguments)
        if deadly and len(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, name, counted)
    run(COMMAND + " --min-chimeras 2")
    once, n_calls = outputs(files / "out"), len(calls)
    shutil.rmtree(files / "out")
    calls.clear()
    deadly = True
    run(COMMAND + " --min-chimeras 2", code=130)
    deadly = False
    if module is not io:
        assert {path.name for path in (files / "out").iterdir()} == {"unfinished"}
    for changed, what in ((" --min-chimeras 3", "settings"), (" --min-chimeras 2 --prefix 5", "preparation")):
        _, err = run(COMMAND + changed + " --resume", code=2)
        assert f"the unfinished search in out had other {what}; remove" in err
    _, err = run(COMMAND + " --min-chimeras 2", code=2)
    assert "out holds an unfinished search; --resume goes on with it" in err
    assert len(calls) == call
    run(COMMAND + " --min-chimeras 2 --resume")
    assert outputs(files / "out") == once
    assert len(calls) == n_calls + 1  # but the one that it died in


@pytest.mark.usefixtures("many_parts")
def test_other_reads_are_not_taken_for_those_of_the_unfinished_run(run, files, monkeypatch):
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 300 -o . --quiet")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(chimera, "_find", stop)
        run(COMMAND, code=130)
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 300 --random-state 1 -o . --quiet")
    _, err = run(COMMAND + " --resume", code=2)
    assert "had other reads" in err


@pytest.mark.parametrize(
    ("change", "code", "problem"),
    [
        (
            "--mirnas utrs.fa --transcripts mirnas.fa",
            1,
            "utrs.fa: sequences of 400 nt (median); expected mature miRNAs",
        ),
        ("--transcripts mirnas.fa", 1, "mirnas.fa: sequences of 22 nt (median); expected transcripts"),
        ("--engine blast", 2, "blastn, makeblastdb not found, which the engine blast needs; install NCBI BLAST+"),
        ("--engine bowtie", 2, "bowtie"),
        ("--adapter QQQ", 2, "adapter 'QQQ': expected letters A C G T N"),
        ("--e-value 0", 2, "E-value 0; expected more than 0"),
        ("--gtf nothing.gtf", 1, "nothing.gtf"),
    ],
)
def test_errors_of_one_line(run, files, monkeypatch, change, code, problem):
    io.write_fastq([reads.Read("a", "ACGT" * 8, "I" * 32)], files / "reads.fastq.gz")
    monkeypatch.setenv("PATH", "/nonexistent")
    command = COMMAND.replace("--transcripts utrs.fa", "") if "--transcripts" in change else COMMAND
    _, err = run(f"{command} {change}", code=code)
    assert problem in err
    assert err.count("\n") == 1
    assert not (files / "out").exists()


READ = b"@a\nACGTACGTACGTACGTACGT\n+\nIIIIIIIIIIIIIIIIIIII\n"
BAD_READS = {
    "cut off": (gzip.compress(READ * 3000)[:-40], "damaged gzip file"),
    "unequal lengths": (READ * 300 + READ[:-4] + b"\n", "1204: Length of sequence and qualities differ"),
    "without qualities": (READ * 300 + READ[:24] + b"\n", "Premature end of file"),
    "another letter": (READ * 300 + READ.replace(b"CGT\n", b"C!T\n"), "1202: a: unexpected '!' at position 19"),
    "empty": (b"", "the file is empty"),
    "nothing packed": (gzip.compress(b""), "the file is empty"),
    "no text": (bytes(range(256)), "expected"),
}


@pytest.mark.usefixtures("many_parts")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bad", BAD_READS)
def test_bad_reads_leave_nothing_behind(run, files, monkeypatch, bad, threads):
    monkeypatch.setattr(reads, "_WORTH_PROCESSES", 0 if bad in ("cut off", "unequal lengths") else 1e9)
    data, problem = BAD_READS[bad]
    (files / "reads.fastq.gz").write_bytes(data)
    for command in (COMMAND, "isomirs reads.fastq.gz --mirnas mirnas.fa -o out --quiet"):
        _, err = run(f"{command} --threads {threads}", code=1)
        assert err.startswith("mirscope: reads.fastq.gz:")
        assert problem in err
        assert err.count("\n") == 1
        assert not (files / "out").exists()


def test_a_folder_that_cannot_be_written_to(run, files):
    (files / "reads.fastq.gz").write_bytes(READ * 100)
    for folder in ("reads.fastq.gz", "reads.fastq.gz/within", "/proc/within"):
        _, err = run(f"{COMMAND} -o {folder}", code=1)
        assert err.startswith(f"mirscope: {folder}")
        assert err.count("\n") == 1
    _, err = run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -o utrs.fa --quiet", code=1)
    assert err == "mirscope: utrs.fa: is a file; expected a folder to write to\n"


def test_bad_reads_do_not_cost_what_else_is_in_the_folder(run, files):
    (files / "out").mkdir()
    (files / "out" / "mine.txt").write_text("x")
    (files / "reads.fastq.gz").write_bytes(BAD_READS["cut off"][0])
    run(COMMAND, code=1)
    assert [path.name for path in (files / "out").iterdir()] == ["mine.txt"]


def test_stdin_is_as_a_file(run, files, monkeypatch):
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 200 -o . --quiet")
    run(COMMAND)
    once = outputs(files / "out")
    for _ in range(2):
        with TextIOWrapper((files / "reads.fastq.gz").open("rb")) as stdin, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", stdin)
            run(COMMAND.replace("reads.fastq.gz", "-") + " --resume")
        found, report = outputs(files / "out")
        assert report | {"file": "reads.fastq.gz"} == once[1]
        for name in {*chimera.FILES} - {"report.html", "report.json"}:
            assert found[name].replace(b"COLDATA: stdin", b"COLDATA: reads") == once[0][name]


def test_sites_come_again_as_asked(run, files):
    """Of 4 interactions the first has 12 of 25 chimeras, and parts start near each other."""
    run("simulate chimeras --mirnas mirnas.fa --transcripts utrs.fa -n 2000 --interactions 4 -o . --quiet")
    truth = pd.read_csv(files / "truth.tsv", sep="\t")
    found = truth[truth["kind"] == "chimera"].drop_duplicates("molecule")
    middle = (found["start"] + found["end"]) // 2
    counts = found.groupby(["target_id", (middle + 5) // 40]).size()
    assert counts.max() / len(found) == pytest.approx(12 / 25, abs=0.06)
    assert len(counts) <= 8


def test_blocks_and_processes_do_not_change_what_is_simulated(library, transcripts, monkeypatch):
    monkeypatch.setattr(simulate, "BLOCK", 40)
    parts = [("let-7a", LET7), ("miR-21", MIR21[:-1])]
    settings = simulate.Settings(n_molecules=100)
    made = [list(simulate.iter_chimeras(parts, transcripts, library.references, settings, threads=n)) for n in (1, 2)]
    assert [len(fastq) for fastq, _ in made[0]] == [len(fastq) for fastq, _ in made[1]]
    for (fastq, truth), (other, same) in zip(*made, strict=True):
        assert fastq == other
        assert truth.equals(same)
        assert [read.name for read in fastq] == truth["read_id"].tolist()
    whole = pd.concat([truth for _, truth in made[0]])
    assert whole["read_id"].tolist() == [f"read{i}" for i in range(1, len(whole) + 1)]
    assert [set(truth["molecule"] // 40) for _, truth in made[0]] == [{0}, {1}, {2}]


def test_miRNA_table_is_isomirs(library, transcripts):  # noqa: N802
    found, _ = calls(library, LET7 + transcripts[1].sequence[10:40], LET7[1:] + transcripts[1].sequence[100:130])
    table = chimera.isomir_table(chimera.supported(found, Settings(**FEW)), library.references)
    assert table["variant"].tolist() == ["iso_5p:+1", "NA"]  # of as many reads, by sequence
    assert isomir.class_counts(table)["5p_deletion"] == 2
