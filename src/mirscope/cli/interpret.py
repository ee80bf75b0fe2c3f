"""Commands that look into networks: motifs of kernels, hidden units and attention, clusters of miRNAs."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from mirscope.cli.common import CORES, Debug, ModelArgument, Quiet, Threads, app, bar, begin, load, load_any
from mirscope.errors import UsageError

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for tables and pictures.")]
K = Annotated[int, typer.Option("-k", min=1, help="nt masked at a time.")]
RandomState = Annotated[int, typer.Option(help="Of shuffles, halves and bootstrap.")]


@app.command()
def motifs(
    model: ModelArgument,
    examples: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAIRS]",
            help="Pairs or hairpins whose windows the kernels see: a table or a data set.",
            show_default="matrices from weights only",
        ),
    ] = None,
    output: Output = Path("motifs"),
    database: Annotated[
        list[str] | None,
        typer.Option(
            metavar="rbp|seeds|jaspar|FILE",
            help="Motifs to compare with, MEME format; may be repeated. rbp: of RNA-binding proteins (ATtRACT, RBPDB); "
            "seeds: of miRNAs; jaspar: of DNA-binding vertebrate factors.",
            show_default="rbp; of models of pairs also seeds",
        ),
    ] = None,
    mirnas: Annotated[
        Path | None, typer.Option(help="miRNAs of the seeds, FASTA.", show_default="human miRNAs of miRBase 22")
    ] = None,
    share: Annotated[float, typer.Option(help="Share of the windows that are a kernel's favourites.")] = 0.01,
    top: Annotated[int, typer.Option(min=1, help="Motifs to give for each kernel and database.")] = 5,
    shuffles: Annotated[int, typer.Option(min=0, help="Shuffled copies of each kernel: the floor.")] = 49,
    logos: Annotated[int, typer.Option(min=1, help="Kernels to draw.")] = 20,
    random_state: RandomState = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn a network's first-layer kernels into motifs, compare them with known ones, and see which it needs.

    Each kernel becomes a position matrix from its weights and, with PAIRS, from the windows that it likes best;
    then each is also silenced in turn, and the change of the logit and of the AUROC is what the network loses.
    Matrices are compared with known motifs by TOMTOM; q-values count all comparisons with a database, and the same
    kernels with their positions shuffled are the floor: likeness of letters alone. Writes to the output folder:
    kernels.tsv, matches.tsv, summary.tsv (kernels like a motif at q < 0.05, beside the floor), motifs.meme (for the
    MEME suite), logos (PNG, SVG, PDF), run.json.

    Examples:

      mirscope motifs dmiso clash_hejret2023_mirbench:test -o kernels

      mirscope motifs weights.safetensors --database my_motifs.meme --database seeds -o kernels
    """
    begin(quiet, threads)
    from mirscope import datasets, io, models
    from mirscope import motifs as library

    io.expect_folder(output)
    network = load_any(model)
    n_kernels = sum(len(bank.weight) for bank in library.kernels(network))
    names = database or (["rbp", library.SEEDS] if network.inputs == models.PAIR else ["rbp"])
    if mirnas and library.SEEDS not in names:
        raise UsageError("--mirnas are those of the seeds, which are not compared with; add --database seeds")
    queries = io.read_fasta(mirnas) if mirnas else None
    known = {name: library.database(name, queries) for name in names}
    table = library.folded(network, datasets.load(examples)) if examples else None
    found, effects = library.motifs(network, table, share=share), None
    log = logging.getLogger("mirscope")
    if table is not None:
        with bar(f"silencing {n_kernels:,} kernels", n_kernels, quiet) as advance:
            effects = library.effects(network, table, report=advance)
        log.info("%s", library.needed(effects))
    log.info("comparing kernels with %s (the first time in an environment compiles for a minute)", " ".join(names))
    states = range(random_state, random_state + shuffles)
    floor = (library.motifs(network, table, share=share, shuffle=state) for state in states)
    with bar("comparing", 1 + shuffles, quiet) as advance:
        similar, summary = library.matches(found, known, floor, top=top, threads=threads, report=advance)
    settings = {
        "model": model,
        "examples": examples,
        "databases": names,
        "share": share,
        "shuffles": shuffles,
        "random_state": random_state,
    }
    files = library.write(found, similar, summary, output, effects=effects, logos=logos, settings=settings)
    for row in summary.itertuples():
        text = "%s, from %s: %d of %d kernels are like a motif (q < %.2g), of shuffled ones %.3g (most %.3g); "
        text += "mean best p %.2g, of shuffled ones %.2g (p %.2g)"
        figures = (row.n_similar, row.n_kernels, library.SIGNIFICANT, *row[5:])
        log.info(text, row.database, row.method, *figures)
    log.info("written: %s", " ".join(map(str, files)))


@app.command()
def activations(
    model: ModelArgument,
    pairs: Annotated[
        str, typer.Argument(metavar="PAIRS", help="A table of pairs, or a data set; positive ones count.")
    ],
    output: Output = Path("activations"),
    draw: Annotated[
        int | None,
        typer.Option(min=1, help="Pair to draw: its row in PAIRS.", show_default="the one with the highest score"),
    ] = None,
    k: K = 4,
    random_state: RandomState = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show where a network looks: its hidden units and its attention, along both RNAs.

    Recurrent layers: how well each hidden unit follows the duplex (AUROC within pairs); the best unit is chosen on one
    half of the positive pairs and measured on the other, beside the place alone and the unit with another miRNA.
    Attention, by layer and head: does masking what is attended change the logit more than masking the rest? Writes to
    the output folder what the model has of units.tsv, units (PNG, SVG, PDF), attention.tsv, masked.tsv, attention (PNG,
    SVG, PDF), and run.json.

    Examples:

      mirscope activations deeptarget clash_hejret2023_mirbench:test -o units

      mirscope activations deepmirnatar my_pairs.tsv --draw 12 -o maps
    """
    begin(quiet, threads)
    from mirscope import activations as library
    from mirscope import datasets

    network, table = load(model), datasets.load_pairs(pairs)
    found = library.sites(network, table.assign(row=range(1, len(table) + 1)))
    drawn = None
    if draw is not None:
        here = (found.pairs["row"] == draw).to_numpy()
        if not here.any():
            raise UsageError(f"row {draw} of {pairs} is no positive pair with a duplex; expected one that is")
        drawn = int(here.argmax())
    settings = {"model": model, "pairs": pairs, "k": k, "random_state": random_state}
    with bar("measuring", len(found.pairs) * sum(library.parts(network, found)), quiet) as advance:
        files, said = library.write(
            network, found, output, drawn=drawn, k=k, random_state=random_state, settings=settings, report=advance
        )
    _tell(said)
    logging.getLogger("mirscope").info("written: %s", " ".join(map(str, files)))


def _tell(said: dict[str, Any]) -> None:
    log = logging.getLogger("mirscope")
    if best := said.get("best_unit"):
        text = (
            "unit %d of %s follows the duplex best: AUROC %.2f (%.2f-%.2f); with another miRNA %.2f, place alone %.2f"
        )
        log.info(text, *_numbers(best, "unit layer auroc low high auroc_other_mirna auroc_place"))
    if every := said.get("attention"):
        text = "attention and what masking changes: correlation %.2f (%.2f-%.2f)"
        text += "; with another miRNA %.2f, place alone %.2f"
        log.info(text, *_numbers(every, "correlation low high correlation_other_mirna correlation_place"))
        for row in said["masked"]:
            log.info("masking the %s run changes the logit by %.2f (%.2f-%.2f)", *_numbers(row, "run change low high"))


def _numbers(record: dict[str, Any], names: str) -> list[Any]:
    return [math.nan if record[name] is None else record[name] for name in names.split()]


@app.command()
def clusters(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Weights whose sensitivity is measured: a name or a file."),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Argument(metavar="[PAIRS]", help="A table of pairs, or a data set; positive ones count."),
    ] = None,
    output: Output = Path("clusters"),
    profiles: Annotated[
        Path | None,
        typer.Option(metavar="TSV", help="A table instead: mirna_id and a column for each place, a row a pair."),
    ] = None,
    n_clusters: Annotated[
        int | None, typer.Option("--clusters", min=2, help="Number of clusters.", show_default="best silhouette")
    ] = None,
    k: K = 4,
    min_pairs: Annotated[int, typer.Option(min=1, help="Leave out miRNAs with fewer positive pairs.")] = 5,
    resamples: Annotated[int, typer.Option(min=0, help="Of the pairs, for the stability.")] = 100,
    random_state: RandomState = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Cluster miRNAs by which of their nucleotides a network needs.

    Every run of nucleotides of the miRNA is masked, and the mean fall of the score by place is the miRNA's profile; or
    profiles come as a table. miRNAs are joined by average linkage of 1 - correlation. How firm a cluster is: its mean
    Jaccard index over resamples of the pairs; below 0.75 do not build on it. Writes to the output folder: clusters.tsv,
    profiles.tsv, dendrogram (PNG, SVG, PDF), run.json.

    Examples:

      mirscope clusters dmiso clash_hejret2023_mirbench:test -o clusters

      mirscope clusters --profiles effects.tsv --clusters 4 -o clusters
    """
    begin(quiet, threads)
    from mirscope import clusters as library
    from mirscope import datasets

    if (profiles is None) == (model is None) or (model is None) != (pairs is None):
        raise UsageError("expected either MODEL and PAIRS, or --profiles")
    if profiles:
        table = library.read_effects(profiles)
    else:
        network, kept = load(str(model)), library.eligible(datasets.load_pairs(str(pairs)), min_pairs)
        with bar(f"masking the miRNAs of {len(kept):,} pairs", len(kept), quiet) as advance:
            table = library.effects(network, kept, k=k, report=advance)
    found = library.cluster(table, n_clusters=n_clusters, n_resamples=resamples, random_state=random_state)
    settings = {
        "model": model,
        "pairs": pairs,
        "profiles": str(profiles) if profiles else None,
        "k": k,
        "min_pairs": min_pairs,
        "resamples": resamples,
        "random_state": random_state,
    }
    files = library.write(found, output, settings=settings)
    log = logging.getLogger("mirscope")
    for each in library.summary(found):
        firm = "" if each["stability"] is None else f", stability {each['stability']:.2f}"
        log.info("cluster %d: %d miRNAs%s", each["cluster"], each["size"], firm)
    log.info("written: %s", " ".join(map(str, files)))
