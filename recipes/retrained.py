"""Every architecture on the same honest data: trained anew on the training part of Hejret's bias-corrected chimeras.

    python recipes/retrained.py [MODEL ...]

For each network that has weights to train: a fifth of the training part, whole clusters of sites, is set aside for
validation; the learning rate is the one of `RATES` with the best validation average precision; then three random
states. Leaves results/retrained/MODEL/test.tsv: the test pairs with the mean logit of the three as `score`, and
runs.json; finished runs are not repeated. recipes/tables.py shows them.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirscope import cli, datasets, io, metrics, models, predict, splits, train

DATA = "clash_hejret2023_mirbench"
RUNS = Path("results/retrained")
RATES = (0.001, 0.003)
RATES_OF = {"duplex": (0.003, 0.01)}
"""Of a network of few parameters, which need longer steps."""
STATES = (1, 2, 3)
SETTINGS = train.Settings(
    epochs=12, patience=12, batch_size=64, schedule="one-cycle", clip_norm=1.0, monitor="average_precision"
)
CONFIGS: dict[str, dict] = {"mitar": {"dropout": 0.3}, "dmiso": {"l1": 0.0001}}
"""Settings of a network for so small a set, where its own defaults are not for it."""


def main(names: list[str]) -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    pairs = datasets.load_pairs(DATA)
    pairs["split"] = splits.carve(pairs)
    learn, valid, test = (pairs[pairs["split"] == part].reset_index(drop=True) for part in datasets.SPLITS)
    for name in names:
        rates = {rate: run(name, rate, STATES[0], learn, valid, test) for rate in RATES_OF.get(name, RATES)}
        best = max(rates, key=lambda rate: rates[rate]["valid"])
        states = [run(name, best, state, learn, valid, test) for state in STATES]
        logits = np.mean([state["logits"] for state in states], 0)
        scores = predict.probability(logits.astype(np.float32))
        io.write_table(test.assign(score=scores), RUNS / name / "test.tsv")
        record = {
            "settings": vars(replace(SETTINGS, learning_rate=best)),
            "config": CONFIGS.get(name, {}),
            "n": {"train": len(learn), "valid": len(valid), "test": len(test)},
            "valid_average_precision": {"rates": {str(rate): rates[rate]["valid"] for rate in rates}}
            | {"states": [state["valid"] for state in states]},
            "test_auroc": [metrics.auroc_score(test["label"], state["logits"]) for state in states],
            "test_average_precision": [metrics.average_precision_score(test["label"], s["logits"]) for s in states],
        }
        (RUNS / name / "runs.json").write_text(json.dumps(record, indent=1) + "\n")
        together = [f(test["label"], scores) for f in (metrics.auroc_score, metrics.average_precision_score)]
        print(name, "test AUROC and AP of the mean logit", *np.round(together, 4), flush=True)


def run(name: str, rate: float, state: int, learn: pd.DataFrame, valid: pd.DataFrame, test: pd.DataFrame) -> dict:
    """Validation average precision and test logits of one training."""
    path = RUNS / name / f"{rate:g}-{state}.json"
    if path.is_file():
        return json.loads(path.read_text())
    work = RUNS / name / f"{rate:g}-{state}"
    settings = replace(SETTINGS, learning_rate=rate, random_state=state)
    how = {"settings": settings, "config": CONFIGS.get(name), "unlabelled": train.unlabelled(), "resume": True}
    model, history = train.fit(name, learn, valid, work, **how)
    scores = predict.score(model, test).astype(np.float64).clip(1e-7, 1 - 1e-7)
    found = {
        "valid": float(history["valid_average_precision"].max()),
        "logits": [float(x) for x in np.log(scores / (1 - scores))],
    }
    path.write_text(json.dumps(found))
    shutil.rmtree(work)
    print(name, rate, state, "valid AP", round(found["valid"], 4), f"{history['seconds'].sum():.0f} s", flush=True)
    return found


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name in models.names(models.PAIR) if models.needs_weights(name)])
