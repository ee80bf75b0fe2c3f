"""Ligation noise: counts and chances by hand, random pairs that keep the margins, rates that hold in made-up tables."""

import math

import numpy as np
import pandas as pd
import pytest

from mirscope import align, chimera, io, ligation, reads, rna, simulate
from mirscope.chimera import Library, Settings
from mirscope.io import Record
from mirscope.isomir import References

LETTERS = list("ACGU")


def random_rna(rng, n):
    return "".join(rng.choice(LETTERS, n))


@pytest.fixture(autouse=True)
def _few_duplexes(monkeypatch):
    monkeypatch.setattr(ligation, "N_DUPLEXES", 1000)


@pytest.fixture(scope="module")
def world():
    """30 miRNAs, 400 transcripts that each hold a perfect site of miRNA number i % 30 at 20-42."""
    rng = np.random.default_rng(5)
    mirnas = [random_rna(rng, 22) for _ in range(30)]
    sites = [str(rna.decode(3 - rna.encode([mirnas[i % 30]]))[0])[::-1] for i in range(400)]
    records = [Record(f"t{i}", random_rna(rng, 20) + site + random_rna(rng, 20)) for i, site in enumerate(sites)]
    return mirnas, align.Index.build(records, 8)


def chimera_table(mirnas, rows):
    """Chimeras of (miRNA, transcript, start, end, reads), each row an interaction unless two are of one pair."""
    table = pd.DataFrame(rows, columns=["mirna", "target", "start", "end", "n_reads"])
    table["mirna_id"] = "m" + table["mirna"].astype(str)
    table["mirna_seq"] = [mirnas[i] for i in table["mirna"]]
    table["target_id"] = "t" + table["target"].astype(str)
    table["interaction"] = table.groupby(["mirna", "target"], sort=False).ngroup()
    return table


def judged(world, rows, *, shuffled=False, **settings):
    mirnas, index = world
    table = chimera_table(mirnas, rows)
    whole = {"mirna_seq": ("mirna_seq", "first"), "target": ("target", "first")}
    found = table.groupby("interaction").agg(**whole, start=("start", "min"), end=("end", "max"))
    sites = [index.sequence(*place) for place in found[["target", "start", "end"]].itertuples(index=False)]
    bound = ligation.duplexes(list(zip(found["mirna_seq"], sites, strict=True)))
    found["seed_type"], found["mfe"] = zip(*bound, strict=True)
    settings = {"extension": 0} | settings
    given = table.sample(frac=1, random_state=7) if shuffled else table
    return table, ligation.noise(given, found, index, **settings)


def test_chains_by_hand():
    starts, ends = np.array([0, 5, 9, 12, 40]), np.array([10, 8, 12, 20, 50])
    assert ligation.chains(starts, ends).tolist() == [True, False, False, True, True]
    assert ligation.chains(starts[:0], ends[:0]).tolist() == []


def test_false_rates_by_hand():
    """Of evidence 3, 2, 1, 0 or more there are 1, 2, 3, 4; of random ones of weight 1/2 none, .5, .5 and 3.

    None counts as one (.5), and 2 may not be worse than 1.
    """
    fdr = ligation.false_rates(np.array([0.0, 3, 1, 2]), np.array([0.0, 2.5, 0.5, 0.5, 0, 0]), np.full(6, 0.5))
    assert fdr.tolist() == [0.75, 1 / 6, 1 / 6, 1 / 6]


def test_crowd_by_hand():
    """Of 3 others at a site, 2 or more of a miRNA with a share of 1/2: 3/8 + 1/8; one alone tells nothing."""
    one = np.array([3]), np.array([4]), np.array([6])
    assert ligation._crowd(*one, 11) == pytest.approx(-math.log10(0.5))
    assert ligation._crowd(np.array([1]), np.array([4]), np.array([6]), 11) == 0
    assert ligation._crowd(np.array([1]), np.array([1]), np.array([1]), 1) == 0


def test_copies_by_hand():
    """7 is a copy of 4; 8, though near 7, is none; nor is another end; another group starts anew."""
    group, start, end = np.array([0, 0, 0, 0, 1]), np.array([4, 7, 8, 4, 4]), np.array([30, 30, 30, 34, 30])
    assert ligation._copies(group, start, end).tolist() == [0, 0, 2, 3, 4]


def test_sequences_of_one_molecule_count_once(world):
    """Errors make several sequences of a molecule, of nearly the same ends."""
    rows = [(0, 0, 20, 42, 3), (0, 0, 20, 42, 1), (0, 0, 17, 42, 1), (0, 0, 16, 42, 1), (1, 5, 20, 40, 2)]
    assert judged(world, rows)[1].n_ligations.tolist() == [2, 1]


def test_a_copy_may_join_two_places(world):
    """4-42 and 43-60 do not overlap; a copy of the first, 5-44, joins them to one interaction."""
    rows = [(0, 0, 4, 42, 5), (0, 0, 5, 44, 1), (0, 0, 43, 60, 1), (3, 9, 0, 40, 1)]
    assert judged(world, rows)[1].n_ligations.tolist() == [2, 1]


def test_random_pairs_keep_the_margins_and_the_rules(world):
    mirnas, index = world
    rng = np.random.default_rng(1)
    rows = [(*rng.integers((30, 400)), 20, 42, int(rng.integers(1, 4))) for _ in range(500)]
    table = chimera_table(mirnas, rows)
    parts = ligation._Parts.of(table, index)
    own = parts.joined(parts.mirna)
    assert own.n.sum() == len(parts.mirna) == table["interaction"].nunique()
    assert np.array_equal(np.sort(parts.interaction[own.first]), np.arange(table["interaction"].nunique()))
    random = ligation._random_pairs(parts, 10, rng)
    n = [len(parts.joined(rng.permutation(parts.mirna)).n) for _ in range(10)]
    assert random["weight"].sum() == pytest.approx(np.mean(n), rel=0.02)
    assert set(random["start"]) <= set(parts.start)


def pairs(rng, n, noise, spread=1.0):
    """Ligations of bound pairs (transcript i with miRNA i % 30) and of random ones, and which are bound."""
    weights = np.exp(spread * rng.standard_normal(400))
    target = rng.choice(400, n, p=weights / weights.sum())
    mirna = target % 30
    random = rng.random(n) < noise
    mirna[random] = rng.permutation(mirna[random])
    start = rng.integers(0, 20, n)
    return [(m, t, low, low + 40, 1) for m, t, low in zip(mirna, target, start, strict=True)]


@pytest.mark.parametrize("noise", [0.2, 0.5])
def test_rates_hold_and_bound_pairs_are_found(world, noise):
    table, found = judged(world, pairs(np.random.default_rng(3), 1500, noise))
    real = (table["mirna"] == table["target"] % 30).groupby(table["interaction"]).first().to_numpy()
    for rate in (0.05, 0.1, 0.2):
        called = found.fdr <= rate
        assert (~real[called]).mean() <= 1.2 * rate
        assert called[real].mean() > 0.5
    assert found.summary["noise_share"] >= (~real).mean()


def test_of_chance_alone_nothing_is_found(world):
    _, found = judged(world, pairs(np.random.default_rng(4), 1500, 1.0))
    assert (found.fdr <= 0.2).mean() < 0.01
    assert found.summary["noise_share"] > 0.9


def test_one_mirna_gives_no_contrast_and_no_finding(world):
    rows = [(0, t, 20, 42, 1) for t in range(0, 400, 30)] * 3
    assert (judged(world, rows)[1].fdr > 0.5).all()


def test_the_order_of_chimeras_does_not_matter(world):
    rows = pairs(np.random.default_rng(3), 300, 0.4)
    _, once = judged(world, rows)
    _, again = judged(world, rows, shuffled=True)
    assert np.array_equal(once.fdr, again.fdr)
    assert not np.array_equal(once.fdr, judged(world, rows, random_state=1)[1].fdr)


def test_nothing_gives_nothing(world):
    mirnas, index = world
    none = chimera_table(mirnas, [(0, 0, 0, 30, 1)]).iloc[:0]
    found = ligation.noise(none, pd.DataFrame({"mirna_seq": [], "mfe": [], "seed_type": []}), index, extension=0)
    assert found.fdr.tolist() == []


def test_a_sample_stands_for_all(world, monkeypatch):
    rows = pairs(np.random.default_rng(3), 1500, 0.4)
    some = judged(world, rows)[1].summary
    monkeypatch.setattr(ligation, "N_DUPLEXES", 4000)
    whole = judged(world, rows)[1].summary
    assert some["n_random_pairs"] == 1000 < whole["n_random_pairs"]
    assert some["noise_share"] == pytest.approx(whole["noise_share"], abs=0.05)
    assert some["n_below"]["0.1"] == pytest.approx(whole["n_below"]["0.1"], rel=0.15)


def test_from_simulated_reads(data_path):
    """Chimeras of real pairs, a third of them joined at random, through the whole search."""
    references = References.of(io.read_fasta(data_path("hsa_mature_mirbase22")))
    parts, targets = simulate.real_pairs(io.read_pairs(data_path("clash_hejret2023_realseq")), references)
    parts, targets = parts[:600], targets[:600]
    settings = simulate.Settings(n_molecules=700, shares=(1, 0, 0), noise=0.33, spread=1.5)
    fastq, truth = simulate.chimeras(parts, targets, references, settings, partners=targets, random_state=2)
    assert set(truth["kind"]) == {"chimera", "noise"}
    assert 0.25 < (truth.drop_duplicates("molecule")["kind"] == "noise").mean() < 0.4
    own = {(part[1], target.id) for part, target in zip(parts, targets, strict=True)}
    unedited = truth[(truth["kind"] == "chimera") & truth["mirna_seq"].isin([part[1] for part in parts])]
    assert unedited[["mirna_seq", "target_id"]].apply(tuple, axis=1).isin(own).mean() > 0.9
    library = Library.of(references, targets)
    few = Settings(least_chimeras=3)
    steps = reads.Preparation().steps(reads.look(fastq, references.index))
    made = reads.collapse(reads.run(fastq, steps, reads.Counter()), umi=True)
    found, _ = chimera.chimeras(made, library, few)
    table, joined = chimera.interactions(chimera.supported(found, few), library, few)
    every, joined_all, _ = chimera.against_noise(table, joined, library, few)
    figures = simulate.judge_noise(every, joined_all, truth, (0.1, 0.2))
    assert figures["noise"] > 0.25
    assert figures["noise_0.2"] <= 0.3  # of 175: 0.2 and its chance
    assert figures["recall_0.2"] > 0.4
    kept, joined, _ = chimera.against_noise(table, joined, library, Settings(least_chimeras=3, most_noise=0.2))
    assert kept.equals(every[every["noise_fdr"] <= 0.2].reset_index(drop=True))
    by_kept = joined.groupby("interaction")["target_id"].first()
    assert by_kept.tolist() == kept["gene_id"].tolist()


def test_the_command_simulates_noise(run, tmp_path):
    rng = np.random.default_rng(2)
    mirnas = [random_rna(rng, 22) for _ in range(4)]
    io.write_fasta([Record(f"m{i}", sequence) for i, sequence in enumerate(mirnas)], tmp_path / "mirnas.fa")
    targets = [random_rna(rng, 50) for _ in range(20)]
    rows = [f"{mirnas[i % 4]}\t{target}\t1\n" for i, target in enumerate(targets)]
    (tmp_path / "pairs.tsv").write_text("mirna_seq\ttarget_seq\tlabel\n" + "".join(rows))
    run("simulate chimeras --mirnas mirnas.fa --parts pairs.tsv --paired --noise 0.4 -n 400 -o . --quiet")
    truth = pd.read_csv(tmp_path / "truth.tsv", sep="\t", keep_default_na=False).drop_duplicates("molecule")
    counts = truth["kind"].value_counts()
    assert counts["noise"] / (counts["noise"] + counts["chimera"]) == pytest.approx(0.4, abs=0.12)
    real = truth[truth["kind"] == "chimera"]
    assert (real["target_id"].str.removeprefix("target").astype(int) % 4).tolist() == [
        int(name[1:]) for name in real["mirna_id"]
    ]
    assert [record.sequence for record in io.read_fasta(tmp_path / "transcripts.fa")] == targets
    for wrong in (
        "",
        "--paired",
        "--parts pairs.tsv --noise 0.1",
        "--parts pairs.tsv --paired --transcripts mirnas.fa",
    ):
        _, err = run(f"simulate chimeras --mirnas mirnas.fa {wrong} -o other", code=2)
        assert "expected --transcripts, or --parts and --paired" in err
