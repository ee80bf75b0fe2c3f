"""Compare the sites of a scan with the planted ones: python examples/check.py truth.tsv sites.tsv."""

import sys

import pandas as pd


def main(truth_path: str, sites_path: str) -> None:
    truth = pd.read_csv(truth_path, sep="\t")
    sites = pd.read_csv(sites_path, sep="\t", keep_default_na=False)
    pairs = truth.reset_index().merge(sites, on=["mirna_id", "target_id"], suffixes=("", "_called"))
    overlap = pairs[["end", "end_called"]].min(axis=1) - pairs[["start", "start_called"]].max(axis=1)
    found = truth.index.isin(pairs.loc[overlap >= 6, "index"])
    table = truth.assign(found=found).groupby("planted", sort=False)["found"].agg(["sum", "size"])
    print("planted sites found: " + ", ".join(f"{kind} {row['sum']}/{row['size']}" for kind, row in table.iterrows()))
    own = sites.merge(truth[["mirna_id", "target_id"]].drop_duplicates(), on=["mirna_id", "target_id"])
    print(
        f"calls where nothing is planted: {len(sites) - len(own)} sites of a miRNA in a reporter made for another one"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
