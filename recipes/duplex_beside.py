"""What could stand beside or after the duplex score: accessibility, AU, place, seed class; calibrations. On validation.

    python recipes/duplex_ideas.py base "measured labels only" "soft labels only"
    python recipes/duplex_beside.py

Leaves in results/duplex, as means over the random states: beside.tsv and networks.tsv, the average precision on A, B
and R; calibration.tsv, what calibrations that were fitted on two states do to the third.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import RNA
import torch
from scipy.special import expit as sigmoid
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import duplex
from duplex import Evidence
from mirscope import cli, io, metrics, models, predict, rna, splits

FOLDER = Path("results/duplex")
CLASSES = {kind.name: len(rna.SEED_TYPES) - number for number, kind in enumerate(rna.SEED_TYPES)} | {"": 0}


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    found, held, together = [], [], []
    for state in duplex.STATES:
        known, model = duplex.evidence(state), models.load(FOLDER / f"base_{state}.safetensors")
        found.append(beside(known, model))
        together.append(networks(known, state))
        pairs = pd.concat(known.valid, names=["part"]).reset_index("part")
        held.append(pairs[["part", "label"]].assign(state=state, logit=duplex.logits(model, pairs)))
    all_tables = {"networks": together, "beside": found, "calibration": calibrations(pd.concat(held))}
    for name, tables in all_tables.items():
        table = pd.concat(tables).groupby(name, sort=False).mean().round(4).reset_index()
        io.write_table(table, FOLDER / f"{name}.tsv")
        print(table.to_string(index=False))


def networks(known: Evidence, state: int) -> pd.DataFrame:
    """Average precision of networks that were taught one kind of label, of both, and of their mean logits."""
    logits = {}
    for name in ("base", "measured labels only", "soft labels only"):
        model = models.load(FOLDER / f"{name.replace(' ', '_')}_{state}.safetensors")
        found = {part: duplex.logits(model, pairs) for part, pairs in known.valid.items()}
        spread = np.mean([values.std() for values in found.values()])
        logits[name] = {part: values / spread for part, values in found.items()}
    for first, second in (("measured labels only", "soft labels only"), ("base", "measured labels only")):
        logits[f"mean of {first} and {second}"] = {
            part: logits[first][part] + logits[second][part] for part in known.valid
        }
    logits["RNAduplex"] = {p: predict.score(models.load("rnaduplex"), pairs) for p, pairs in known.valid.items()}
    rows = [{"networks": name, **duplex.average_precisions(known.valid, found)} for name, found in logits.items()]
    return pd.DataFrame(rows)


def calibrations(held: pd.DataFrame) -> list[pd.DataFrame]:
    """Log loss, calibration error and Brier loss on each state's held-out pairs, as the other two say it should be."""
    tables = []
    for state in duplex.STATES:
        ours, others = held[held["state"] == state], held[held["state"] != state]
        weight = 1 / others.groupby("part")["label"].transform("size")
        slope, shift = duplex.platt(others)
        temperature = LogisticRegression(C=np.inf, fit_intercept=False)
        temperature.fit(others[["logit"]].to_numpy(), others["label"], sample_weight=weight)
        steps = IsotonicRegression(y_min=0.002, y_max=0.998, out_of_bounds="clip")
        steps.fit(others["logit"], others["label"], sample_weight=weight)
        scores = {
            "none": sigmoid(ours["logit"]),
            "temperature": sigmoid(float(temperature.coef_[0, 0]) * ours["logit"]),
            "Platt": sigmoid(slope * ours["logit"] + shift),
            "isotonic": steps.predict(ours["logit"]),
        }
        rows = []
        for name, values in scores.items():
            row = {"calibration": name, "log_loss": log_loss(ours["label"], values)}
            for part, table in ours.assign(score=np.asarray(values)).groupby("part"):
                row[f"error_{part}"] = metrics.calibration_error(table["label"], table["score"])
            rows.append(row | {"brier": metrics.brier_loss(ours["label"], np.asarray(values))})
        tables.append(pd.DataFrame(rows))
    return tables


def beside(known: Evidence, model: models.Model) -> pd.DataFrame:
    """Average precision of a logistic regression of the logit and other terms; ten parts, by clusters of sites.

    A, B and R count the same.
    """
    pairs = pd.concat(known.valid, names=["set"]).reset_index("set", drop=False)
    codes = duplex._codes(model, pairs)
    paired = model.base_pairs(*codes)[1].numpy()  # (n, 25, window)
    windows = {}
    for target in pairs["target_seq"].unique():
        fold = RNA.fold_compound(target)
        fold.pf()
        probability = np.array(fold.bpp())[1:, 1:]
        windows[target] = np.pad(1 - probability.sum(0) - probability.sum(1), (0, 50 - len(target)))
    free = np.stack([windows[target] for target in pairs["target_seq"]])
    lengths = pairs["target_seq"].str.len().to_numpy()
    by_place, seed = paired.sum(1), paired[:, 1:8].sum(1)
    place = (by_place * np.arange(50)).sum(1) / by_place.sum(1)
    target = codes[1].numpy()
    inside = target != rna.N
    au = np.isin(target, [rna.ALPHABET.index("A"), rna.ALPHABET.index("U")])
    terms = {
        "accessibility of the pairs": [np.log((by_place * free).sum(1) / by_place.sum(1))],
        "accessibility opposite the seed": [np.log((seed * free).sum(1) / (seed.sum(1) + 1e-9) + 1e-6)],
        "accessibility of the window": [(free * inside).sum(1) / lengths],
        "AU share of the window": [(au & inside).sum(1) / lengths],
        "AU share away from the pairs": [(au * inside * (1 - by_place)).sum(1) / (inside * (1 - by_place)).sum(1)],
        "place in the window": [place / lengths, (place / lengths) ** 2],
        "probable pairs of the seed, of all": [seed.sum(1), by_place.sum(1)],
        "seed class": [np.array([CLASSES[c] for c in map(rna.seed_type, pairs["mirna_seq"], pairs["target_seq"])])],
    }
    terms["all of them"] = [column for columns in terms.values() for column in columns]
    logit, label = duplex.logits(model, pairs), pairs["label"].to_numpy()
    weight = 1 / pairs.groupby("set")["label"].transform("size")
    how = {"logisticregression__sample_weight": (weight / weight.mean()).to_numpy()}
    groups, rows = splits.clusters(pairs["target_seq"].tolist()), []
    for name, columns in {"the logit alone": [], **terms}.items():
        x = np.column_stack([logit, *columns])
        fit = make_pipeline(StandardScaler(), LogisticRegression())
        found = cross_val_predict(
            fit, x, label, groups=groups, cv=GroupKFold(10), method="decision_function", params=how
        )
        by_set = {key: found[pairs["set"] == key] for key in known.valid}
        rows.append({"beside": name, **duplex.average_precisions(known.valid, by_set)})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
