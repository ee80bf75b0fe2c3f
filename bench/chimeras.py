"""Reads in growing number: time and memory of `mirscope chimeras`, from FASTQ to files.

    python bench/chimeras.py FOLDER

writes the table of docs/commands/chimeras.md. The reads are simulated and stay in FOLDER, where a later call finds
them: miRNA parts as read in AGO2 CLASH (Hejret 2023) and MirMark's human 3'UTRs. A molecule is read 1.5 times. Where
each chimera has an interaction of its own there are as many duplexes to fold as can be; in a library they come again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from measure import CORES, cpu_seconds, peak_memory, write_speed
from mirscope import datasets, io

DOCS = Path("docs/commands/chimeras.md")
RUNS = ((667_000, 0), (667_000, 50_000), (6_670_000, 0))
"""Molecules, different interactions (0: each its own)."""


def main(here: Path) -> None:
    utrs = {record.id: record for record in io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)}
    here.mkdir(parents=True, exist_ok=True)
    io.write_fasta(list(utrs.values()), here / "utrs.fa")
    library = ["--mirnas", str(datasets.path("hsa_mature_mirbase22")), "--transcripts", str(here / "utrs.fa")]
    rows = []
    for n_molecules, n_interactions in RUNS:
        made, out = here / f"{n_molecules}_{n_interactions}", here / f"{n_molecules}_{n_interactions}_out"
        if not (made / "truth.tsv").exists():
            amounts = ["-n", str(n_molecules), "--interactions", str(n_interactions), "-o", str(made)]
            run("simulate", "chimeras", *library, "--parts", "clash_hejret2023_realseq", *amounts)
        began, spent = time.perf_counter(), cpu_seconds()
        peak = peak_memory(
            [sys.executable, "-m", "mirscope", "chimeras", str(made / "reads.fastq.gz"), *library, "-o", str(out), "-q"]
        )
        seconds, spent = time.perf_counter() - began, cpu_seconds() - spent
        report = json.loads((out / "report.json").read_text())
        n_reads = report["reads"]["n_reads"]
        found = f"{report['n_reads']['chimera']:,}", f"{report['n_interactions']:,}"
        each = "each its own" if n_interactions == 0 else f"{n_interactions:,}"
        times = f"{seconds:,.0f}", f"{spent:,.0f}", f"{n_reads / seconds:,.0f}", f"{CORES * n_reads / spent:,.0f}"
        rows.append(f"| {' | '.join((f'{n_reads:,}', each, *found, *times, f'{peak:,.0f}'))} |\n")
        print(rows[-1], end="", flush=True)
    header = "reads | interactions drawn from | chimeric reads | interactions found | seconds | of a core"
    header += " | reads a second | where all cores are free | memory, MB"
    write_speed(DOCS, header, rows)


def run(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "mirscope", *words, "--quiet"], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
