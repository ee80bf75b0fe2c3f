"""The constants of the models without weights that are logistic in a score: miranda, rnaduplex, rnacofold.

    python recipes/classical.py

prints SLOPE and INTERCEPT of each, by logistic regression on the train split of clash_hejret2023_mirbench, for the
top of its file. The test split is not read.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from mirscope import datasets, models, rna
from mirscope.models import _energy


def main() -> None:
    torch.set_num_threads(1)
    pairs = datasets.load_pairs("clash_hejret2023_mirbench:train")
    for name, score in SCORES.items():
        codes = models.create(name).encode(pairs["mirna_seq"].tolist(), pairs["target_seq"].tolist())
        regression = LogisticRegression(C=np.inf).fit(score(*codes).numpy()[:, None], pairs["label"].to_numpy())
        print(f"{name}: SLOPE, INTERCEPT = {regression.coef_.item():.4f}, {regression.intercept_.item():.4f}")


def miranda(mirna: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return models.create("miranda").alignment_scores(mirna, target)


def rnaduplex(mirna: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return _energy.of_each_pair(rna.duplex_mfe, mirna, target)


def rnacofold(mirna: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return _energy.of_each_pair(rna.binding_energy, mirna, target)


SCORES = {function.__name__: function for function in (miranda, rnaduplex, rnacofold)}

if __name__ == "__main__":
    main()
