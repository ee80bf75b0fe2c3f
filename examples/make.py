"""Make the reporters of the demo: 3'UTRs without any seed match, with sites planted at known places.

    .venv/bin/python examples/make.py

writes mirnas.fa, utr3_reporters.fa and truth.tsv beside this file. The mature sequences are miRBase 22's; the rest is
designed, so that what a scan should find is known exactly (what it calls beside that is the more telling figure).
And hairpins.fa: precursors of miRBase 22, and each with its dinucleotides shuffled; contig.fa: 3 kb with let-7a-1 at
500 and mir-155 at 2300, and mir-21 on the other strand at 1400.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from mirscope import io, negatives, rna

HERE = Path(__file__).parent
MIRNAS = {
    "hsa-let-7a-5p": "UGAGGUAGUAGGUUGUAUAGUU",
    "hsa-miR-1-3p": "UGGAAUGUAAAGAAGUAUGUAU",
    "hsa-miR-21-5p": "UAGCUUAUCAGACUGAUGUUGA",
    "hsa-miR-122-5p": "UGGAGUGUGACAAUGGUGUUUG",
    "hsa-miR-124-3p": "UAAGGCACGCGGUGAAUGCC",
    "hsa-miR-155-5p": "UUAAUGCUAAUCGUGAUAGGGGUU",
}
HAIRPINS = {
    "hsa-let-7a-1": "UGGGAUGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCCACCACUGGGAGAUAACUAUACAAUCUACUGUCUUUCCUA",
    "hsa-mir-21": "UGUCGGGUAGCUUAUCAGACUGAUGUUGACUGUUGAAUCUCAUGGCAACACCAGUCGAUGGGCUGUCUGACA",
    "hsa-mir-155": "CUGUUAAUGCUAAUCGUGAUAGGGGUUUUUGCCUCCAACUGACUCCUACAUAUUAGCAUUAACAG",
}
KINDS = ("perfect", "8mer+3'", "8mer", "7mer-m8", "7mer-A1", "6mer")
FREQUENCIES = (0.28, 0.21, 0.21, 0.30)  # A C G U, about those of human 3'UTRs
LENGTH, SPACING, FIRST = 720, 100, 60


def site(mirna: str, kind: str) -> str:
    """A planted site, 5'->3'."""
    opposite = rna.reverse_complement(mirna)
    if kind == "perfect":
        return opposite[:-1] + "A"
    seed = {"8mer+3'": opposite[-8:-1] + "A", "8mer": opposite[-8:-1] + "A", "7mer-m8": opposite[-8:-1] + "C"}
    seed |= {"7mer-A1": opposite[-7:-1] + "A", "6mer": opposite[-7:-1] + "C"}
    if kind in ("7mer-A1", "6mer"):  # nothing that pairs with nucleotide 8
        seed[kind] = {"A": "C", "C": "A", "G": "U", "U": "G"}[opposite[-8]] + seed[kind]
    if kind == "8mer+3'":  # nucleotides 13-17 as well, the centre open
        return opposite[-17:-12] + "CAGA" + seed[kind]
    return seed[kind]


def has_seed(sequence: str) -> bool:
    """Whether any of the miRNAs has a seed match of any type."""
    return any(rna.seed_type(mirna, sequence) for mirna in MIRNAS.values())


def background(rng: np.random.Generator, length: int) -> str:
    """Random nucleotides without a seed match."""
    text = ""
    while len(text) < length:
        letter = "ACGU"[rng.choice(4, p=FREQUENCIES)]
        if not has_seed(text[-9:] + letter):
            text += letter
    return text


def main() -> None:
    rng = np.random.default_rng(22)
    reporters, truth = [], []
    for mirna_id, mirna in MIRNAS.items():
        name = f"reporter_{mirna_id.removeprefix('hsa-')}"
        text = list(background(rng, LENGTH))
        for number, kind in enumerate(KINDS):
            planted = site(mirna, kind)
            start = FIRST + number * SPACING
            text[start : start + len(planted)] = planted
            truth.append((name, start, start + len(planted), mirna_id, kind, rna.seed_type(mirna, planted)))
        reporters.append(io.Record(name, "".join(text)))
    reporters.append(io.Record("reporter_without_sites", background(rng, LENGTH)))
    io.write_fasta([io.Record(name, sequence) for name, sequence in MIRNAS.items()], HERE / "mirnas.fa")
    io.write_fasta(reporters, HERE / "utr3_reporters.fa")
    shuffled = {f"{name}_shuffled": negatives.dinucleotide_shuffle(text) for name, text in HAIRPINS.items()}
    io.write_fasta([io.Record(*hairpin) for hairpin in (HAIRPINS | shuffled).items()], HERE / "hairpins.fa")
    contig = negatives.random_sequence(3000, frequencies=FREQUENCIES, random_state=rng)
    other_strand = rna.reverse_complement(HAIRPINS["hsa-mir-21"])
    planted_at = {500: HAIRPINS["hsa-let-7a-1"], 1400: other_strand, 2300: HAIRPINS["hsa-mir-155"]}
    for place, hairpin in planted_at.items():
        contig = contig[:place] + hairpin + contig[place + len(hairpin) :]
    io.write_fasta([io.Record("contig1", contig)], HERE / "contig.fa")
    columns = ["target_id", "start", "end", "mirna_id", "planted", "seed_type"]
    io.write_tsv([pd.DataFrame(truth, columns=columns)], HERE / "truth.tsv", columns)


if __name__ == "__main__":
    main()
