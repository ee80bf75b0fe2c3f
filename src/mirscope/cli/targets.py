"""Commands on targets: score pairs, scan transcripts, evaluate on labelled pairs."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mirscope.cli.common import (
    CORES,
    DEFAULT_MODEL,
    RUN,
    Candidates,
    Debug,
    FpPerKb,
    Genes,
    Gtf,
    Isoforms,
    ModelArgument,
    ModelName,
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
    genes_of,
    load,
    load_any,
    names_of,
    read_mirnas,
    spooled,
    typed,
)
from mirscope.errors import InputError, MirscopeError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from mirscope.models import Model

GeneScore = Literal["repression", "max", "noisy-or", "count"]
Example = Literal["pair", "gene"]
Cluster = Literal["none", "mirnas", "targets", "both"]


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
    begin(quiet, threads)
    from mirscope import datasets, io, predict

    network = load(model)
    table = datasets.load_pairs(pairs) if pairs.partition(":")[0] in datasets.names() else io.read_pairs(pairs)
    if "score" in table:
        logging.getLogger("mirscope").warning("%s: its column score is replaced", pairs)
    table = table.drop(columns="score", errors="ignore").assign(score=predict.score(network, table))
    io.write_table(table, output)


@app.command()
def scan(
    mirnas: Annotated[
        Path, typer.Argument(help="Mature miRNAs: FASTA, mirGFF3, isomiR table. (With --mirna: the transcripts.)")
    ],
    transcripts: Annotated[Path | None, typer.Argument(help="3'UTRs or whole transcripts, FASTA; - is stdin.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results; - writes sites as TSV to stdout.")
    ] = Path("results"),
    model: ModelName = DEFAULT_MODEL,
    mirna: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]SEQUENCE", help="A miRNA given here instead of a file; may be repeated."),
    ] = None,
    rejected: Rejected = False,
    fp_per_kb: FpPerKb = None,
    threshold: SiteThreshold = None,
    prevalence: Prevalence = 0.5,
    background: Annotated[
        int | None,
        typer.Option(
            metavar="NT",
            help="Shuffled transcript to count false sites in; 0: none.",
            show_default="200,000 with --fp-per-kb",
        ),
    ] = None,
    stride: Stride = None,
    candidates: Candidates = None,
    all_windows: Annotated[
        bool,
        typer.Option(
            "--all-windows", help="A row for every hit; otherwise hits that overlap are merged into the best of them."
        ),
    ] = False,
    duplex: Annotated[bool, typer.Option(help="Draw the best duplex of each site and give its energy.")] = True,
    gene_score: Annotated[
        GeneScore | None,
        typer.Option(
            help="Rank genes by predicted repression, the best site, noisy-or of sites, or their number.",
            show_default="repression where false sites are counted, else max",
        ),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Free miRNA for --gene-score repression; 1: as in a transfection.")
    ] = 1.0,
    min_sites: Annotated[int, typer.Option("--min-sites", min=1, help="Fewer sites make no target gene.")] = 1,
    genes: Genes = None,
    gtf: Gtf = None,
    isoforms: Isoforms = "mean",
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="tsv, bed, gff3, parquet or fasta; may be repeated.", show_default="tsv bed gff3"
        ),
    ] = None,
    duplicate_ids: NumberDuplicates = False,
    plot: Annotated[int, typer.Option(metavar="N", min=0, help="Draw the N best target transcripts.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted scan.", rich_help_panel=RUN)
    ] = False,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the sites of miRNAs in transcripts, and rank the target genes.

    Every place of every transcript is looked at with every miRNA. How good a site must be is told by --fp-per-kb: the
    transcripts are also shuffled (their dinucleotides stay), and a miRNA's sites are those better than all but so many
    in a kb of that. Writes to the output folder: sites.tsv (mirna_id, target_id, start, end, score, fp_per_kb, q_value,
    seed type, duplex ...; 0-based, half-open), genes.tsv (ranked), sites.bed, sites.gff3, run.json.

    Examples:

      mirscope scan mirnas.fa utrs.fa.gz -o results

      mirscope scan --mirna let-7a=UGAGGUAGUAGGUUGUAUAGUU utrs.fa --fp-per-kb 0.02 -o let7

      mirscope scan mirnas.fa utrs.fa --model mitar -p 0.9 -o as-published

      mirscope scan isomirs.gff3 utrs.fa -o isomir-targets
    """
    begin(quiet, threads)
    from mirscope import io
    from mirscope import scan as library

    if mirna:
        if transcripts is not None:
            raise UsageError("give either a FASTA of miRNAs or --mirna, not both")
        transcripts, queries = (
            mirnas,
            [typed(text, "--mirna", f"mirna{number}") for number, text in enumerate(mirna, 1)],
        )
    elif transcripts is None:
        raise UsageError("give the miRNAs and the transcripts: mirscope scan MIRNAS TRANSCRIPTS (or --mirna SEQUENCE)")
    elif str(mirnas) == str(transcripts) == "-":
        raise UsageError("stdin can give the miRNAs or the transcripts, not both")
    else:
        queries = read_mirnas(mirnas, rejected=rejected)
    network = load(model)
    settings = library.Settings(
        threshold=threshold,
        fp_per_kb=fp_per_kb,
        background=background,
        prevalence=prevalence,
        level=level,
        stride=stride,
        candidates=candidates,
        merge=not all_windows,
        duplexes=duplex,
    )
    with spooled(transcripts) as path:
        target = library.Transcripts(path, number_duplicates=duplicate_ids)
        ids = [(record.id, len(record.sequence)) for record in target]  # reads and checks all of it before the work
        n_nt = sum(length for _, length in ids)
        of_genes = genes_of([name for name, _ in ids], genes, gtf)
        if str(output) == "-":
            sites = library.iter_sites(network, queries, target, settings=settings, threads=threads)
            io.write_tsv(sites, output, [column.name for column in library.columns(network, settings)])
            return
        with bar(f"scanning {n_nt:,} nt with {len(queries):,} miRNAs", n_nt, quiet) as advance:
            summary = library.scan_files(
                network,
                queries,
                target,
                output,
                settings=settings,
                how=gene_score,
                min_sites=min_sites,
                genes_of=of_genes,
                isoforms=isoforms,
                formats=formats or ("tsv", "bed", "gff3"),
                plots=plot,
                threads=threads,
                resume=resume,
                report=advance,
            )
    what = "nt x miRNA" if (candidates or network.candidates) == "peaks" else "windows"
    rate = f"{summary.n_scored:,} {what} in {summary.seconds:.0f} s ({summary.n_scored / summary.seconds:,.0f}/s)"
    log = logging.getLogger("mirscope")
    log.info("%s; %s sites, %s genes", rate, f"{summary.n_sites:,}", f"{summary.n_genes:,}")
    log.info("results: %s", " ".join(map(str, summary.files)))


app.command("predict", help="The same as `scan`.", short_help="The same as scan.")(scan)


@app.command()
def heatmap(
    mirnas: Annotated[Path, typer.Argument(help="Mature miRNAs: FASTA, mirGFF3, isomiR table.")],
    transcripts: Annotated[Path, typer.Argument(help="3'UTRs or whole transcripts, FASTA; - is stdin.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the table and the picture.")],
    model: ModelName = DEFAULT_MODEL,
    cluster: Annotated[
        Cluster, typer.Option(help="Put like miRNAs, like transcripts (targets), or both beside each other.")
    ] = "none",
    stride: Stride = None,
    candidates: Candidates = None,
    duplicate_ids: NumberDuplicates = False,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw the probabilities of miRNAs on genes: the best window of each transcript.

    Writes to the output folder: heatmap.tsv (a row for each miRNA and transcript: score, place and seed type of the
    best window), matrix.tsv (miRNAs x transcripts, in the order of the picture), heatmap.png, heatmap.svg.

    The best of many windows is high by chance as well: compare genes of like length, or with shuffled 3'UTRs.

    Example:

      mirscope heatmap mirnas.fa utrs.fa -o figure --cluster both
    """
    begin(quiet, threads)
    from mirscope import heatmap as library
    from mirscope import scan

    queries, network = read_mirnas(mirnas), load(model)
    with spooled(transcripts) as path:
        targets = scan.Transcripts(path, number_duplicates=duplicate_ids)
        n_pairs = len(queries) * sum(1 for _ in targets)
        with bar(f"scoring {n_pairs:,} pairs of a miRNA and a transcript", n_pairs, quiet) as advance:
            table = library.heatmap(
                network, queries, targets, stride=stride, candidates=candidates, threads=threads, report=advance
            )
    files = library.write(table, output, cluster=cluster, title=f"score of {network.name}, best window")
    logging.getLogger("mirscope").info("written: %s", " ".join(map(str, files)))


@app.command()
def evaluate(
    model: ModelArgument,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Labelled pairs or hairpins: a data set (miraw_in, mirtarraw:test) or a file."
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="Another model on the same ones, compared; may be repeated."),
    ] = None,
    by: Annotated[
        Example,
        typer.Option(help="gene: the pairs are candidate sites, and a gene's score is that of its best site."),
    ] = "pair",
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for ROC, precision-recall and reliability pictures.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write all of it as one HTML page.")] = None,
    threshold: Annotated[float, typer.Option("--threshold", "-p", help="Score from which one is called.")] = 0.5,
    train: Annotated[
        str | None,
        typer.Option(
            help="What the floors learn from.", show_default="train split of DATA, else what the model was trained on"
        ),
    ] = None,
    background: Annotated[
        bool,
        typer.Option("--background", help="Also calls on random, shuffled and real 3'UTR windows (hairpins)."),
    ] = False,
    transcripts: Annotated[
        Path | None, typer.Option(help="3'UTRs for --background.", show_default="data set human_3utr_mirmark")
    ] = None,
    random_state: Annotated[int, typer.Option(help="Of bootstrap, cross-validation and background.")] = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """How good is a model on labelled pairs or hairpins, and how good is it without looking?

    Prints accuracy, AUROC, average precision, calibration ... with 95 % bootstrap intervals, and beside them the
    floors: what the miRNA's name alone, the gene's name alone, either sequence alone, the seed and the duplex energy
    reach; of hairpins length, composition, energy and share of paired nt, alone and together. A model that does not
    beat its floors has not been shown to find targets (pre-miRNAs).

    Examples:

      mirscope evaluate mitar clash_hejret2023_mirbench:test --against rnaduplex --against miranda

      mirscope evaluate mitar deeptargetpro_candidate_sites --by gene

      mirscope evaluate dnnpremir_cnn dnnpremir_human_balanced:test --against dnnpremir_rnn
    """
    begin(quiet, threads)
    from mirscope import datasets, evaluation_report, models
    from mirscope import evaluate as library

    expect_place(report)
    given = [model, *(against or [])]
    networks = {name: load_any(each) for name, each in zip(names_of(given), given, strict=True)}
    name, network = next(iter(networks.items()))
    pairs, whole = _pairs(data)
    hairpins = "hairpin_seq" in pairs
    for each in networks.values():
        models.expect(each, models.HAIRPIN if hairpins else models.PAIR)
    found = library.evaluate(
        network,
        pairs,
        against=dict(list(networks.items())[1:]),
        by=by,
        train=datasets.load(train) if train else _training_pairs(network, data, whole, by),
        name=name,
        threshold=threshold,
        random_state=random_state,
        threads=threads,
    )
    if background:
        chance: dict[str, Any] = {"threshold": threshold, "random_state": random_state}
        if hairpins:
            rates = library.hairpin_background(network, pairs, others=_pseudo_hairpins(network), **chance)
        else:
            rates = _background(network, pairs, transcripts, **chance)
        found = replace(found, background=rates)
    library.print_table(found)
    if report:
        weights = {f"weights of {name}": models.fingerprint(each) for name, each in networks.items()}
        evaluation_report.page(found, data=data, facts=weights).write(report)
    if json or plots:
        written = library.write(found, json or Path(plots or ".") / "evaluation.json", plots=plots)
        logging.getLogger("mirscope").info("written: %s", " ".join(map(str, written)))


def _background(network: Model, pairs: pd.DataFrame, transcripts: Path | None, **chance: Any) -> pd.DataFrame:
    """The calls of 20 miRNAs of the pairs on windows of 3'UTRs."""
    from mirscope import datasets, evaluate, io

    records = io.read_fasta(transcripts or datasets.path("human_3utr_mirmark"), unique=False)
    named = pairs.drop_duplicates("mirna_seq").sort_values(["mirna_seq"])
    named = named.sample(min(20, len(named)), random_state=chance["random_state"])
    queries = [
        io.Record(name or sequence, sequence)
        for name, sequence in zip(named["mirna_id"], named["mirna_seq"], strict=True)
    ]
    return evaluate.background(network, records, queries, **chance)


def _pseudo_hairpins(network: Model) -> dict[str, pd.DataFrame]:
    """The pseudo hairpins that the model has not learned from, where they are on this machine."""
    from mirscope import datasets

    with contextlib.suppress(InputError):
        pseudo = datasets.load_hairpins("pseudo_hairpins_8492")
        with contextlib.suppress(MirscopeError):
            learned = datasets.load_hairpins(network.provenance.get("data", ""))
            pseudo = pseudo[~pseudo["hairpin_seq"].isin(learned["hairpin_seq"])]
        return {"pseudo": pseudo}
    return {}


def _pairs(data: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pairs of DATA, and all of the data set or file that they are a split of; read once."""
    from mirscope import datasets

    source, _, split = data.rpartition(":")
    if source and split in datasets.SPLITS and not Path(data).exists():
        whole = datasets.load(source)
        if "split" in whole and (whole["split"] == split).any():
            return whole[whole["split"] == split].reset_index(drop=True), whole
    pairs = datasets.load(data)
    return pairs, pairs


def _training_pairs(model: Model, data: str, whole: pd.DataFrame, by: str) -> pd.DataFrame | None:
    """What floors learn from: the train split beside DATA, else the model's own; else nothing (cross-validation)."""
    from mirscope import datasets, floors

    def learnable(table: pd.DataFrame) -> pd.DataFrame | None:
        table = table[table["split"] == "train"] if "split" in table else table[:0]
        return table if len(table) and (by == "pair" or floors.has(table, "gene_id")) else None

    if data.endswith(":train"):
        return None
    if (found := learnable(whole)) is not None:
        return found
    try:
        return learnable(datasets.load(model.provenance.get("data", "")))
    except MirscopeError:
        return None
