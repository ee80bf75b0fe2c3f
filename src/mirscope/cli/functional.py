"""Commands that ask what miRNAs do to genes: in an experiment, through variants, as isomiRs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mirscope.cli.common import (
    CORES,
    DEFAULT_MODEL,
    Debug,
    FpPerKb,
    Genes,
    Gtf,
    Isoforms,
    ModelName,
    NumberDuplicates,
    Quiet,
    Rejected,
    SiteThreshold,
    Threads,
    app,
    bar,
    begin,
    first_of_each,
    genes_of,
    known_genes,
    load,
    of_name,
    read_mirnas,
    spooled,
    typed,
)
from mirscope.errors import InputError

if TYPE_CHECKING:
    from mirscope.io import Record

Direction = Literal["both", "down", "up"]
Transcripts = Annotated[Path, typer.Option("--transcripts", help="3'UTRs or whole transcripts, FASTA.")]
Mirnas = Annotated[Path, typer.Option("--mirnas", help="Mature miRNAs: FASTA, mirGFF3, isomiR table.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]


@app.command()
def enrich(
    table: Annotated[
        Path, typer.Argument(metavar="DE", help="Differential expression: a table of DESeq2, edgeR or limma.")
    ],
    transcripts: Transcripts,
    mirnas: Mirnas,
    output: Output,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FILE",
            help="Whose sites predict repression; seed: seed matches alone, weighted.",
        ),
    ] = DEFAULT_MODEL,
    gtf: Gtf = None,
    genes: Genes = None,
    family: Annotated[
        str | None, typer.Option(help="Draw this one: a miRNA or a seed.", show_default="the best")
    ] = None,
    direction: Annotated[
        Direction, typer.Option(help="Shift asked for: down (the miRNA was raised), up (taken away) or either.")
    ] = "both",
    min_targets: Annotated[int, typer.Option(min=1, help="Leave out families with a seed match in fewer genes.")] = 5,
    permutations: Annotated[int, typer.Option(min=99, help="Of the fold changes, for the p-value.")] = 10_000,
    random_state: Annotated[int, typer.Option(help="Of the permutations.")] = 0,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the miRNAs whose predicted targets shift in an experiment.

    Families of miRNAs (same nt 2-8) are ranked by how predicted repression goes with the log fold changes, length and
    GC content of the 3'UTRs apart. Writes to the output folder: enrichment.tsv (a family a row), genes.tsv and curves
    (cumulative fold changes by seed match) of the best family, run.json.

    Examples:

      mirscope enrich deseq2.csv --transcripts utrs.fa --mirnas mature.fa --gtf genes.gtf -o enriched

      mirscope enrich edger.tsv --transcripts utrs.fa --mirnas mature.fa --genes map.tsv --direction down -o enriched
    """
    begin(quiet, threads)
    from mirscope import annotation
    from mirscope import enrich as library

    known = known_genes(genes, gtf)
    annotated = known if isinstance(known, annotation.Annotation) else None
    queries, whole = read_mirnas(mirnas), first_of_each(transcripts)
    records = [annotated.utr3(record) for record in whole] if annotated else whole
    log = logging.getLogger("mirscope")
    if n_cut := sum(len(old.sequence) > len(new.sequence) for old, new in zip(whole, records, strict=True)):
        log.info("%d of %d transcripts are cut to their 3'UTR", n_cut, len(whole))
    experiment = library.read_experiment(table, annotation.names([record.id for record in records], known))
    groups, used = library.families(queries), experiment.of(records)
    if model == "seed":
        scores = library.seed_scores(groups, used)
    else:
        n_nt = sum(len(record.sequence) for record in used)
        with bar(f"scanning {n_nt:,} nt with {len(queries):,} miRNAs", n_nt, quiet) as advance:
            scores = library.model_scores(load(model), groups, used, threads=threads, report=advance)
    found = library.enrich(
        experiment,
        groups,
        scores,
        used,
        family=family,
        direction=direction,
        min_targets=min_targets,
        n_permutations=permutations,
        random_state=random_state,
    )
    inputs = {"table": table, "transcripts": transcripts, "mirnas": mirnas, "gtf": gtf, "genes": genes}
    settings = {
        "model": model,
        "direction": direction,
        "min_targets": min_targets,
        "permutations": permutations,
        "random_state": random_state,
        "inputs": _inputs(inputs),
    }
    files = library.write(found, output, settings=settings)
    n_significant = int((found.table["qvalue"] < 0.05).sum())
    log.info("%d of %d families with q < 0.05; first: %s", n_significant, len(found.table), found.table.iloc[0, 0])
    log.info("written: %s", " ".join(map(str, files)))


@app.command()
def variants(
    vcf: Annotated[Path, typer.Argument(metavar="VCF", help="Variants: VCF or BCF, compressed or not.")],
    transcripts: Transcripts,
    mirnas: Mirnas,
    output: Output,
    model: ModelName = DEFAULT_MODEL,
    gtf: Gtf = None,
    mirna_gff: Annotated[
        Path | None, typer.Option("--mirna-gff", help="Where the miRNAs lie on the genome: miRBase's GFF3.")
    ] = None,
    fp_per_kb: FpPerKb = None,
    threshold: SiteThreshold = None,
    min_difference: Annotated[
        float, typer.Option(help="Smallest difference that is told, of logits (log odds).")
    ] = 0.5,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the sites that variants create, destroy or change, in transcripts and in miRNAs.

    With --gtf the VCF is on the genome; without it, its contigs are the ids of transcripts, or of miRNAs. Writes to the
    output folder: variants.tsv (a row for each allele, miRNA and transcript: gained, lost or changed, scores before and
    after; the largest differences first), run.json. Each allele is held against the reference by itself: phased
    haplotypes are not put together.

    Examples:

      mirscope variants snps.vcf.gz --transcripts utrs.fa --mirnas mature.fa --gtf genes.gtf -o variants

      mirscope variants utr_coordinates.vcf --transcripts utrs.fa --mirnas mature.fa -o variants
    """
    begin(quiet, threads)
    from mirscope import annotation, scan
    from mirscope import variants as library

    settings = scan.Settings(threshold=threshold, fp_per_kb=fp_per_kb)
    queries, records = read_mirnas(mirnas), first_of_each(transcripts)
    network = load(model)
    known = annotation.read_annotation(gtf) if gtf else None
    known_mirnas = annotation.read_mirnas(mirna_gff) if mirna_gff else None
    with bar(f"holding alleles against {len(queries):,} miRNAs", None, quiet):
        found = library.variants(
            network,
            library.read_vcf(vcf),
            queries,
            records,
            annotation=known,
            mirna_annotation=known_mirnas,
            settings=settings,
            min_difference=min_difference,
            threads=threads,
        )
    inputs = {"vcf": vcf, "transcripts": transcripts, "mirnas": mirnas, "gtf": gtf, "mirna_gff": mirna_gff}
    rate = fp_per_kb or (network.fp_per_kb if threshold is None else None)
    threshold = threshold if rate or threshold is not None else 0.5
    record = {"model": network.name, "threshold": threshold, "fp_per_kb": rate, "min_difference": min_difference}
    files = library.write(found, output, settings=record | {"inputs": _inputs(inputs)})
    counts = found.table["change"].value_counts()
    told = ", ".join(f"{counts.get(kind, 0)} {kind}" for kind in library.CHANGES)
    log = logging.getLogger("mirscope")
    log.info("%d alleles; sites %s", found.n_alleles, told)
    log.info("written: %s", " ".join(map(str, files)))


@app.command()
def compare(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="Reference miRNAs: a file, [NAME=]SEQUENCE, or a name in ISOMIR.")
    ],
    isomir: Annotated[
        str, typer.Argument(metavar="ISOMIR", help="isomiRs: a file, [NAME=]SEQUENCE, or a name in REF.")
    ],
    transcripts: Annotated[
        Path, typer.Argument(metavar="TARGETS", help="3'UTRs or whole transcripts, FASTA; - is stdin.")
    ],
    output: Output = Path("compared"),
    model: ModelName = DEFAULT_MODEL,
    fp_per_kb: Annotated[
        float | None,
        typer.Option(
            "--fp-per-kb",
            help="Call sites as good as so many in a kb of shuffled transcript, for each form.",
            show_default="0.1",
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", "-p", help="Call windows of this score or more, instead.")
    ] = None,
    min_fold: Annotated[
        float, typer.Option(help="Smallest ratio of the two rates of false sites that is a change.")
    ] = 3.0,
    genes: Genes = None,
    gtf: Gtf = None,
    isoforms: Isoforms = "mean",
    rejected: Rejected = False,
    duplicate_ids: NumberDuplicates = False,
    plot: Annotated[int, typer.Option(metavar="N", min=0, help="Draw the first N isomiRs.")] = 10,
    threads: Threads = CORES,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the targets that an isomiR gains, loses, changes and keeps.

    REF and ISOMIR are files (FASTA, mirGFF3, isomiR table) or sequences. Of many isomiRs each is held against the miRNA
    that its name gives: hsa-miR-21-5p;iso_5p:+1 against hsa-miR-21-5p. Both forms are searched as in a scan, sites
    being called at the same rate of false ones. A site of one form only is gained or lost, one of both changed or kept;
    where the rates differ less than threefold (--min-fold) it is kept.

    Writes to the output folder: sites.tsv (place, score, rate of false sites and seed match in both forms), genes.tsv
    (gene scores of both, ranked by how much they differ; without --genes or --gtf a gene is a transcript), summary.tsv
    (an isomiR a row), gained.bed, lost.bed, plots/ (the genes' scores, a picture an isomiR), run.json.

    Examples:

      mirscope compare miR-411=UAGUAGACCGUAUAGCGUACG iso=AUAGUAGACCGUAUAGCGUACG utrs.fa -o miR-411

      mirscope compare mature.fa isomirs.gff3 utrs.fa -o isomir-targets

      mirscope compare hsa-miR-21-5p isomirs.gff3 utrs.fa --model seed -o miR-21
    """
    begin(quiet, threads)
    from mirscope import compare as library
    from mirscope import scan

    given = [_forms(text, rejected, what) for text, what in ((reference, "REF"), (isomir, "ISOMIR"))]
    references, isomirs = (
        own if isinstance(own, list) else _named(own, other, path)
        for own, other, path in zip(given, given[::-1], (isomir, reference), strict=True)
    )
    pairs = library.pairs_of(references, isomirs)
    network = load(model)
    rate = fp_per_kb or (library.FP_PER_KB if threshold is None else None)
    background = scan.BACKGROUND if threshold is not None else None
    settings = scan.Settings(threshold=threshold, fp_per_kb=rate, background=background)
    with spooled(transcripts) as path:
        records = list(scan.Transcripts(path, number_duplicates=duplicate_ids))
    of_genes = genes_of([record.id for record in records], genes, gtf)
    n_nt = sum(len(record.sequence) for record in records)
    with bar(f"scanning {n_nt:,} nt with {len(pairs):,} isomiRs and their references", n_nt, quiet) as advance:
        found = library.compare(
            network,
            pairs,
            records,
            settings=settings,
            min_fold=min_fold,
            genes_of=of_genes,
            isoforms=isoforms,
            threads=threads,
            report=advance,
        )
    record = {"model": network.name, "threshold": threshold, "fp_per_kb": rate, "min_fold": min_fold}
    record |= {"isoforms": isoforms if of_genes else None}
    named = {"reference": Path(reference), "isomir": Path(isomir), "transcripts": transcripts, "genes": genes or gtf}
    files = library.write(found, output, plots=plot, settings=record | {"inputs": _inputs(named)})
    counts = found.sites["change"].value_counts()
    told = ", ".join(f"{counts.get(change, 0):,} {change}" for change in library.CHANGES)
    log = logging.getLogger("mirscope")
    log.info("isomiRs: %d; sites: %s", found.summary["isomir_id"].nunique(), told)
    if rate:
        log.info("about %.0f sites of each form are expected by chance (%g in a kb)", rate * n_nt / 1000, rate)
    log.info("written: %s", " ".join(map(str, files)))


def _forms(text: str, rejected: bool, what: str) -> list[Record] | str:
    """The miRNAs of a file, or the one given as a sequence; other text is the name of one."""
    from mirscope import rna

    if text == "-" or Path(text).exists():
        return read_mirnas(Path(text), rejected=rejected)
    is_sequence = len(text) >= rna.MIRNA_LENGTHS[0] and not set(text.upper()) - set("ACGUTN")
    return [typed(text, what)] if "=" in text or is_sequence else text


def _named(name: str, records: list[Record] | str, path: str) -> list[Record]:
    """The miRNA of that name among those of a file."""
    if isinstance(records, str):
        raise InputError(
            "no such file; expected a file, a sequence, or the name of a miRNA in the other file", path=name
        )
    if found := of_name(name, records):
        return [found]
    known = ", ".join(record.id for record in records[:3])
    raise InputError(f"neither a file, nor a sequence, nor a miRNA of {path} ({known} ...)", path=name)


def _inputs(given: Mapping[str, Path | None]) -> dict[str, dict[str, str]]:
    """Path and checksum of each file that was given; what is no file, such as a pipe, cannot be read once more."""
    from mirscope import runs

    files = {name: path for name, path in given.items() if path and path.is_file()}
    return {name: {"path": str(path), "sha256": runs.checksum(path)} for name, path in files.items()}
