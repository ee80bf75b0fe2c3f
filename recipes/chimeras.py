"""How well chimeras are found in simulated reads, by engine and error rate: docs/commands/chimeras.md.

    python recipes/chimeras.py

miRNA parts as read in AGO2 CLASH (Hejret 2023), MirMark's human 3'UTRs. BLAST+ is left out where it is not installed.
Three minutes on one CPU core.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from mirscope import align, chimera, cli, datasets, io, simulate
from mirscope.isomir import References
from mitar import markdown
from scan_rates import put

PAGE = Path("docs/commands/chimeras.md")
ERROR_RATES = (0, 0.001, 0.005, 0.01, 0.02, 0.05)
FIGURES = "chimera", "site", "pair", "class"


def main() -> None:
    cli.start_log(quiet=True)
    references = References.of(io.read_fasta(datasets.path("hsa_mature_mirbase22")))
    utrs = {record.id: record for record in io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)}
    transcripts = list(utrs.values())
    library = chimera.Library.of(references, transcripts)
    parts = simulate.real_parts(io.read_pairs(datasets.path("clash_hejret2023_realseq")), references)
    engines = [engine for engine in align.ENGINES if engine == "index" or shutil.which("blastn")]
    rows = []
    for error_rate in ERROR_RATES:
        settings = simulate.Settings(n_molecules=2000, error_rate=error_rate)
        fastq, truth = simulate.chimeras(parts, transcripts, references, settings, random_state=1)
        for engine in engines:
            began = time.perf_counter()
            found = simulate.judge(fastq, truth, library, chimera.Settings(engine=engine))
            seconds = time.perf_counter() - began
            figures = (f"{found[f'{name}_precision']:.3f} / {found[f'{name}_recall']:.3f}" for name in FIGURES)
            rows.append((f"{error_rate:g}", engine, f"{len(fastq):,}", *figures, f"{seconds:.1f}"))
    header = ("errors a nt", "engine", "reads", *FIGURES, "s")
    put(PAGE, r"(<!-- simulated -->\n).*?(?=<!-- /simulated -->)", markdown(header, rows))


if __name__ == "__main__":
    main()
