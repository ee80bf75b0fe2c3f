"""The commands that call training and testing many times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mirscope.cli.common import CORES, RUN, Debug, Quiet, app, bar, begin, show_table

if TYPE_CHECKING:
    import pandas as pd

Rule = Literal["given", "random", "kfold", "family-kfold", "family", "gene", "cluster", "all"]
Data = Annotated[str, typer.Option(help="Labelled pairs or hairpins: a data set or a file.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder; the same command goes on in it.")]
Split = Annotated[
    Rule,
    typer.Option(
        "--rule", help="At random, k-fold (by family), or no family, gene or cluster of sites (or all) on both sides."
    ),
]
Runs = Annotated[int, typer.Option("--runs", min=1, help="Random splits, or the parts of k-fold.")]
Test = Annotated[float, typer.Option("--test", help="Share of all; .3 is 70/30.")]
Valid = Annotated[float, typer.Option("--valid", help="Share of what is left, to decide when to stop.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the network or of training (dropout=0.4, epochs=50); may be repeated.",
    ),
]
LanguageModel = Annotated[
    Path | None, typer.Option(help="Folder of a BERT over k-mers (`mirscope pretrain`), for a network that takes one.")
]
RandomState = Annotated[int, typer.Option("--random-state", help="Of the first split; each run adds 1.")]
Processes = Annotated[
    int,
    typer.Option(
        "--threads", min=1, help="Runs at the same time, a core each.", rich_help_panel=RUN, show_default="all"
    ),
]
SHOWN = ("auroc", "average_precision", "accuracy", "sensitivity", "specificity", "f1", "brier_loss")


@app.command()
def benchmark(
    competitors: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL[,NAME=VALUE...]...",
            help="Networks to train, with settings of their own; models without weights, and weight files, are scored.",
        ),
    ],
    data: Data,
    output: Output,
    rule: Split = "random",
    runs: Runs = 30,
    test: Test = 0.2,
    valid: Valid = 0.2,
    setting: Set = None,
    language_model: LanguageModel = None,
    random_state: RandomState = 0,
    threads: Processes = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train and test networks on many splits of the same pairs (or hairpins), and compare them.

    Prints mean and 2.5 and 97.5 percentiles over the runs. Writes runs.parquet and .tsv (a row a run), summary.tsv,
    comparisons.tsv and within_runs.tsv (the first against each other one, paired), benchmark.json, a picture, and the
    test scores of each run. A test part is scored once and decides nothing.

    Examples:

      mirscope benchmark mitar seed --data mirtarraw -o bench --set epochs=50

      mirscope benchmark mitar,epochs=50 deeptarget,epochs=20 --data pairs.tsv -o bench --rule family --runs 10

      mirscope benchmark dnnpremir_cnn --data dnnpremir_human_balanced -o bench --rule family-kfold --runs 5
    """
    begin(quiet)
    from mirscope import datasets
    from mirscope import experiment as library

    common = dict(library.parse_setting(text) for text in setting or [])
    entries = [library.parse_competitor(text, common) for text in competitors]
    protocol = library.Protocol(rule, runs, test, valid, random_state)
    pairs = datasets.load(data)
    with bar("benchmark", len(entries) * runs, quiet) as progress:
        how = {"protocol": protocol, "processes": threads, "progress": progress}
        how |= _unlabelled(language_model)
        table = library.benchmark(entries, pairs, output, **how)
    found = library.write(table, output)
    _print_summary(found["summary"])
    if "comparisons" in found:
        _print_comparisons(found["comparisons"])


@app.command()
def ablate(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="The network.")],
    data: Data,
    output: Output,
    rule: Split = "random",
    runs: Runs = 30,
    test: Test = 0.2,
    valid: Valid = 0.2,
    setting: Set = None,
    language_model: LanguageModel = None,
    random_state: RandomState = 0,
    threads: Processes = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Leave out the parts of a network in turn, as its paper did, and train and test each on many splits.

    Prints accuracy with 2.5 and 97.5 percentiles over the runs beside the published figures. Writes ablation.tsv, a
    picture, and what `benchmark` writes.
    """
    begin(quiet)
    from mirscope import datasets
    from mirscope import experiment as library

    config, training = library.divide(name, dict(library.parse_setting(text) for text in setting or []))
    settings = library.train.Settings(**training)
    protocol = library.Protocol(rule, runs, test, valid, random_state)
    pairs = datasets.load(data)
    with bar(f"ablation of {name}", len(library.ablations(name)) * runs, quiet) as progress:
        how = {"protocol": protocol, "processes": threads, "progress": progress}
        how |= _unlabelled(language_model)
        table = library.ablate(name, pairs, output, config=config, settings=settings, **how)
    _print_ablation(library.write_ablation(table, output, name, data))


@app.command()
def search(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="The network.")],
    data: Data,
    output: Output,
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=CHOICES",
            help="learning_rate=0.001:0.1:log, hidden=16:64 or batch_size=30,100; may be repeated.",
            show_default="what the network's paper tried",
        ),
    ] = None,
    method: Annotated[
        Literal["tpe", "grid"], typer.Option(help="Propose by what did well, or try every combination.")
    ] = "tpe",
    trials: Annotated[int | None, typer.Option(min=1, help="At most.", show_default="50, or the whole grid")] = None,
    pruner: Annotated[
        Literal["median", "hyperband", "none"], typer.Option(help="What stops hopeless trials early.")
    ] = "median",
    setting: Set = None,
    language_model: LanguageModel = None,
    rule: Annotated[
        Rule | None, typer.Option(help="How to split.", show_default="the data's own split, or at random")
    ] = None,
    random_state: Annotated[int, typer.Option(help="Of the split and of what is proposed.")] = 0,
    threads: Processes = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find settings of a network or of its training, by validation examples only: test examples are laid aside.

    Writes trials.tsv (a row a trial), search.png and .svg, best.json, and trials.journal (of Optuna), from which the
    same command goes on.

    Examples:

      mirscope search mitar --data mirtarraw -o search --method grid --set epochs=20

      mirscope search mitar --data mirtarraw -o search --space learning_rate=0.0005:0.02:log --space dropout=0.1:0.5
    """
    begin(quiet)
    from mirscope import datasets
    from mirscope import experiment as library

    choices = dict(library.parse_choices(text) for text in space or []) or None
    config, training = library.divide(name, dict(library.parse_setting(text) for text in setting or []))
    pairs = datasets.load(data)
    with bar(f"search for {name}", None, quiet) as progress:
        table = library.search(
            name,
            pairs,
            output,
            space=choices,
            config=config,
            settings=library.train.Settings(**training),
            method=method,
            n_trials=trials,
            pruner=pruner,
            rule=rule,
            random_state=random_state,
            **_unlabelled(language_model),
            processes=threads,
            progress=progress,
        )
    ranked = table.sort_values("value", ascending=False, kind="stable").head(10)
    show_table([str(column) for column in table.columns], [[_short(v) for v in row] for row in ranked.to_numpy()])


def _unlabelled(language_model: Path | None) -> dict[str, Any]:
    from mirscope import train

    return {"unlabelled": train.unlabelled(language_model=language_model)} if language_model else {}


def _print_summary(summary: pd.DataFrame) -> None:
    rows = []
    for title, own in summary.groupby("competitor", sort=False):
        cells = own.set_index("metric").loc[list(SHOWN)]
        intervals = (_interval(*row) for row in cells[["mean", "low", "high"]].to_numpy())
        rows.append([title, int(own["n_runs"].max()), *intervals])
    show_table(["", "runs", *SHOWN], rows)


def _print_comparisons(comparisons: pd.DataFrame) -> None:
    rows = [
        [
            f"{row['competitor']} - {row['other']}",
            row["metric"],
            _interval(row["difference"], row["low"], row["high"], "+.4f"),
            _short(row["p"]),
        ]
        for row in comparisons.to_dict("records")
        if row["metric"] in ("auroc", "average_precision", "accuracy")
    ]
    print()
    show_table(["difference", "metric", "mean [95 %]", "p"], rows)


def _print_ablation(table: pd.DataFrame) -> None:
    rows = []
    for row in table.to_dict("records"):
        accuracy = _interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
        difference = _interval(row["difference"], row["difference_low"], row["difference_high"], "+.4f")
        rows.append([row["competitor"], row["n_runs"], accuracy, difference, row["published"]])
    show_table(["", "runs", "accuracy [95 % of runs]", "to the first [95 %]", "published"], rows)


def _interval(value: float, low: float, high: float, form: str = ".4f") -> str:
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _short(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)
