"""The tables, sentences and pictures of docs/tutorial.md.

    python recipes/tutorial.py

scans 790 human 3'UTRs for sites of let-7a and miR-21, holds the genes against two experiments, explains known targets
and all test pairs that bind of a set of chimeras by six models, into results/tutorial; its pictures are
docs/images/tutorial_*.svg.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from mirscope import cli, datasets, io

TRANSCRIPTS = "human_3utr_mirmark"
MIRNAS = {"hsa-let-7a-5p": "UGAGGUAGUAGGUUGUAUAGUU", "hsa-miR-21-5p": "UAGCUUAUCAGACUGAUGUUGA"}
KNOWN = {
    "hsa-let-7a-5p": {"NM_004359": "CDC34", "NM_006546": "IGF2BP1", "NM_000875": "IGF1R"},
    "hsa-miR-21-5p": {"NM_000251": "MSH2", "NM_020651": "PELI1", "NM_003242": "TGFBR2", "NM_006763": "BTG2"},
}
"""Targets that single-gene experiments have confirmed (docs/tutorial.md), of those whose 3'UTR is in the set."""
NAMED = "deepmirnatar"
"""Sites by symbol of their gene: who holds them is that gene."""
EXPERIMENTS = {"hsa-let-7a-5p": "E30", "hsa-miR-21-5p": "E27"}
"""Overexpression of let-7c (the seed of let-7a) and of miR-21 in HeLa cells."""
TOP = 30
MODELS = ("duplex", "seed", "dmiso", "dmiso_chimeras", "mitar", "published")
PAIRS = "clash_hejret2023_realseq:test"


def main() -> None:
    folder, images = Path("results/tutorial"), Path("docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    given = [text for name, sequence in MIRNAS.items() for text in ("--mirna", f"{name}={sequence}")]
    transcripts = str(datasets.path(TRANSCRIPTS))
    formats = ["--format", "tsv", "--format", "fasta", "--plot", "4"]
    run("scan", *given, transcripts, "--number-duplicates", "-o", str(folder / "scan"), *formats)
    sites, genes = (pd.read_csv(folder / "scan" / f"{name}.tsv", sep="\t") for name in ("sites", "genes"))
    print(sites.groupby("mirna_id")["q_value"].agg(["size", "min"]).to_string())
    print(genes.groupby("mirna_id").head(3).to_string())
    print(experiments(sites, genes).to_string())

    sequences = {record.id: record.sequence for record in io.iter_fasta(transcripts, unique=False)}
    found = names(sequences)
    print(found.to_string())
    io.write_tsv(found, folder / "names.tsv", list(found.columns))
    pairs = known(sites, sequences)
    print(pairs.drop(columns=["mirna_seq"]).to_string())
    io.write_table(pairs, folder / "known.tsv")
    for row in pairs.to_dict("records"):
        one = [
            "--mirna",
            row["mirna_seq"],
            "--target",
            row["target_seq"],
            "-o",
            str(folder / "explain" / row["gene_id"]),
        ]
        run("explain", "duplex", *one, "--method", "mutate", "--method", "gradient", "--threads", "1")

    published = folder / "published.safetensors"
    run("models", "import", str(datasets.path("mitar_h5")), "--as", "mitar", "-o", str(published))
    clash = datasets.load_pairs(PAIRS)
    io.write_table(clash[clash["label"] == 1], folder / "clash.tsv")
    for table in ("known", "clash"):
        for name in MODELS:
            print(table, name)
            model = str(published) if name == "published" else name
            asked = ["--method", "mutate", "--draw", "0", "--threads", "1", "-o", str(folder / table / name)]
            run("explain", model, str(folder / f"{table}.tsv"), *asked)
    shutil.copy(folder / "scan" / "plots" / "NM_006546.svg", images / "tutorial_igf2bp1.svg")
    shutil.copy(folder / "explain" / "CDC34" / "duplex.svg", images / "tutorial_cdc34.svg")
    for name in ("duplex", "published"):
        shutil.copy(folder / "clash" / name / "profile.svg", images / f"tutorial_{name}.svg")


def run(*command: str) -> None:
    """A command of mirscope, which must succeed."""
    assert cli.main([*command, "--quiet"]) == 0, command


def names(sequences: dict[str, str]) -> pd.DataFrame:
    """Of each known target, and of HMGA2, the sites listed by its symbol and how many of them its transcript holds."""
    listed = datasets.load_pairs(NAMED).query("label == 1").drop_duplicates(["gene_id", "target_seq"])
    transcripts = {name: gene for targets in KNOWN.values() for name, gene in targets.items()} | {"NM_003484": "HMGA2"}
    rows = []
    for transcript, gene in transcripts.items():
        own = listed[listed["gene_id"] == gene]["target_seq"]
        holders = sorted(name for name, text in sequences.items() if any(site in text for site in own))
        rows.append((gene, transcript, len(own), sum(site in sequences[transcript] for site in own), ",".join(holders)))
    return pd.DataFrame(rows, columns=["gene", "transcript", "sites", "held", "holders"])


def known(sites: pd.DataFrame, sequences: dict[str, str]) -> pd.DataFrame:
    """The best called site of each of the known targets, as pairs."""
    rows = []
    for mirna, targets in KNOWN.items():
        for transcript, gene in targets.items():
            own = sites[(sites["mirna_id"] == mirna) & (sites["target_id"] == transcript)]
            best = own.loc[own["score"].idxmax()]
            site = sequences[transcript][best["start"] : best["end"]]
            found = {name: best[name] for name in ("start", "score", "seed_type", "fp_per_kb", "q_value", "occupancy")}
            rows.append({"mirna_id": mirna, "gene_id": gene, "mirna_seq": MIRNAS[mirna], "target_seq": site} | found)
    return pd.DataFrame(rows)


def experiments(sites: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Mean log2 fold change of genes when there is more of the miRNA, by what the scan says of their 3'UTRs."""
    changes, mapped = (
        pd.read_csv(datasets.path(name), sep="\t") for name in ("funmirbench_de_tables", "utr_to_ensembl")
    )
    changes = changes.drop_duplicates(["experiment", "gene_id"]).merge(mapped, on="gene_id")
    rows = []
    for mirna, name in EXPERIMENTS.items():
        measured = changes[changes["experiment"] == name]
        own = genes[genes["mirna_id"] == mirna].set_index("target_id")["rank"]
        eightmers = sites[(sites["mirna_id"] == mirna) & (sites["seed_type"] == "8mer")]["target_id"]
        rank = measured["utr_id"].map(own)
        kinds = {
            f"rank 1 to {TOP}": rank <= TOP,
            "an 8mer called": measured["utr_id"].isin(eightmers),
            "any site called": rank.notna(),
            "no site called": rank.isna(),
        }
        for kind, mask in kinds.items():
            values = measured.loc[mask, "logFC"]
            error = values.std() / len(values) ** 0.5
            rows.append((mirna, kind, len(values), values.mean(), error, (values < 0).mean()))
        for gene in measured[measured["utr_id"].isin(KNOWN[mirna])].to_dict("records"):
            print(mirna, KNOWN[mirna][gene["utr_id"]], {value: gene[value] for value in ("logFC", "pvalue", "FDR")})
    return pd.DataFrame(rows, columns=["mirna_id", "genes", "n", "mean", "standard_error", "share_down"])


if __name__ == "__main__":
    main()
