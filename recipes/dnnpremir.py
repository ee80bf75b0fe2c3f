"""The bundled weights dnnpremir_cnn and dnnpremir_rnn, and what their paper measured of such networks.

    python recipes/dnnpremir.py [NAME ...]             # trains, writes weights and model cards
    python recipes/dnnpremir.py crossvalidate [NAME ...]   # ten parts, and 70/30; goes on where it was stopped

On one CPU core the CNN is trained in a minute and cross-validated in fifteen; the RNN takes half an hour, and ten
minutes for each of its parts. Settings were chosen on validation hairpins only (docs/decisions/024-hairpin-figures.md);
test hairpins are measured here. recipes/hairpin_table.py puts all figures into docs/precursors.md.
"""

from __future__ import annotations

import functools
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import mitar
from mirscope import cli, datasets, evaluate, experiment, floors, metrics, models, predict, splits, train
from mirscope.train import Settings

DATA = "dnnpremir_human_balanced"
RESULTS = Path("results/dnnpremir")
CNN = Settings(
    epochs=60,
    patience=60,
    batch_size=200,
    schedule="one-cycle",
    learning_rate=0.005,
    monitor="auroc",
    random_state=2,
)
RNN = replace(CNN, epochs=100, patience=100, learning_rate=0.003, clip_norm=1.0, monitor="accuracy", random_state=1)
RECIPES: dict[str, dict] = {
    "dnnpremir_cnn": {
        "what": "three convolutions over 180 symbols",
        "config": {"dropout": 0.3},
        "cycles": (CNN,),
        "cross_validated": CNN,
        "paper": "88.56 % accuracy on the test split, 87.24 % in 10-fold cross-validation",
    },
    "dnnpremir_rnn": {
        "what": "three LSTMs over up to 180 symbols",
        "config": {},
        "cycles": (RNN, replace(RNN, random_state=2)),
        "cross_validated": replace(RNN, epochs=60, patience=60),
        "paper": "88.43 % accuracy on the test split, 88.44 % in 10-fold cross-validation",
    },
}
"""Each of the `cycles` goes on from the weights of the one before. Cross-validations have one, the RNN's, for want of
time, a shorter one."""
PROTOCOLS = {
    "kfold": experiment.Protocol(rule="kfold", n_runs=10, valid=0.1),
    "70/30": experiment.Protocol(rule="random", n_runs=3, test=0.3, valid=0.1),
}
"""Ten parts, each tested once, and three draws of 70/30; a tenth of the rest chooses the epoch."""
SPECIES = {"mml": "macaque", "mmu": "mouse", "rno": "rat"}
SETS = {"mirbase22_hairpins_4species": "miRBase 22", "mirgenedb_hairpins_4species": "MirGeneDB"}
LEARNED = ("hairpin_regression", "hairpin_trees")
CARD = """# {name}

dnnPreMiR's network (Zheng et al. 2019): {what}, each a nucleotide and a bracket; {n_parameters:,} parameters. Trained
by mirscope, not the authors' weights.

**Use it** to reproduce dnnPreMiR and to compare with it. **Do not** take it for the best there is: boosted trees on
five numbers are as good or better, see the floors below; `hairpin` is the default of `mirscope hairpins`.

## Training

- Data: `{data}` (licence: {licence}), {n[train]:,} training, {n[valid]:,} validation and {n[test]:,} test hairpins, the
  paper's split. {data_is}.
- Settings{of_last}: {settings}.
- Kept epoch {best_epoch} of {epochs}{of_cycle}: the best validation {monitor}. Validation accuracy
  {valid[accuracy]:.4f}, AUROC {valid[auroc]:.4f}.
- Made by `python recipes/dnnpremir.py {name}` on one CPU core: the same command gives the same weights.

## Figures

On the test hairpins, at 0.5, with 95 % bootstrap intervals. `published` are the authors' weights. The paper gives
{paper}.

{figures}

Pre-miRNAs of other species that are called, learned from human ones only, and pseudo hairpins that are not in the set
at all:

{species}

More, and the cross-validations: docs/precursors.md.

## Limits

- {n_relatives} of the {n_positives} positives of test have a relative in train (80 % identity, 20 nt in a row, or the
  family's name), and about half of the other species' miRBase hairpins: these figures are not those of new families.
- Negatives are stem-loops of human coding sequence; tRNAs, snoRNAs or genome background were never seen.
- Scores are not calibrated for a genome, where pre-miRNAs are rarer than one hairpin in two.
- 180 nt; of longer sequences the part with the most base pairs.
"""


def main(words: list[str]) -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    names = [word for word in words if word in RECIPES] or list(RECIPES)
    for name in names:
        if "crossvalidate" in words:
            cross_validate(name)
        else:
            learn(name)


def learn(name: str) -> None:
    """Train unless that is done, and write weights and card."""
    recipe, folder, start = RECIPES[name], RESULTS / name, None
    for cycle, settings in enumerate(recipe["cycles"], 1):
        where = folder if cycle == len(recipe["cycles"]) else RESULTS / f"{name}-{cycle}"
        if not (where / "model.safetensors").is_file():
            train.run(name, DATA, where, settings=settings, config=recipe["config"], start=start, resume=True)
        start = str(where / "model.safetensors")
    shutil.copyfile(folder / "model.safetensors", models.WEIGHTS / f"{name}.safetensors")
    (models.WEIGHTS / f"{name}.md").write_text(card(name))
    print(f"written: {models.WEIGHTS / name}.safetensors and .md")


def competitor(name: str) -> experiment.Competitor:
    recipe = RECIPES[name]
    return experiment.Competitor(name, name, recipe["config"], replace(recipe["cross_validated"], random_state=0))


def cross_validate(name: str) -> None:
    """Leave results/dnnpremir/PROTOCOL/NAME with the runs."""
    for protocol, how in PROTOCOLS.items():
        folder = RESULTS / protocol.replace("/", "-") / name
        runs = experiment.benchmark([competitor(name)], datasets.load_hairpins(DATA), folder, protocol=how)
        experiment.write(runs, folder)
        print(name, protocol, runs["accuracy"].round(4).tolist(), round(runs["accuracy"].mean(), 4), flush=True)


def card(name: str) -> str:
    """The model card, Markdown."""
    model, entry, recipe = models.load(name), datasets.entry(DATA), RECIPES[name]
    record, table = model.provenance, datasets.load_hairpins(DATA)
    train_part, test = (table[table["split"] == part] for part in ("train", "test"))
    both = {name: model, "published": published(name)}
    found = evaluate.evaluate(model, test, against={"published": published(name)}, train=train_part, name=name)
    settings = recipe["config"] | {key: value for key, value in record["settings"].items() if value is not None}
    family = pd.Series(splits.groups(table, "family"), index=table.index)
    positives = family[test.index[test["label"] == 1]]
    return CARD.format(
        name=name,
        what=recipe["what"],
        of_cycle=f" of cycle {len(recipe['cycles'])}" if len(recipe["cycles"]) > 1 else "",
        of_last=" of the last cycle" if len(recipe["cycles"]) > 1 else "",
        monitor=recipe["cycles"][-1].monitor,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        licence=entry.licence,
        data_is=entry.what,
        **record | {"settings": ", ".join(f"{key} {value}" for key, value in settings.items())},
        paper=recipe["paper"],
        figures=mitar.markdown(FIGURES, figures(found)),
        species=mitar.markdown(("", name, "published", *titles(LEARNED)), species(species_scores(both))),
        n_relatives=int(positives.isin(family[train_part.index]).sum()),
        n_positives=len(positives),
    )


FIGURES = ("", "accuracy", "sensitivity", "specificity", "F1", "MCC", "AUROC", "AP")
MEASURES = ("accuracy", "sensitivity", "specificity", "f1", "mcc", "auroc", "average_precision")


def figures(found: evaluate.Evaluation) -> list[tuple]:
    """A row for each predictor."""
    rows = found.table.to_dict("records")
    return [(row["predictor"], *(mitar.interval(row, measure) for measure in MEASURES)) for row in rows]


def titles(keys) -> list[str]:
    return [floors.HAIRPIN_FLOORS[key].title for key in keys]


@functools.cache
def published(name: str) -> models.Model:
    """The authors' weights."""
    return models.import_keras(datasets.path(f"{name}_h5"), name)


@functools.cache
def unseen_pseudo() -> pd.DataFrame:
    """The pseudo hairpins that are in no part of the balanced set."""
    pseudo = datasets.load_hairpins("pseudo_hairpins_8492")
    seen = datasets.load_hairpins(DATA)["hairpin_seq"]
    return pseudo[~pseudo["hairpin_seq"].isin(seen)].reset_index(drop=True)


def relatives(asked: pd.DataFrame, seen: pd.DataFrame) -> np.ndarray:
    """Which of the hairpins asked are of a family of those seen, bool (n,)."""
    family = splits.groups(pd.concat([asked, seen], ignore_index=True), "family")
    return np.isin(family[: len(asked)], family[len(asked) :])


PSEUDO = "pseudo hairpins that are not in the set, by mistake"


def species_scores(networks: dict[str, models.Model]) -> dict[str, dict[str, np.ndarray]]:
    """Scores by each network and learned floor: of each species of each set, of what is new, of pseudo hairpins."""
    learn_from = datasets.load_hairpins(f"{DATA}:train")
    asked = {}
    for data, title in SETS.items():
        table = datasets.load_hairpins(data)
        for code, animal in SPECIES.items():
            asked[f"{title}, {animal}"] = table[table["species"] == code]
        others = table[table["species"] != "hsa"].drop_duplicates("hairpin_seq")
        new = others[~relatives(others, learn_from)]
        asked[f"{title}, the {len(new):,} of the three without a relative in train"] = new
    asked[PSEUDO] = unseen_pseudo()
    return {title: scores_of(networks, rows.reset_index(drop=True), learn_from) for title, rows in asked.items()}


def species(
    scores: dict[str, dict[str, np.ndarray]], *, called_by_mistake: float | None = None
) -> list[tuple[str, ...]]:
    """Rows of the shares of `species_scores` called: at 0.5, or where each calls that share of the pseudo hairpins."""
    thresholds = dict.fromkeys(scores[PSEUDO], 0.5)
    if called_by_mistake is not None:
        thresholds = {name: float(np.quantile(found, 1 - called_by_mistake)) for name, found in scores[PSEUDO].items()}
    return [(title, *shares(found, thresholds)) for title, found in scores.items()]


def scores_of(
    networks: dict[str, models.Model], hairpins: pd.DataFrame, learn_from: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Scores of each network and of each learned floor."""
    learned = floors.all_floors(hairpins, learn_from)
    found = {name: predict.score(network, hairpins) for name, network in networks.items()}
    return found | {key: learned[key].to_numpy() for key in LEARNED}


def shares(scores: dict[str, np.ndarray], thresholds: dict[str, float]) -> list[str]:
    """Share of scores at or above the threshold, with its interval."""
    cells = []
    for name, values in scores.items():
        found = metrics.summarise(np.ones(len(values)), values, threshold=thresholds[name]).set_index("metric")
        cells.append("{:.2f} % [{:.1f}, {:.1f}]".format(*(100 * found.loc["sensitivity", ["value", "low", "high"]])))
    return cells


if __name__ == "__main__":
    main(sys.argv[1:])
