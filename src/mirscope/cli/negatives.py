"""The command that makes pairs that should not bind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirscope.cli.common import Debug, Quiet, app, bar, begin
from mirscope.errors import InputError

NEEDS = "What some ways need"
LIMITS = "Limits of some ways"


@app.command()
def negatives(
    positives: Annotated[
        str, typer.Argument(metavar="POSITIVES", help="Pairs: a table, a data set; rows of label 0 are left out.")
    ],
    how: Annotated[str, typer.Option(metavar="NAME", help="The way to make them, see above.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write (.tsv, .tsv.gz, .parquet); - is stdout.")
    ] = Path("-"),
    ratio: Annotated[int, typer.Option(min=1, help="Negatives for each positive.")] = 1,
    mirnas: Annotated[
        Path | None,
        typer.Option(
            metavar="FASTA",
            help="All mature miRNAs of the species, whose seeds no mock may have.",
            rich_help_panel=NEEDS,
        ),
    ] = None,
    transcripts: Annotated[
        Path | None,
        typer.Option(metavar="FASTA", help="Transcripts or 3'UTRs to take windows from.", rich_help_panel=NEEDS),
    ] = None,
    duplicate_ids: Annotated[
        bool,
        typer.Option(
            "--number-duplicates",
            help="Give repeated transcript ids a number instead of refusing them.",
            rich_help_panel=NEEDS,
        ),
    ] = False,
    energy: Annotated[
        float | None,
        typer.Option(
            help="same-transcript: most energy of RNAcofold, kcal/mol.", show_default="-10", rich_help_panel=LIMITS
        ),
    ] = None,
    distance: Annotated[
        int | None,
        typer.Option(
            min=0, help="same-transcript: least nt to a known site.", show_default="10", rich_help_panel=LIMITS
        ),
    ] = None,
    alignment: Annotated[
        float | None,
        typer.Option(help="mock-target: least score of miRanda.", show_default="140", rich_help_panel=LIMITS),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="matched-window: windows compared for each negative, at most.",
            show_default="100",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    all_positives: Annotated[
        bool,
        typer.Option(
            "--all-positives", help="Keep positives of which no negative could be made.", rich_help_panel=LIMITS
        ),
    ] = False,
    random_state: Annotated[int, typer.Option(min=0, help="Of every draw: the same number, the same pairs.")] = 0,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make negatives for positive pairs: a table of both, to train on.

    Ways to make them (--how). Each can be told from real pairs by something
    other than binding: docs/negatives.md has what, measured. Take repaired
    if you have no reason to take another, and audit what you made.

      repaired         real miRNAs and real sites, paired anew

      shuffled-target  the miRNA, its site's dinucleotides shuffled

      same-transcript  the miRNA, a window beside its site (DMISO)

      matched-window   the miRNA, a window like its site

      random-window    the miRNA, any window

      mock-mirna       a shuffled miRNA, the site (DeepMirTar)

      mock-target      a shuffled miRNA, a window it aligns to (deepTarget)

    Windows need --transcripts, shuffled miRNAs --mirnas.

    Writes mirna_id, mirna_seq, gene_id, target_seq, label (1, 0) and split,
    where POSITIVES has them: the positives, then the negatives, each in the
    split of its positive.

    Examples:

      mirscope negatives chimeras.tsv --how repaired -o pairs.tsv

      mirscope negatives chimeras.tsv --how matched-window --transcripts utrs.fa --ratio 10 -o pairs.tsv

      mirscope audit pairs.tsv

      mirscope train mitar --data pairs.tsv -o model
    """
    begin(quiet)
    from mirscope import datasets, io, scan
    from mirscope import negatives as library

    try:
        with bar(f"making negatives: {how}", None, quiet):
            pairs = library.make(
                datasets.load_pairs(positives),
                how,
                mirnas=io.read_fasta(mirnas) if mirnas else None,
                transcripts=list(scan.Transcripts(transcripts, number_duplicates=duplicate_ids))
                if transcripts
                else None,
                ratio=ratio,
                all_positives=all_positives,
                random_state=random_state,
                energy=energy,
                distance=distance,
                alignment=alignment,
                candidates=candidates,
            )
    except InputError as error:
        if error.record and error.path is None:  # a record that can be no miRNA
            error.path = mirnas
        raise
    io.write_table(pairs, output)
