"""The command that tells pre-miRNAs from other hairpins."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from mirscope.cli.common import (
    CORES,
    DEFAULT_HAIRPIN_MODEL,
    Debug,
    ModelName,
    Quiet,
    Threads,
    app,
    arms_model,
    bar,
    begin,
    load,
    spooled,
)
from mirscope.errors import UsageError

WORTH_A_PROCESS = 1000
"""Hairpins that take about as long to fold as a further process takes to begin."""


@app.command()
def hairpins(
    hairpins: Annotated[
        str,
        typer.Argument(
            metavar="HAIRPINS",
            help="FASTA, with dot-bracket or without, RNAfold's output, a table (TSV, CSV, Parquet), - for stdin, "
            "or a data set.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write (.tsv, .tsv.gz, .parquet); - is stdout.")
    ] = Path("-"),
    model: ModelName = DEFAULT_HAIRPIN_MODEL,
    threshold: Annotated[float, typer.Option("--threshold", "-p", help="Call hairpins of this score or more.")] = 0.5,
    arms: Annotated[bool, typer.Option(help="Say where the mature miRNAs of the two arms are.")] = True,
    mature: Annotated[
        Path | None,
        typer.Option(metavar="FASTA", help="Write the mature miRNAs of called hairpins here, for mirscope scan."),
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the fold of each called hairpin into this folder.")
    ] = None,
    draw_format: Annotated[Literal["svg", "png", "pdf"], typer.Option(help="Of the drawings.")] = "svg",
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell pre-miRNAs from other hairpins.

    Writes a row for each hairpin: id, score (0-1), call (0 or 1), length, mfe (kcal/mol), structure, the terminal loop,
    the mature miRNAs of both arms (places 0-based, half-open, and sequences), and the hairpin. ViennaRNA folds those
    whose structure is not given. Sequences 5'->3', RNA or DNA, one hairpin each: longer ones are for mirscope discover.

    Examples:

      mirscope hairpins candidates.fa -o calls.tsv

      mirscope hairpins candidates.fa -o calls.tsv --mature mature.fa --draw folds

      mirscope scan mature.fa utrs.fa -o targets
    """
    begin(quiet, 1)  # of torch, whose last digits change with its threads; the work is in the processes
    from mirscope import hairpins as library

    if mature and not arms:
        raise UsageError("--mature takes the arms; leave out --no-arms")
    network = load(model, hairpins=True)
    caller = arms_model(network) if arms else None
    with spooled(Path(hairpins)) as path:
        source = library.Hairpins(str(path))
        n = source.check(unique=bool(mature or draw))  # reads all of it before the work
        worth = library.AT_ONCE if draw else WORTH_A_PROCESS
        with bar(f"folding and scoring {n:,} hairpins", n, quiet) as advance:
            done = library.identify_files(
                network,
                source,
                output,
                arms_model=caller,
                threshold=threshold,
                mature=mature,
                drawings=library.Drawings(draw, draw_format) if draw else None,
                processes=max(1, min(threads, n // worth)),
                report=advance,
            )
    log = logging.getLogger("mirscope")
    unpaired = f", {done.n_unpaired:,} without a base pair" if done.n_unpaired else ""
    called = f"{done.n_called:,} of score {threshold:g} or more called pre-miRNAs"
    log.info("%s hairpins, %s%s; %.1f s (%s)", f"{done.n:,}", called, unpaired, done.seconds, network.name)
    if mature:
        log.info("written: %s (%s mature miRNAs)", mature, f"{done.n_matures:,}")
    if draw:
        log.info("written: %s (%s drawings)", draw, f"{done.n_called:,}")
