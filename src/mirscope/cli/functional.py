"""Commands that ask what miRNAs do to genes: in an experiment, and through variants."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from mirscope.cli.common import (
    CORES,
    DEFAULT_MODEL,
    Debug,
    FpPerKb,
    ModelName,
    Quiet,
    SiteThreshold,
    Threads,
    app,
    bar,
    begin,
    first_of_each,
    load,
)
from mirscope.errors import UsageError

Direction = Literal["both", "down", "up"]
Transcripts = Annotated[Path, typer.Option("--transcripts", help="3'UTRs or whole transcripts, FASTA.")]
Mirnas = Annotated[Path, typer.Option("--mirnas", help="Mature miRNAs, FASTA.")]
Gtf = Annotated[Path | None, typer.Option("--gtf", help="Annotation of the transcripts, GTF or GFF3.")]
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
    genes: Annotated[Path | None, typer.Option(help="Table of two columns, transcript and gene.")] = None,
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
    from mirscope import annotation, io
    from mirscope import enrich as library

    if gtf and genes:
        raise UsageError("give --gtf or --genes, not both")
    annotated = annotation.read_annotation(gtf) if gtf else None
    queries, whole = io.read_fasta(mirnas), first_of_each(transcripts)
    records = [annotated.utr3(record) for record in whole] if annotated else whole
    log = logging.getLogger("mirscope")
    if n_cut := sum(len(old.sequence) > len(new.sequence) for old, new in zip(whole, records, strict=True)):
        log.info("%d of %d transcripts are cut to their 3'UTR", n_cut, len(whole))
    known = annotated or (annotation.read_gene_map(genes) if genes else None)
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
    from mirscope import annotation, io, scan
    from mirscope import variants as library

    settings = scan.Settings(threshold=threshold, fp_per_kb=fp_per_kb)
    queries, records = io.read_fasta(mirnas), first_of_each(transcripts)
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


def _inputs(files: dict[str, Path | None]) -> dict[str, dict[str, str]]:
    """Path and checksum of each file that was given."""
    from mirscope import runs

    return {name: {"path": str(path), "sha256": runs.checksum(path)} for name, path in files.items() if path}
