"""The commands that go from sequencing reads to isomiRs and interactions."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mirscope.cli.common import CORES, RUN, Debug, Quiet, Threads, app, bar, begin, first_of_each, spooled
from mirscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from mirscope.isomir import References

READS = "Reads"
Mirnas = Annotated[Path, typer.Option("--mirnas", metavar="FASTA", help="Mature miRNAs.")]
Hairpins = Annotated[
    Path | None,
    typer.Option(
        "--hairpins",
        metavar="FASTA",
        help="Hairpins: tell what lies beyond a miRNA's ends from what was added.",
    ),
]
Adapter = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        metavar="DNA|none",
        help="3' adapter to cut off.",
        show_default="the one found in the reads",
        rich_help_panel=READS,
    ),
]
Prefix = Annotated[
    int | None,
    typer.Option(
        "--prefix",
        metavar="NT",
        min=0,
        help="5' barcode to cut off; 0: none.",
        show_default="as the miRNAs tell",
        rich_help_panel=READS,
    ),
]
Umi = Annotated[bool, typer.Option(help="A random 5' barcode tells molecules apart.", rich_help_panel=READS)]
CutQuality = Annotated[int, typer.Option("--cut-quality", min=0, help="Cut 3' ends of less.", rich_help_panel=READS)]
MostErrors = Annotated[
    float,
    typer.Option(
        "--max-errors",
        min=0,
        max=1,
        help="Most expected errors a nt; 1: any.",
        rich_help_panel=READS,
    ),
]
LeastReads = Annotated[int, typer.Option("--min-reads", min=1, help="Reads that an isomiR must have.")]
LeastQuality = Annotated[
    int, typer.Option("--min-quality", min=0, help="Quality that each nt must have which is not the miRNA's.")
]
Database = Annotated[str, typer.Option(help="Of the miRNAs, with its release, for the GFF3 (miRBase22).")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.", rich_help_panel=RUN)]
log = logging.getLogger("mirscope")


@app.command()
def chimeras(
    reads: Annotated[Path, typer.Argument(help="Reads, FASTQ; - is stdin.")],
    mirnas: Mirnas,
    transcripts: Annotated[
        list[Path],
        typer.Option("--transcripts", metavar="FASTA", help="Where targets are; may be repeated."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("results"),
    hairpins: Hairpins = None,
    gtf: Annotated[
        Path | None, typer.Option(metavar="GTF|GFF3", help="Where the transcripts lie: adds region and genome.")
    ] = None,
    engine: Annotated[
        Literal["index", "blast"], typer.Option(help="Our own index, or NCBI BLAST+ if it is installed.")
    ] = "index",
    e_value: Annotated[float, typer.Option("--e-value", help="Most of either part.")] = 0.1,
    gap: Annotated[int, typer.Option(min=0, help="nt between the parts, or shared, at most.")] = 4,
    top: Annotated[int, typer.Option(min=1, help="Pairs of a read at most.")] = 1,
    most_false: Annotated[
        float, typer.Option("--q-value", min=0, max=1, help="Share of false chimeras; 1: keep all, as the paper.")
    ] = 1.0,
    most_noise: Annotated[
        float, typer.Option("--noise-fdr", min=0, max=1, help="Share of chance among interactions; 1: keep all.")
    ] = 1.0,
    least_chimeras: Annotated[int, typer.Option("--min-chimeras", min=1, help="That a miRNA must be in.")] = 10,
    least_reads: LeastReads = 10,
    least_quality: LeastQuality = 31,
    extension: Annotated[int, typer.Option(min=0, help="nt of the transcript added behind the target part.")] = 25,
    least_target: Annotated[int, typer.Option("--min-target", min=1, help="nt, extended.")] = 30,
    adapter: Adapter = None,
    prefix: Prefix = None,
    umi: Umi = True,
    cut_quality: CutQuality = 0,
    most_errors: MostErrors = 1.0,
    database: Database = "miRBase",
    threads: Threads = CORES,
    resume: Resume = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find miRNAs joined to their targets in reads of CLASH, eCLIP and the like.

    Adapter and barcode are found in the reads and cut off. A chimera is a miRNA (first or last) and a stretch of a
    transcript side by side. Writes to the output folder: interactions.tsv, interactions.hyb, targets.bed,
    isomirs.gff3 (mirGFF3), pairs.tsv (for mirscope train), report.json and report.html (how many reads went which way).

    Examples:

      mirscope chimeras reads.fastq.gz --mirnas mature.fa --transcripts transcripts.fa.gz -o clash

      mirscope chimeras reads.fastq.gz --mirnas mature.fa --transcripts utrs.fa --adapter none --prefix 5 -o clash
    """
    begin(quiet)
    from mirscope import annotation, chimera
    from mirscope.reads import Preparation

    settings = chimera.Settings(
        engine=engine,
        e_value=e_value,
        most_gap=gap,
        top=top,
        most_false=most_false,
        most_noise=most_noise,
        least_chimeras=least_chimeras,
        least_reads=least_reads,
        least_quality=least_quality,
        extension=extension,
        least_target=least_target,
    )
    preparation = Preparation(_adapter(adapter), prefix, umi, cut_quality, most_errors)
    references = _references(mirnas, hairpins)
    try:
        library = chimera.Library.of(references, first_of_each(*transcripts))
    except InputError as error:
        error.path = error.path or transcripts[0]
        raise
    places = annotation.read_annotation(gtf) if gtf else None
    with spooled(reads) as path:
        summary = chimera.search_files(
            path,
            library,
            output,
            settings=settings,
            preparation=preparation,
            annotation=places,
            name=_name(reads),
            database=database,
            threads=threads,
            resume=resume,
            progress=partial(bar, quiet=quiet),
        )
    log.info("%s", summary["reads"]["state"]["says"])
    ends = summary["n_reads"]
    counts = (f"{number:,}" for number in (summary["reads"]["n_reads"], ends["chimera"], ends["in_interactions"]))
    log.info("%s reads, %s chimeric, %s of them in %s interactions", *counts, f"{summary['n_interactions']:,}")
    files = (*chimera.FILES, *([chimera.GENOME_FILE] if gtf else []))
    log.info("results: %s", " ".join(str(output / name) for name in files))


@app.command()
def isomirs(
    reads: Annotated[Path, typer.Argument(help="Small RNAs: FASTQ, or FASTA (id_x12: 12 reads); - is stdin.")],
    mirnas: Mirnas,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("results"),
    hairpins: Hairpins = None,
    least_reads: LeastReads = 10,
    least_quality: LeastQuality = 31,
    most_changes: Annotated[int, typer.Option("--max-changes", min=0, help="Substituted and added nt at most.")] = 3,
    adapter: Adapter = None,
    prefix: Prefix = None,
    umi: Umi = True,
    cut_quality: CutQuality = 0,
    most_errors: MostErrors = 1.0,
    database: Database = "miRBase",
    threads: Threads = CORES,
    resume: Resume = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell isomiRs in small-RNA reads from their miRNAs.

    Writes to the output folder: isomirs.tsv, isomirs.gff3 (mirGFF3 1.2), report.json and report.html.

    Examples:

      mirscope isomirs small_rna.fastq.gz --mirnas mature.fa --hairpins hairpin.fa -o isomirs
    """
    begin(quiet)
    from mirscope import isomir
    from mirscope.reads import Preparation

    settings = isomir.Settings(most_changes=most_changes, least_reads=least_reads, least_quality=least_quality)
    preparation = Preparation(_adapter(adapter), prefix, umi, cut_quality, most_errors)
    references = _references(mirnas, hairpins)
    with spooled(reads) as path:
        summary = isomir.search_files(
            path,
            references,
            output,
            settings=settings,
            preparation=preparation,
            name=_name(reads),
            database=database,
            threads=threads,
            resume=resume,
            progress=partial(bar, quiet=quiet),
        )
    if summary["reads"]:
        log.info("%s", summary["reads"]["state"]["says"])
    names = "n_reads", "n_reads_called", "n_reads_passed", "n_sequences_passed"
    counts = (f"{summary[name]:,}" for name in names)
    log.info("%s reads, %s of a miRNA, %s believed (%s sequences)", *counts)
    log.info("results: %s", " ".join(str(output / name) for name in isomir.FILES))


def _name(reads: Path) -> str:
    return reads.name if reads.is_file() else "stdin"


def _adapter(adapter: str | None) -> str | None:
    return "" if adapter == "none" else adapter


def _references(mirnas: Path, hairpins: Path | None) -> References:
    from mirscope import io
    from mirscope.isomir import References

    try:
        return References.of(io.read_fasta(mirnas), io.read_fasta(hairpins) if hairpins else ())
    except InputError as error:
        error.path = error.path or mirnas
        raise


simulate = typer.Typer(help="Make reads whose truth is known.", no_args_is_help=True)
app.add_typer(simulate, name="simulate")


@simulate.command("chimeras")
def simulate_chimeras(
    mirnas: Mirnas,
    transcripts: Annotated[
        Path | None, typer.Option("--transcripts", metavar="FASTA", help="Where targets come from.")
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            "--parts",
            metavar="PAIRS",
            help="A table or data set of pairs, whose miRNAs as read are joined.",
            show_default="the miRNAs themselves",
        ),
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="Join each part to its own target of --parts, and write these as FASTA.")
    ] = False,
    noise: Annotated[
        float, typer.Option(min=0, max=1, help="Share of chimeras whose parts met by chance, with --paired.")
    ] = 0.0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("simulated"),
    n_molecules: Annotated[int, typer.Option("-n", min=1, help="Molecules; each is read once or more.")] = 1000,
    error_rate: Annotated[float, typer.Option(help="Substitutions a nt, mean.")] = 0.001,
    n_interactions: Annotated[
        int,
        typer.Option(
            "--interactions",
            min=0,
            help="Different ones, the r-th as frequent as 1 / r.",
            show_default="each chimera has its own",
        ),
    ] = 0,
    random_state: Annotated[int, typer.Option(help="The same gives the same.", rich_help_panel=RUN)] = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make reads of chimeras, of targets alone and of miRNAs alone.

    Writes to the output folder: reads.fastq.gz and truth.tsv, which says what each read is; with --paired also
    transcripts.fa, the targets.

    Examples:

      mirscope simulate chimeras --mirnas mature.fa --transcripts utrs.fa --parts clash_hejret2023_realseq -n 5000

      mirscope simulate chimeras --mirnas mature.fa --parts clash_hejret2023_realseq --paired --noise 0.3
    """
    begin(quiet)
    if paired == bool(transcripts) or (paired and not parts) or (noise and not paired):
        raise UsageError("expected --transcripts, or --parts and --paired (which --noise needs)")
    from mirscope import datasets, io
    from mirscope import simulate as library

    references, partners = _references(mirnas, None), None
    pairs = datasets.load_pairs(parts) if parts else None
    if pairs is None:
        drawn = [(record.id, record.sequence) for record in references.mirnas]
    elif paired:
        drawn, partners = library.real_pairs(pairs, references)
    else:
        drawn = library.real_parts(pairs, references)
    settings = library.Settings(
        n_molecules=n_molecules, error_rate=error_rate, n_interactions=n_interactions, noise=noise
    )
    targets = first_of_each(transcripts) if transcripts else partners or []
    with bar("molecules", n_molecules, quiet) as advance:
        blocks = library.iter_chimeras(
            drawn,
            targets,
            references,
            settings,
            partners=partners,
            random_state=random_state,
            threads=threads,
            report=advance,
        )
        n_reads = library.write(blocks, output)
    files = ["reads.fastq.gz", "truth.tsv"]
    if partners:
        io.write_fasta(partners, output / "transcripts.fa")
        files.append("transcripts.fa")
    log.info("%s reads of %s molecules", f"{n_reads:,}", f"{n_molecules:,}")
    log.info("results: %s", " ".join(str(output / name) for name in files))
