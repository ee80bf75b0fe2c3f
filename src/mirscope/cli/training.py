"""The command that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mirscope.cli.common import CORES, RUN, Debug, Quiet, Threads, app, bar, begin

Schedule = Literal["constant", "one-cycle"]
Monitor = Literal["accuracy", "auroc", "average_precision"]
UNLABELLED = "Learning without labels, for networks that begin with it"


@app.command()
def train(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="The network: a name of `mirscope models list`.")],
    data: Annotated[str, typer.Option(help="Labelled pairs with a split: a data set or a file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for weights, learning curve, run.json.")],
    epochs: Annotated[int, typer.Option(help="At most.")] = 1000,
    batch_size: int = 100,
    learning_rate: Annotated[float, typer.Option(help="Of Adam; the peak of a one-cycle schedule.")] = 0.001,
    schedule: Annotated[
        Schedule, typer.Option(help="One cycle: up in the first 30 % of the epochs, then to 0.")
    ] = "constant",
    label_smoothing: Annotated[float, typer.Option(help="Teach labels this much less sure.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.0,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient of a step.", show_default="any")] = None,
    monitor: Annotated[Monitor, typer.Option(help="The validation measure that decides.")] = "accuracy",
    patience: Annotated[int, typer.Option(help="Epochs without a better validation measure before it stops.")] = 100,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the network (dropout=0.4); may be repeated."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Weights to go on from.", show_default="fresh ones")
    ] = None,
    mirnas: Annotated[
        Path | None,
        typer.Option(help="miRNAs, FASTA.", show_default="all of miRBase", rich_help_panel=UNLABELLED),
    ] = None,
    transcripts: Annotated[
        Path | None,
        typer.Option(help="Transcripts, FASTA.", show_default="MirMark's 3'UTRs", rich_help_panel=UNLABELLED),
    ] = None,
    language_model: Annotated[
        Path | None,
        typer.Option(help="Folder of a BERT over k-mers, see `mirscope pretrain`.", rich_help_panel=UNLABELLED),
    ] = None,
    random_state: Annotated[
        int, typer.Option(help="Of initial weights, order of examples, dropout, and the split where the data has none.")
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.", rich_help_panel=RUN)
    ] = False,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a network, from scratch or from weights you have; a GPU is used when there is one.

    The validation split decides when to stop and which epoch to keep; the test split is only measured, at the end.
    Writes model.safetensors (for --model), history.tsv, learning_curve.png and .svg, run.json.
    """
    begin(quiet, threads)
    from mirscope import train as library
    from mirscope.experiment import parse_setting

    settings = library.Settings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        label_smoothing=label_smoothing,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        monitor=monitor,
        patience=patience,
        random_state=random_state,
    )
    config = dict(parse_setting(text) for text in setting or [])
    with bar(f"training {name}", None, quiet):
        library.run(
            name,
            data,
            output,
            settings=settings,
            config=config,
            start=start,
            mirnas=mirnas,
            transcripts=transcripts,
            language_model=language_model,
            resume=resume,
        )
