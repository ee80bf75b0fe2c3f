"""How true the FDR of ligation noise is, in simulated reads: docs/decisions/029-ligation-noise.md.

    python recipes/ligation_noise.py

Real pairs of AGO2 CLASH (Hejret 2023) with their own targets as the transcripts; noise joins the same parts at random,
in proportion to their abundance. Fifteen minutes on one CPU core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mirscope import chimera, cli, datasets, io, reads, simulate
from mirscope.io import Record
from mirscope.isomir import References
from mitar import markdown
from scan_rates import put

PAGE = Path("docs/decisions/029-ligation-noise.md")
RATES = (0.05, 0.1, 0.2)
USUAL = simulate.Settings(n_molecules=3000, shares=(1, 0, 0), noise=0.3, spread=1.5)
FREQUENT = "hsa-miR-744-5p"
N_RUNS = 3

Pairs = tuple[Sequence[tuple[str, str]], Sequence[Record]]


def main() -> None:
    cli.start_log(quiet=True)
    references = References.of(io.read_fasta(datasets.path("hsa_mature_mirbase22")))
    parts, targets = simulate.real_pairs(io.read_pairs(datasets.path("clash_hejret2023_realseq")), references)
    library = chimera.Library.of(references, targets)
    rows = []
    for name, settings, pairs in scenarios((parts, targets)):
        runs = [measured(library, pairs, settings, random_state=i) for i in range(N_RUNS)]
        mean = pd.DataFrame(runs).mean()
        figures = (
            f"{mean[f'{what}_{rate:g}']:.3f}".replace("nan", "–") for what in ("noise", "recall") for rate in RATES
        )
        found = (f"{mean['n_interactions']:,.0f}", f"{mean['noise']:.2f}", f"{mean['most']:.2f}")
        rows.append((name, *found, *figures, f"{mean['called_0.1']:,.1f}"))
        print(rows[-1], flush=True)
    header = ("chimeric molecules", "interactions", "noise", "estimated, at most")
    header += tuple(f"{what}, {rate:g}" for what in ("noise", "recall") for rate in RATES)
    header += ("kept, 0.1",)
    put(PAGE, r"(<!-- calibration -->\n).*?(?=<!-- /calibration -->)", markdown(header, rows))


def scenarios(pairs: Pairs) -> Iterator[tuple[str, simulate.Settings, Pairs]]:
    """Name, settings and pairs."""
    for n in (300, 3000, 30_000):
        for noise in (0.1, 0.3, 0.6):
            yield f"{n:,}, {100 * noise:.0f} % noise", replace(USUAL, n_molecules=n, noise=noise), pairs
    yield "3,000, all noise", replace(USUAL, noise=1.0), pairs
    yield "3,000, 30 %, 5 copies, .005 errors a nt", replace(USUAL, copies=5, error_rate=0.005), pairs
    own = [(part, target) for part, target in zip(*pairs, strict=True) if part[0] == FREQUENT]
    parts, targets = zip(*[*zip(*pairs, strict=True), *own * (4 * len(pairs[0]) // len(own))], strict=True)
    yield f"3,000, 30 %, {FREQUENT} in four of five", USUAL, (parts, targets)


def measured(
    library: chimera.Library, pairs: Pairs, settings: simulate.Settings, *, random_state: int
) -> dict[str, float]:
    """`simulate.judge_noise` of a run, and `most`, the estimated share of noise."""
    parts, targets = pairs
    fastq, truth = simulate.chimeras(
        parts, targets, library.references, settings, partners=targets, random_state=random_state
    )
    state = reads.look(fastq, library.references.index)
    kept = list(reads.run(fastq, reads.Preparation().steps(state), Counter()))
    found, _ = chimera.chimeras(reads.collapse(kept, umi=state.umi), library)
    usual = chimera.Settings()
    table, joined = chimera.interactions(chimera.supported(found, usual), library, usual)
    table, joined, noise = chimera.against_noise(table, joined, library, usual)
    return simulate.judge_noise(table, joined, truth, RATES) | {"most": noise["noise_share"]}


if __name__ == "__main__":
    main()
