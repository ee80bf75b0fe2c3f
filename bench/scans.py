"""Scans at full size: the 44 best-known human miRNAs on 790 3'UTRs, six fly miRNAs on the whole fly 3'UTRome.

    python bench/scans.py

writes docs/scans.md (windows, time, memory) and leaves the scans in results/scans.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from measure import peak_memory
from mirscope import datasets, io

FOLDER = Path("results/scans")
CORES = len(os.sched_getaffinity(0))
HUMAN = """
let-7a-5p let-7b-5p let-7c-5p let-7g-5p miR-1-3p miR-7-5p miR-9-5p miR-10b-5p miR-15a-5p miR-16-5p miR-17-5p miR-18a-5p
miR-19a-3p miR-19b-3p miR-20a-5p miR-21-5p miR-22-3p miR-23a-3p miR-24-3p miR-25-3p miR-26a-5p miR-27a-3p miR-29a-3p
miR-30a-5p miR-31-5p miR-34a-5p miR-92a-3p miR-103a-3p miR-122-5p miR-124-3p miR-125b-5p miR-126-3p miR-133a-3p
miR-143-3p miR-145-5p miR-146a-5p miR-150-5p miR-155-5p miR-181a-5p miR-200c-3p miR-206 miR-210-3p miR-221-3p miR-375-3p
"""
FLY = "bantam-3p miR-1-3p let-7-5p miR-7-5p miR-14-3p miR-184-3p"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = [
        scan("human", "hsa_mature_mirbase22", [f"hsa-{name}" for name in HUMAN.split()], "human_3utr_mirmark"),
        scan("fly", "mature_mirbase22", [f"dme-{name}" for name in FLY.split()], "fly_3utr"),
    ]
    text = f"""# Scans at full size

Made by `python bench/scans.py`: `mirscope scan MIRNAS UTRS -p 0.9 --number-duplicates --no-duplex` with the
default model, from FASTA to files, on {CORES} cores. Memory is of all processes together. The human set names some
transcripts twice; those ids get a number.

| scan | miRNAs | 3'UTRs | nt | windows scored | seconds | windows/s | memory, MB | sites | genes |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{"".join(rows)}"""
    Path("docs/scans.md").write_text(text)
    print(text)


def scan(title: str, mature: str, names: list[str], utrs: str) -> str:
    """Run the command and count."""
    known = {record.id: record for record in io.iter_fasta(datasets.path(mature))}
    io.write_fasta([known[name] for name in names], FOLDER / f"{title}.fa")
    lengths = [len(record.sequence) for record in io.iter_fasta(datasets.path(utrs), unique=False)]
    shutil.rmtree(FOLDER / title, ignore_errors=True)
    command = [sys.executable, "-m", "mirscope", "scan", str(FOLDER / f"{title}.fa"), str(datasets.path(utrs))]
    options = ["-o", str(FOLDER / title), "-p", "0.9", "--number-duplicates", "--no-duplex", "--threads", str(CORES)]
    memory = peak_memory([*command, *options])
    record = json.loads((FOLDER / title / "run.json").read_text())
    rate = record["n_windows"] / record["seconds"]
    counts = (len(names), len(lengths), sum(lengths), record["n_windows"], record["seconds"], rate, memory)
    cells = [title, *(f"{count:,.0f}" for count in (*counts, record["n_sites"], record["n_genes"]))]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
