"""What the pages of commands say: their summaries in words, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pandas as pd

from mirscope import plot, reads
from mirscope.page import Note, Page, Part, Picture, Section, Table, Tiles, made, share

Summary = dict[str, Any]

_TOP = 25  # rows of a table
_BARS = 20
_LOSING = {step.name for step in (reads.LongEnough, reads.WithoutN, reads.GoodEnough)}


def chimeras(summary: Summary, interactions: pd.DataFrame, fates: Mapping[str, str]) -> Page:
    """The page of `mirscope chimeras`.

    Args:
        summary: what report.json holds.
        interactions: columns `tables.INTERACTIONS`, most molecules first.
        fates: what may become of a read, in words.
    """
    ends, noise = summary["n_reads"], summary["noise"]
    n_reads = summary["reads"]["n_reads"]
    first: list[Part] = [
        f"{n_reads:,} reads. {_state(summary['reads'])}",
        f"{ends['chimera']:,} of them ({share(ends['chimera'], n_reads)}) are chimeras of a miRNA and a transcript: "
        f"{summary['n_molecules']:,} molecules, the miRNA first in "
        f"{share(summary['mirna_first'], ends['chimera'])} of the reads. {ends['in_interactions']:,} reads make "
        f"{summary['n_interactions']:,} interactions (of miRNAs in {summary['settings']['least_chimeras']} molecules "
        "or more).",
        Tiles(
            {
                "reads": n_reads,
                "chimeric reads": ends["chimera"],
                "molecules": summary["n_molecules"],
                "miRNAs": len(summary["mirnas"]),
                "interactions": summary["n_interactions"],
                "noise_fdr ≤ .05": noise.get("n_below", {}).get("0.05", 0),
            }
        ),
    ]
    sections = [
        Section("In short", first),
        Section("Where the reads went", _ways(summary, fates)),
        Section("miRNAs and their isomiRs", _mirnas(summary)),
    ]
    if len(interactions):
        sections += [
            Section("Interactions", _interactions(summary, interactions)),
            Section("How far to trust an interaction", _trust(summary)),
        ]
    sections.append(_made(summary))
    return Page("Chimeras of miRNAs and targets", summary["file"], sections)


def isomirs(summary: Summary, table: pd.DataFrame) -> Page:
    """The page of `mirscope isomirs`.

    Args:
        summary: what report.json holds.
        table: columns `tables.ISOMIRS`.
    """
    n_reads, called = summary["n_reads"], table.drop_duplicates("sequence")
    kept = called[called["filter"] == "PASS"]
    words = f"{summary['reads']['n_reads']:,} reads. {_state(summary['reads'])}" if summary["reads"] else ""
    first: list[Part] = [words] if words else []
    first += [
        f"{summary['n_reads_called']:,} of {n_reads:,} reads ({share(summary['n_reads_called'], n_reads)}) are of a "
        f"miRNA; {summary['n_reads_passed']:,} of these are exact, or isomiRs with reads and qualities enough to be "
        f"believed: {summary['n_sequences_passed']:,} different sequences.",
        Tiles(
            {
                "reads": n_reads,
                "of a miRNA": summary["n_reads_called"],
                "believed": summary["n_reads_passed"],
                "sequences believed": summary["n_sequences_passed"],
                "miRNAs": kept["mirna_id"].nunique(),
            }
        ),
    ]
    sections = [Section("In short", first)]
    if summary["reads"]:
        sections.append(Section("Where the reads went", [_lost(_left(summary["reads"]), summary["reads"])]))
    if len(kept):
        by_length = kept.groupby(kept["sequence"].str.len())["n_reads"].sum()
        by_length = by_length.reindex(range(by_length.index.min(), by_length.index.max() + 1), fill_value=0)
        ranks = kept.groupby("mirna_id")["n_reads"].sum().sort_values(ascending=False, kind="stable")
        parts: list[Part] = [
            Picture(plot.bars(by_length, xlabel="reads"), "Lengths of the sequences believed, nt."),
            Picture(plot.bars(ranks[:_BARS], xlabel="reads"), _ranked(ranks, "reads")),
            Picture(plot.bars(_classes(summary), xlabel="reads"), _CLASSES),
        ]
        top = kept.sort_values("n_reads", ascending=False, kind="stable")[:_TOP]
        columns = {
            "mirna_id": "miRNA",
            "sequence": "sequence",
            "variant": "variant",
            "classes": "classes",
            "n_reads": "reads",
        }
        caption = f"The {len(top)} sequences of most reads; all are in isomirs.tsv."
        parts.append(Table(top[[*columns]].rename(columns=columns), caption))
        sections.append(Section("miRNAs and their isomiRs", parts))
    sections.append(_made(summary))
    return Page("isomiRs", summary["file"], sections)


# --------------------------------------------------------------------------------------------------------------- parts

_CLASSES = (
    "Classes of isomiRs, against the miRNA alone; a read counts in each class that it has, exact ones are the miRNA."
)


def _state(summary: Summary) -> str:
    """What the reads looked like, and what was done about it."""
    cuts = {step["step"]: step for step in summary["steps"] if step["step"] not in _LOSING}
    done = [f"{name} ({step['n_reads']:,} reads)" for name, step in cuts.items() if step["n_reads"]]
    told = "; ".join(done) if done else "nothing was cut"
    molecules = "Molecules are told apart by the UMI." if summary["umi"] else "No UMI: every read counts as a molecule."
    return f"Seen in the first {summary['state']['n_reads']:,}: {summary['state']['says']}. Done: {told}. {molecules}"


def _left(summary: Summary) -> dict[str, int]:
    """Reads left after each step that loses some."""
    left = {"sequenced": summary["n_reads"]}
    words = {reads.LongEnough.name: "long enough", reads.WithoutN.name: "without N", reads.GoodEnough.name: "good"}
    n = summary["n_reads"]
    for step in summary["steps"]:
        if step["step"] in _LOSING:
            n -= step["n_reads"]
            left[words[step["step"]]] = n
    return left


def _lost(left: Mapping[str, int], summary: Summary) -> Picture:
    values = pd.Series(left, dtype="int64")
    notes = [f"  {share(n, summary['n_reads'])}" for n in values]
    return Picture(plot.bars(values, xlabel="reads", notes=notes), "Reads left after each step.")


def _ways(summary: Summary, fates: Mapping[str, str]) -> list[Part]:
    ends, n = summary["n_reads"], summary["reads"]["n_kept"]
    left = _left(summary["reads"])
    for fate, words in (
        ("no_mirna", "with a miRNA"),
        ("no_transcript", "and a transcript"),
        ("apart", "side by side"),
        ("one_transcript", "not one transcript"),
        ("no_isomir", "chimeras"),
    ):
        left[words] = n = n - ends[fate]
    left["of frequent miRNAs"] = ends["of_frequent_mirnas"]
    left["in interactions"] = ends["in_interactions"]
    steps = summary["reads"]["steps"]
    rows = [(one["step"], "lost" if one["step"] in _LOSING else "made shorter", one["n_reads"]) for one in steps]
    rows += [(fate, words, ends[fate]) for fate, words in fates.items()]
    table = pd.DataFrame(rows, columns=["step or fate", "meaning", "reads"])
    table["of all"] = [share(n, summary["reads"]["n_reads"]) for n in table["reads"]]
    note = Table(table, "Reads that each step changed or lost, and the fate of those that were kept.")
    return [_lost(left, summary["reads"]), note]


def _ranked(ranks: pd.Series, of: str) -> str:
    if not len(ranks):
        return "No miRNA."
    many = f"The {_BARS} of {len(ranks):,} miRNAs with most {of}" if len(ranks) > _BARS else f"miRNAs by {of}"
    return f"{many}; the first has {share(ranks.iloc[0], ranks.sum())} of them."


def _classes(summary: Summary) -> pd.Series:
    return pd.Series(summary["classes"], dtype="int64").rename(lambda name: name.replace("_", " "))


def _mirnas(summary: Summary) -> list[Part]:
    ranks = pd.Series(summary["mirnas"], dtype="int64")
    return [
        Picture(plot.bars(ranks[:_BARS], xlabel="molecules"), _ranked(ranks, "chimeric molecules")),
        Picture(plot.bars(_classes(summary), xlabel="reads"), _CLASSES),
    ]


def _interactions(summary: Summary, interactions: pd.DataFrame) -> list[Part]:
    noise, positions = summary["noise"], summary["positions"]
    energies = noise["energies"]
    shares = pd.DataFrame({"interactions": energies["observed"], "random pairs": energies["random"]})
    drawn = plot.histograms(energies["edges"], shares, xlabel="energy of the best duplex (kcal/mol)")
    seeds = (
        f"{share(noise['seed_share'], 1)} of the interactions have a seed match, {share(noise['random_seed_share'], 1)}"
    )
    parts: list[Part] = [
        Picture(drawn, f"Duplex energies of interactions and of the same parts paired at random. {seeds} of those.")
    ]
    if "region" in positions:
        where = plot.bars(pd.Series(positions["region"], dtype="int64"), xlabel="interactions")
        parts.append(Picture(where, "Where the sites lie in their transcripts."))
    else:
        tenths = pd.Series(positions["tenth"], [f"{low}–{high} %" for low, high in pairwise(range(0, 101, 10))])
        where = plot.bars(tenths, xlabel="interactions")
        parts.append(Picture(where, "Where the middles of the sites lie along their transcripts, from the 5' end."))
    columns = {
        "mirna_id": "miRNA",
        "variant": "variant",
        "gene_id": "transcript",
        "start": "start",
        "end": "end",
        "region": "region",
        "n_molecules": "molecules",
        "n_ligations": "ligations",
        "seed_type": "seed",
        "mfe": "mfe",
        "q_value": "q_value",
        "noise_fdr": "noise_fdr",
    }
    top = interactions[[name for name in columns if name in interactions]][:_TOP].rename(columns=columns)
    caption = (
        f"The {len(top)} interactions of most molecules; all are in interactions.tsv. mfe in kcal/mol; starts from 0."
    )
    return [*parts, Table(top, caption)]


def _trust(summary: Summary) -> list[Part]:
    ends, noise = summary["n_reads"], summary["noise"]
    evidence = noise["evidence"]
    table = pd.DataFrame(
        {"interactions": evidence["observed"], "expected by chance": evidence["by_chance"]}, evidence["at_least"]
    )
    drawn = plot.exceeding(table, xlabel="evidence, at least", ylabel="interactions")
    below = pd.DataFrame(
        [(f"{float(rate):g}", n, share(n, summary["n_interactions"])) for rate, n in noise["n_below"].items()],
        columns=["noise_fdr at most", "interactions", "of all"],
    )
    chance = noise["n_permutations"], share(noise["noise_share"], 1)
    return [
        "Two questions are asked.",
        f"q_value: is the read a chimera of that miRNA? The same search with every miRNA backwards gave "
        f"{ends['chimera_of_decoys']:,} chimeric reads, against {ends['chimera']:,}. q_value is the share of such "
        "false chimeras among those with E-values as good.",
        f"noise_fdr: did the two meet by chance? Fragments that float in the tube are ligated too, in proportion to "
        f"their abundance. The miRNA parts were permuted over the target parts {chance[0]} times and joined to "
        "interactions anew. Evidence is -log10 of two chances: that of as many ligations of this miRNA at the site, "
        "and that of as good a duplex of this miRNA with a random site. noise_fdr is the share of random interactions "
        f"expected among those of as much evidence. By this estimate at most {chance[1]} of all interactions that were "
        "found are of chance.",
        Picture(drawn, "Interactions of as much evidence or more: found, and expected by chance."),
        Table(below, "How many interactions are left at each rate."),
        Note(
            "How far to trust it. A rate speaks of all interactions of as much evidence, not of one. It is made to be "
            "too high rather than too low; where one miRNA has most of the molecules it is much too high, since "
            "permuting gives it its own sites again. It leans on duplex energy: a table filtered by it holds more "
            "sites that pair well than the reads do, so use such a table neither to show that pairing matters nor to "
            "compare models by it. It does not see reads that were placed wrongly (n_ties)."
        ),
    ]


def _made(summary: Summary) -> Section:
    blast = summary.get("engine", {}).get("version")
    return made(summary["run"], {"NCBI BLAST+": blast} if blast else {}, {"Settings": summary["settings"]})
