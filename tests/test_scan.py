import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

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


def test_no_hits_is_an_empty_table(model, mirnas, transcripts):
    for threads in (1, 2):
        found = scan.scan(model, mirnas, transcripts, settings=scan.Settings(threshold=1), threads=threads)
        assert list(found.columns) == [column.name for column in tables.SITES]
        assert found.empty


def test_a_long_transcript_is_split_by_mirnas(model, mirnas, transcripts, monkeypatch):
    monkeypatch.setattr(scan, "PAIRS_AT_ONCE", 50)
    chunks = list(scan._chunks(model, mirnas, transcripts, ALL))
    assert max(chunk.n_pairs for chunk in chunks) <= 100
    assert sum(chunk.n_nt for chunk in chunks) == sum(len(record.sequence) for record in transcripts)


@pytest.mark.parametrize("length", [3, 60])
def test_a_transcript_is_no_mirna(model, transcripts, length):
    with pytest.raises(InputError, match="swapped"):
        scan.scan(model, [Record("x", "A" * length)], transcripts)


@pytest.mark.parametrize("settings_", [{"threshold": 2}, {"threshold": -0.1}, {"stride": 0}])
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
