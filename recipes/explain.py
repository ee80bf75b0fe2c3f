"""Which regions of a miRNA its models look at (docs/interpretation.md), and the pictures of docs/commands/explain.md.

    python recipes/explain.py

explains all test pairs of Hejret's chimeras by DMISO's network and by the default model, holds DMISO against itself
trained on shuffled labels, and explains a site of let-7 and a hairpin. Ten minutes on one CPU core, half of them the
training of two networks of DMISO's; all is left in results/explain.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import dmiso
from mirscope import cli, datasets, interpret, models, splits, train
from mirscope.models import Model
from mitar import markdown

RUNS, IMAGES, PAGE = Path("results/explain"), Path("docs/images"), Path("docs/interpretation.md")
DATA = f"{dmiso.READ}:test"
PUBLISHED = str(RUNS / "dmiso_published.safetensors")
WEIGHTS = {
    "dmiso": "`dmiso`",
    "dmiso_chimeras": "`dmiso_chimeras`",
    PUBLISHED: "DMISO, published",
    "duplex": "`duplex`",
}
HELWAK = "clash_helwak2013_1to1:test"
HELWAK_WEIGHTS = {"dmiso_helwak": "`dmiso_helwak`", PUBLISHED: "DMISO, published", "duplex": "`duplex`"}
REGIONS = {
    "seed": "nt 2-8 less the other nt of the miRNA",
    "supplementary": "nt 13-16 less the others from nt 9 on",
    "miRNA": "all of the miRNA, all of the target",
}
METHODS = {"mask": "4 nt masked", "mutate": "nt changed", "gradient": "integrated gradients"}
MEASURES = {("mask", "_score"): "4 nt masked, score"} | {(method, ""): said for method, said in METHODS.items()}
"""How regions are told apart: method, and the folder of the measure; the first is the paper's."""
N_CHECKED = 100
"""Pairs that bind, of which two networks are asked."""
PICTURES = {
    "dmiso/profile.svg": "profile",
    "dmiso_chimeras/profile.svg": "profile_chimeras",
    "duplex/profile.svg": "profile_duplex",
    "let7/duplex.svg": "duplex",
    "let7/map.svg": "map",
    "hairpin/hairpin.svg": "hairpin",
    "hairpin/map.png": "hairpin_map",
}
LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
SITE = "ACGUACGGUUACCAGUAACUAUACAACCUACUACCUCAGGUUAACCGGUA"
PRECURSOR = "UGGGAUGAGGUAGUAGGUUGUAUAGUUUUAGGGUCACACCCACCACUGGGAGAUAACUAUACAAUCUACUGUCUUUCCUA"
"""hsa-let-7a-1."""
DOCUMENT = """# What the models look at

Made by `python recipes/explain.py`, by [`mirscope explain`](commands/explain.md). How and why so:
[decision 032](decisions/032-interpretation.md).

## DMISO's Figure 2, on chimeras that were held out

All {n_positives} pairs that bind and all {n_negatives} that do not of `{data}`: AGO2 chimeras, the miRNA as read,
{n_mirnas} distinct miRNA parts; none is left out. Their sites are in the training of none of our weights. `DMISO,
published` are the authors' weights, which learned from other chimeras (CLASH of Helwak et al. 2013).

Pairs that bind: what the logit (or the score, the paper's measure) loses by a masked run or a changed nt, or what
gradients give a nt, within a region less what it does outside, paired by example; [95 % interval, bootstrap of the
miRNA parts]. The last rows are sums over the whole strands, of the one and of the other.

{regions}

- **`duplex` looks at the seed**, and at nt 13-16 more than at the rest of the 3' half. Changed nt hardly move pairs
  that do not bind. Along the target its curve is broad, because a site may lie anywhere in the 50 nt.
- **DMISO's network does not**, however it was trained: neither the seed nor nt 13-16 stand out by any method, in logits
  or in scores, and where a difference is clear it is the rest of the miRNA that counts more. The paper's own test pairs
  are not public.
- `dmiso` loses most by the miRNA's nt from 9 on, and next to nothing by the target: it has learned which miRNAs are in
  the positives, as the floors beside its figures say (`mirscope models info dmiso`).
- `dmiso_chimeras`, whose training pairs tell nothing by either strand alone, is moved by a masked run of the miRNA by
  0.05 at most in the mean of any place, with a standard deviation of up to 0.39: each nt may support binding or oppose
  it, and what decides lies in the pair, not in the place.

The same on the kind of chimeras that the paper learned from: the {n_helwak} pairs of `{helwak}` that bind
(20 nt of each miRNA). `dmiso_helwak` learned from its training part, where each positive has one re-paired negative.

{helwak_regions}

- `dmiso_helwak` shows **nt 13-16 but not the seed**. That is no sight of base pairs: the target as a whole is worth
  next to nothing to it, where the other halves of those pairs would be. On these pairs the name of the miRNA alone has
  an AUROC of .90 (`mirscope models info dmiso_helwak`), and a network that has learned names reads them anywhere.
- So look at both strands: by the miRNA's panel alone this would pass for the 3' supplementary region.

Mean (line) and standard deviation (band) by position; nt 2-8 and 13-16 are shaded. A masked run stands at its first nt.

`dmiso`:

![Mean and spread by position, dmiso](images/explain_profile.svg)

`dmiso_chimeras`:

![Mean and spread by position, dmiso_chimeras](images/explain_profile_chimeras.svg)

`duplex`:

![Mean and spread by position, duplex](images/explain_profile_duplex.svg)

## Is it what was learned?

Rank correlation (Spearman, within a strand, mean of both) of the attributions of `dmiso` with those of another network,
of the same {n_checked} pairs that bind [95 % interval, bootstrap of the pairs; those whose gradients do not add up
are left out]. *Trained again*: same pairs and settings, another random state. *Shuffled labels*: the same with the
labels of training and validation pairs shuffled. *Randomised*: the numbers of each weight tensor in another order.

{sanity}

- What a network says that had nothing to learn has nothing to do with what `dmiso` says, and it says little. Neither
  has what randomised weights say, but for masks: where a run of N stands matters to any such network. Changed nt and
  gradients are free of that.
- Two networks that learned the same agree, though far from fully: do not trust the number of a single nt beyond that.
  Means over many pairs are steadier.
"""


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    RUNS.mkdir(parents=True, exist_ok=True)
    models.save(models.import_keras(datasets.path("dmiso_h5"), "dmiso"), RUNS / "dmiso_published.safetensors")
    for weights in WEIGHTS:
        explained(weights, Path(weights).stem, DATA)
        explained(weights, f"{Path(weights).stem}_score", DATA, "--method", "mask", "--measure", "score")
    for weights in HELWAK_WEIGHTS:
        explained(weights, f"{Path(weights).stem}_helwak", HELWAK)
        explained(weights, f"{Path(weights).stem}_helwak_score", HELWAK, "--method", "mask", "--measure", "score")
    explained("duplex", "let7", "--mirna", LET7, "--target", SITE)
    explained("hairpin", "hairpin", "--hairpin", PRECURSOR)
    for source, name in PICTURES.items():
        shutil.copy(RUNS / source, IMAGES / f"explain_{name}{Path(source).suffix}")
    pairs = datasets.load_pairs(DATA)
    PAGE.write_text(
        DOCUMENT.format(
            data=DATA,
            n_positives=(pairs["label"] == 1).sum(),
            n_negatives=(pairs["label"] == 0).sum(),
            n_mirnas=pairs["mirna_seq"].nunique(),
            regions=regions(WEIGHTS),
            helwak=HELWAK,
            n_helwak=f"{(datasets.load_pairs(HELWAK)['label'] == 1).sum():,}",
            helwak_regions=regions(HELWAK_WEIGHTS, "_helwak"),
            n_checked=N_CHECKED,
            sanity=sanity(pairs[pairs["label"] == 1].sample(N_CHECKED, random_state=0)),
        )
    )


def explained(weights: str, name: str, *given: str) -> None:
    """The folder of this name, by `mirscope explain`."""
    assert cli.main(["explain", weights, *given, "-o", str(RUNS / name), "--threads", "1", "--quiet"]) == 0


def regions(weights: dict[str, str], data: str = "") -> str:
    """How regions differ from the rest, in pairs that bind: a row for each region and method, a column for weights."""
    tables = {
        (name, measure): pd.read_csv(RUNS / f"{Path(name).stem}{data}{measure}" / "regions.tsv", sep="\t")
        for name in weights
        for _, measure in MEASURES
    }
    rows = []
    for region, said in REGIONS.items():
        for (method, measure), done in MEASURES.items():
            cells = []
            for name in weights:
                table = tables[name, measure]
                own = (table["label"] == 1) & (table["region"] == region) & (table["method"] == method)
                [row] = table[own].itertuples()
                sums = f"{row.inside:+.2g}, {row.outside:+.2g}"
                cells.append(sums if region == "miRNA" else f"{row.difference:+.2g} [{row.low:+.2g}, {row.high:+.2g}]")
            rows.append((said, done, *cells))
    return markdown(("", "", *weights.values()), rows)


def sanity(pairs: pd.DataFrame) -> str:
    """How far other networks agree with `dmiso`."""
    model = models.load("dmiso")
    others = {
        "trained again": kept("again", again),
        "shuffled labels": kept("shuffled", lambda *parts: interpret.relabelled(model, *parts, settings=settings(1))),
        "randomised": interpret.randomised(model),
    }
    rows = []
    for name, other in others.items():
        found = [interpret.agreement(model, other, pairs, method=method) for method in interpret.METHODS]
        changes = [
            np.concatenate([each.values(strand, "mutate") for strand in each.strands])
            for each in interpret.explain(other, pairs, methods=["mutate"])
        ]
        rows.append(
            (
                name,
                *(f"{each.value:+.2f} [{each.low:+.2f}, {each.high:+.2f}]" for each in found),
                f"{np.abs(np.concatenate(changes)).mean():.2g}",
            )
        )
    return markdown(("", *METHODS.values(), "a changed nt moves the logit by, mean"), rows)


def kept(name: str, make: Callable[[pd.DataFrame, pd.DataFrame], Model]) -> Model:
    """The network of this name, from its file if there is one."""
    path = RUNS / f"{name}.safetensors"
    if not path.is_file():
        pairs = datasets.load_pairs(dmiso.READ)
        parts = splits.carve(pairs, random_state=1)
        model = make(*(pairs[parts == part].reset_index(drop=True) for part in ("train", "valid")))
        model.provenance = {}
        models.save(model, path)
    return models.load(path)


def again(learn: pd.DataFrame, valid: pd.DataFrame) -> Model:
    """`dmiso` once more, from another random state."""
    return train.fit("dmiso", learn, valid, RUNS / "again", settings=settings(2), config=dmiso.CONFIG, resume=True)[0]


def settings(random_state: int) -> train.Settings:
    """Those of `dmiso`."""
    how = dmiso.ONE_CYCLE | {"random_state": random_state}
    return train.Settings(epochs=dmiso.RECIPES["dmiso"]["epochs"], monitor="average_precision", **how)


if __name__ == "__main__":
    main()
