"""docs/precursors.md: the figures of dnnPreMiR's paper, ours and the floors beside them, then a test without relatives.

    python recipes/dnnpremir.py && python recipes/dnnpremir.py crossvalidate     # once
    python recipes/hairpin_table.py train [NAME ...]    # the networks in five parts of whole families; goes on
    python recipes/hairpin_table.py                     # writes the page, with what is trained

A network that is to stand in the table needs an entry in `COMPETITORS`, or, where its training is another,
results/hairpin_table/scores/NAME.parquet: `score` of each `hairpin_seq` of `all` by a network that was taught none of
its family (`PARTS`).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import dnnpremir
import mitar
from mirscope import cli, datasets, evaluate, experiment, floors, io, metrics, models, predict

RESULTS = Path("results/hairpin_table")
PARTS = experiment.Protocol(rule="family-kfold", n_runs=5, valid=0.1)
COMPETITORS = {name: dnnpremir.competitor(name) for name in dnnpremir.RECIPES}
"""How each network is trained in each part."""
SETS = {
    "balanced": "balanced: the distinct hairpins of dnnPreMiR's set",
    "all": "all: the same pre-miRNAs against all 8,492 pseudo hairpins",
}
MEASURES = ("auroc", "average_precision", "accuracy", "sensitivity", "specificity", "mcc")
BEST_FLOOR = "hairpin_trees"


def main(words: list[str]) -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    if "train" in words:
        for data in SETS:
            for name in [word for word in words if word in COMPETITORS] or list(COMPETITORS):
                runs = train(name, data)
                print(name, data, runs["auroc"].round(4).tolist(), round(runs["auroc"].mean(), 4), flush=True)
        return
    Path("docs/precursors.md").write_text(page())
    print("written: docs/precursors.md")


def hairpins(data: str) -> pd.DataFrame:
    """The hairpins of one of `SETS`, each sequence once."""
    table = datasets.load_hairpins(dnnpremir.DATA)
    if data == "all":
        table = pd.concat([table[table["label"] == 1], datasets.load_hairpins("pseudo_hairpins_8492")])
    return table.drop_duplicates("hairpin_seq").drop(columns="split", errors="ignore").reset_index(drop=True)


def train(name: str, data: str) -> pd.DataFrame:
    """The rows of `experiment.benchmark`: five parts of whole families; what is done is not repeated.

    `all` has 2.8 times the hairpins of `balanced`: half the epochs.
    """
    competitor = COMPETITORS[name]
    if data == "all":
        epochs = competitor.settings.epochs // 2
        competitor = replace(competitor, settings=replace(competitor.settings, epochs=epochs, patience=epochs))
    return experiment.benchmark([competitor], hairpins(data), RESULTS / data / name, protocol=PARTS)


def scores(data: str) -> dict[str, np.ndarray]:
    """Scores of all hairpins by the networks that are trained in all parts, and by the floors on the same parts."""
    table = hairpins(data)
    found: dict[str, np.ndarray] = {}
    for name in COMPETITORS:
        files = sorted((RESULTS / data / name / "scores").glob("*.parquet"))
        if len(files) == PARTS.n_runs:
            rows = pd.concat([pd.read_parquet(file) for file in files]).set_index("row").sort_index()
            assert rows["label"].tolist() == table["label"].tolist()
            found[name] = rows["score"].to_numpy(float)
    for file in sorted((RESULTS / "scores").glob("*.parquet")):
        found[file.stem] = pd.read_parquet(file).set_index("hairpin_seq")["score"][table["hairpin_seq"]].to_numpy(float)
    return found | {title: values.to_numpy() for title, values in floor_scores(data, table).items()}


def floor_scores(data: str, table: pd.DataFrame) -> pd.DataFrame:
    """The floors' scores of each hairpin, learned from the four other parts; kept in results/hairpin_table."""
    path = RESULTS / f"{data}-floors.parquet"
    if not path.is_file():
        table, parts = floors.prepared(table), []
        for part in range(PARTS.n_runs):
            split = PARTS.divide(table, part)
            parts.append(floors.all_floors(split["test"], pd.concat([split["train"], split["valid"]])))
        titles = {key: floor.title for key, floor in floors.HAIRPIN_FLOORS.items()}
        RESULTS.mkdir(parents=True, exist_ok=True)
        io.write_table(pd.concat(parts).sort_index().rename(columns=titles), path)
    return pd.read_parquet(path)


def grouped(data: str) -> str:
    """The measures of `scores`, and by how much each is better than the best floor on the same hairpins."""
    labels, found = hairpins(data)["label"].to_numpy(), scores(data)
    beaten = floors.HAIRPIN_FLOORS[BEST_FLOOR].title
    not_learned = {floor.title for floor in floors.HAIRPIN_FLOORS.values() if not floor.learn}
    rows = []
    for name, values in found.items():
        row = flat(labels, values)
        if name in not_learned:  # no probability: no calls
            row |= dict.fromkeys(MEASURES[2:], float("nan"))
        cells = ["", "", ""]
        if name != beaten:
            area = metrics.delong(labels, values, found[beaten])
            precision = metrics.paired_bootstrap(labels, values, found[beaten], metric="average_precision")
            cells = [difference(area), f"{area.p:.1g}", difference(precision)]
        rows.append((name, *(mitar.interval(row, measure) for measure in MEASURES), *cells))
    header = ("", "AUROC", "AP", *MEASURES[2:5], "MCC", f"AUROC less that of {beaten}", "p (DeLong)", "AP less theirs")
    return mitar.markdown(header, rows)


def flat(labels, values) -> dict[str, float]:
    found = metrics.summarise(labels, values).itertuples(index=False)
    return {
        f"{name}{end}": number
        for name, *numbers in found
        for end, number in zip(("", "_low", "_high"), numbers, strict=True)
    }


def difference(found: metrics.Difference) -> str:
    return f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


# ------------------------------------------------------------------------------------------------- the paper's tables

PAPER = {
    "test": {"dnnpremir_cnn": 88.56, "dnnpremir_rnn": 88.43},
    "kfold": {"dnnpremir_cnn": 87.24, "dnnpremir_rnn": 88.44},
    "species": {
        "miRBase 22, macaque": 91.41,
        "miRBase 22, mouse": 87.60,
        "miRBase 22, rat": 88.08,
        "MirGeneDB, macaque": 99.80,
        "MirGeneDB, mouse": 99.33,
        "MirGeneDB, rat": 99.28,
    },
}
"""Accuracies and, of other species, shares called by its CNN, % (Zheng et al. 2019)."""


def held_out() -> str:
    """The 752 test hairpins: ours, the authors' weights, the floors."""
    test = datasets.load_hairpins(f"{dnnpremir.DATA}:test")
    networks = {name: models.load(name) for name in dnnpremir.RECIPES}
    networks |= {f"published {name}": dnnpremir.published(name) for name in dnnpremir.RECIPES}
    first, *others = networks
    found = evaluate.evaluate(
        networks[first],
        test,
        against={name: networks[name] for name in others},
        train=datasets.load_hairpins(f"{dnnpremir.DATA}:train"),
        name=first,
    )
    paper = {f"published {name}": value for name, value in PAPER["test"].items()} | PAPER["test"]
    rows = [(row[0], f"{paper[row[0]]:.2f} %" if row[0] in paper else "", *row[1:]) for row in dnnpremir.figures(found)]
    return mitar.markdown(("", "paper", *dnnpremir.FIGURES[1:]), rows)


def cross_validated() -> str:
    """Ten parts and 70/30: the mean and all values of each network, and of the floors on the same parts."""
    table, rows = datasets.load_hairpins(dnnpremir.DATA), []
    for protocol, how in dnnpremir.PROTOCOLS.items():
        for name in dnnpremir.RECIPES:
            path = dnnpremir.RESULTS / protocol.replace("/", "-") / name / "runs.parquet"
            if path.is_file():
                paper = f"{PAPER['kfold'][name]:.2f} %" if protocol == "kfold" else ""
                values = pd.read_parquet(path)["accuracy"]
                rows.append((protocol, name, paper, f"{len(values)} of {how.n_runs}", *spread(values)))
        accuracies: dict[str, list[float]] = {key: [] for key in dnnpremir.LEARNED}
        for run in range(how.n_runs):
            split = how.divide(floors.prepared(table), run)
            learned = floors.all_floors(split["test"], pd.concat([split["train"], split["valid"]]))
            for key, found in accuracies.items():
                found.append(metrics.accuracy_score(split["test"]["label"], learned[key]))
        for key, found in accuracies.items():
            title = floors.HAIRPIN_FLOORS[key].title
            rows.append((protocol, title, "", f"{how.n_runs} of {how.n_runs}", *spread(pd.Series(found))))
    return mitar.markdown(
        ("protocol", "", "paper", "parts", "accuracy, mean", "95 % of the mean", "lowest, highest"), rows
    )


def spread(values: pd.Series) -> list[str]:
    """The mean, its interval (bootstrap of the parts) and the range, %."""
    rng, numbers = np.random.default_rng(0), 100 * values.to_numpy(float)
    means = rng.choice(numbers, (10_000, len(numbers))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return [f"{numbers.mean():.2f} %", f"{low:.1f}, {high:.1f}", f"{numbers.min():.1f}, {numbers.max():.1f}"]


def species(called_by_mistake: float | None = None) -> str:
    """Shares called of other species' pre-miRNAs."""
    networks = {name: models.load(name) for name in dnnpremir.RECIPES}
    networks |= {f"published {name}": dnnpremir.published(name) for name in dnnpremir.RECIPES}
    paper = {title: f"{value:.2f} %" for title, value in PAPER["species"].items()}
    found = dnnpremir.species(networks, called_by_mistake=called_by_mistake)
    rows = [(row[0], paper.get(row[0], ""), *row[1:]) for row in found]
    return mitar.markdown(("", "paper (CNN)", *networks, *dnnpremir.titles(dnnpremir.LEARNED)), rows)


def called_by_mistake() -> float:
    """The share of unseen pseudo hairpins that the published CNN calls."""
    return float((predict.score(dnnpremir.published("dnnpremir_cnn"), dnnpremir.unseen_pseudo()) >= 0.5).mean())


def page() -> str:
    return PAGE.format(
        held_out=held_out(),
        cross_validated=cross_validated(),
        species=species(),
        at_one_rate=species(called_by_mistake()),
        **{data: grouped(data) for data in SETS},
    )


PAGE = """@@"""

if __name__ == "__main__":
    main(sys.argv[1:])
