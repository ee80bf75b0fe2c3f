"""The sentences and pictures of docs/commands/explain.md.

    python recipes/explain.py

explains 150 pairs that bind and 50 that do not by DMISO, into results/explain/dmiso, and a site of let-7 by the default
model, into results/explain/duplex; docs/images/explain_*.svg are its pictures.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from mirscope import cli, datasets, io

DATA = "clash_hejret2023_realseq:test"
N_PAIRS = {1: 150, 0: 50}
LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
SITE = "ACGUACGGUUACCAGUAACUAUACAACCUACUACCUCAGGUUAACCGGUA"


def main() -> None:
    folder, images = Path("results/explain"), Path("docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    pairs = datasets.load_pairs(DATA)
    some = [pairs[pairs["label"] == label].sample(n, random_state=0) for label, n in N_PAIRS.items()]
    io.write_table(pd.concat(some), folder / "pairs.tsv")
    asked = {
        "dmiso": [str(folder / "pairs.tsv"), "--check"],
        "duplex": ["--mirna", LET7, "--target", SITE, "--check"],
    }
    for name, given in asked.items():
        assert cli.main(["explain", name, *given, "-o", str(folder / name), "--threads", "1"]) == 0
    shutil.copy(folder / "dmiso" / "profile.svg", images / "explain_profile.svg")
    for picture in ("duplex", "map"):
        shutil.copy(folder / "duplex" / f"{picture}.svg", images / f"explain_{picture}.svg")


if __name__ == "__main__":
    main()
