"""The command that searches genomes for pre-miRNAs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from mirscope.cli.common import CORES, RUN, Debug, ModelName, Quiet, Threads, app, bar, begin, spooled

DEFAULT = "hairpin"


@app.command()
def discover(
    genome: Annotated[Path, typer.Argument(help="Chromosomes, contigs or transcripts, FASTA; - is stdin.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("results"),
    model: ModelName = DEFAULT,
    fp_per_mb: Annotated[
        float | None,
        typer.Option(
            "--fp-per-mb",
            help="Call loci as good as so many in a Mb of shuffled sequence, both strands.",
            show_default="5",
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", "-p", help="Call loci of this score or more, instead.")
    ] = None,
    background: Annotated[
        int, typer.Option(metavar="NT", help="Shuffled sequence to count false loci in; 0: none, with --threshold.")
    ] = 1_000_000,
    known: Annotated[
        Path | None,
        typer.Option(metavar="FASTA", help="Known miRNAs, mature or hairpins: named where a locus holds one."),
    ] = None,
    reads: Annotated[
        Path | None, typer.Option(metavar="BAM", help="Small-RNA reads with an index, counted on each locus.")
    ] = None,
    folded_per_mb: Annotated[
        float | None,
        typer.Option(
            "--fold-per-mb",
            metavar="N",
            help="Fold candidates whose stem is as good as so many in a Mb of shuffled sequence; 0: all (slower).",
            show_default="200, or 40 times --fp-per-mb; 2000 with --threshold",
        ),
    ] = None,
    longest: Annotated[int, typer.Option(metavar="NT", help="Longest stem, from its first nt to its last.")] = 160,
    skip_masked: Annotated[bool, typer.Option("--skip-masked", help="Find nothing in lower-case letters.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted search.", rich_help_panel=RUN)
    ] = False,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find pre-miRNAs in a genome, with their mature miRNAs.

    Both strands are searched for stems; the best are folded and scored by the model, and hairpins that overlap are
    one locus. How good a locus must be is told by --fp-per-mb: pieces of the genome are also shuffled (their
    dinucleotides stay), and loci are those better than all but so many in a Mb of that. Writes to the output folder:
    loci.tsv, loci.bed, loci.gff3 (as miRBase's), hairpins.fa, mature.fa (for mirscope scan), run.json.

    Examples:

      mirscope discover genome.fa.gz -o loci --known mature.fa

      mirscope discover contigs.fa -o loci --fp-per-mb 20 --reads small_rna.bam

      mirscope scan loci/mature.fa utrs.fa -o targets
    """
    begin(quiet, threads)
    from mirscope import discover as library
    from mirscope import models, predict

    settings = library.Settings(
        fp_per_mb=fp_per_mb,
        threshold=threshold,
        background=background,
        folded_per_mb=folded_per_mb,
        longest=longest,
    )
    network = models.load(model)
    models.expect(network, models.HAIRPIN)
    arms = network if models.calls_arms(network) else models.load(DEFAULT)
    names = library.Known.read(known) if known else None
    where = predict.device()
    with spooled(genome) as path:
        whole = library.survey(path, skip_masked=skip_masked, n_nt=background)
        n_nt = whole.n_nt + (background if whole.n_known else 0)
        with bar(f"searching {whole.n_nt:,} nt, both strands", n_nt, quiet) as advance:
            summary = library.search_files(
                network.to(where),
                whole,
                output,
                settings=settings,
                arms_model=arms.to(where),
                known=names,
                reads=reads,
                threads=threads,
                resume=resume,
                report=advance,
            )
    log = logging.getLogger("mirscope")
    rate = summary.n_nt / 1e6 / (summary.seconds / 60)
    log.info("%s nt in %.0f s (%.3g Mb a minute)", f"{summary.n_nt:,}", summary.seconds, rate)
    counts = (f"{number:,}" for number in (summary.n_candidates, summary.n_folded, summary.n_loci))
    log.info("%s candidates, %s folded, %s loci of score %.4g or more", *counts, summary.least_score)
    if known:
        log.info("%d of %d places of known miRNAs are in loci", summary.n_known_found, summary.n_known)
    log.info("results: %s", " ".join(map(str, summary.files)))
