"""The command that tells all about one miRNA and one transcript on a page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from mirscope.cli.common import (
    CORES,
    DEFAULT_MODEL,
    Debug,
    FpPerKb,
    Quiet,
    SiteThreshold,
    Threads,
    app,
    begin,
    load,
    read_mirnas,
    spooled,
)
from mirscope.errors import InputError, UsageError


@app.command()
def report(
    mirna: Annotated[str, typer.Argument(help="A miRNA: its id in --mirnas, or [NAME=]SEQUENCE.")],
    target: Annotated[str, typer.Argument(help="Id of a transcript.")],
    transcripts: Annotated[Path, typer.Option(help="FASTA that holds it; all of it is the background.")],
    mirnas: Annotated[Path | None, typer.Option(help="FASTA, mirGFF3 or isomiR table, as for scan.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="NAME|FILE", help="May be repeated.", show_default="duplex seed"),
    ] = None,
    fp_per_kb: FpPerKb = None,
    threshold: SiteThreshold = None,
    background: Annotated[int | None, typer.Option(metavar="NT", help="As of scan.")] = None,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """One page on a miRNA and a transcript: its sites, how sure, and why.

    Sites, rates of false ones and q-values are those of mirscope scan with this miRNA and these transcripts.

    Example:

      mirscope report let-7a=UGAGGUAGUAGGUUGUAUAGUU HMGA2 --transcripts utrs.fa -o let7.html
    """
    begin(quiet, threads)
    from mirscope import io, pair_report, scan

    names = model or [DEFAULT_MODEL, "seed"]
    if len(set(names)) < len(names):
        raise UsageError("a model is given twice")
    if mirnas:
        found = [record for record in read_mirnas(mirnas, rejected=True) if record.id == mirna]
        if not found:
            raise InputError("no such miRNA", path=mirnas, record=mirna)
        query = found[0]
    else:
        name, _, sequence = mirna.rpartition("=")
        query = io.Record(name or "mirna1", io.normalise(sequence, path="MIRNA", record=name or mirna)[0])
    settings = scan.Settings(fp_per_kb=fp_per_kb, threshold=threshold, background=background)
    with spooled(transcripts) as path:
        page = pair_report.page(
            [load(each) for each in names], query, scan.Transcripts(path), target, settings=settings, threads=threads
        )
    page.write(output)
    logging.getLogger("mirscope").info("written: %s", output)
