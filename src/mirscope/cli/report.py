"""The command that tells all about one miRNA and one gene on a page."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirscope.cli.common import (
    CORES,
    DEFAULT_MODEL,
    Candidates,
    Debug,
    FpPerKb,
    Genes,
    Gtf,
    NumberDuplicates,
    Prevalence,
    Quiet,
    Rejected,
    SiteThreshold,
    Stride,
    Threads,
    app,
    bar,
    begin,
    expect_place,
    known_genes,
    load,
    names_of,
    of_name,
    spooled,
    typed,
)
from mirscope.errors import InputError

if TYPE_CHECKING:
    from mirscope.io import Record


@app.command()
def report(
    mirna: Annotated[str, typer.Argument(help="A miRNA: [NAME=]SEQUENCE, or with --mirnas a name in that file.")],
    target: Annotated[str, typer.Argument(help="A transcript, by its id; or a gene, of which the longest is taken.")],
    transcripts: Annotated[Path, typer.Option(help="3'UTRs or whole transcripts, FASTA: all of those you would scan.")],
    mirnas: Annotated[
        Path | None, typer.Option(help="Mature miRNAs that MIRNA is one of: FASTA, mirGFF3, isomiR table.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="NAME|FILE", help="As for scan; may be repeated.", show_default="duplex seed"
        ),
    ] = None,
    genes: Genes = None,
    gtf: Gtf = None,
    rejected: Rejected = False,
    fp_per_kb: FpPerKb = None,
    threshold: SiteThreshold = None,
    prevalence: Prevalence = 0.5,
    background: Annotated[
        int | None,
        typer.Option(
            metavar="NT", help="Shuffled transcript to count false sites in; 0: none.", show_default="200,000 or more"
        ),
    ] = None,
    stride: Stride = None,
    candidates: Candidates = None,
    duplicate_ids: NumberDuplicates = False,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell all about a miRNA and a gene on one page: its sites, how many come by chance, and why they are called.

    One HTML file, to be read without a network: the sites of each model along the transcript, duplexes with what each
    nucleotide does, what each model reaches beside its floors, links, settings. Sites and their rates of false ones are
    those of mirscope scan with this miRNA and all of these transcripts, which is why it takes all of them.

    Examples:

      mirscope report let-7a=UGAGGUAGUAGGUUGUAUAGUU NM_006546 --transcripts utrs.fa.gz -o let-7a.html

      mirscope report hsa-miR-21-5p PDCD4 --mirnas mature.fa --transcripts utrs.fa --gtf genes.gtf

      mirscope report 'hsa-miR-21-5p;iso_5p:+1' PDCD4 --mirnas isomirs.gff3 --transcripts utrs.fa --genes map.tsv

      mirscope report let-7a=UGAGGUAGUAGGUUGUAUAGUU NM_006546 --transcripts utrs.fa -m duplex -m mitar --fp-per-kb 0.1
    """
    begin(quiet, threads)
    from mirscope import pair_report, runs, scan

    given = model or [DEFAULT_MODEL, "seed"]
    networks = {name: load(each) for name, each in zip(names_of(given), given, strict=True)}
    settings = scan.Settings(
        threshold=threshold,
        fp_per_kb=fp_per_kb,
        background=background,
        prevalence=prevalence,
        stride=stride,
        candidates=candidates,
    )
    for network in networks.values():
        scan.settle(settings, network)
    expect_place(output)
    query, notes = _mirna(mirna, mirnas, rejected) if mirnas else (typed(mirna, "MIRNA"), [])
    known = known_genes(genes, gtf)
    with spooled(transcripts) as path:
        records = scan.Transcripts(path, number_duplicates=duplicate_ids)
        n_nt = len(networks) * sum(len(record.sequence) for record in records)  # reads and checks all before the work
        given_files = {"transcripts": path, "genes": genes or gtf, "miRNAs": mirnas}
        inputs = {
            name: f"{transcripts if file == path else file} (sha256 {runs.checksum(file)})"
            for name, file in given_files.items()
            if file and file.is_file()
        }
        with bar(f"scanning with {' and '.join(networks)}", n_nt, quiet) as advance:
            page = pair_report.page(
                networks,
                query,
                records,
                target,
                genes=known,
                settings=settings,
                notes=notes,
                inputs=inputs,
                threads=threads,
                report=advance,
            )
    page.write(output)
    logging.getLogger("mirscope").info("written: %s", output)


def _mirna(name: str, path: Path, rejected: bool) -> tuple[Record, list[str]]:
    """The miRNA of that name in a file, and what is to be said of it."""
    from mirscope import io

    records: list[Record] = []
    with spooled(path) as given:
        with contextlib.suppress(*[InputError] * rejected):  # nothing but rejected ones
            records = io.read_mirnas(given)
        if found := of_name(name, records):
            return found, []
        records = io.read_mirnas(given, rejected=True)
    if not (found := of_name(name, records)):
        known = ", ".join(record.id for record in records[:3])
        raise InputError(f"no such miRNA among {len(records):,} ({known} ...)", path=path, record=name)
    if not rejected:
        raise InputError("marked as rejected there; --rejected takes it all the same", path=path, record=name)
    return found, [f"{name} is marked as rejected in {path.name}: it may be no isomiR, but an error of sequencing."]
