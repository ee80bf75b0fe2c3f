"""What the commands share: options, the log, progress, tables on a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mirscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from mirscope.annotation import Annotation
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
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Weights: a name of `mirscope models list`, or a file.")
]
FpPerKb = Annotated[
    float | None,
    typer.Option(
        "--fp-per-kb",
        help="Call sites as good as so many in a kb of shuffled transcript, for each miRNA.",
        show_default="duplex 0.1; others by threshold",
    ),
]
SiteThreshold = Annotated[
    float | None,
    typer.Option(
        "--threshold", "-p", help="Call windows of this score or more, instead.", show_default="0.5 but for duplex"
    ),
]
Prevalence = Annotated[
    float,
    typer.Option(help="Share of windows that bind, for which scores are stated; trained on pairs half of which do."),
]
Stride = Annotated[int | None, typer.Option(help="nt from a window to the next.", show_default="the model's; miTAR 15")]
Candidates = Annotated[
    Literal["all", "seed", "peaks"] | None,
    typer.Option(
        help="Score all windows, those that end with a seed match, or those where the model binds best.",
        show_default="the model's; duplex peaks, deepTarget seed",
    ),
]
NumberDuplicates = Annotated[
    bool, typer.Option("--number-duplicates", help="Give repeated transcript ids a number instead of refusing them.")
]
Genes = Annotated[Path | None, typer.Option("--genes", help="Table of two columns, transcript and gene.")]
Gtf = Annotated[Path | None, typer.Option("--gtf", help="Annotation of the transcripts, GTF or GFF3.")]
Isoforms = Annotated[
    Literal["mean", "max", "longest"],
    typer.Option(help="A gene's repression: its transcripts' mean, largest, or that of the longest one."),
]
Rejected = Annotated[bool, typer.Option("--rejected", help="Also isomiRs that their file marks as rejected.")]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
DEFAULT_MODEL, DEFAULT_HAIRPIN_MODEL = "duplex", "hairpin"


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


def begin(quiet: bool, threads: int | None = None) -> None:
    """The first line of a command: set up the log, and the cores for torch where it is used."""
    start_log(quiet)
    if threads:
        import torch

        torch.set_num_threads(threads)


def load(name: str, *, hairpins: bool = False) -> Model:
    """The weights of a name or file for miRNAs and targets (or for hairpins), on the GPU when there is one."""
    from mirscope import models

    model = load_any(name)
    models.expect(model, models.HAIRPIN if hairpins else models.PAIR)
    return model


def load_any(name: str) -> Model:
    """The weights of a name or file, whatever they read, on the GPU when there is one."""
    from mirscope import models, predict

    return models.load(name).to(predict.device())


def names_of(given: Sequence[str]) -> list[str]:
    """What models are called: by their file's name, or, where two have the same, as they were given."""
    short = [Path(name).stem if Path(name).is_file() else name for name in given]
    names = short if len(set(short)) == len(short) else list(given)
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"model {name} is given twice")
    return names


def arms_model(model: Model) -> Model:
    """What calls the mature miRNAs: the model itself if it can, else the default model of hairpins."""
    from mirscope import models

    return model if models.calls_arms(model) else load(DEFAULT_HAIRPIN_MODEL, hairpins=True)


@contextlib.contextmanager
def bar(title: str, total: int | None, quiet: bool) -> Iterator[Any]:
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


def expect_place(path: Path | None) -> None:
    """Raise `InputError`, before the work is done, where a file is to be written to a folder that is not there."""
    if path and not path.absolute().parent.is_dir():
        raise InputError("no such folder", path=path.parent)


@contextlib.contextmanager
def spooled(path: Path) -> Iterator[Path]:
    """The path; of stdin or a pipe, a file with what it gave, since it is read more than once."""
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


def typed(text: str, what: str, name: str = "") -> Record:
    """The miRNA of `NAME=SEQUENCE` or `SEQUENCE`, which is called `name`, or after its sequence.

    Args:
        text: as typed.
        what: the option or argument, for errors.
        name: where none is given.
    """
    from mirscope import io

    given, _, letters = text.rpartition("=")
    name = given or name
    sequence = io.normalise(letters, path=what, record=name)[0]
    return io.Record(name or sequence, sequence)


def read_mirnas(path: Path, *, rejected: bool = False) -> list[Record]:
    """The miRNAs of a FASTA file, or the isomiRs of mirGFF3 or of a table; `-` is stdin."""
    from mirscope import io

    with spooled(path) as given:
        return io.read_mirnas(given, rejected=rejected)


def of_name(name: str, records: Sequence[Record]) -> Record | None:
    """The first miRNA of that name; where miRNAs have the same sequence, a record has all of their names."""
    from mirscope import io

    return next((record for record in records if name in (record.id, *record.id.split(io.OR_MIRNA))), None)


def known_genes(genes: Path | None, gtf: Path | None) -> Annotation | dict[str, str] | None:
    """What a table of genes or an annotation says of transcripts, where one of them is given."""
    from mirscope import annotation

    if genes and gtf:
        raise UsageError("give --genes or --gtf, not both")
    if gtf:
        return annotation.read_annotation(gtf)
    return annotation.read_gene_map(genes) if genes else None


def genes_of(ids: Sequence[str], genes: Path | None, gtf: Path | None) -> dict[str, str] | None:
    """The gene of each transcript by a table or an annotation, if one of them is given.

    A transcript that has none is its own, which is counted in the log.
    """
    from mirscope import annotation

    known = known_genes(genes, gtf)
    if known is None:
        return None
    found = dict(zip(ids, annotation.names(ids, known)["gene_id"], strict=True))
    lost = sum(not gene for gene in found.values())
    if lost == len(ids):
        raise InputError(f"names none of the {lost} transcripts", path=genes or gtf)
    if lost:
        logging.getLogger("mirscope").warning("%d of %d transcripts have no gene: each is its own", lost, len(ids))
    return {name: gene or name for name, gene in found.items()}


def show_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
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


def first_of_each(*paths: Path) -> list[Record]:
    """The records of FASTA files; of those with the same id the first, and a warning that says how many others."""
    from mirscope import io

    found: dict[str, Record] = {}
    log = logging.getLogger("mirscope")
    for path in paths:
        records = io.read_fasta(path, unique=False)
        n_before = len(found)
        for record in records:
            found.setdefault(record.id, record)
        if n_others := n_before + len(records) - len(found):
            log.warning("%s: %d records have an id that came before; left out", path, n_others)
    return list(found.values())
