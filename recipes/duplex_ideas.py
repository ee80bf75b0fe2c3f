"""What was tried on the duplex model, each idea on validation only: docs/decisions/017-duplex-training.md.

    python recipes/duplex_ideas.py [IDEA ...]

Leaves results/duplex/ideas.tsv: the average precision of each random state on its validation sets A, B, R and their
mean. Ideas that are there are not tried again. Half a minute to three a state on one CPU core.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import duplex
from duplex import Evidence, Recipe, Sites
from mirscope import cli, datasets, io, models, negatives, splits

HELWAK = "clash_helwak2013_1to1"
TABLE = Path("results/duplex/ideas.tsv")
BASE = replace(duplex.RECIPES["duplex"], passes=1)
"""One pass, so that many ideas can be tried."""


def less_soft(known: Evidence, *, share: float) -> Evidence:
    """A share of the soft labels, as often as before in all."""
    part = known.soft.sample(frac=share, random_state=0)
    return replace(known, soft=pd.concat([part] * round(1 / share)))


def soft_of(known: Evidence, *, source: str) -> Evidence:
    """The soft labels of sources of that beginning."""
    return replace(known, soft=known.soft[known.soft["source"].str.contains(source)])


def more_positives(known: Evidence, *, names: tuple[str, ...], share: float = 1.0) -> Evidence:
    """Positives of other sets as well, but for the families and sites that are validated or tested on."""
    extra = pd.concat([duplex.positives(name).sample(frac=share, random_state=0) for name in names])
    held = pd.concat(known.valid.values())
    new = pd.concat([known.valid[name] for name in ("B", "R")])
    tests = [datasets.load_pairs(f"{name}:test")["target_seq"] for name in duplex.TESTS]
    family = duplex._groups(splits.families, [extra["mirna_seq"], new["mirna_seq"]])
    cluster = duplex._groups(splits.clusters, [extra["target_seq"], held["target_seq"], *tests])
    apart = ~extra["mirna_seq"].map(family).isin(set(new["mirna_seq"].map(family)))
    shared = {cluster[target] for part in (held["target_seq"], *tests) for target in part}
    apart &= ~extra["target_seq"].map(cluster).isin(shared)
    pairs = pd.concat([known.train.pairs, extra[apart]]).drop_duplicates(["mirna_seq", "target_seq"])
    sites = Sites(pairs, splits.families(pairs["mirna_seq"].tolist()), splits.clusters(pairs["target_seq"].tolist()))
    return replace(known, train=sites)


def own_labels(known: Evidence, *, n: int = 200_000) -> Evidence:
    """Windows of 3'UTRs without labels, under the mean logit of three states, beside the soft labels."""
    states = [duplex.learn(known, BASE, state) for state in duplex.STATES]  # none saw what is validated on
    rng = np.random.default_rng(0)
    utrs = [record.sequence for record in io.iter_fasta(datasets.path("human_3utr_mirzag"), unique=False)]
    windows = negatives.random_windows(utrs, 50, n, random_state=rng)
    held = pd.concat([pairs["target_seq"] for pairs in known.valid.values()])
    pairs = pd.DataFrame({"mirna_seq": known.soft["mirna_seq"].sample(n, random_state=0, replace=True).to_numpy()})
    pairs["target_seq"] = windows
    tests = pd.concat([datasets.load_pairs(f"{name}:test")["target_seq"] for name in duplex.TESTS])
    pairs = pairs[~duplex.shares(pairs["target_seq"], pd.concat([held, tests]))]
    labels = np.mean([duplex.logits(state, pairs) for state in states], 0)
    return replace(known, soft=pd.concat([known.soft, pairs.assign(teacher_logit=labels, source="own")]))


Change = Callable[[Evidence], Evidence]
IDEAS: dict[str, tuple[Recipe, Change | None]] = {
    "base": (BASE, None),
    "no shift": (replace(BASE, shifted=0.0), None),
    "no context": (replace(BASE, context=False), None),
    "hard weight 1": (replace(BASE, hard_weight=1.0), None),
    "hard weight 2": (replace(BASE, hard_weight=2.0), None),
    "hard weight 8": (replace(BASE, hard_weight=8.0), None),
    "measured labels only": (replace(BASE, soft_weight=0.0, hard_weight=1.0), None),
    "soft labels only": (replace(BASE, hard_weight=0.0), None),
    "2 passes": (replace(BASE, passes=2), None),
    "4 passes": (replace(BASE, passes=4), None),
    "weight decay .01": (replace(BASE, weight_decay=0.01), None),
    "weight decay .1": (replace(BASE, weight_decay=0.1), None),
    "learning rate .003": (replace(BASE, learning_rate=0.003), None),
    "learning rate .03": (replace(BASE, learning_rate=0.03), None),
    "64 measured labels a step": (replace(BASE, n_hard=64), None),
    "256 measured labels a step": (replace(BASE, n_hard=256), None),
    "pair scores smooth by position, .001": (replace(BASE, smooth=0.001), None),
    "pair scores smooth by position, .01": (replace(BASE, smooth=0.01), None),
    "pair scores smooth by position, .1": (replace(BASE, smooth=0.1), None),
    "measured labels only, smooth .1": (replace(BASE, soft_weight=0.0, hard_weight=1.0, smooth=0.1), None),
    "half of the soft labels": (BASE, partial(less_soft, share=0.5)),
    "a tenth of the soft labels": (BASE, partial(less_soft, share=0.1)),
    "soft labels of chimeras only": (replace(BASE, passes=4), partial(soft_of, source="clash")),
    "and Helwak": (BASE, partial(more_positives, names=(HELWAK,))),
    "and miRAW": (BASE, partial(more_positives, names=(duplex.MAPPED,))),
    "and a third of miRAW": (BASE, partial(more_positives, names=(duplex.MAPPED,), share=0.3)),
    "and Helwak, a third of miRAW": (BASE, partial(more_positives, names=(HELWAK, duplex.MAPPED), share=0.3)),
    "own labels of 3'UTRs": (BASE, own_labels),
}


def main(names: list[str]) -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    base = {state: duplex.evidence(state) for state in duplex.STATES}
    for name in names:
        recipe, change = IDEAS[name]
        if TABLE.is_file() and name in set(pd.read_csv(TABLE, sep="\t")["idea"]):
            continue
        rows = []
        for state, known in base.items():
            began = time.process_time()
            model = duplex.learn(change(known) if change else known, recipe, state)
            seconds = round(time.process_time() - began, 1)
            found = {key: duplex.logits(model, pairs) for key, pairs in known.valid.items()}
            each = duplex.average_precisions(known.valid, found)
            rows.append({"idea": name, "state": state, "seconds": seconds, **each})
            models.save(model, TABLE.parent / f"{name.replace(' ', '_')}_{state}.safetensors")
        old = pd.read_csv(TABLE, sep="\t") if TABLE.is_file() else pd.DataFrame()
        io.write_table(pd.concat([old, pd.DataFrame(rows)]).round(4), TABLE)
        print(name, pd.DataFrame(rows).iloc[:, 3:].mean().round(4).to_dict(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(IDEAS))
