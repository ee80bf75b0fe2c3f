"""The command that says why a model scores as it does."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mirscope.cli.common import CORES, RUN, Debug, ModelArgument, Quiet, Threads, app, bar, begin, load_any, typed
from mirscope.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from mirscope.models import Model

Measure = Literal["logit", "score"]


@app.command()
def explain(
    model: ModelArgument,
    examples: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAIRS]", help="Pairs or hairpins: a table (TSV, CSV or Parquet; - is stdin) or a data set."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for tables and pictures.")] = Path("explained"),
    mirna: Annotated[str | None, typer.Option(metavar="[NAME=]SEQUENCE", help="One miRNA, with --target.")] = None,
    target: Annotated[
        str | None, typer.Option(metavar="[NAME=]SEQUENCE", help="One target site, with --mirna.")
    ] = None,
    hairpin: Annotated[str | None, typer.Option(metavar="[NAME=]SEQUENCE", help="One hairpin.")] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="mask (runs of N), mutate (every other letter), gradient (integrated gradients) or deeplift; may be "
            "repeated.",
            show_default="the first three",
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="nt masked at a time.")] = 4,
    measure: Annotated[Measure, typer.Option(help="What sentences and pictures speak of; tables have both.")] = "logit",
    draw: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Draw the first N examples.", show_default="1 of one")
    ] = None,
    maps: Annotated[
        bool | None,
        typer.Option(
            "--map/--no-map",
            help="Also the map of miRNA against target (of a hairpin against itself) of those.",
            show_default="of one",
        ),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Pictures also as PDF.")] = False,
    refold: Annotated[
        bool, typer.Option("--refold", help="Fold each edited hairpin anew; otherwise its structure stays.")
    ] = False,
    export: Annotated[bool, typer.Option("--export", help="Write ohe.npz and shap.npz for modisco-lite.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Ask the same network with its weights in another order: does it say the same?"),
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Edited examples at a time.", rich_help_panel=RUN)] = 1024,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say which nucleotides make a model score as it does, and whether it looks at the seed.

    Each run of 4 nt is masked, each nt changed to the others, and gradients are followed where a model has them. A nt
    supports binding where the logit falls without it: prints how nt 2-8 and 13-16 stand against the rest in that.
    Writes to the output folder: nucleotides.tsv (a row for each nt), profile.tsv (mean and spread by position),
    regions.tsv, examples.tsv, summary.txt, pictures, run.json.

    Examples:

      mirscope explain duplex --mirna UGAGGUAGUAGGUUGUAUAGUU --target ACUAUACAACCUACUACCUCA -o let7

      mirscope explain dmiso clash_hejret2023_mirbench:test --check -o profile

      mirscope explain hairpin --hairpin GGGAGGCUCUGAAAACAGAGCCUCCC --refold -o stem
    """
    begin(quiet, threads)
    from mirscope import explanations, interpret, models, plot

    network = load_any(model)
    table = _examples(network, examples, mirna=mirna, target=target, hairpin=hairpin)
    one = len(table) == 1
    if refold and network.inputs == models.PAIR:
        raise UsageError(f"{models.named(network)} reads no hairpins, which --refold is of")
    with bar(f"explaining {len(table):,} examples", len(table), quiet) as advance:
        said, files = explanations.write(
            network,
            table,
            output,
            methods=methods or interpret.METHODS,
            k=k,
            measure=measure,
            refold=refold,
            drawings=int(one) if draw is None else draw,
            maps=one if maps is None else maps,
            export=export,
            check=check,
            batch_size=batch_size,
            formats=plot.FORMATS if pdf else ("svg", "png"),
            settings={"examples": examples or "given"},
            report=advance,
        )
    for line in said:
        print(line)
    logging.getLogger("mirscope").info("written: %s", " ".join(map(str, files)))


_IDS = {"mirna": "mirna_id", "target": "gene_id", "hairpin": "hairpin_id"}


def _examples(model: Model, source: str | None, **given: str | None) -> pd.DataFrame:
    """The examples of a table or data set, or the one of sequences given as options."""
    import pandas as pd

    from mirscope import datasets, models

    wanted = models.strands(model)
    own = [name for name, text in given.items() if text is not None]
    if source is not None and own:
        raise UsageError(f"give either a table or --{own[0]}, not both")
    if source is not None:
        return (datasets.load_pairs if model.inputs == models.PAIR else datasets.load_hairpins)(source)
    if set(own) != set(wanted):
        raise UsageError(f"give examples: a table, a data set, or {' and '.join(f'--{name}' for name in wanted)}")
    columns: dict[str, list[str]] = {}
    for name in wanted:
        record = typed(str(given[name]), f"--{name}")
        if not record.sequence:
            raise UsageError(f"--{name} is empty; expected a sequence")
        columns |= {_IDS[name]: [record.id], f"{name}_seq": [record.sequence]}
    return pd.DataFrame(columns)
