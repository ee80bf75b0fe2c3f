"""Compare the sites of a scan with the planted ones: python examples/check.py SITES.tsv.

Prints how many planted sites are within called ones, and how much of what holds no planted site is called as well: a
model that calls everything finds everything.
"""

import sys
from pathlib import Path

import pandas as pd

from mirscope import io

HERE = Path(__file__).parent


def main(path: str) -> None:
    truth, sites = pd.read_csv(HERE / "truth.tsv", sep="\t"), io.read_sites(path)
    lengths = {record.id: len(record.sequence) for record in io.iter_fasta(HERE / "utr3_reporters.fa")}
    pairs = truth.reset_index().merge(sites, on=["mirna_id", "target_id"], suffixes=("", "_called"))
    overlap = pairs[["end", "end_called"]].min(axis=1) - pairs[["start", "start_called"]].max(axis=1)
    found = truth.index.isin(pairs.loc[overlap >= 6, "index"])
    kinds = truth.assign(found=found).groupby("planted", sort=False)["found"].agg(["sum", "size"])
    each = ", ".join(f"{kind} {row['sum']}/{row['size']}" for kind, row in kinds.iterrows())

    n_all = sum(lengths.values()) * truth["mirna_id"].nunique()
    n_planted = (truth["end"] - truth["start"]).sum()
    n_right = overlap.clip(lower=0).sum()
    share = ((sites["end"] - sites["start"]).sum() - n_right) / (n_all - n_planted)
    print(f"{path}: {found.sum()} of {len(truth)} planted sites called ({each});")
    print(f"    of the nt where nothing is planted, {100 * share:.0f} % are called as well")


if __name__ == "__main__":
    main(*sys.argv[1:])
