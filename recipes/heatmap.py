"""The picture of docs/commands/heatmap.md: six miRNAs on the 3'UTRs of eight genes of disease.

    python recipes/heatmap.py

writes results/heatmap/MODEL for the models below, and docs/images/heatmap.png of the first.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mirscope import cli, datasets, io
from mirscope.io import Record

MODELS = ("miranda", "seed", "mitar")
MIRNAS = ["hsa-let-7a-5p", "hsa-miR-17-5p", "hsa-miR-21-5p", "hsa-miR-31-5p", "hsa-miR-155-5p", "hsa-miR-221-3p"]
GENES = {
    "human_3utr_mirmark": {"NM_004656": "BAP1", "NM_004064": "CDKN1B", "NM_005225": "E2F1", "NM_003745": "SOCS1"},
    "human_3utr_mirzag": {"NM_000038": "APC", "NM_000059": "BRCA2", "NM_000075": "CDK4", "NM_000043": "FAS"},
}


def main() -> None:
    folder = Path("results/heatmap")
    folder.mkdir(parents=True, exist_ok=True)
    known = {record.id: record for record in io.iter_fasta(datasets.path("hsa_mature_mirbase22"))}
    io.write_fasta([known[name] for name in MIRNAS], folder / "mirnas.fa")
    found: dict[str, str] = {}
    for data, names in GENES.items():
        for record in io.iter_fasta(datasets.path(data), unique=False):
            if (name := record.id.partition("|")[0]) in names:
                found[names[name]] = record.sequence
    io.write_fasta([Record(name, found[name]) for name in sorted(found)], folder / "genes.fa")
    for name in MODELS:
        command = ["heatmap", str(folder / "mirnas.fa"), str(folder / "genes.fa"), "-o", str(folder / name), "-m", name]
        assert cli.main([*command, "--quiet"]) == 0
        print(name, (folder / name / "matrix.tsv").read_text(), sep="\n")
    shutil.copy(folder / MODELS[0] / "heatmap.png", "docs/images/heatmap.png")


if __name__ == "__main__":
    main()
