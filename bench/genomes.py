"""Genomes of growing size: time and memory of `mirscope discover`, both strands, from FASTA to files.

    python bench/genomes.py

writes the table of docs/commands/discover.md. The genomes are random, with a run of N and letters as of human 3'UTRs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from measure import CORES, cpu_seconds, peak_memory, write_speed
from mirscope import io, negatives
from mirscope.io import Record

DOCS = Path("docs/commands/discover.md")
PEER = 2750 * 20 / 1e6 * 60
"""Mb a minute of one strand: miRe2e's 2,750 windows of 100 nt a second, every 20 nt, on a GPU."""
RUNS = ((1_000_000, 1), (5_000_000, CORES), (20_000_000, CORES))
"""nt, processes."""


def main(words: list[str]) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for size, threads in RUNS:
            text = negatives.random_sequence(size - 50_000, frequencies=(0.3, 0.2, 0.2, 0.3))
            io.write_fasta([Record("genome", text[:100_000] + "N" * 50_000 + text[100_000:])], here / "genome.fa")
            command = [sys.executable, "-m", "mirscope", "discover", str(here / "genome.fa"), "-o", str(here / "out")]
            began, spent = time.perf_counter(), cpu_seconds()
            peak = peak_memory([*command, "--threads", str(threads), "--quiet", *words])
            seconds, spent = time.perf_counter() - began, cpu_seconds() - spent
            per_core = (size + 1_000_000) / 1e6 / spent * 60  # the background is searched too
            times = 2 * CORES * per_core / PEER  # both strands, all cores
            cells = f"{size / 1e6:g}", threads, f"{seconds:.0f}", f"{spent:.0f}", f"{per_core:.1f}", f"{times:.1f}"
            rows.append(f"| {' | '.join(map(str, cells))} | {peak:,.0f} |\n")
            print(rows[-1], end="", flush=True)
    header = (
        "genome, Mb | processes | seconds | of a core | Mb a minute and core | times miRe2e, all cores | memory, MB"
    )
    write_speed(DOCS, header, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
