"""Sites that the bundled duplex models call on real, shuffled and random 3'UTRs: docs/commands/scan.md and cards.

    python recipes/scan_rates.py [NAME ...]

Thresholds come from one set of shuffled 3'UTRs (`scan.shuffled_sites`); the shuffles counted here are fresh ones.
Some minutes on one CPU core.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirscope import cli, datasets, io, models, negatives, scan
from mirscope.background import shuffled
from mitar import markdown

NAMES = ("duplex", "duplex_clash", "duplex_eclip")
RATES = (0.01, 0.1, 1.0)
SCORES = (0.5, 0.8, 0.95)
N_NT = 400_000
"""Of each kind of transcript."""
EVERY = 60
"""Of human miRNAs one in so many."""


def main(names: list[str]) -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    mirnas = io.read_fasta(datasets.path("hsa_mature_mirbase22"))[::EVERY]
    utrs = [r for r in io.iter_fasta(datasets.path("human_3utr_mirmark"), unique=False) if len(r.sequence) >= 50]
    utrs = [io.Record(f"{number}", record.sequence) for number, record in enumerate(utrs)]
    total = sum(len(record.sequence) for record in utrs)
    rng = np.random.default_rng(0)
    real, n = [], 0
    while n < N_NT:
        real.append(utrs[int(rng.integers(len(utrs)))])
        n += len(real[-1].sequence)
    kinds = {
        "real": [io.Record(f"{number}", record.sequence) for number, record in enumerate(real)],
        "shuffled": list(shuffled(utrs, N_NT, total_nt=total, random_state=1)),
        "random": [io.Record(f"r{k}", negatives.random_sequence(2000, random_state=rng)) for k in range(N_NT // 2000)],
    }
    for name in names:
        model, rows = models.load(name), []
        for rate in RATES:
            settings = scan.Settings(fp_per_kb=rate, duplexes=False)
            background = scan.shuffled_sites(model, mirnas, utrs, settings=settings)
            counts = [per_mirna(scan.scan(model, mirnas, r, settings=settings, background=background), mirnas, r)
                      for r in kinds.values()]  # fmt: skip
            low, high = np.quantile(counts[1] / rate, [0.1, 0.9])
            more = (f"{counts[1].mean() / rate:.2f}", f"{low:.2f} - {high:.2f}")
            rows.append((f"`--fp-per-kb {rate:g}`", *(f"{count.mean():.3g}" for count in counts), *more))
        for least in SCORES:
            settings = scan.Settings(threshold=least, duplexes=False)
            counts = [per_mirna(scan.scan(model, mirnas, r, settings=settings), mirnas, r) for r in kinds.values()]
            rows.append((f"`--threshold {least:g}`", *(f"{count.mean():.3g}" for count in counts), "", ""))
        table = markdown(["called by", *kinds, "shuffled / asked", "of single miRNAs"], rows)
        text = (
            f"Sites a kb and miRNA ({len(mirnas)} human miRNAs; {N_NT // 1000:,} kb each of MirMark 3'UTRs, of fresh "
            "shuffles of them that keep\ndinucleotides, of even random sequence; "
            f"`python recipes/scan_rates.py {name}`); the last column holds 10 to 90 % of the miRNAs.\n\n{table}"
        )
        put(models.WEIGHTS / f"{name}.md", r"(## Scans\n\n).*?(?=## Limits)", text)
        if name == "duplex":
            put(Path("docs/commands/scan.md"), r"(<!-- rates -->\n).*?(?=<!-- /rates -->)", text)
        print(name, table, sep="\n", flush=True)


def per_mirna(sites: pd.DataFrame, mirnas: list[io.Record], records: list[io.Record]) -> np.ndarray:
    """Sites of each miRNA in a kb."""
    counts = sites["mirna_id"].value_counts().reindex([record.id for record in mirnas]).fillna(0)
    return counts.to_numpy() / (sum(len(record.sequence) for record in records) / 1000)


def put(path: Path, pattern: str, text: str) -> None:
    found, n = re.subn(pattern, lambda match: f"{match[1]}{text.strip()}\n\n", path.read_text(), flags=re.DOTALL)
    assert n == 1, path
    path.write_text(found)


if __name__ == "__main__":
    main(sys.argv[1:] or list(NAMES))
