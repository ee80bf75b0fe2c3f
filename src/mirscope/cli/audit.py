"""The command that asks what leaks in a table of pairs or hairpins."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mirscope.cli.common import CORES, Debug, Quiet, Threads, app, begin, show_table


@app.command()
def audit(
    data: Annotated[
        str, typer.Argument(metavar="TABLE", help="Labelled pairs or hairpins: a data set (miraw, miraw_in) or a file.")
    ],
    train: Annotated[
        str | None,
        typer.Option(
            help="What a model learned from; all of TABLE is then tested.", show_default="train split of TABLE"
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
    random_state: Annotated[
        int, typer.Option(help="Of the rows whose energy is computed, and of a split where the table has none.")
    ] = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Can this table show that a model finds targets? What leaks from its training into its test pairs?

    First the verdict in words. Then repeats and contradictions, what test and training pairs have in common (pairs,
    sites, 20 nt of a site, miRNAs, genes), and how well the test pairs are told apart without a model: by the miRNA's
    name alone, the gene's, lengths, composition, remembered sites, seed and duplex energy. Of hairpins: sequences,
    20 nt and families in common, and what length, composition and energy of the fold tell.
    """
    begin(quiet)
    from mirscope import audit as library
    from mirscope import datasets, io

    pairs = datasets.load(data)
    learned = datasets.load(train) if train else None
    found = library.audit(pairs, train=learned, name=data, threads=threads, random_state=random_state)
    if json:
        json.parent.mkdir(parents=True, exist_ok=True)
        with io.atomic(json) as partial:
            Path(partial).write_text(found.to_json(), encoding="utf-8")
    _print_verdict(found.name, found.verdict)
    for header, rows in library.report(found):
        print()
        show_table(header, rows)


def _print_verdict(name: str, verdict: list[str]) -> None:
    """The sentences: wrapped on a terminal; in a pipe one a line, as comments above the tables."""
    if not sys.stdout.isatty():
        print(*(f"# {line}" for line in [name, *verdict]), sep="\n")
        return
    from rich.console import Console
    from rich.padding import Padding

    console = Console(highlight=False)
    console.print(f"[bold]{name}: {verdict[0]}[/bold]")
    for line in verdict[1:]:
        console.print(Padding(line, (0, 0, 0, 2)))
