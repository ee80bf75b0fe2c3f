"""The picture of docs/commands/hairpins.md: hsa-mir-21 with the mature miRNAs of miRBase.

    python recipes/hairpin_picture.py

writes docs/images/hairpin.svg.
"""

from __future__ import annotations

from pathlib import Path

from mirscope import io, plot, rna

MATURE = ("UAGCUUAUCAGACUGAUGUUGA", "CAACACCAGUCGAUGGGCUGU")


def main() -> None:
    known = {record.id: record.sequence for record in io.iter_fasta(Path(__file__).parents[1] / "examples/hairpins.fa")}
    sequence = known["hsa-mir-21"]
    arms = [end for mature in MATURE for end in (sequence.index(mature), sequence.index(mature) + len(mature))]
    title = "hsa-mir-21, mature miRNAs of miRBase"
    drawing = plot.hairpin(sequence, rna.fold(sequence)[0], arms=arms, title=title)
    plot.save(drawing, "docs/images/hairpin.svg")


if __name__ == "__main__":
    main()
