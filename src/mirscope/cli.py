"""The command line: parse, call one library function, write. Modules are imported by the command that needs them."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mirscope.errors import InputError, MirscopeError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from mirscope.io import Record
    from mirscope.models import Model

app = typer.Typer(
    name="mirscope",
    help="microRNA biology by deep learning: which sites and genes does a miRNA regulate, and how sure can you be?",
    epilog="Start with: mirscope scan mirnas.fa utrs.fa -o results. Each command explains itself: mirscope COMMAND -h.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Networks and their trained weights.", no_args_is_help=True)
data_app = typer.Typer(help="The public data sets: where they are, where they come from.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")

RUN = "Running"
Threads = Annotated[
    int, typer.Option("--threads", min=1, help="CPU cores to use.", rich_help_panel=RUN, show_default="all")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.", rich_help_panel=RUN)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=RUN)]
ModelName = Annotated[
    str,
    typer.Option("--model", "-m", metavar="NAME|FILE", help="Weights: a name of `mirscope models list`, or a file."),
]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
DEFAULT_MODEL = "mitar"


GeneScore = Literal["max", "noisy-or", "count"]
Schedule = Literal["constant", "one-cycle"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code: 0, 1 (the data), 2 (the question), 130 (interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code: int = app(args=arguments, prog_name="mirscope", standalone_mode=False) or 0
    except typer.TyperException as error:
        print(f"mirscope: {_usage(error, arguments)}", file=sys.stderr)
        return 2
    except MirscopeError as error:
        if "--debug" in arguments:
            raise
        print(f"mirscope: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if "--debug" in arguments:
            raise
        print(f"mirscope: {error.filename or 'input or output'}: {error.strerror}", file=sys.stderr)
        return 1
    if code == 130:
        print("mirscope: interrupted", file=sys.stderr)
    return code


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from mirscope import __version__

        print(f"mirscope {__version__}")
        raise typer.Exit


@app.command()
def score(
    pairs: Annotated[
        str, typer.Argument(metavar="PAIRS", help="Table of pairs: TSV, CSV or Parquet (- is stdin), or a data set.")
    ],
    model: ModelName = DEFAULT_MODEL,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write (.tsv, .tsv.gz, .parquet); - is stdout.")
    ] = Path("-"),
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score pairs of a miRNA and a target site.

    Writes the table with a column `score` (0-1, higher binds) at its end. Columns: mirna_id, mirna_seq, gene_id,
    target_seq, label; only the sequences must be there, 5'->3', RNA or DNA. Input tables of DMISO and TargetNet are
    read as well.
    """
    _start(quiet, threads)
    from mirscope import datasets, io, predict

    network = _load(model)
    table = datasets.load_pairs(pairs) if pairs.partition(":")[0] in datasets.names() else io.read_pairs(pairs)
    if "score" in table:
        logging.getLogger("mirscope").warning("%s: its column score is replaced", pairs)
    table = table.drop(columns="score", errors="ignore").assign(score=predict.score(network, table))
    io.write_table(table, output)


@app.command()
def scan(
    mirnas: Annotated[Path, typer.Argument(help="Mature miRNAs, FASTA. (With --mirna: the transcripts.)")],
    transcripts: Annotated[Path | None, typer.Argument(help="3'UTRs or whole transcripts, FASTA; - is stdin.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results; - writes sites as TSV to stdout.")
    ] = Path("results"),
    model: ModelName = DEFAULT_MODEL,
    mirna: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]SEQUENCE", help="A miRNA given here instead of a file; may be repeated."),
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", "-p", help="Score from which a window is a hit.")] = 0.5,
    stride: Annotated[
        int | None, typer.Option(help="nt from a window to the next.", show_default="the model's; miTAR 15")
    ] = None,
    all_windows: Annotated[
        bool,
        typer.Option(
            "--all-windows", help="A row for every hit; otherwise hits that overlap are merged into the best of them."
        ),
    ] = False,
    duplex: Annotated[bool, typer.Option(help="Draw the best duplex of each site and give its energy.")] = True,
    gene_score: Annotated[
        GeneScore, typer.Option(help="Rank genes by the best site, noisy-or of sites, or their number.")
    ] = "max",
    min_sites: Annotated[int, typer.Option("--min-sites", min=1, help="Fewer sites make no target gene.")] = 1,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="tsv, bed, gff3, parquet or fasta; may be repeated.", show_default="tsv bed gff3"
        ),
    ] = None,
    duplicate_ids: Annotated[
        bool,
        typer.Option("--number-duplicates", help="Give repeated transcript ids a number instead of refusing them."),
    ] = False,
    plot: Annotated[int, typer.Option(metavar="N", min=0, help="Draw the N best target transcripts.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted scan.", rich_help_panel=RUN)
    ] = False,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the sites of miRNAs in transcripts, and rank the target genes.

    Every window of every transcript is scored with every miRNA; hits that overlap are merged into the best of them, a
    site. Writes to the output folder: sites.tsv (mirna_id, target_id, start, end, score, seed type, duplex ...;
    0-based, half-open), genes.tsv (ranked), sites.bed, sites.gff3, run.json.

    Examples:

      mirscope scan mirnas.fa utrs.fa.gz -o results

      mirscope scan --mirna let-7a=UGAGGUAGUAGGUUGUAUAGUU utrs.fa -p 0.9 -o let7
    """
    _start(quiet, threads)
    from mirscope import io
    from mirscope import scan as library

    if mirna:
        if transcripts is not None:
            raise UsageError("give either a FASTA of miRNAs or --mirna, not both")
        transcripts, queries = mirnas, [_inline(text, number) for number, text in enumerate(mirna, 1)]
    elif transcripts is None:
        raise UsageError("give the miRNAs and the transcripts: mirscope scan MIRNAS TRANSCRIPTS (or --mirna SEQUENCE)")
    elif str(mirnas) == str(transcripts) == "-":
        raise UsageError("stdin can give the miRNAs or the transcripts, not both")
    else:
        queries = io.read_fasta(mirnas)
    network = _load(model)
    settings = library.Settings(threshold=threshold, stride=stride, merge=not all_windows, duplexes=duplex)
    with _spooled(transcripts) as path:
        target = library.Transcripts(path, number_duplicates=duplicate_ids)
        n_nt = sum(len(record.sequence) for record in target)  # reads and checks all of it before the work starts
        if str(output) == "-":
            sites = library.iter_sites(network, queries, target, settings=settings, threads=threads)
            io.write_tsv(sites, output, [column.name for column in library.columns(settings)])
            return
        with _bar(f"scanning {n_nt:,} nt with {len(queries):,} miRNAs", n_nt, quiet) as advance:
            summary = library.scan_files(
                network,
                queries,
                target,
                output,
                settings=settings,
                how=gene_score,
                min_sites=min_sites,
                formats=formats or ("tsv", "bed", "gff3"),
                plots=plot,
                threads=threads,
                resume=resume,
                report=advance,
            )
    rate = f"{summary.n_scored:,} windows in {summary.seconds:.0f} s ({summary.n_scored / summary.seconds:,.0f}/s)"
    log = logging.getLogger("mirscope")
    log.info("%s; %s sites, %s genes", rate, f"{summary.n_sites:,}", f"{summary.n_genes:,}")
    log.info("results: %s", " ".join(map(str, summary.files)))


app.command("predict", help="The same as `scan`.", short_help="The same as scan.")(scan)


@app.command()
def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Weights: a name of `mirscope models list`, or a file.")
    ],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled pairs: a data set (miraw_in, mirtarraw:test) or a file.")
    ],
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for ROC, precision-recall and reliability pictures.")
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", "-p", help="Score from which a pair is called.")] = 0.5,
    train: Annotated[
        str | None,
        typer.Option(
            help="Pairs the floors learn from.", show_default="train split of DATA, else what the model was trained on"
        ),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Also the rate of calls on random, shuffled and real 3'UTR windows.")
    ] = False,
    transcripts: Annotated[
        Path | None, typer.Option(help="3'UTRs for --background.", show_default="data set human_3utr_mirmark")
    ] = None,
    random_state: Annotated[int, typer.Option(help="Of bootstrap, cross-validation and background.")] = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """How good is a model on labelled pairs, and how good is it without looking?

    Prints accuracy, AUROC, average precision, calibration ... with 95 % bootstrap intervals, and beside them the
    floors: what the miRNA's name alone, the gene's name alone, either sequence alone, the seed and the duplex energy
    reach. A model that does not beat its floors has not been shown to find targets.
    """
    _start(quiet, threads)
    from mirscope import datasets, io
    from mirscope import evaluate as library

    network = _load(model)
    pairs = datasets.load_pairs(data)
    learn = datasets.load_pairs(train) if train else _training_pairs(network, data)
    found = library.evaluate(
        network, pairs, train=learn, threshold=threshold, random_state=random_state, threads=threads
    )
    if background:
        records = io.read_fasta(transcripts or datasets.path("human_3utr_mirmark"), unique=False)
        named = pairs.drop_duplicates("mirna_seq").sort_values(["mirna_seq"])
        named = named.sample(min(20, len(named)), random_state=random_state)
        queries = [
            io.Record(name or sequence, sequence)
            for name, sequence in zip(named["mirna_id"], named["mirna_seq"], strict=True)
        ]
        rates = library.background(network, records, queries, threshold=threshold, random_state=random_state)
        found = replace(found, background=rates)
    library.print_table(found)
    if json or plots:
        written = library.write(found, json or Path(plots or ".") / "evaluation.json", plots=plots)
        logging.getLogger("mirscope").info("written: %s", " ".join(map(str, written)))


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
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient of a step.", show_default="any")] = None,
    patience: Annotated[int, typer.Option(help="Epochs without a better validation accuracy before it stops.")] = 100,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the network (dropout=0.4); may be repeated."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Weights to go on from.", show_default="fresh ones")
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
    _start(quiet, threads)
    from mirscope import train as library

    settings = library.Settings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        label_smoothing=label_smoothing,
        clip_norm=clip_norm,
        patience=patience,
        random_state=random_state,
    )
    config = dict(_setting(text) for text in setting or [])
    with _bar(f"training {name}", None, quiet):
        library.run(name, data, output, settings=settings, config=config, start=start, resume=resume)


@models_app.command("list")
def models_list(quiet: Quiet = False, debug: Debug = False) -> None:
    """The models that score, scan and evaluate know by name."""
    _start(quiet)
    from mirscope import models

    rows = []
    for name in [*models.bundled(), *(n for n in models.names() if not models.needs_weights(n))]:
        model = models.load(name)
        n_parameters = sum(parameter.numel() for parameter in model.parameters())
        window = f"{model.lengths[-1]} nt, every {model.stride}"
        rows.append((name, models.architecture(model), f"{n_parameters:,}", window, _source(model)))
    _table(("model", "network", "parameters", "window", "trained on"), rows)
    print(f"\nnetworks to train: {', '.join(n for n in models.names() if models.needs_weights(n))}")


@models_app.command("info")
def models_info(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE")], quiet: Quiet = False, debug: Debug = False
) -> None:
    """The model card: data, split, figures with intervals and floors, limits."""
    _start(quiet)
    import json

    from mirscope import models

    network = _load(model)
    print(models.card(network.name) or f"# {network.name}\n")
    print(f"network      {models.architecture(network)}: {type(network).__doc__}")
    print(f"settings     {network.config}")
    print(f"parameters   {sum(parameter.numel() for parameter in network.parameters()):,}")
    print(f"provenance   {json.dumps(network.provenance, indent=2)}")


@models_app.command("import")
def models_import(
    path: Annotated[Path, typer.Argument(metavar="FILE.h5", help="Published Keras weights (HDF5).")],
    name: Annotated[str, typer.Option("--as", help="The network they are of, e.g. mitar.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weight file to write (.safetensors).")],
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn published Keras weights into a weight file for --model. Nothing in the file is executed."""
    _start(quiet)
    from mirscope import models

    models.save(models.import_keras(path, name), output)


@data_app.command("list")
def data_list(quiet: Quiet = False, debug: Debug = False) -> None:
    """The data sets, and which are on this machine."""
    _start(quiet)
    from mirscope import datasets

    rows = []
    for name in datasets.names():
        entry = datasets.entry(name)
        rows.append((name, entry.kind, f"{entry.rows:,}" if entry.rows else "", _here(name), entry.what))
    _table(("data set", "kind", "rows", "here", "what it is"), rows)


@data_app.command("info")
def data_info(name: Annotated[str, typer.Argument()], quiet: Quiet = False, debug: Debug = False) -> None:
    """Origin, licence, citation and checksum of a data set."""
    _start(quiet)
    from mirscope import datasets

    entry = datasets.entry(name)
    for key in ("name", "what", "kind", "rows", "file", "licence", "citation", "page", "sha256", "converter", "note"):
        if getattr(entry, key):
            print(f"{key:10} {getattr(entry, key)}")
    for origin in entry.origins:
        print(f"{'origin':10} {origin}")
    print(f"{'here':10} {_here(name)}")


@data_app.command("path")
def data_path(name: Annotated[str, typer.Argument()], quiet: Quiet = False, debug: Debug = False) -> None:
    """Where a data set is on this machine."""
    _start(quiet)
    from mirscope import datasets

    print(datasets.path(name))


@data_app.command("fetch")
def data_fetch(names: Annotated[list[str], typer.Argument()], quiet: Quiet = False, debug: Debug = False) -> None:
    """Download data sets from their public origins, verified; goes on where it broke off."""
    _start(quiet)
    from mirscope import datasets

    for name in names:
        print(datasets.fetch(name, progress=not quiet))


@data_app.command("verify")
def data_verify(
    names: Annotated[list[str] | None, typer.Argument(show_default="all")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare the local copies with the checksums of the catalogue."""
    _start(quiet)
    from mirscope import datasets

    checks = [datasets.verify(name) for name in names or datasets.names()]
    _table(("data set", "state", "path"), [(check.name, check.state, check.path or "") for check in checks])
    different = [check for check in checks if check.state == "different"]
    if different:
        raise InputError(f"not the file of the catalogue: {', '.join(check.name for check in different)}")


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """The message of a usage error in one line, with the value, which typer leaves out."""
    message = " ".join(error.format_message().split())
    options = getattr(getattr(error, "param", None), "opts", [])
    given = [value for option, value in itertools.pairwise(arguments) if option in options]
    return f"{message} (given: {' '.join(given)})" if given else message


class _Stderr(logging.Handler):
    """Prints messages to what stderr is at that moment: a progress bar puts itself there, and moves down."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def start_log(quiet: bool = False) -> None:
    """Send what the package reports to stderr."""
    handler = _Stderr()
    warned: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:  # files that are read twice would warn twice
        known = record.getMessage() in warned
        warned.add(record.getMessage() if record.levelno >= logging.WARNING else "")
        return not known

    handler.addFilter(is_new)
    logger = logging.getLogger("mirscope")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)


def _start(quiet: bool, threads: int | None = None) -> None:
    start_log(quiet)
    if threads:
        import torch

        torch.set_num_threads(threads)


def _load(name: str) -> Model:
    from mirscope import models, predict

    return models.load(name).to(predict.device())


def _inline(text: str, number: int) -> Record:
    from mirscope import io

    name, _, sequence = text.rpartition("=")
    name = name or f"mirna{number}"
    return io.Record(name, io.normalise(sequence, path="--mirna", record=name)[0])


def _source(model: Model) -> str:
    return str(model.provenance.get("data") or model.provenance.get("imported_from") or "no training")


def _setting(text: str) -> tuple[str, Any]:
    import ast

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: expected NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _training_pairs(model: Model, data: str) -> pd.DataFrame | None:
    """What floors learn from: the train split beside DATA, else the model's own; else nothing (cross-validation)."""
    from mirscope import datasets

    for source in (data.rpartition(":")[0] or data, model.provenance.get("data", "")):
        try:
            table = datasets.load_pairs(source)
        except MirscopeError:
            continue
        if "split" in table and (table["split"] == "train").any() and not data.endswith(":train"):
            return table[table["split"] == "train"]
    return None


def _here(name: str) -> str:
    from mirscope import datasets

    try:
        return str(datasets.path(name))
    except InputError:
        return "no"


@contextlib.contextmanager
def _spooled(path: Path) -> Iterator[Path]:
    """The path; of stdin or a pipe, a file with what it gave, since transcripts are read more than once."""
    if path.is_file() or path.is_dir() or not (str(path) == "-" or path.exists()):
        yield path
        return
    import shutil
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".fa") as file:
        with contextlib.ExitStack() as stack:
            source = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
            shutil.copyfileobj(source, file)
        file.flush()
        try:
            yield Path(file.name)
        except InputError as error:
            error.path = "stdin" if str(path) == "-" else path
            raise


@contextlib.contextmanager
def _bar(title: str, total: int | None, quiet: bool) -> Iterator[Any]:
    """A progress bar on a terminal's stderr; yields a function that advances it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda n: progress.advance(task, n)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A plain table on stdout: aligned on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        for row in (header, *rows):
            print(*row, sep="\t")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
