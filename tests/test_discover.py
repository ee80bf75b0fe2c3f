"""Discovery: stems as the slow search finds them, loci that do not depend on how a genome is cut, files, bad input."""

import itertools
import json
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import RNA
import torch
from gtfparse import read_gtf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirscope import discover, io, models, negatives, rna, tables
from mirscope.discover import Genome, Known, Settings, candidates, search, search_files, survey
from mirscope.errors import InputError, UsageError
from mirscope.models._hairpin import Folded

LET7_1 = "UGGGAUGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCCACCACUGGGAGAUAACUAUACAAUCUACUGUCUUUCCUA"
MIR_21 = "UGUCGGGUAGCUUAUCAGACUGAUGUUGACUGUUGAAUCUCAUGGCAACACCAGUCGAUGGGCUGUCUGACA"
MIR_122 = "CCUUAGCAGAGCUGUGGAGUGUGACAAUGGUGUUUGUGUCUAAACUAUCAAACGCCAUUAUCACACUAAAUAGCUACUGCUAGGC"
EXAMPLES = Path(__file__).parents[1] / "examples"
GOLDEN = Path(__file__).parent / "golden" / "discover"
MATURES = {
    "hsa-let-7a-5p": "UGAGGUAGUAGGUUGUAUAGUU",
    "hsa-miR-21-5p": "UAGCUUAUCAGACUGAUGUUGA",
    "hsa-miR-122-5p": "UGGAGUGUGACAAUGGUGUUUG",
}


@dataclass(frozen=True)
class Config:
    least: int = 18


class Pairs(Folded):
    """A toy: the logit is half the pairs of the stem within 62 nt, less 18; the mature miRNAs are 22 nt at the loop."""

    lengths = (10_000, 10_000)

    def __init__(self, least: int = 18) -> None:
        super().__init__()
        self.config, self.name, self.provenance = Config(least), "pairs", {}

    def encode(self, *texts):
        stems = [sum(j - i < 62 for i, j in rna.stem(structure)) for structure in texts[1]]
        return (torch.tensor(stems, dtype=torch.float32),)

    def forward(self, n_pairs):
        return (n_pairs - self.config.least) / 2

    def arms(self, hairpins, structures):
        loops = [rna.terminal_loop(structure) for structure in structures]
        rows = zip(hairpins, loops, strict=True)
        return np.array([[a - 22, a, b, b + 22] if a >= 22 and b + 22 <= len(h) else [-1] * 4 for h, (a, b) in rows])


@pytest.fixture(scope="module")
def model():
    return Pairs()


@pytest.fixture(scope="module")
def sequences():
    """4 kb of random sequence with let-7a-1, mir-21 on the other strand and mir-122; a letter; N and 1 kb more."""
    text = negatives.random_sequence(4000, random_state=1)
    for place, planted in ((500, LET7_1), (2000, rna.reverse_complement(MIR_21)), (3000, MIR_122)):
        text = text[:place] + planted + text[place:]
    return [("chrA", text), ("letter", "A"), ("chrB", "N" * 2000 + negatives.random_sequence(1000, random_state=2))]


@pytest.fixture
def genome(sequences, tmp_path):
    return survey(write(sequences, tmp_path / "genome.fa"))


def write(sequences, path: Path) -> Path:
    lines = (f">{name} some words\n" + "\n".join(textwrap.wrap(text, 60)) for name, text in sequences)
    path.write_text("\n".join(lines) + "\n")
    return path


CALLED = Settings(threshold=0.6, background=0)


# ----------------------------------------------------------------------------------------------------------- candidates


def gap_cost(up: int, down: int) -> float:
    """The cheapest way through an internal loop, by all numbers of steps on both strands at once."""
    costs = []
    for both in range(min(up, down) + 1):
        single = up + down - 2 * both
        if both:
            costs.append(150 + 150 * (both - 1) + 120 * single)
        if single:
            costs.append(250 + 120 * (single - 1) + 150 * both)
    return min(costs)


def inner_energy(codes, i, j, p, q):
    """Of the pair i-j with the next pair p-q inside it."""
    stacks, ends, _ = discover._energies(160)
    if (p, q) == (i + 1, j - 1):
        return stacks[25 * (5 * codes[i] + codes[p]) + 5 * codes[q] + codes[j]]
    return ends[5 * codes[i] + codes[j]] + ends[5 * codes[p] + codes[q]] + gap_cost(p - i - 1, j - q - 1)


def loop_energy(codes, i, j):
    _, ends, loops = discover._energies(160)
    return loops[j - i] + ends[5 * codes[i] + codes[j]]


def slow_stems(codes):
    """The energy of the best stem of every pair (i, j), by trying every next pair."""
    _, ends, _ = discover._energies(160)
    found = {}
    for length in range(5, len(codes) + 1):
        for i in range(len(codes) - length + 1):
            j = i + length - 1
            if ends[5 * codes[i] + codes[j]] < 1000:
                inside = [inner_energy(codes, i, j, p, q) + found[p, q] for p, q in found if i < p and q < j]
                found[i, j] = min([loop_energy(codes, i, j), *inside])
    return found


@settings(deadline=None, max_examples=60)
@given(text=st.text("ACGUN", min_size=1, max_size=26), shortest=st.integers(5, 12), longest=st.integers(12, 40))
@example(text="ACCCAAAGGGA", shortest=5, longest=12)
def test_best_stems_are_those_of_the_slow_search(text, shortest, longest):
    codes = rna.encode([text])[0]
    none = int(discover._NONE) * discover._LENGTHS
    by_end, by_start = np.full((2, len(codes)), none, dtype=np.int32)
    discover._best_stems(codes, *discover._energies(longest), shortest, longest, by_end, by_start)
    wanted = [[none] * len(codes), [none] * len(codes)]
    for (i, j), energy in slow_stems(codes.astype(int)).items():
        if shortest <= j - i + 1 <= longest:
            value = int(energy + 8 * (j - i + 1)) * discover._LENGTHS + j - i
            wanted[0][j], wanted[1][i] = min(wanted[0][j], value), min(wanted[1][i], value)
    found = np.stack([by_end, by_start])
    found[found > none // 2] = none  # what is no pair lacks of _NONE the energy inside it
    assert found.tolist() == wanted


@settings(deadline=None)
@given(pairs=st.lists(st.sampled_from(["AU", "UA", "GC", "CG", "GU", "UG"]), min_size=2, max_size=12))
def test_stacks_are_those_of_viennarna(pairs):
    """What one more pair at the outer end of a helix adds, terminal A-U and G-U set aside."""

    def theirs(number):
        up, down = "".join(pair[0] for pair in pairs[-number:]), "".join(pair[1] for pair in pairs[-number:])[::-1]
        energy = RNA.eval_structure_simple(up + "GAAAAC" + down, "(" * number + "(....)" + ")" * number)
        return round(100 * energy) - (0 if pairs[-number] in ("GC", "CG") else 50)

    stacks, ends, _ = discover._energies(160)
    (i, j), (p, q) = (tuple(rna.ALPHABET.index(letter) for letter in pair) for pair in pairs[:2])
    assert stacks[25 * (5 * i + p) + 5 * q + j] == theirs(len(pairs)) - theirs(len(pairs) - 1)
    assert ends[5 * i + j] == (0 if pairs[0] in ("GC", "CG") else 50)


@pytest.fixture(scope="module")
def text():
    return negatives.random_sequence(12_000, random_state=3)


def test_the_structure_of_a_candidate_has_its_energy(text):
    found = candidates(text)
    assert len(found) > 40
    for start, end, energy, structure in found.itertuples(index=False):
        codes = rna.encode([text[start:end]])[0].astype(int)
        pairs = rna.base_pairs(structure)[::-1]  # outermost first
        assert all(a < b and c > d for (a, c), (b, d) in itertools.pairwise(pairs))
        assert (pairs[0][0], end - start - 1 - pairs[0][1]) == (10, 10) or start == 0 or end == len(text)
        inside = sum(inner_energy(codes, *outer, *inner) for outer, inner in itertools.pairwise(pairs))
        length = pairs[0][1] - pairs[0][0] + 1
        assert discover.SHORTEST <= length <= discover.LONGEST
        assert energy == (inside + loop_energy(codes, *pairs[-1]) + 8 * length) / 100 <= discover.ENERGY


def test_no_two_candidates_are_alike(text):
    spans = [(start + 10, end - 10) for start, end in candidates(text)[["start", "end"]].itertuples(index=False)]
    for (a, b), (c, d) in itertools.combinations(spans, 2):
        assert min(b, d) - max(a, c) < discover.ALIKE * (max(b, d) - min(a, c))


def test_candidates_of_a_part_are_those_of_the_whole(text):
    """Beyond the reach of the ends nothing of the surroundings counts, blocks included."""
    whole, part = candidates(text), candidates(text[3000:9000]).assign()
    part[["start", "end"]] += 3000
    reach = discover._overlap(Settings())

    def middle(table):
        return table[(table["start"] >= 3000 + reach) & (table["start"] < 9000 - reach)].reset_index(drop=True)

    assert len(middle(whole)) > 20
    pd.testing.assert_frame_equal(middle(whole), middle(part))


def test_a_stem_longer_than_asked_for_is_no_candidate():
    arm = negatives.random_sequence(80, random_state=4)
    long = negatives.random_sequence(300) + arm + "GAAA" + rna.reverse_complement(arm) + negatives.random_sequence(300)
    assert candidates(long, longest=200)["energy"].min() < -100
    assert (candidates(long)["end"] - candidates(long)["start"]).max() <= discover.LONGEST + 2 * discover.FLANK


@pytest.mark.parametrize("text", ["", "A", "ACGU", "N" * 500, "A" * 500, "GC" * 10])
def test_sequences_without_a_candidate(text):
    assert candidates(text).empty
    assert list(candidates(text)) == ["start", "end", "energy", "structure"]


def test_nearly_all_human_pre_mirnas_are_candidates(data_path):
    """MirGeneDB's, bare, between random sequence: the mature ends lie within a candidate."""
    table = io.read_hairpins(data_path("mirgenedb_hairpins_4species"))
    hairpins = table.loc[table["species"] == "hsa", "hairpin_seq"].tolist()[::6]
    rng, found = np.random.default_rng(0), 0
    for hairpin in hairpins:
        around = [negatives.random_sequence(500, random_state=rng) for _ in range(2)]
        there = candidates(hairpin.join(around))
        found += ((there["start"] <= 503) & (there["end"] >= 497 + len(hairpin))).any()
    assert found >= 0.97 * len(hairpins)


# ----------------------------------------------------------------------------------------------------------------- loci


def test_planted_hairpins_are_found_at_their_places(model, genome):
    known = Known({sequence: name for name, sequence in MATURES.items()})
    loci = search(model, genome, settings=CALLED, arms_model=model, known=known)
    tables.check(loci, tables.LOCI)
    assert list(loci) == [column.name for column in tables.LOCI if column.required]
    named = loci[loci["known"] != ""].set_index("known")
    places = {"hsa-let-7a-5p": (500, "+", LET7_1), "hsa-miR-122-5p": (3000, "+", MIR_122)}
    places["hsa-miR-21-5p"] = (2000, "-", MIR_21)
    assert sorted(named.index) == sorted(places)
    for name, (start, strand, hairpin) in places.items():
        locus = named.loc[name]
        assert abs(locus["start"] + locus["end"] - 2 * start - len(hairpin)) < 30
        text = dict(read(genome))[locus["chrom"]][locus["start"] : locus["end"]]
        assert locus["strand"] == strand
        assert locus["hairpin_seq"] == (rna.reverse_complement(text) if strand == "-" else text)
        assert len(hairpin) - 25 < locus["end"] - locus["start"] < len(hairpin) + 60
        assert locus["structure"] == rna.fold(locus["hairpin_seq"])[0]
        assert MATURES[name] in locus["hairpin_seq"]


def read(genome: Genome):
    return [(record.id, record.sequence) for record in io.iter_fasta(genome.path)]


def test_mature_places_are_where_their_sequences_are(model, genome):
    loci, texts = search(model, genome, settings=CALLED, arms_model=model), dict(read(genome))
    assert (loci["mature_5p_start"] >= 0).sum() > 5
    assert set(loci["strand"]) == {"+", "-"}
    for locus, arm in itertools.product(loci.to_dict("records"), ("5p", "3p")):
        start, end = locus[f"mature_{arm}_start"], locus[f"mature_{arm}_end"]
        piece = texts[locus["chrom"]][start:end] if start >= 0 else ""
        assert locus[f"mature_{arm}"] == (rna.reverse_complement(piece) if locus["strand"] == "-" else piece)


@pytest.mark.parametrize("chunk", [400, 1000, 10_000_000])
def test_chunks_do_not_show(model, genome, monkeypatch, chunk):
    wanted = search(model, genome, settings=CALLED, arms_model=model)
    assert len(wanted) > 20
    monkeypatch.setattr(discover, "CHUNK", chunk)
    pd.testing.assert_frame_equal(search(model, genome, settings=CALLED, arms_model=model), wanted)


def test_processes_do_not_show(genome, monkeypatch):
    """A network of the package, which another process can load."""
    network = models.create("hairpin")
    monkeypatch.setattr(discover, "CHUNK", 1500)
    how = {"settings": Settings(threshold=0.0, background=0, energy=-9), "arms_model": network}
    alone, together = search(network, genome, **how), search(network, genome, **how, threads=2)
    assert len(alone) > 10
    pd.testing.assert_frame_equal(alone, together)


def test_the_other_strand_is_the_mirror(model, sequences, tmp_path):
    mirror = [(name, rna.reverse_complement(text)) for name, text in sequences]
    there = search(model, survey(write(sequences, tmp_path / "a.fa")), settings=CALLED, arms_model=model)
    back = search(model, survey(write(mirror, tmp_path / "b.fa")), settings=CALLED, arms_model=model)
    lengths = back["chrom"].map({name: len(text) for name, text in sequences})
    for start, end in (("start", "end"), ("mature_5p_start", "mature_5p_end"), ("mature_3p_start", "mature_3p_end")):
        none = back[start] < 0
        back[start], back[end] = (
            (lengths - back[end]).where(~none, -1),
            (lengths - back[start]).where(~none, -1),
        )
    back["strand"] = back["strand"].map({"+": "-", "-": "+"})
    back = back.sort_values(["chrom", "start", "strand"], ignore_index=True)
    pd.testing.assert_frame_equal(there.drop(columns="id"), back.drop(columns="id"))


def test_loci_share_little_and_stand_for_what_they_overlap(model, genome, monkeypatch):
    loci = search(model, genome, settings=CALLED)
    for _, group in loci.groupby(["chrom", "strand"]):
        for one, other in itertools.combinations(group.to_dict("records"), 2):
            shared = min(one["end"], other["end"]) - max(one["start"], other["start"])
            assert shared < discover.SAME_LOCUS * min(one["length"], other["length"])
    monkeypatch.setattr(discover, "SAME_LOCUS", 2.0)  # never the same
    every = search(model, genome, settings=CALLED)
    assert len(every) == loci["n_candidates"].sum() > len(loci)
    assert set(map(tuple, loci[["start", "strand"]].to_numpy())) <= set(
        map(tuple, every[["start", "strand"]].to_numpy())
    )


@settings(deadline=None)
@given(
    hits=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(10, 30), st.integers(0, 5)), max_size=25)
)
def test_merge_is_the_slow_merge(hits):
    table = pd.DataFrame(hits, columns=["chrom", "start", "length", "logit"])
    table = table.assign(chrom=table["chrom"].astype(str), strand="+", end=table["start"] + table["length"])
    rest = sorted(table.to_dict("records"), key=lambda hit: (-hit["logit"], hit["chrom"], hit["start"], hit["end"]))
    wanted = []
    while rest:
        best = rest[0]

        def joins(hit, best=best):
            shared = min(hit["end"], best["end"]) - max(hit["start"], best["start"])
            return hit["chrom"] == best["chrom"] and shared >= 0.3 * min(hit["length"], best["length"])

        wanted.append((best["chrom"], best["start"], best["end"], best["logit"], sum(map(joins, rest))))
        rest = [hit for hit in rest if not joins(hit)]
    merged = discover.merge(table.assign(chrom=pd.Categorical(table["chrom"], ["0", "1"])))
    found = merged[["chrom", "start", "end", "logit", "n_candidates"]].itertuples(index=False, name=None)
    assert sorted(found) == sorted(wanted)


def test_false_loci_are_told_and_asked_for(model, genome):
    """Rates fall with the score; what is called by a rate has it."""
    few = Settings(fp_per_mb=100, background=30_000)
    loci = search(model, genome, settings=few)
    assert len(loci)
    assert loci["fp_per_mb"].max() <= 100 * (1 + 1e-6)
    every = search(model, genome, settings=Settings(threshold=0.3, background=30_000))
    assert len(every) > len(loci)
    by_score = every.sort_values("score", ascending=False, kind="stable")
    assert by_score["fp_per_mb"].is_monotonic_increasing
    assert "fp_per_mb" not in search(model, genome, settings=CALLED)


def test_rates_of_false_loci_hold_on_fresh_shuffles(model, genome, tmp_path):
    """As many loci as asked for in sequence that is shuffled anew, within what chance allows."""
    [piece] = genome.pieces
    pieces = [negatives.dinucleotide_shuffle(piece.sequence, random_state=number) for number in range(12)]
    fresh = survey(write([(str(n), text) for n, text in enumerate(pieces)], tmp_path / "fresh.fa"))
    called = search(model, fresh, settings=Settings(fp_per_mb=100, background=fresh.n_nt))
    assert 1 <= len(called) <= 14  # of 6 expected


def test_candidates_of_weak_stems_are_not_folded(model, genome, tmp_path):
    """Of planted hairpins the stem is good enough; of most candidates it is not."""
    few = Settings(fp_per_mb=100, background=20_000, folded_per_mb=1000)
    every = search_files(model, genome, tmp_path / "a", settings=replace(few, folded_per_mb=0))
    some = search_files(model, genome, tmp_path / "b", settings=few)
    assert every.n_folded == every.n_candidates == some.n_candidates > 2 * some.n_folded > 0
    assert every.n_loci >= some.n_loci > 0


# --------------------------------------------------------------------------------------------------------------- genome


def test_masked_letters_are_upper_case_unless_skipped(model, sequences, tmp_path):
    half = [(name, text[:3000].replace("U", "T") + text[3000:].lower()) for name, text in sequences]  # and RNA and DNA
    path = write(half, tmp_path / "masked.fa")
    plain = search(model, survey(write(sequences, tmp_path / "plain.fa")), settings=CALLED)
    pd.testing.assert_frame_equal(search(model, survey(path), settings=CALLED), plain)
    skipped = search(model, survey(path, skip_masked=True), settings=CALLED)
    on_a = skipped[skipped["chrom"] == "chrA"]
    assert 0 < len(on_a) < (plain["chrom"] == "chrA").sum()
    assert on_a["end"].max() <= 3000 + discover.FLANK


def test_nothing_is_found_in_n(model, genome):
    loci = search(model, genome, settings=CALLED)
    assert (loci.loc[loci["chrom"] == "chrB", "start"] >= 2000 - discover.FLANK).all()


def test_10_mb_of_n_are_quick_and_quiet(run, tmp_path):
    (tmp_path / "n.fa").write_text(">n\n" + ("N" * 99 + "\n") * 101_011)
    began = time.perf_counter()
    _, err = run("discover n.fa -o out --threads 1 --quiet --model " + str(toy(tmp_path)))
    assert time.perf_counter() - began < 5
    assert err == ""
    assert (tmp_path / "out" / "loci.bed").read_text().count("\n") == 1
    assert json.loads((tmp_path / "out" / "run.json").read_text())["n_loci"] == 0


def toy(folder: Path) -> Path:
    """A network with fresh weights that reads hairpins and calls arms."""
    torch.manual_seed(0)
    models.save(models.create("hairpin"), folder / "toy.safetensors")
    return folder / "toy.safetensors"


def test_survey_draws_pieces_without_n(genome, sequences):
    assert genome.lengths == {name: len(text) for name, text in sequences}
    assert genome.n_known == sum(len(text.replace("N", "")) for _, text in sequences)
    assert sum(len(piece.sequence) for piece in genome.pieces) == genome.n_known
    assert not any("N" in piece.sequence for piece in genome.pieces)


def test_stretches_are_the_sequences(sequences, genome):
    for length, overlap in ((100, 0), (100, 30), (7000, 1000), (50_000, 10)):
        parts = {name: "" for name, _ in sequences}
        for stretch in io.iter_stretches(genome.path, length, overlap=overlap):
            text = dict(sequences)[stretch.id]
            assert stretch.start == max(stretch.low - overlap, 0)
            assert stretch.sequence == text[stretch.start : stretch.high + overlap]
            parts[stretch.id] += text[stretch.low : stretch.high]
        assert parts == dict(sequences)


def test_stretches_read_what_read_fasta_reads(tmp_path):
    """Or refuse what it refuses: files of a FASTA's own pieces in random order."""
    rng, path, n_good = np.random.default_rng(0), tmp_path / "x.fa", 0
    parts = [
        b">a\n",
        b">b text\n",
        b">c\r\n",
        b"ACGU",
        b"acgtn",
        b"RYK",
        b"\n",
        b"\n",
        b"\r\n",
        b"# note\n",
        b" ",
        b">",
        b"E",
    ]
    for _ in range(1500):
        picked = rng.choice(len(parts), size=rng.integers(1, 9), p=[0.2, *[0.7 / 10] * 10, 0.05, 0.05])
        path.write_bytes(b">first\n" * int(rng.integers(2)) + b"".join(parts[number] for number in picked))
        try:
            wanted = {record.id: record.sequence for record in io.read_fasta(path)}
        except InputError:
            with pytest.raises(InputError) as error:
                list(io.iter_stretches(path, 3))
            assert str(path) in str(error.value)
        else:
            found = dict.fromkeys(wanted, "")
            for stretch in io.iter_stretches(path, 3, overlap=2):
                found[stretch.id] += stretch.sequence[stretch.low - stretch.start : stretch.high - stretch.start]
            assert found == wanted
            n_good += 1
    assert n_good > 50


# --------------------------------------------------------------------------------------------------------- known, reads


def test_known_places_are_all_occurrences(sequences):
    text = sequences[0][1]
    words = [text[100:122], text[3000:3085], "ACGUACGUACGUACGUACGU"]
    found = Known({word: f"k{number}" for number, word in enumerate(words)}).places(text)
    assert found == [(100, 122, "k0"), (3000, 3085, "k1")]


def test_a_known_sequence_longer_than_a_stem_is_found_across_parts(genome, sequences):
    known = Known({sequences[0][1][300:1500]: "long"})
    jobs = discover._jobs(genome.stretches(500, discover._overlap(CALLED, known)))
    found = [place for job in jobs for stretch in job for place in discover._known_places(known, stretch)]
    assert found == [("long", "chrA", 300, 1500, "+")]


def test_reads_are_counted_on_their_strand_and_arm(model, genome, tmp_path):
    loci = search(model, genome, settings=CALLED, arms_model=model)
    locus = next(row for row in loci.to_dict("records") if row["strand"] == "-" and row["mature_5p_start"] >= 0)
    end = locus["mature_5p_end"]  # of the other strand: where the read's 5' end is
    reads = [(end - 22, 22, True, "a_x7"), (end - 21, 22, True, "b"), (end - 22, 22, False, "c_x90")]
    reads += [(locus["mature_3p_start"], 20, True, "d"), (locus["start"] - 15, 20, True, "e")]
    header = {"SQ": [{"SN": name, "LN": length} for name, length in genome.lengths.items()]}
    path = tmp_path / "reads.bam"
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for start, length, reverse, name in sorted(reads):
            read = pysam.AlignedSegment(file.header)
            read.query_name, read.reference_id, read.reference_start = name, file.get_tid(locus["chrom"]), start
            read.flag, read.mapping_quality, read.cigarstring = 16 * reverse, 60, f"{length}M"
            read.query_sequence = "A" * length
            file.write(read)
    pysam.index(str(path))
    folder = tmp_path / "out"
    search_files(model, genome, folder, settings=CALLED, arms_model=model, reads=path)
    table = pd.read_csv(folder / "loci.tsv", sep="\t").set_index("id")
    tables.check(table.reset_index(), tuple(READ_COLUMNS))
    row = table.loc[locus["id"]]
    assert row[["n_reads", "n_reads_5p", "n_reads_3p"]].tolist() == [9, 8, 1]
    assert row["homogeneity_5p"] == pytest.approx(7 / 8, rel=1e-4)
    others = table.drop(index=locus["id"])  # which may overlap it, or stand on the other strand
    here = others[
        (others["chrom"] == locus["chrom"]) & (others["start"] < locus["end"]) & (others["end"] > locus["start"])
    ]
    assert others["n_reads"].sum() == here["n_reads"].sum()


READ_COLUMNS = [column for column in tables.LOCI if column.name.startswith("n_reads")]


@pytest.mark.parametrize("kind", ["text", "no index", "other names"])
def test_reads_that_cannot_be_used(model, genome, tmp_path, kind):
    path = tmp_path / "reads.bam"
    if kind == "text":
        path.write_text("no BAM\n")
    else:
        name = "other" if kind == "other names" else "chrA"
        with pysam.AlignmentFile(str(path), "wb", header={"SQ": [{"SN": name, "LN": 13_000}]}):
            pass
        if kind == "other names":
            pysam.index(str(path))
    with pytest.raises(InputError, match=r"BAM|index|no sequence of the genome") as error:
        search_files(model, genome, tmp_path / "out", settings=CALLED, reads=path)
    assert str(path) in str(error.value)
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------------------------- files


def test_files_say_what_the_table_says(model, genome, tmp_path):
    known = Known({sequence: name for name, sequence in MATURES.items()} | {LET7_1: "hsa-mir-let,7=1"})
    loci = search(model, genome, settings=CALLED, arms_model=model, known=known)
    summary = search_files(model, genome, tmp_path / "out", settings=CALLED, arms_model=model, known=known)
    folder = tmp_path / "out"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["loci.tsv", "loci.bed", "loci.gff3", "hairpins.fa", "mature.fa", "known.tsv", "run.json"]
    )
    assert (summary.n_loci, summary.n_known, summary.n_known_found) == (len(loci), 4, 4)
    table = pd.read_csv(folder / "loci.tsv", sep="\t", keep_default_na=False, na_values={"fp_per_mb": ""})
    assert list(table) == list(loci)
    assert table["hairpin_seq"].tolist() == loci["hairpin_seq"].tolist()
    pysam.tabix_index(str(folder / "loci.bed"), preset="bed", keep_original=True, force=True)
    with pysam.TabixFile(str(folder / "loci.bed.gz"), parser=pysam.asBed()) as bed:
        rows = [(row.contig, row.start, row.end, row.name, row.strand) for row in bed.fetch()]
    assert rows == list(loci[["chrom", "start", "end", "id", "strand"]].itertuples(index=False, name=None))
    gff = [line.split("\t") for line in (folder / "loci.gff3").read_text().splitlines()[1:]]
    attributes = [dict(part.split("=", 1) for part in line[8].split(";")) for line in gff]
    parents = {entry["ID"]: line for line, entry in zip(gff, attributes, strict=True) if line[2] != "miRNA"}
    assert [(int(line[3]) - 1, int(line[4])) for line in parents.values()] == [row[1:3] for row in rows]
    n_matures = 0
    for line, entry in zip(gff, attributes, strict=True):
        assert len({other["ID"] for other in attributes}) == len(attributes)
        if line[2] == "miRNA":
            parent = parents[entry["Derives_from"]]
            assert parent[0] == line[0] and int(parent[3]) <= int(line[3]) <= int(line[4]) <= int(parent[4])
            assert parent[6] == line[6]
            n_matures += 1
    [names] = [entry["known"].split(",") for entry in attributes if "let" in entry.get("known", "")]
    assert names == ["hsa-mir-let%2C7%3D1", "hsa-let-7a-5p"]
    features = read_gtf(str(folder / "loci.gff3"), result_type="pandas")
    assert features["feature"].value_counts().to_dict() == {"miRNA_primary_transcript": len(loci), "miRNA": n_matures}
    matures = io.read_fasta(folder / "mature.fa")
    assert len(matures) == n_matures
    assert {record.id: record.sequence for record in io.read_fasta(folder / "hairpins.fa")} == dict(
        zip(loci["id"], loci["hairpin_seq"], strict=True)
    )


def search_contig(run, monkeypatch):
    monkeypatch.setattr(models, "load", lambda name: Pairs())
    files = [str(EXAMPLES / "contig.fa"), "--known", str(EXAMPLES / "mirnas.fa"), "-o", "out"]
    run(["discover", *files, *["-p", "0.9", "--background", "20000", "--threads", "1"]])


def test_discover_golden(run, monkeypatch, tmp_path):
    """tests/golden/README.md has the command; the three planted hairpins are among the loci."""
    search_contig(run, monkeypatch)
    for name in ("loci.tsv", "loci.bed", "loci.gff3", "hairpins.fa", "mature.fa", "known.tsv"):
        assert (tmp_path / "out" / name).read_text() == (GOLDEN / name).read_text()


def test_a_search_cut_short_resumes_to_the_same(model, genome, tmp_path, monkeypatch):
    monkeypatch.setattr(discover, "CHUNK", 700)
    how = {"settings": CALLED, "arms_model": model}
    search_files(model, genome, tmp_path / "whole", **how)
    calls = itertools.count()

    def stop(n_nt):
        if next(calls) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_files(model, genome, tmp_path / "cut", **how, report=stop)
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["unfinished"]
    with pytest.raises(UsageError, match="--resume"):
        search_files(model, genome, tmp_path / "cut", **how)
    with pytest.raises(UsageError, match="other settings"):
        other = Settings(threshold=0.5, background=0)
        search_files(model, genome, tmp_path / "cut", settings=other, arms_model=model, resume=True)
    work, n_jobs = discover._work, itertools.count()
    monkeypatch.setattr(discover, "_work", lambda *a: (next(n_jobs), work(*a))[1])
    search_files(model, genome, tmp_path / "cut", **how, resume=True)
    assert next(n_jobs) == sum(1 for _ in discover._jobs(genome.stretches(700, 0))) - 5
    for name in ("loci.tsv", "loci.bed", "loci.gff3", "hairpins.fa", "mature.fa"):
        assert (tmp_path / "cut" / name).read_text() == (tmp_path / "whole" / name).read_text()


@pytest.mark.slow
def test_a_killed_search_leaves_nothing_half_and_resumes_to_the_same(genome, tmp_path):
    weights = toy(tmp_path)

    def command(folder, *more):
        code = "import sys; from mirscope import cli, discover; discover.CHUNK = 1000; sys.exit(cli.main(sys.argv[1:]))"
        options = ["-o", tmp_path / folder, "--model", weights, "-p", "0", "--background", "0", "--threads", "1", *more]
        return [sys.executable, "-c", code, "discover", genome.path, *map(str, options)]

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("cut"), stderr=subprocess.DEVNULL)
    while not list((tmp_path / "cut").glob("unfinished/*.parquet")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["unfinished"]
    subprocess.run(command("cut", "--resume"), check=True, capture_output=True)
    assert (tmp_path / "cut" / "loci.tsv").read_text() == (tmp_path / "whole" / "loci.tsv").read_text()


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "x.fa: the file is empty"),
        (">p\nMKVLAAGIVGLLLLWPPPQE\n", "x.fa:2: p: unexpected 'L' at position 4"),
        (">a\nACGU\n>b\n>c\nAC\n", "x.fa:3: b: empty sequence"),
        (">a\nACGU\n>a\nAC\n", "x.fa:3: a: this id came before"),
        (">\nACGU\n", "x.fa:1: no id"),
        ("ACGU\n", "x.fa:1: starts with 'ACGU'"),
        ("@a\nACGU\n+\nIIII\n", "x.fa: the file is FASTQ"),
        ("# nothing\n", "x.fa: no records"),
    ],
)
def test_bad_genomes_are_one_clear_line(run, tmp_path, text, words):
    (tmp_path / "x.fa").write_text(text)
    _, err = run(["discover", "x.fa", "-o", "out", "--model", str(toy(tmp_path))], code=1)
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_letter_contigs_give_no_loci(run, tmp_path):
    (tmp_path / "x.fa").write_text(">a\nA\n>b\nn\n>c\nT\n>d\nU\n")
    run(["discover", "x.fa", "-o", "out", "--model", str(toy(tmp_path)), "--background", "10000", "--threads", "1"])
    assert pd.read_csv(tmp_path / "out" / "loci.tsv", sep="\t").empty
    assert (tmp_path / "out" / "mature.fa").read_text() == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--model seed", "seed reads mirna and target"),
        ("-p 2", "threshold is 2.0"),
        ("-p 0.5 --fp-per-mb 1", "not both"),
        ("--fp-per-mb 1e9", "expected a number above 0, up to 100"),
        ("--background 10", "background is 10 nt"),
        ("--longest 5000", "longest stem is 5000"),
    ],
)
def test_questions_that_cannot_be_asked(run, tmp_path, options, words):
    (tmp_path / "x.fa").write_text(">a\nACGUACGUAGCUAGCUAGCAUC\n")
    weights = "" if "--model" in options else f"--model {toy(tmp_path)}"
    _, err = run(f"discover x.fa -o out {options} {weights}", code=2)
    assert words in err
