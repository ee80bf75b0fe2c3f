"""Scans at full size: all human miRNAs on 790 3'UTRs, all fly miRNAs on the whole fly 3'UTRome; miTAR with fewer.

    python bench/scans.py [duplex] [mitar]

writes a table of docs/scans.md for each model (rate, time, memory) and leaves the scans in results/scans.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from measure import CORES, peak_memory
from mirscope import datasets, io

FOLDER = Path("results/scans")
DOCS = Path("docs/scans.md")
HUMAN = """
let-7a-5p let-7b-5p let-7c-5p let-7g-5p miR-1-3p miR-7-5p miR-9-5p miR-10b-5p miR-15a-5p miR-16-5p miR-17-5p miR-18a-5p
miR-19a-3p miR-19b-3p miR-20a-5p miR-21-5p miR-22-3p miR-23a-3p miR-24-3p miR-25-3p miR-26a-5p miR-27a-3p miR-29a-3p
miR-30a-5p miR-31-5p miR-34a-5p miR-92a-3p miR-103a-3p miR-122-5p miR-124-3p miR-125b-5p miR-126-3p miR-133a-3p
miR-143-3p miR-145-5p miR-146a-5p miR-150-5p miR-155-5p miR-181a-5p miR-200c-3p miR-206 miR-210-3p miR-221-3p miR-375-3p
"""
FLY = "bantam-3p miR-1-3p let-7-5p miR-7-5p miR-14-3p miR-184-3p"
ALL = {
    "human": ("hsa_mature_mirbase22", "human_3utr_mirmark", "hsa-"),
    "fly": ("mature_mirbase22", "fly_3utr", "dme-"),
}
FAST = ("--no-duplex", "--gene-score", "max")
SCANS = {
    "duplex": [(species, None, options) for species in ALL for options in ((), FAST)],
    "mitar": [("human", HUMAN, ("-p", "0.9", "--no-duplex")), ("fly", FLY, ("-p", "0.9", "--no-duplex"))],
}
"""Species, miRNAs (none: all of the species), options."""


def main(names: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        rows = [scan(name, *each) for each in SCANS[name]]
        what = "nt x miRNA" if name == "duplex" else "windows"
        table = f"""| scan | options | miRNAs | 3'UTRs | nt | {what} | seconds | {what}/s | memory, MB | sites | genes |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{"".join(rows)}"""
        marked = re.compile(rf"(<!-- {name} -->\n).*(<!-- /{name} -->)", re.DOTALL)
        text, n = marked.subn(lambda found, table=table: found[1] + table + found[2], DOCS.read_text())
        assert n == 1, name
        DOCS.write_text(text)
        print(table)


def scan(model: str, species: str, names: str | None, options: tuple[str, ...]) -> str:
    """Run the command and count."""
    mature, utrs, prefix = ALL[species]
    wanted = names and {prefix + name for name in names.split()}
    mirnas = [
        r for r in io.iter_fasta(datasets.path(mature)) if (r.id in wanted if wanted else r.id.startswith(prefix))
    ]
    io.write_fasta(mirnas, FOLDER / f"{species}.fa")
    lengths = [len(record.sequence) for record in io.iter_fasta(datasets.path(utrs), unique=False)]
    shutil.rmtree(FOLDER / species, ignore_errors=True)
    command = [sys.executable, "-m", "mirscope", "scan", str(FOLDER / f"{species}.fa"), str(datasets.path(utrs))]
    more = ["-m", model, "-o", str(FOLDER / species), "--number-duplicates", "--threads", str(CORES), *options]
    memory = peak_memory([*command, *more])
    record = json.loads((FOLDER / species / "run.json").read_text())
    rate = record["n_windows"] / record["seconds"]
    counts = (len(mirnas), len(lengths), sum(lengths), record["n_windows"], record["seconds"], rate, memory)
    numbers = (f"{count:,.0f}" for count in (*counts, record["n_sites"], record["n_genes"]))
    return f"| {species} | {' '.join(options)} | {' | '.join(numbers)} |\n"


if __name__ == "__main__":
    main(sys.argv[1:] or list(SCANS))
