"""The tables of README.md and docs/evaluation.md: every model on every set, the floors beside it; `make docs`.

    python recipes/tables.py

writes docs/evaluation.md and the lines between the markers of README.md. Needs the data sets of the catalogue.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import torch

from mirscope import cli, datasets, evaluate, floors, io, metrics, models, predict
from mitar import interval, markdown

SETS = {
    "mirtarraw:test": "MirTarRAW test",
    "deepmirtar:test": "DeepMirTar test",
    "miraw:test": "miRAW test",
    "deepmirtar_left": "DeepMirTarLeft",
    "miraw_left": "miRAWLeft",
    "deepmirtar_in": "DeepMirTarIn",
    "miraw_in": "miRAWIn",
    "clash_hejret2023_mirbench:test": "Hejret, bias-corrected",
}
IN_TRAINING = {  # sets whose pairs a model may have learned from
    "mitar": {"deepmirtar:test", "miraw:test"},
    "mitar1": {"mirtarraw:test", "deepmirtar_left"},
    "mitar2": {"mirtarraw:test", "miraw_left"},
}
FLOORS = {key: floor.title for key, floor in floors.FLOORS.items()}
MODELS = ["published mitar", "mitar", "mitar1", "mitar2"]
KINDS = {"random": "random", "shuffled": "shuffled 3'UTR", "real": "3'UTR"}


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(2)
    networks = {name: load(name) for name in MODELS}
    accuracy, ranking, readme = [], [], []
    for data, title in SETS.items():
        print(data, flush=True)
        pairs = datasets.load_pairs(data)
        learn = datasets.load_pairs(f"{source(data)}:train")
        found = evaluate.evaluate(networks["published mitar"], pairs, train=learn, threads=2)
        rows = {"published mitar": found.table.iloc[0]}
        for name in MODELS[1:]:
            scores = predict.score(networks[name], pairs)
            rows[name] = flat(metrics.summarise(pairs["label"], scores))
        beside = found.table.iloc[1:].set_index("predictor")
        fresh = {name for name in MODELS if data not in IN_TRAINING[name.split()[-1]]}
        counts = f"{found.n_positive:,} / {found.n - found.n_positive:,}"
        for table, metric in ((accuracy, "accuracy"), (ranking, "auroc")):
            cells = [interval(rows[name], metric) if name in fresh else "" for name in MODELS]
            table.append((title, counts, *cells, *(short(beside[metric][floor]) for floor in FLOORS.values())))
        if "mitar" in fresh:
            measured = (rows["mitar"]["accuracy"], rows["mitar"]["auroc"], rows["published mitar"]["auroc"])
            names = ("mirna_identity", "gene_identity", "duplex_energy")
            floor = [short(beside["auroc"][FLOORS[name]]) for name in names]
            readme.append((title, counts, *map(short, measured), *floor))

    header = ("pairs", "positive / negative", *MODELS, *FLOORS.values())
    calls = background(networks)
    text = DOCUMENT.format(accuracy=markdown(header, accuracy), auroc=markdown(header, ranking), calls=calls)
    Path("docs/evaluation.md").write_text(text)
    ours = ("accuracy", "AUROC", "AUROC, published weights", "miRNA name alone", "gene name alone", "duplex energy")
    header = ("pairs", "positive / negative", *ours)
    replace("README.md", "evaluation", markdown(header, readme))
    replace("README.md", "background", calls)


def load(name: str) -> models.Model:
    """Bundled weights, or the published ones, imported for this table only."""
    if not name.startswith("published "):
        return models.load(name)
    return models.import_keras(datasets.path(f"{name.split()[1]}_h5"), "mitar")


def source(data: str) -> str:
    """The set whose train split the floors learn from: its own, or that of the published miTAR."""
    return data.removesuffix(":test") if data.endswith(":test") else "mirtarraw"


def flat(summary) -> dict[str, float]:
    return {
        metric + end: value
        for metric, *values in summary.itertuples(index=False)
        for end, value in zip(("", "_low", "_high"), values, strict=True)
    }


def short(value: float) -> str:
    return "" if value != value else f"{value:.3f}"


def background(networks: dict[str, models.Model]) -> str:
    """Share of windows called at .5, and calls per kb and miRNA, for 20 miRNAs of miRAW on 500 windows of each kind."""
    positives = datasets.load_pairs("miraw:train").query("label == 1").drop_duplicates("mirna_seq")
    drawn = positives.sample(20, random_state=0)
    queries = [io.Record(*row) for row in zip(drawn["mirna_id"], drawn["mirna_seq"], strict=True)]
    utrs = io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)
    rows = []
    for name, network in {**networks, "seed": models.load("seed")}.items():
        for threshold in (0.5, 0.9) if name != "seed" else (0.5,):
            table = evaluate.background(network, utrs, queries, threshold=threshold, n_windows=500)
            pooled = table[table["mirna_id"] == evaluate.ALL].set_index("kind")
            cells = [f"{100 * pooled['rate'][k]:.1f} % ({pooled['calls_per_kb'][k]:.1f})" for k in KINDS]
            rows.append((name, threshold, *cells))
    return markdown(("model", "called at", *KINDS.values()), rows)


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

Made by `python recipes/tables.py`; [what the columns mean](commands/evaluate.md). Empty: undefined (one class only),
not available, or pairs the model may have learned from. `published mitar` are the authors' weights of miTAR, imported;
the others are trained by mirscope. Floors learn from the train split of the set, or of MirTarRAW where it has none.
`mitar2`, whose window is 40 nt, scores a longer target by its best window.

## Accuracy at score 0.5, with 95 % intervals

{accuracy}

## AUROC, with 95 % intervals

{auroc}

DeepMirTarIn holds positives only: its accuracy is a sensitivity, and calling everything would be perfect.

## Calls on sequence without known sites

Share of windows called (and calls per kb and miRNA at the model's stride): 20 miRNAs, 500 windows of each kind; random
nucleotides, 3'UTR windows with shuffled dinucleotides, and 3'UTR windows as they are, which hold some real sites.

{calls}
"""

if __name__ == "__main__":
    main()
