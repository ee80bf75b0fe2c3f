"""The honest tables of README.md and docs/evaluation.md: every model on every set, the floors beside it; `make docs`.

    python recipes/retrained.py      # once: every architecture trained on the same chimeras (results/retrained)
    python recipes/tables.py

writes docs/evaluation.md and the lines between the markers of README.md. Needs the data sets of the catalogue. Scores
and counts of calls are kept in results/tables, under what the model is, and not computed twice.
"""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirscope import cli, datasets, evaluate, floors, io, metrics, models, predict
from mitar import interval, markdown
from retrained import RUNS

SETS = {
    "mirtarraw:test": "MirTarRAW test",
    "miraw_in": "miRAWIn",
    "deepmirtar_in": "DeepMirTarIn",
    "deepmirnatar:test": "DeepmiRNATar test",
    "clash_helwak2013_1to1:test": "Helwak 1:1 test",
    "clash_hejret2023:test": "Hejret 1:1 test",
    "clash_hejret2023_mirbench:test": "Hejret, bias-corrected",
}
HONEST = "clash_hejret2023_mirbench:test"
PROTOCOLS = ("deepmirtar:test", "miraw:test", "deepmirtar_left", "miraw_left")
"""Sets of the papers that only the table of accuracies shows."""
PUBLISHED = {"mitar": "mirtarraw", "dmiso": ""}
"""Published weights, and the set they were trained on."""
UNWEIGHTED = [name for name in models.names(models.PAIR) if not models.needs_weights(name)]
LEARNED = {key: floor.title for key, floor in floors.FLOORS.items() if floor.learn}
KINDS = {"random": "random", "shuffled": "shuffled 3'UTR", "real": "3'UTR"}
SEEN = 0.01
"""Share of a set's positives in a model's training part from which its figure is marked."""


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    networks = {f"published {name}": load(name) for name in PUBLISHED}
    networks |= {name: models.load(name) for name in (*models.bundled(models.PAIR), *UNWEIGHTED)}
    trained = {name: network for name, network in networks.items() if name not in UNWEIGHTED}
    measured = {data: measure(networks, data) for data in SETS} | {data: measure(trained, data) for data in PROTOCOLS}
    shown = [*networks, *LEARNED.values()]
    tables = {
        metric: markdown(
            ("", *SETS.values()),
            [(name, *(cell(measured[data], name, metric) for data in SETS)) for name in shown],
        )
        for metric in ("auroc", "average_precision")
    }
    sizes = [(SETS.get(data, data), *measured[data]["size"]) for data in (*SETS, *PROTOCOLS)]
    accuracy = markdown(
        ("", *(SETS.get(data, data) for data in measured)),
        [(name, *(cell(found, name, "accuracy") for found in measured.values())) for name in shown],
    )
    calls = background(networks)
    fair = retrained(networks)
    text = DOCUMENT.format(
        sizes=markdown(("pairs", "positives", "negatives"), sizes),
        fair=markdown(FAIR, [row[:-1] for row in fair]),
        auroc=tables["auroc"],
        average_precision=tables["average_precision"],
        accuracy=accuracy,
        calls=markdown(("model", *KINDS.values()), [(name, *cells) for name, cells in calls.items()]),
    )
    Path("docs/evaluation.md").write_text(text)
    replace("README.md", "evaluation", headline(measured, calls, fair))


def load(name: str) -> models.Model:
    """The published weights, imported for this table only."""
    model = models.import_keras(datasets.path(f"{name}_h5"), name)
    model.provenance["data"] = PUBLISHED[name]
    return model


def measure(networks: dict[str, models.Model], data: str) -> dict:
    """Measures of every network and learned floor on a set, by name; `seen` are the networks that learned from it."""
    print(data, flush=True)
    pairs = datasets.load_pairs(data)
    source = data.removesuffix(":test") if data.endswith(":test") else "mirtarraw"
    found: dict = {"size": (f"{(pairs['label'] == 1).sum():,}", f"{(pairs['label'] == 0).sum():,}"), "seen": set()}
    for name, network in networks.items():
        found[name] = flat(pairs["label"], kept(network, data, lambda model: predict.score(model, pairs)))
        positives = keys(pairs[pairs["label"] == 1])
        learned_from = "" if data in network.provenance.get("left_out", ()) else network.provenance.get("data", "")
        if positives.isin(training(learned_from)).mean() > SEEN:
            found["seen"].add(name)
    learned = floors.all_floors(pairs, datasets.load_pairs(f"{source}:train"), max_rows=0)
    for key, title in LEARNED.items():
        if learned[key].notna().all():
            found[title] = flat(pairs["label"], learned[key])
    return found


def kept(network: models.Model, what: str, compute: Callable[[models.Model], np.ndarray]) -> np.ndarray:
    """What was computed of a network, from the file that holds it if there is one."""
    key = f"{models.architecture(network)}-{models.fingerprint(network)[:16]}-{what.replace(':', '-')}"
    path = Path("results/tables") / f"{key}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with io.atomic(path) as partial, partial.open("wb") as file:
            np.save(file, compute(network))
    return np.load(path)


@functools.cache
def training(data: str) -> pd.Index:
    """Keys of the training part of the sets a model was trained on."""
    sets = [datasets.load_pairs(f"{name}:train") for name in data.split("+") if name]
    return pd.Index(pd.concat([keys(table) for table in sets])) if sets else pd.Index([])


def keys(pairs: pd.DataFrame) -> pd.Series:
    """What makes two pairs the same, whatever the ends of the miRNA: its nt 2 to 12, and the target."""
    return pairs["mirna_seq"].str[1:12] + " " + pairs["target_seq"]


def flat(labels, scores) -> dict[str, float]:
    return {
        metric + end: value
        for metric, *values in metrics.summarise(labels, scores).itertuples(index=False)
        for end, value in zip(("", "_low", "_high"), values, strict=True)
    }


def cell(found: dict, name: str, metric: str) -> str:
    """A figure with its interval, marked where the model has learned from these pairs."""
    text = interval(found[name], metric) if name in found else ""
    return f"{text} †" if text and name in found["seen"] else text


FAIR = ("", "AUROC", "average precision", "AP less that of RNAduplex", "AUROC less that of RNAduplex", "p (DeLong)")


def retrained(networks: dict[str, models.Model]) -> list[tuple]:
    """Rows of the fair comparison: every architecture after the same training, and what needs none."""
    pairs = datasets.load_pairs(HONEST)
    scores = {name: kept(networks[name], HONEST, lambda model: predict.score(model, pairs)) for name in UNWEIGHTED}
    for path in sorted(RUNS.glob("*/test.tsv")):
        table = io.read_pairs(path)
        assert (table["target_seq"] == pairs["target_seq"].to_numpy()).all()
        scores[f"{path.parent.name}, retrained"] = table["score"].to_numpy(float)
    rows = []
    for name, values in scores.items():
        row = flat(pairs["label"], values)
        cells = [interval(row, "auroc"), interval(row, "average_precision")]
        if name == "rnaduplex":
            cells += ["", "", ""]
        else:
            both = pairs["label"].to_numpy(), np.asarray(values, float), np.asarray(scores["rnaduplex"], float)
            precision = metrics.paired_bootstrap(*both, metric="average_precision")
            area = metrics.delong(*both)
            cells += [difference(precision), difference(area), f"{area.p:.2g}"]
        rows.append((name, *cells, row["average_precision"]))
    return sorted(rows, key=lambda row: -row[-1])


def difference(found) -> str:
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def background(networks: dict[str, models.Model]) -> dict[str, list[str]]:
    """Share of windows called at .5, and calls per kb and miRNA, for 20 miRNAs of miRAW on 500 windows of each kind."""
    positives = datasets.load_pairs("miraw:train").query("label == 1").drop_duplicates("mirna_seq")
    drawn = positives.sample(20, random_state=0)
    queries = [io.Record(*row) for row in zip(drawn["mirna_id"], drawn["mirna_seq"], strict=True)]
    utrs = io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)
    rows = {}
    for name, network in networks.items():
        print("background", name, flush=True)
        called = kept(
            network, "background", lambda model: calls_per_kb(evaluate.background(model, utrs, queries, n_windows=500))
        )
        rows[name] = [f"{100 * rate:.1f} % ({per_kb:.1f})" for rate, per_kb in called]
    return rows


def calls_per_kb(table: pd.DataFrame) -> np.ndarray:
    """Share of windows called, and calls per kb, of all miRNAs together: a row for each of `KINDS`."""
    pooled = table[table["mirna_id"] == evaluate.ALL].set_index("kind")
    return pooled.loc[list(KINDS), ["rate", "calls_per_kb"]].to_numpy(float)


def headline(measured: dict, calls: dict[str, list[str]], fair: list[tuple]) -> str:
    """The table of the README: the honest column last, the fair one beside it."""
    shown = ("mirtarraw:test", "deepmirnatar:test", "clash_helwak2013_1to1:test", "clash_hejret2023:test", HONEST)
    again = {row[0].removesuffix(", retrained"): row[1] for row in fair}
    rows = []
    ours = [name for name in calls if name.startswith("duplex")]
    for name in dict.fromkeys([*ours, "seed", *UNWEIGHTED, *calls, *LEARNED.values()]):
        cells = []
        for data in shown:
            found = measured[data].get(name, {})
            value = found.get("auroc", float("nan"))
            text = interval(found, "auroc") if data == HONEST and value == value else short(value)
            cells.append(text + (" †" if value == value and name in measured[data]["seen"] else ""))
        per_kb = calls[name][1].split("(")[1].rstrip(")") if name in calls else ""
        rows.append((name, *cells, again.get(name, "") if name not in UNWEIGHTED else "no training", per_kb))
    header = ("AUROC on", *(SETS[data] for data in shown), "the same, after training on its training part", "calls/kb")
    return markdown(header, rows)


def short(value: float) -> str:
    return "" if value != value else f"{value:.3f}"


def replace(path: str, marker: str, text: str) -> None:
    """Put the text between <!-- MARKER --> and <!-- /MARKER -->."""
    file = Path(path)
    pattern = re.compile(f"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    assert pattern.search(file.read_text()), f"{path} lacks the marker {marker}"
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        new.write(pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", file.read_text()))
    Path(new.name).chmod(0o644)
    Path(new.name).replace(file)


DOCUMENT = """# Evaluation

Made by `python recipes/tables.py` (and, for the fair comparison, `python recipes/retrained.py`);
[what the columns mean](commands/evaluate.md). `published NAME` are the authors' weights, imported; `mitar`, `mitar1`,
`mitar2`, `deeptarget`, `deepmirnatar`, `dmiso`, `dmiso_helwak` and [`dmiso_chimeras`](dmiso_chimeras.md) are trained by
mirscope; `duplex`, `duplex_clash` and
`duplex_eclip` are [our own network](duplex.md), trained on both kinds of evidence, on chimeras alone, on soft labels
alone (nothing they learned from shares 20 nt with a test site of Hejret, Helwak, miRAW or DeepMirTar); the others have
nothing to train: `seed` (seed types), `rnaduplex` and `rnacofold` (energies), `miranda` (alignment score). The last
rows are floors that look at one name or one sequence only; they learn from the train split of the set, or of MirTarRAW
where it has none.

- Intervals: 95 %, bootstrap of the pairs.
- † the model has seen more than 1 % of the positives in training (same target, same nt 2-12 of the miRNA).
- Empty: undefined (DeepMirTarIn holds positives only; its accuracy is a sensitivity), or not available.
- A target longer than a model's window is scored by its best window.

## The fair comparison: the same training for every architecture

Hejret's chimeras with negatives that balance the miRNAs (miRBench), test part. Every architecture was trained on the
training part, nothing else, by the same recipe: a fifth of it, whole clusters of sites, for validation, the best of two
learning rates by validation (.001 and .003; `duplex`, which has 973 parameters, .003 and .01), the mean logit of three
random states.

{fair}

## The sets

{sizes}

## AUROC

{auroc}

## Average precision

{average_precision}

## Accuracy at score 0.5

{accuracy}

## Calls on sequence without known sites

Share of windows called at 0.5 (and calls per kb and miRNA at the model's stride): 20 miRNAs, 500 windows of each
kind: random nucleotides, 3'UTR windows with shuffled dinucleotides, and 3'UTR windows as they are, which hold some
real sites.

{calls}
"""

if __name__ == "__main__":
    main()
