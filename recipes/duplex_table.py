"""What the duplex model learned, as a picture: docs/images/duplex_table.svg and .png; prints the numbers.

    python recipes/duplex_table.py

What a pair adds to the logit by its position in the miRNA, in the three weight files; what stands opposite nucleotide
1; the learned energy of a stack of two pairs against Turner's (ViennaRNA), kcal/mol.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import RNA
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mirscope import models, plot, rna

PAIRS = ("GC", "CG", "AU", "UA", "GU", "UG")
"""miRNA and target nucleotide."""
WATSON_CRICK, WOBBLE = PAIRS[:4], PAIRS[4:]


def main() -> None:
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(2, 0.55, 1.2))
    left.axvspan(1.5, 8.5, color="#EEEEEE", zorder=0)
    left.axhline(0, color="black", linewidth=0.6)
    position = np.arange(1, 23)
    for number, name in enumerate(("duplex", "duplex_clash", "duplex_eclip")):
        paired, wobble, opposite = (values[:22] for values in by_position(models.load(name)))
        width = 2.2 if number == 0 else 1.2
        how = {"color": plot.PALETTE[number], "linestyle": plot.DASHES[number], "linewidth": width}
        left.plot(position, paired, marker="o", markersize=3.5, label=f"Watson-Crick, {name}", **how)
        print(name, "Watson-Crick over mismatch, nt 1-22:", *np.round(paired, 2))
        print(name, "G:U over mismatch:", *np.round(wobble, 2), "opposite nt 1, A C G U:", *np.round(opposite, 2))
        if number == 0:
            how = {"color": "#707070", "linewidth": 1.2, "marker": "s", "markersize": 3}
            left.plot(position, wobble, label=f"G:U, {name}", **how)
            middle.bar(list("ACGU"), opposite, color=plot.PALETTE[0])
    left.set(xlabel="miRNA nucleotide (shaded: seed)", ylabel="logit above a mismatch's", xticks=position[::3])
    left.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, 1.17), ncols=2)
    middle.axhline(0, color="black", linewidth=0.6)
    middle.set(xlabel="target nucleotide\nopposite miRNA nt 1", ylabel="logit")
    turner, learned = stacks(models.load("duplex"))
    canonical = np.array([[a in WATSON_CRICK and b in WATSON_CRICK for b in PAIRS] for a in PAIRS])
    for kind, marker, colour, label in ((canonical, "o", 0, "Watson-Crick pairs"), (~canonical, "s", 1, "with G:U")):
        right.plot(turner[kind], learned[kind], marker, color=plot.PALETTE[colour], markersize=4.5, label=label)
    r = [float(np.corrcoef(turner[kind], learned[kind])[0, 1]) for kind in (canonical | True, canonical)]
    right.set(xlabel="Turner's stacking energy (kcal/mol)", ylabel="learned stack (logit)")
    right.set_title(f"r = {r[0]:.2f}; Watson-Crick {r[1]:.2f}", fontsize=9)
    right.legend(frameon=False, fontsize=8)
    print("stacks of duplex against Turner's: r =", round(r[0], 3), "of Watson-Crick pairs", round(r[1], 3))
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
    for kind in ("svg", "png"):
        plot.save(figure, Path("docs/images") / f"duplex_table.{kind}")


def by_position(model: models.Model) -> tuple[NDArray, NDArray, NDArray]:
    """Watson-Crick and G:U over mismatch by position, (25,) each, and each base opposite nucleotide 1, (4,); logits."""
    scores = slope(model) * model.scores().detach().double().numpy()[:, :4, :4, :4, :4]
    before = np.mean([scores[:, a, :, b] for a, b in map(codes, WATSON_CRICK)], 0)  # (25, m, r), after a stacked pair
    matched = {pair: before[(slice(None), *codes(pair))] for pair in PAIRS}
    mismatch = np.mean([before[:, m, r] for m in range(4) for r in range(4) if letters(m, r) not in PAIRS], 0)
    paired, wobble = (np.mean([matched[p] for p in kinds], 0) - mismatch for kinds in (WATSON_CRICK, WOBBLE))
    first = slope(model) * model.pair[0].detach().double().numpy().mean(0)
    return paired, wobble, first - first.mean()


def stacks(model: models.Model) -> tuple[NDArray, NDArray]:
    """Turner's and the learned energy of each stack, (before, here): half of both pairs and what they are together."""
    outer, inner = model.stack_outer.detach().double(), model.stack_inner.detach().double()
    together = torch.einsum("kxy,kuv->xyuv", outer, inner).numpy() * float(model.stack[1:21].detach().mean())
    single = model.pair[1:21].detach().double().numpy().mean(0)
    turner, learned = np.empty((6, 6)), np.empty((6, 6))
    for i, before in enumerate(PAIRS):
        for j, here in enumerate(PAIRS):
            hairpin = before[0] + here[0] + "AAAA" + here[1] + before[1]
            turner[i, j] = RNA.fold_compound(hairpin).eval_loop_pt(1, RNA.ptable("((....))")) / 100
            halves = (single[codes(before)] + single[codes(here)]) / 2
            learned[i, j] = slope(model) * (halves + together[(*codes(before), *codes(here))])
    return turner, learned


def slope(model: models.Model) -> float:
    """Of the logit by log Z."""
    return float((model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt()).detach())


def codes(pair: str) -> tuple[int, int]:
    return rna.ALPHABET.index(pair[0]), rna.ALPHABET.index(pair[1])


def letters(mirna: int, target: int) -> str:
    return rna.ALPHABET[mirna] + rna.ALPHABET[target]


if __name__ == "__main__":
    main()
