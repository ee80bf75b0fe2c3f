"""The command that trains a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirscope.cli.common import CORES, RUN, Debug, Quiet, Threads, app, bar, begin

SIZE = "Size of the network"


@app.command()
def pretrain(
    transcripts: Annotated[
        list[str],
        typer.Argument(metavar="FASTA...", help="3'UTRs or other RNA: files, or data sets of the catalogue."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the language model.")],
    steps: Annotated[int, typer.Option(help="Batches to learn from.")] = 6000,
    batch_size: Annotated[int, typer.Option(help="Pieces of sequence a step.")] = 32,
    length: Annotated[int, typer.Option(help="nt of a piece.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="The peak, after a tenth of the steps.")] = 0.001,
    masked: Annotated[float, typer.Option(help="Share of the 4-mers to fill in.")] = 0.15,
    span: Annotated[int, typer.Option(help="4-mers masked in a row, 4 or more.")] = 4,
    held_out: Annotated[float, typer.Option(help="Share of the transcripts to measure on.")] = 0.05,
    dropout: Annotated[float, typer.Option(rich_help_panel=SIZE)] = 0.0,
    layers: Annotated[int, typer.Option(rich_help_panel=SIZE)] = 4,
    hidden: Annotated[int, typer.Option(rich_help_panel=SIZE)] = 96,
    heads: Annotated[int, typer.Option(rich_help_panel=SIZE)] = 4,
    intermediate: Annotated[int, typer.Option(rich_help_panel=SIZE)] = 384,
    random_state: Annotated[int, typer.Option(help="Of what is held out, weights, order and masks.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.", rich_help_panel=RUN)
    ] = False,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Teach a language model the sequence of transcripts, without labels: BERT over 4-mers, by filling in masked runs.

    The folder is one of transformers (config.json, model.safetensors, vocab.txt), for `mirscope train deepmirnatar
    --set target_encoder=bert --language-model FOLDER`; run.json says how well held-out transcripts are filled in, and
    how well by counting alone.
    """
    begin(quiet, threads)
    from mirscope import datasets, io
    from mirscope import language as library

    settings = library.Settings(
        steps=steps,
        batch_size=batch_size,
        length=length,
        learning_rate=learning_rate,
        masked=masked,
        span=span,
        held_out=held_out,
        dropout=dropout,
        random_state=random_state,
    )
    size = library.Size(layers, hidden, heads, intermediate)
    paths = [datasets.path(name) if name in datasets.names() else name for name in transcripts]
    sequences = [record.sequence for path in paths for record in io.iter_fasta(path, unique=False)]
    with bar(f"{steps:,} steps on {sum(map(len, sequences)):,} nt", steps, quiet) as advance:
        library.pretrain(sequences, output, settings=settings, size=size, resume=resume, report=advance)
