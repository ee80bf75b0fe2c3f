"""Do models bind isomiRs to their own sites? The table of docs/commands/compare.md.

    python recipes/isomir_targets.py

AGO2 chimeras with the miRNA as it was read (Hejret 2023): each isomiR and its site are scored with the isomiR's
sequence and with the reference miRNA's. isomiRs with the reference's nt 1-8 (their 3' ends differ) are the control. Two
minutes on one CPU core.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

from mirscope import cli, datasets, io, isomir, metrics, models, predict, rna
from mirscope.isomir import References
from mirscope.reads import Fragment
from mitar import markdown
from scan_rates import put

PAGE = Path("docs/commands/compare.md")
CHIMERAS = "clash_hejret2023_realseq"
MODELS = ("seed", "duplex", "dmiso")
GROUPS = {"seed": "another seed", "3p": "the same nt 1-8"}
N_RESAMPLES = 1000


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    pairs = with_references(datasets.load_pairs(CHIMERAS))
    rows = []
    for name in MODELS:
        model = models.load(name)
        scored = pairs.assign(
            isomir=logits(model, pairs["mirna_seq"], pairs["target_seq"]),
            reference=logits(model, pairs["reference_seq"], pairs["target_seq"]),
        )
        for part, own in (("test", scored[scored["split"] == "test"]), ("all", scored)):
            for group, title in GROUPS.items():
                rows.append((f"`{name}`", title, part, *figures(own[own["group"] == group])))
                print(*rows[-1], sep="\t", flush=True)
    header = ("model", "isomiRs with", "pairs", "isomiRs / sites", "own sites", "higher / lower", "other sites")
    header += ("AUROC, isomiR", "AUROC, reference", "difference")
    put(PAGE, r"(<!-- trust -->\n).*?(?=<!-- /trust -->)", markdown(header, rows))
    put(PAGE, r"(<!-- seeds -->\n).*?(?=<!-- /seeds -->)", seeds(pairs[pairs["group"] == "seed"]))


def with_references(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs whose miRNA is an isomiR, with its reference (the first of equals) and its group."""
    references = References.of(io.read_fasta(datasets.path("hsa_mature_mirbase22")))
    called = isomir.isomirs({sequence: Fragment(1) for sequence in pairs["mirna_seq"].unique()}, references)
    called = called.drop_duplicates("sequence").set_index("sequence")["mirna_id"]
    sequences = {record.id: record.sequence for record in references.mirnas}
    pairs = pairs.assign(reference_seq=pairs["mirna_seq"].map(called).map(sequences)).dropna(subset=["reference_seq"])
    both = list(zip(pairs["mirna_seq"], pairs["reference_seq"], strict=True))
    other_seed = np.array([own[1:8] != reference[1:8] for own, reference in both])
    only_3p = np.array([own[:8] == reference[:8] and own != reference for own, reference in both])
    pairs = pairs.assign(group=np.select([other_seed, only_3p], list(GROUPS), ""))
    return pairs[pairs["group"] != ""].reset_index(drop=True)


def logits(model: models.Model, mirnas: pd.Series, targets: pd.Series) -> np.ndarray:
    scores = predict.score(model, pd.DataFrame({"mirna_seq": mirnas, "target_seq": targets}), warn=False)
    return np.log(scores.astype(float)) - np.log1p(-scores.astype(float))


def figures(pairs: pd.DataFrame) -> tuple[str, ...]:
    """Counts; the mean difference of logits at own sites, how often it is above and below 0, at other sites; AUROCs."""
    labels, difference = pairs["label"], pairs["isomir"] - pairs["reference"]
    own, others = difference[labels == 1].to_numpy(), difference[labels == 0]
    drawn = np.random.default_rng(0).choice(own, (N_RESAMPLES, len(own))).mean(1)
    n_isomirs = pairs.loc[labels == 1, "mirna_seq"].nunique()
    between = metrics.paired_bootstrap(labels, pairs["isomir"], pairs["reference"], n_resamples=N_RESAMPLES)
    return (
        f"{n_isomirs:,} / {len(own):,}",
        interval(own.mean(), *np.percentile(drawn, [2.5, 97.5])),
        f"{(own > 1e-6).mean():.0%} / {(own < -1e-6).mean():.0%}",
        f"{others.mean():.2f}",
        *(f"{metrics.auroc_score(labels, pairs[form]):.3f}" for form in ("isomir", "reference")),
        interval(between.value, between.low, between.high, 3),
    )


def interval(value: float, low: float, high: float, digits: int = 2) -> str:
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def seeds(pairs: pd.DataFrame) -> str:
    """Shares of own and other sites with a seed match (6mer or better) of either form, and p that they are as many."""
    rows = []
    better = {kind.name for kind in rna.SEED_TYPES} - {"offset-6mer"}
    for label, title in ((1, "own sites"), (0, "other sites")):
        some = pairs[pairs["label"] == label]
        has = {
            form: np.array(
                [rna.seed_type(*pair) in better for pair in zip(some[form], some["target_seq"], strict=True)]
            )
            for form in ("mirna_seq", "reference_seq")
        }
        own, reference = has.values()
        parts = own & ~reference, reference & ~own, own & reference, ~own & ~reference
        p = binomtest(int(parts[0].sum()), int(parts[0].sum() + parts[1].sum())).pvalue
        rows.append((title, f"{len(some):,}", *(f"{part.mean():.1%}" for part in parts), f"{p:.2f}"))
    return markdown(("", "pairs", "isomiR's only", "reference's only", "both", "neither", "p"), rows)


if __name__ == "__main__":
    main()
