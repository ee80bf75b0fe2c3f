"""Hits against a slow search of every diagonal, and BLAST+ against the index."""

import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirscope import align, io
from mirscope.errors import UsageError
from mirscope.io import Record

needs_blast = pytest.mark.skipif(shutil.which("blastn") is None, reason="BLAST+ is not installed")
COLUMNS = list(align.HITS[:-1])
sequences = st.text(alphabet="ACGU", min_size=20, max_size=60)


def best_score(query: str, reference: str, word: int) -> int:
    """Best stretch of any diagonal that holds a word of matches."""
    best = 0
    for shift in range(-len(query) + 1, len(reference)):
        letters = [
            query[i] == reference[i + shift] for i in range(max(0, -shift), min(len(query), len(reference) - shift))
        ]
        for start in range(len(letters)):
            score = run = longest = 0
            for same in letters[start:]:
                score += align.MATCH if same else align.MISMATCH
                run = run + 1 if same else 0
                longest = max(longest, run)
                if longest >= word:
                    best = max(best, score)
    return best


@settings(max_examples=25, deadline=None)
@given(query=sequences, reference=sequences, place=st.integers(0, 30), length=st.integers(8, 20))
def test_best_hit_is_that_of_a_slow_search(query, reference, place, length):
    planted = query[:4] + reference[place : place + length] + query[4:]
    index = align.Index.build([Record("other", "ACGU" * 4), Record("r", reference)], 6)
    hits = align.find([planted], index, e_value=1e9)
    found = hits.loc[hits["reference"] == 1, "score"].max()
    assert found == max(best_score(planted, reference, 6), 0) or (
        np.isnan(found) and not best_score(planted, reference, 6)
    )


def test_hits_say_what_they_are():
    reference = "ACGUUGCAAGCUUAGGCAUCGAUUCGGAUACC"
    query = "AAAA" + reference[5:15] + "A" + reference[16:28] + "GGGG"
    index = align.Index.build([Record("first", "GAUUACA" * 5), Record("second", reference)], 7)
    hits = align.find([query, "A" * 30], index, e_value=1)
    assert hits[COLUMNS].values.tolist()[0] == [0, 1, 4, 27, 5, 28, 1, 22 - 3]
    assert (hits["query"] == 0).all()
    assert index.sequence(1, 5, 28) == reference[5:28]
    assert index.sequence(1, 5, 99) == reference[5:]
    assert index.length(1) == len(reference)


def test_no_hit_crosses_from_one_reference_to_the_next():
    index = align.Index.build([Record("a", "GGCUUAACGG"), Record("b", "CAUUGCGGAU")], 6)
    hits = align.find(["GGCUUAACGGCAUUGCGGAU"], index, e_value=1e3)
    assert sorted(zip(hits["reference"], hits["query_end"] - hits["query_start"], strict=True)) == [(0, 10), (1, 10)]


def test_n_matches_nothing_and_no_queries_give_no_hits():
    index = align.Index.build([Record("a", "GGCUUAANNNNNNNNCAUUGCGGAU")], 6)
    assert align.find(["NNNNNNNNNNNN"], index, e_value=1e3).empty
    assert align.find([], index, e_value=1e3).empty
    assert list(align.find([], index, e_value=1e3)) == list(align.HITS)


def test_threads_do_not_change_the_hits(monkeypatch):
    rng = np.random.default_rng(1)
    references = [Record(str(i), "".join(rng.choice(list("ACGU"), 200))) for i in range(20)]
    index = align.Index.build(references, 8)
    queries = [references[i % 20].sequence[i : i + 25] for i in range(100)]
    one = align.find(queries, index, e_value=0.1)
    monkeypatch.setattr(align, "_AT_ONCE", 7)
    assert align.find(queries, index, e_value=0.1, threads=3).equals(one)


def test_engine_that_is_not_installed(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="blastn, makeblastdb not found"):
        align.find(
            ["ACGUACGUACGUACGU"], align.Index.build([Record("a", "ACGUACGUACGUACGU")], 8), e_value=1, engine="blast"
        )


@needs_blast
def test_blast_finds_what_the_index_finds(data_path):
    references = io.read_fasta(data_path("mouse_mature_mirbase_racoon"))
    reads = [read.sequence for read in io.read_fasta(data_path("mouse_mireclip_mir181_IP10_1000"), unique=False)][:250]
    index = align.Index.build(references, 8)
    ours, theirs = (align.find(reads, index, e_value=0.1, most=200, engine=engine) for engine in align.ENGINES)
    same = set(map(tuple, ours[COLUMNS].values.tolist())) & set(map(tuple, theirs[COLUMNS].values.tolist()))
    assert len(same) >= 0.99 * max(len(ours), len(theirs))
    assert ours.groupby("query")["score"].max().equals(theirs.groupby("query")["score"].max())


def test_an_index_in_files_is_the_same_in_another_process(tmp_path):
    index = align.Index.build([Record("a", "ACGUACGGAUUACA"), Record("b", "GGGAUUCCAUACGA")], 8)
    kept = index.kept_in(tmp_path / "index")
    sent = pickle.dumps(kept)
    assert len(sent) < len(pickle.dumps(index)) / 100
    found = align.find(["GGGAUUCCAUA"], pickle.loads(sent), e_value=1)
    assert found.equals(align.find(["GGGAUUCCAUA"], index, e_value=1))
    assert len(found) == 1
