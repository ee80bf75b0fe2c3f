import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import io, models, predict, rna, scan, tables
from mirscope.errors import InputError, MirscopeError, UsageError
from mirscope.io import Record

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"


@pytest.fixture(scope="module")
def model():
    """A small miTAR whose scores spread over 0-1."""
    torch.manual_seed(2)
    network = models.create("mitar", filters=16, hidden=8)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    return network


def every_window(model, mirnas, transcripts, stride):
    """The slow and obvious scan: each window as a pair."""
    rows = []
    for transcript in transcripts:
        for mirna in mirnas:
            for start in predict.window_starts(len(transcript.sequence), 53, stride).tolist():
                window = transcript.sequence[start : start + 53]
                rows.append((mirna.id, transcript.id, start, start + len(window), mirna.sequence, window))
    table = pd.DataFrame(rows, columns=["mirna_id", "target_id", "start", "end", "mirna_seq", "target_seq"])
    return table.assign(score=predict.score(model, table))


ALL = scan.Settings(threshold=0, merge=False, duplexes=False)


def test_scan_is_score_on_every_window(model, mirnas, transcripts):
    slow = every_window(model, mirnas, transcripts, 15)
    fast = scan.scan(model, mirnas, transcripts, settings=ALL)
    keys = ["mirna_id", "target_id", "start", "end"]
    pd.testing.assert_frame_equal(fast[keys], slow[keys])
    np.testing.assert_allclose(fast["score"], slow["score"], atol=1e-5)
    assert np.ptp(fast["score"]) > 0.3


@settings(deadline=None, max_examples=25)
@given(
    mirna=st.text("ACGU", min_size=10, max_size=26),
    texts=st.lists(st.text("ACGUN", min_size=1, max_size=200), min_size=1, max_size=4),
    stride=st.integers(1, 60),
)
def test_scan_is_score_on_every_window_of_any_sequence(model, mirna, texts, stride):
    queries = [Record("m", mirna)]
    records = [Record(str(number), text) for number, text in enumerate(texts)]
    fast = scan.scan(
        model, queries, records, settings=scan.Settings(threshold=0, stride=stride, merge=False, duplexes=False)
    )
    np.testing.assert_allclose(fast["score"], every_window(model, queries, records, stride)["score"], atol=1e-5)


def test_order_of_input_is_irrelevant(model, mirnas, transcripts):
    keys = ["target_id", "mirna_id", "start"]
    one = scan.scan(model, mirnas, transcripts).sort_values(keys, ignore_index=True)
    other = scan.scan(model, mirnas[::-1], transcripts[::-1]).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(one, other, atol=1e-5)


def test_chunks_do_not_show(model, mirnas, transcripts, monkeypatch):
    whole = scan.scan(model, mirnas, transcripts)
    for size in (1, 10, 60):
        monkeypatch.setattr(scan, "PAIRS_AT_ONCE", size)
        monkeypatch.setattr(scan, "WINDOWS_AT_ONCE", 3)
        pd.testing.assert_frame_equal(scan.scan(model, mirnas, transcripts), whole, atol=1e-5)


def test_processes_do_not_show(model, mirnas, transcripts, monkeypatch):
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 10)
    whole = scan.scan(model, mirnas, transcripts)
    pd.testing.assert_frame_equal(scan.scan(model, mirnas, transcripts, threads=2), whole)


def merged(rows, threshold):
    """The slow and obvious merge: the best hit takes those that overlap it, then the best of the rest."""
    sites = []
    for _, group in rows[rows["score"] >= threshold].groupby(["target_id", "mirna_id"], sort=False):
        hits = list(group.itertuples())
        found = []
        while hits:
            best = max(hits, key=lambda hit: (hit.score, -hit.start))
            near = [hit for hit in hits if hit.start < best.end and best.start < hit.end]
            found.append((best.target_id, best.mirna_id, best.start, best.end, best.score))
            hits = [hit for hit in hits if hit not in near]
        sites += sorted(found, key=lambda site: site[2])
    return sites


@pytest.mark.parametrize("stride", [4, 15, 53, 60])
def test_sites_are_the_best_of_hits_that_overlap(model, mirnas, transcripts, stride):
    rows = scan.scan(
        model, mirnas, transcripts, settings=scan.Settings(threshold=0, merge=False, duplexes=False, stride=stride)
    )
    threshold = float(rows["score"].median())
    found = scan.scan(model, mirnas, transcripts, settings=scan.Settings(threshold=threshold, stride=stride))
    tables.check(found, tables.SITES)
    columns = ["target_id", "mirna_id", "start", "end", "score"]
    assert [tuple(row) for row in found[columns].itertuples(index=False)] == merged(rows, threshold)
    assert found["n_windows"].sum() == (rows["score"] >= threshold).sum()
    for _, group in found.groupby(["target_id", "mirna_id"]):
        assert (group["start"].to_numpy()[1:] >= group["end"].to_numpy()[:-1]).all()


@settings(deadline=None)
@given(
    hits=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120), st.integers(0, 5)), unique_by=lambda h: h[:2]),
    window=st.integers(1, 30),
)
def test_merge_is_the_slow_merge(hits, window):
    hits.sort()
    group, starts, logits = (np.array([hit[i] for hit in hits], dtype=np.int64) for i in range(3))
    rest, sites, n_merged = set(range(len(hits))), [], {}
    while rest:
        best = min(rest, key=lambda i: (-logits[i], i))
        near = {i for i in rest if group[i] == group[best] and abs(starts[i] - starts[best]) < window}
        sites.append(best)
        n_merged[best] = len(near)
        rest -= near
    found, counts = scan.merge(group, starts, logits.astype(np.float32), window)
    assert found.tolist() == sorted(sites)
    assert counts.sum() == len(hits)


def test_sites_are_annotated_as_their_sequence_says(model, mirnas, transcripts):
    found = scan.scan(model, mirnas, transcripts, settings=scan.Settings(threshold=0.3))
    sequences = {record.id: record.sequence for record in [*mirnas, *transcripts]}
    assert (found["seed_type"] == "8mer").any()
    for row in found.itertuples():
        text, mirna = sequences[row.target_id], sequences[row.mirna_id]
        assert row.seed_type == rna.seed_type(mirna, text[row.start : row.end])
        assert (row.seed_start == -1) == (row.seed_type == "")
        if row.seed_type:
            assert rna.seed_type(mirna, text[row.seed_start : row.seed_start + 8]) != ""
        best = rna.duplex(mirna, text[row.start : row.end])
        assert (row.mfe, row.duplex_target, row.duplex_pairs) == (best.mfe, best.target, best.pairs)
        paired = row.duplex_target.replace("-", "")
        assert text[row.duplex_start : row.duplex_start + len(paired)] == paired or not paired


def test_seed_model_finds_the_planted_site(mirnas, transcripts):
    found = scan.scan(models.create("seed"), mirnas[:1], transcripts, settings=scan.Settings(threshold=0.85))
    assert found[["target_id", "start", "seed_type", "seed_start"]].to_numpy().tolist() == [["utr5", 300, "8mer", 300]]


SEED = replace(ALL, candidates="seed")


def every_seed_window(model, mirnas, transcripts):
    """The slow and obvious candidates: of the windows by their last nt, those that end with a seed match."""
    rows = []
    for transcript in transcripts:
        text = transcript.sequence
        for mirna in mirnas:
            seven = rna.reverse_complement(mirna.sequence[1:7]) + "?"  # miRNA 2-7, then what is opposite 1
            for end in range(1, len(text) + 1):
                window = text[max(0, end - model.lengths[1]) : end]
                if window[-7:-1] == seven[:6] or (end == len(text) and window[-6:] == seven[:6]):
                    start = end - len(window)
                    rows.append((mirna.id, transcript.id, start, end, mirna.sequence, window))
    table = pd.DataFrame(rows, columns=["mirna_id", "target_id", "start", "end", "mirna_seq", "target_seq"])
    return table.assign(score=predict.score(model, table))


def check_seed_scan(model, mirnas, transcripts):
    slow = every_seed_window(model, mirnas, transcripts)
    fast = scan.scan(model, mirnas, transcripts, settings=SEED)
    keys = ["mirna_id", "target_id", "start", "end"]
    pd.testing.assert_frame_equal(fast[keys], slow[keys], check_dtype=False)
    np.testing.assert_allclose(fast["score"], slow["score"], atol=1e-5)
    return slow


def seeded(mirna, text, places):
    """The text with the target of a seed (miRNA 2-8, A opposite 1) written over some of its places."""
    for place in places:
        text = text[:place] + rna.reverse_complement(mirna[1:8])[: max(len(text) - place, 0)] + text[place + 7 :]
    return text


@settings(deadline=None, max_examples=40)
@given(
    mirna=st.text("ACGU", min_size=10, max_size=26),
    texts=st.lists(st.text("ACGUN", min_size=1, max_size=160), min_size=1, max_size=4),
    places=st.lists(st.integers(0, 160), max_size=4),
)
def test_seed_scan_is_score_on_every_window_that_ends_with_a_seed_match(model, mirna, texts, places):
    records = [Record(str(number), seeded(mirna, text, places)) for number, text in enumerate(texts)]
    other = Record("other", mirna[::-1])
    check_seed_scan(model, [Record("m", mirna), other], records)


def test_seed_candidates_lie_in_one_transcript(model):
    site = rna.reverse_complement(LET7[:8])
    texts = ["GG" + site + "GG", site[:4], site[4:], site[:7], "G" * 60 + site, site[3:] + "G" * 60 + site[:5]]
    texts = [text if len(text) < 30 else text.rjust(90, "C") for text in texts]
    records = [Record(str(number), text) for number, text in enumerate(texts)]
    slow = check_seed_scan(model, [Record("let-7a", LET7)], records)
    assert slow[["target_id", "start", "end"]].to_numpy().tolist() == [["0", 0, 10], ["3", 0, 7], ["4", 37, 90]]


def test_seed_candidates_are_the_four_types(model, mirnas, transcripts):
    """A window is a candidate where one of the four types, and not the offset 6mer alone, ends it."""
    found = check_seed_scan(model, mirnas, transcripts)
    sequences = zip(found["mirna_seq"], found["target_seq"], strict=True)
    kinds = [rna.seed_type(mirna, text[-8:]) for mirna, text in sequences]
    assert len(found) > 1
    assert set(kinds) <= {"8mer", "7mer-m8", "7mer-A1", "6mer"}
    for kind in ("CUACCUCA", "CUACCUCC", "GUACCUCA", "GUACCUCG"):
        assert len(scan.scan(model, mirnas[:1], [Record("t", "G" * 60 + kind + "G" * 9)], settings=SEED)) == 1
    offset = [Record("t", "G" * 60 + "CUACCUGA" + "G" * 9)]
    assert rna.seed_type(LET7, offset[0].sequence) == "offset-6mer"
    assert scan.scan(model, mirnas[:1], offset, settings=SEED).empty
    complement_only = [Record("t", "G" * 60 + LET7[1:8].translate(str.maketrans("ACGU", "UGCA")) + "A" + "G" * 9)]
    assert scan.scan(model, mirnas[:1], complement_only, settings=SEED).empty


@pytest.fixture(scope="module")
def seeded_transcripts(mirnas, transcripts):
    """Many seed matches, some so near that their windows overlap, one near a start."""
    rng = np.random.default_rng(4)
    records = []
    for number, length in enumerate((30, 300, 900, 60, 2000)):
        text = "".join(rng.choice(list("ACGU"), length))
        for mirna in mirnas:
            text = seeded(mirna.sequence, text, rng.integers(0, length, 1 + length // 60).tolist())
        records.append(Record(f"seeded{number}", text))
    return [*transcripts, *records]


def test_seed_sites_are_the_best_of_hits_that_overlap(model, mirnas, seeded_transcripts):
    rows = scan.scan(model, mirnas, seeded_transcripts, settings=SEED)
    threshold = float(rows["score"].median())
    found = scan.scan(model, mirnas, seeded_transcripts, settings=scan.Settings(threshold, candidates="seed"))
    columns = ["target_id", "mirna_id", "start", "end", "score"]
    assert [tuple(row) for row in found[columns].itertuples(index=False)] == merged(rows, threshold)
    assert (found["n_windows"] > 1).any()
    tables.check(found, tables.SITES)


def test_neither_chunks_nor_processes_show_in_a_seed_scan(model, mirnas, seeded_transcripts, monkeypatch):
    settings_ = scan.Settings(0.2, candidates="seed")
    whole = scan.scan(model, mirnas, seeded_transcripts, settings=settings_)
    for size in (1, 10, 60):
        monkeypatch.setattr(scan, "PAIRS_AT_ONCE", size)
        monkeypatch.setattr(scan, "WINDOWS_AT_ONCE", 3)
        found = scan.scan(model, mirnas, seeded_transcripts, settings=settings_)
        pd.testing.assert_frame_equal(found, whole, atol=1e-5)
    pd.testing.assert_frame_equal(scan.scan(model, mirnas, seeded_transcripts, settings=settings_, threads=2), found)


def test_a_model_has_its_own_candidates(mirnas, seeded_transcripts):
    network = models.create("deeptarget", hidden=4, encoded=4)
    own = scan.scan(network, mirnas, seeded_transcripts, settings=ALL)
    pd.testing.assert_frame_equal(own, scan.scan(network, mirnas, seeded_transcripts, settings=SEED))
    all_ = scan.scan(network, mirnas[:1], seeded_transcripts[:4], settings=replace(ALL, candidates="all"))
    assert len(all_) == len(every_window(network, mirnas[:1], seeded_transcripts[:4], 1))
    with pytest.raises(UsageError, match="stride"):
        scan.scan(network, mirnas, seeded_transcripts, settings=scan.Settings(stride=5))


def test_a_seed_scan_cut_short_resumes_to_the_same(model, mirnas, seeded_transcripts, tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 40)
    io.write_fasta(seeded_transcripts, tmp_path / "t.fa")
    source, settings_ = scan.Transcripts(tmp_path / "t.fa"), scan.Settings(0.2, candidates="seed")
    whole = scan.scan_files(model, mirnas, source, tmp_path / "whole", settings=settings_, formats=scan.FORMATS)

    n_done = 0

    def stop(n_nt):
        nonlocal n_done
        n_done += 1
        if n_done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan.scan_files(model, mirnas, source, tmp_path / "cut", settings=settings_, report=stop)
    with pytest.raises(UsageError, match="settings"):
        scan.scan_files(model, mirnas, source, tmp_path / "cut", settings=scan.Settings(0.2), resume=True)
    how = {"settings": settings_, "formats": scan.FORMATS, "resume": True}
    resumed = scan.scan_files(model, mirnas, source, tmp_path / "cut", **how)
    assert resumed.n_windows == whole.n_windows == len(every_seed_window(model, mirnas, seeded_transcripts))
    assert 0 < resumed.n_scored < whole.n_scored == whole.n_windows
    for path in whole.files:
        if path.suffix != ".parquet":
            assert (tmp_path / "cut" / path.name).read_bytes() == path.read_bytes()
    assert json.loads((tmp_path / "cut" / "run.json").read_text())["settings"]["candidates"] == "seed"


def test_progress_is_told(model, mirnas, transcripts, monkeypatch):
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 10)
    done = []
    scan.scan(model, mirnas, transcripts, report=done.append)
    assert len(done) > 1
    assert sum(done) == sum(len(record.sequence) for record in transcripts)


def test_no_hits_is_an_empty_table(model, mirnas, transcripts):
    for threads in (1, 2):
        found = scan.scan(model, mirnas, transcripts, settings=scan.Settings(threshold=1), threads=threads)
        assert list(found.columns) == [column.name for column in scan.columns(model, scan.Settings())]
        assert found.empty


def test_a_long_transcript_is_split_by_mirnas(model, mirnas, transcripts, monkeypatch):
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 50)
    chunks = list(scan._chunks(model, mirnas, transcripts, ALL))
    assert max(scan._n_windows(model, chunk, ALL) for chunk in chunks) <= 100
    assert sum(chunk.n_nt for chunk in chunks) == sum(len(record.sequence) for record in transcripts)


@pytest.mark.parametrize("length", [3, 60])
def test_a_transcript_is_no_mirna(model, transcripts, length):
    with pytest.raises(InputError, match="swapped"):
        scan.scan(model, [Record("x", "A" * length)], transcripts)


@pytest.mark.parametrize(
    "settings_",
    [{"threshold": 2}, {"threshold": -0.1}, {"stride": 0}, {"candidates": "none"}, {"candidates": "seed", "stride": 2}],
)
def test_settings_are_checked(settings_):
    with pytest.raises(UsageError):
        scan.Settings(**settings_)


def test_files_are_what_the_table_says(model, mirnas, transcripts, tmp_path):
    io.write_fasta(transcripts, tmp_path / "utrs.fa")
    source = scan.Transcripts(tmp_path / "utrs.fa")
    summary = scan.scan_files(model, mirnas, source, tmp_path / "out", formats=scan.FORMATS, plots=1)
    assert all(path.stat().st_size for path in summary.files)
    assert not (tmp_path / "out" / "unfinished").exists()
    table = scan.scan(model, mirnas, transcripts)
    for name in ("sites.tsv", "sites.parquet"):
        pd.testing.assert_frame_equal(io.read_sites(tmp_path / "out" / name), table, check_dtype=False, atol=1e-5)
    bed = pd.read_csv(tmp_path / "out" / "sites.bed", sep="\t", header=None)
    assert bed[[0, 1, 2]].to_numpy().tolist() == table[["target_id", "start", "end"]].to_numpy().tolist()
    genes = pd.read_csv(tmp_path / "out" / "genes.tsv", sep="\t")
    expected = predict.genes(table)
    assert len(genes) == len(expected) == summary.n_genes
    assert sorted(genes["mirna_id"].unique()) == sorted(expected["mirna_id"].unique())
    for mirna_id, group in genes.groupby("mirna_id"):
        assert group["target_id"].tolist() == expected.loc[expected["mirna_id"] == mirna_id, "target_id"].tolist()
        assert group["rank"].tolist() == list(range(1, len(group) + 1))
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["n_sites"] == summary.n_sites == len(table)
    assert record["n_windows"] == summary.n_windows == len(scan.scan(model, mirnas, transcripts, settings=ALL))


def test_genes_are_the_same_however_many_mirnas_at_a_time(model, mirnas, transcripts, tmp_path, monkeypatch):
    io.write_fasta(transcripts, tmp_path / "utrs.fa")
    source = scan.Transcripts(tmp_path / "utrs.fa")
    for size in (1, 1000):
        monkeypatch.setattr(scan, "SITES_AT_ONCE", size)
        scan.scan_files(model, mirnas, source, tmp_path / str(size))
    one, all_ = ((tmp_path / folder / "genes.tsv").read_text() for folder in ("1", "1000"))
    assert one == all_
    assert [line.split("\t")[0] for line in one.splitlines()].index("let-7a") == 1


def test_repeated_ids_are_refused_or_numbered(model, mirnas, tmp_path):
    io.write_fasta([Record("a", "ACGU" * 20), Record("a", "GGGG" * 20), Record("a", "AAAA" * 20)], tmp_path / "a.fa")
    with pytest.raises(InputError, match="came before"):
        list(scan.Transcripts(tmp_path / "a.fa"))
    numbered = scan.Transcripts(tmp_path / "a.fa", number_duplicates=True)
    assert [record.id for record in numbered] == ["a", "a_2", "a_3"]


SLOWED = """
import sys, time
from mirscope import cli, scan
scan.PAIRS_AT_ONCE = 40
work = scan._scan_chunk
def slowly(*arguments):
    time.sleep(float(sys.argv[1]))
    return work(*arguments)
scan._scan_chunk = slowly
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[2:]))
"""


def test_a_killed_scan_leaves_nothing_half_and_resumes_to_the_same(mirnas, transcripts, tmp_path):
    io.write_fasta(mirnas, tmp_path / "m.fa")
    io.write_fasta(transcripts, tmp_path / "t.fa")
    (tmp_path / "slowed.py").write_text(SLOWED)

    def command(delay, folder, *more):
        arguments = ["scan", "m.fa", "t.fa", "--model", "seed", "-o", folder, "--threads", "1", "-p", "0", *more]
        return [sys.executable, "slowed.py", str(delay), *arguments]

    subprocess.run(command(0, "whole"), cwd=tmp_path, check=True)
    process = subprocess.Popen(command(0.2, "cut"), cwd=tmp_path)
    parts = tmp_path / "cut" / "unfinished"
    deadline = time.monotonic() + 60
    while len(list(parts.glob("*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= len(list(parts.glob("*.parquet"))) < 20
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["unfinished"]

    refused = subprocess.run(command(0, "cut"), cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    other = subprocess.run(command(0, "cut", "--resume", "-p", "0.7"), cwd=tmp_path, capture_output=True, text=True)
    assert other.returncode == 2
    assert "settings" in other.stderr
    subprocess.run(command(0, "cut", "--resume"), cwd=tmp_path, check=True)
    for name in ("sites.tsv", "genes.tsv", "sites.bed", "sites.gff3"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (tmp_path / "whole" / "sites.tsv").stat().st_size > 1000


def test_an_interrupted_scan_ends_its_processes(model, mirnas, transcripts, monkeypatch):
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 10)
    before = set(multiprocessing.active_children())
    chunks = scan.iter_sites(model, mirnas, transcripts, threads=2)
    next(chunks)
    working = set(multiprocessing.active_children()) - before
    assert len(working) == 2
    chunks.close()
    for process in working:
        process.join(10)
        assert not process.is_alive()


def test_a_dead_process_is_an_error_and_no_hang(model, mirnas, transcripts, monkeypatch):
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 10)
    before = set(multiprocessing.active_children())
    chunks = scan.iter_sites(model, mirnas, transcripts, threads=2)
    next(chunks)
    for process in set(multiprocessing.active_children()) - before:
        process.kill()
    with pytest.raises(MirscopeError, match="--resume"):
        list(chunks)


def test_candidates_on_the_command_line(run, mirnas, seeded_transcripts, tmp_path):
    io.write_fasta(mirnas, tmp_path / "m.fa")
    io.write_fasta(seeded_transcripts, tmp_path / "t.fa")
    command = "scan m.fa t.fa --model seed --threads 1 -p 0 --all-windows --no-duplex -o"
    run(f"{command} seed --candidates seed")
    table = io.read_sites(tmp_path / "seed" / "sites.tsv")
    expected = scan.scan(models.create("seed"), mirnas, seeded_transcripts, settings=SEED)
    assert len(expected) > 10
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, atol=1e-5)
    assert (table["score"] >= 0.6).sum() > 10
    assert "stride" in run(f"{command} no --candidates seed --stride 3", code=2)[1]
    assert "seed" in run(f"{command} no --candidates seeds", code=2)[1]


@pytest.fixture(scope="module")
def duplex():
    return models.load("duplex")


PEAKS = scan.Settings(threshold=0.5, background=0)


def test_sites_of_peaks_have_the_scores_of_their_windows(duplex, mirnas, transcripts):
    found = scan.scan(duplex, mirnas, transcripts, settings=replace(PEAKS, threshold=0))
    sequences = {record.id: record.sequence for record in [*mirnas, *transcripts]}
    pairs = pd.DataFrame(
        {
            "mirna_seq": found["mirna_id"].map(sequences),
            "target_seq": [sequences[row.target_id][row.start : row.end] for row in found.itertuples()],
        }
    )
    np.testing.assert_allclose(found["score"], predict.score(duplex, pairs), atol=1e-5)
    assert set(found["target_id"]) == {record.id for record in transcripts}
    for row, target in zip(found.itertuples(), pairs["target_seq"], strict=True):
        drawn = row.duplex_target.replace("-", "")
        assert target.startswith(drawn, row.duplex_start - row.start)
        assert 0 <= row.seed_pairing <= 1
        assert 0 <= row.supplementary_pairing <= 1
    planted = found[(found["target_id"] == "utr5") & (found["mirna_id"] == "let-7a")].nlargest(1, "score").iloc[0]
    assert (planted["seed_type"], planted["seed_start"]) == ("8mer", 300)
    assert planted["seed_pairing"] > 0.9


@settings(deadline=None, max_examples=20)
@given(mirna=st.text("ACGU", min_size=15, max_size=26), text=st.text("ACGUN", min_size=1, max_size=300))
def test_no_good_window_is_without_a_site(duplex, mirna, text):
    """A window well above the threshold overlaps a site: the peaks miss nothing that all windows would find."""
    queries, records = [Record("m", mirna)], [Record("t", text)]
    every = scan.scan(
        duplex, queries, records, settings=replace(PEAKS, candidates="all", stride=1, merge=False, threshold=0)
    )
    least = float(every["score"].quantile(0.8))
    sites = scan.scan(duplex, queries, records, settings=replace(PEAKS, threshold=least))
    logit = np.log(every["score"] / (1 - every["score"]))
    for row in every[logit > np.log(least / (1 - least)) + 1].itertuples():
        assert ((sites["start"] < row.end) & (sites["end"] > row.start)).any()


def test_neither_chunks_nor_processes_show_in_peaks(duplex, mirnas, transcripts, monkeypatch):
    how = scan.Settings(fp_per_kb=1.0, background=10_000)
    whole = scan.scan(duplex, mirnas, transcripts, settings=how)
    assert len(whole)
    assert (whole["fp_per_kb"] <= 1.0001).all()
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 10)
    pd.testing.assert_frame_equal(scan.scan(duplex, mirnas, transcripts, settings=how), whole, atol=1e-5)
    pd.testing.assert_frame_equal(scan.scan(duplex, mirnas, transcripts, settings=how, threads=2), whole, atol=1e-5)


def test_scores_are_stated_for_a_prevalence(duplex, mirnas, transcripts):
    even = scan.scan(duplex, mirnas, transcripts, settings=replace(PEAKS, threshold=0))
    rare = scan.scan(duplex, mirnas, transcripts, settings=replace(PEAKS, threshold=0, prevalence=0.01))
    odds = even["score"].astype(float) / (1 - even["score"].astype(float)) / 99  # odds of 1 to 99 for those of 1 to 1
    np.testing.assert_allclose(rare["score"], odds / (1 + odds), rtol=1e-3)
    called = scan.scan(duplex, mirnas, transcripts, settings=replace(PEAKS, threshold=0.02, prevalence=0.01))
    assert len(called) == (rare["score"] >= 0.02).sum() > 0


def test_any_model_has_a_background(model, mirnas, transcripts):
    how = scan.Settings(fp_per_kb=0.5, background=20_000, duplexes=False)
    found = scan.scan(model, mirnas, transcripts, settings=how)
    assert (found["fp_per_kb"] <= 0.5001).all()
    assert found["q_value"].between(0, 1).all()
    least = found.groupby("mirna_id")["score"].min()
    everything = scan.scan(model, mirnas, transcripts, settings=replace(ALL, merge=True))
    expected = everything[everything["score"] >= everything["mirna_id"].map(least).fillna(2)]
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"fp_per_kb": 0.0}, "false sites"),
        ({"fp_per_kb": 5.0}, "false sites"),
        ({"fp_per_kb": 0.1, "threshold": 0.5}, "both"),
        ({"fp_per_kb": 0.1, "background": 100}, "background"),
        ({"prevalence": 1.0}, "prevalence"),
        ({"candidates": "peaks", "stride": 3}, "stride"),
    ],
)
def test_settings_that_make_no_sense(how, word):
    with pytest.raises(UsageError, match=word):
        scan.Settings(**how)


def test_a_model_without_peaks_says_so(model, mirnas, transcripts):
    with pytest.raises(UsageError, match="no peaks"):
        scan.scan(model, mirnas, transcripts, settings=scan.Settings(candidates="peaks"))


def test_genes_count_the_weak_sites_of_called_pairs(duplex, mirnas, transcripts, tmp_path):
    path = tmp_path / "t.fa"
    io.write_fasta(transcripts, path)
    how = scan.Settings(fp_per_kb=0.1, background=20_000)
    scan.scan_files(duplex, mirnas, scan.Transcripts(path), tmp_path / "out", settings=how)
    genes = pd.read_csv(tmp_path / "out" / "genes.tsv", sep="\t").set_index(["mirna_id", "target_id"])
    called = io.read_sites(tmp_path / "out" / "sites.tsv")
    everything = scan.scan(duplex, mirnas, transcripts, settings=replace(how, fp_per_kb=1.0))
    sums = everything.groupby(["mirna_id", "target_id"])["occupancy"].sum()
    assert set(genes.index) == set(zip(called["mirna_id"], called["target_id"], strict=True))
    np.testing.assert_allclose(genes["score"], sums.reindex(genes.index), rtol=0.02)  # another background's pilot
    assert (genes["score"] == genes["repression"]).all()
    assert len(everything) > len(called)


def test_genes_of_isoforms(run, tmp_path, mirnas, transcripts):
    io.write_fasta(mirnas, tmp_path / "m.fa")
    io.write_fasta(transcripts, tmp_path / "t.fa")
    rows = [f"{record.id}\t{'long' if len(record.sequence) > 100 else 'short'}\n" for record in transcripts]
    (tmp_path / "map.tsv").write_text("".join(rows[:-1]))
    plain = "scan m.fa t.fa --background 20000 -p 0.1 --threads 1"
    command = f"{plain} --genes map.tsv"
    _, err = run(f"{command} -o mean")
    assert "1 of 6 transcripts have no gene" in err
    (tmp_path / "map.tsv").write_text("".join(rows))
    tables_ = {}
    for name in ("mean", "max"):
        run(f"{command} -o {name} --isoforms {name} --quiet")
        tables_[name] = pd.read_csv(tmp_path / name / "genes.tsv", sep="\t").set_index(["mirna_id", "target_id"])
    assert {gene for _, gene in tables_["mean"].index} == {"long", "short"}
    run(f"{plain} -o each --quiet")
    each = pd.read_csv(tmp_path / "each" / "genes.tsv", sep="\t")
    each["target_id"] = each["target_id"].map(dict(row.split() for row in rows))
    grouped = each.groupby(["mirna_id", "target_id"])["repression"]
    sizes = {"long": 2, "short": 4}
    for index, row in tables_["mean"].iterrows():
        assert row["score"] == pytest.approx(grouped.sum()[index] / sizes[index[1]], rel=1e-4)
        assert tables_["max"].loc[index, "score"] == pytest.approx(grouped.max()[index], rel=1e-4)
    run("scan m.fa t.fa --genes map.tsv --gtf map.tsv -o x", code=2)
    (tmp_path / "map.tsv").write_text("other\tg1\n")
    _, err = run(f"{command} -o none", code=1)
    assert err.count("\n") == 1 and "names none of the 6" in err


def test_genes_by_repression_without_a_background_are_refused_before_the_work(run, tmp_path, mirnas, transcripts):
    io.write_fasta(mirnas, tmp_path / "m.fa")
    io.write_fasta(transcripts, tmp_path / "t.fa")
    _, err = run("scan m.fa t.fa -m seed --gene-score repression -o out", code=2)
    assert "--fp-per-kb" in err
    assert not (tmp_path / "out").exists()
    run("scan m.fa t.fa -m seed --gene-score repression --background 20000 -o out --threads 1 --quiet")
    genes = pd.read_csv(tmp_path / "out" / "genes.tsv", sep="\t")
    assert (genes["score"] == genes["repression"]).all()
    assert genes["score"].gt(0).all()


@pytest.mark.parametrize("text", ["ACGUACGUACGUACG", "N" * 80, "A" * 200, "ACGU" * 12 + "AC"])
def test_odd_transcripts_have_a_background_too(duplex, text):
    found = scan.scan(
        duplex, [Record("m", LET7)], [Record("t", text)], settings=scan.Settings(background=10_000, fp_per_kb=1)
    )
    assert list(found.columns)[-4:] == ["duplex_start", "duplex_target", "duplex_pairs", "duplex_mirna"]
