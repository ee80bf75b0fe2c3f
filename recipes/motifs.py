"""The figures and pictures of docs/commands/motifs.md, activations.md and clusters.md.

    python recipes/motifs.py

runs the commands below into results/inside/COMMAND_MODEL, prints the tables of the pages, and copies four pictures to
docs/images.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from PIL import Image

from mirscope import cli, datasets, metrics, models, predict

FOLDER = Path("results/inside")
PUBLISHED = FOLDER / "published.safetensors"
PAIRS = "clash_hejret2023_mirbench:test"
HAIRPINS = "dnnpremir_human_balanced:test"
DATABASES = ["--database", "rbp", "--database", "seeds", "--database", "jaspar"]
MOTIFS = {
    "dmiso": [PAIRS, *DATABASES, "--logos", "8"],
    "dmiso_chimeras": [PAIRS, *DATABASES],
    "dmiso_helwak": [PAIRS, *DATABASES],
    str(PUBLISHED): [PAIRS, *DATABASES],
    "deepmirnatar": [PAIRS, *DATABASES],
    "mitar": [PAIRS, *DATABASES],
    "dnnpremir_cnn": [HAIRPINS, "--database", "rbp"],
}
ACTIVATIONS = ("deeptarget", "dmiso", "dmiso_chimeras", "mitar", "deepmirnatar")
CLUSTERS = ("dmiso", "dmiso_chimeras", "dmiso_helwak", "duplex")
PICTURES = {
    "motifs_dmiso/logos.png": "logos_dmiso.png",
    "activations_deeptarget/units.png": "units_deeptarget.png",
    "activations_deepmirnatar/attention.png": "attention_deepmirnatar.png",
    "clusters_duplex/dendrogram.png": "dendrogram_duplex.png",
}


def run(command: str, *rest: str) -> None:
    print(command, *rest, flush=True)
    assert cli.main([command, *rest]) == 0


def found(command: str, model: str, name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{command}_{Path(model).stem}" / name, sep="\t")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    run("models", "import", str(datasets.path("dmiso_h5")), "--as", "dmiso", "-o", str(PUBLISHED))
    for model in ACTIVATIONS:
        run("activations", model, PAIRS, "-o", str(FOLDER / f"activations_{model}"))
    for model in CLUSTERS:
        run("clusters", model, PAIRS, "-o", str(FOLDER / f"clusters_{model}"))
    for model, options in MOTIFS.items():
        run("motifs", model, *options, "-o", str(FOLDER / f"motifs_{Path(model).stem}"))

    for model, (data, *_) in MOTIFS.items():
        examples = datasets.load(data)
        logits = predict.example_logits(models.load(model), examples)
        print(f"\n{model}: AUROC {metrics.auroc_score(examples['label'], logits):.3f}")
        kernels = found("motifs", model, "kernels.tsv").drop_duplicates("kernel")
        change, low, high = (kernels[f"auroc_{name}"] for name in ("change", "low", "high"))
        print(f"{len(kernels)} kernels, logit spread median {kernels['logit_spread'].median():.3f}")
        print(f"AUROC falls without {(high < 0).sum()}, rises without {(low > 0).sum()} (95 % interval beyond 0)")
        print(f"it moves by 0.01 or more without {(change.abs() >= 0.01).sum()}; the five of most effect:")
        print(kernels.loc[change.abs().sort_values(ascending=False).index[:5]].to_string())
        print(found("motifs", model, "summary.tsv").to_string())
    for model in ACTIVATIONS:
        report = json.loads((FOLDER / f"activations_{model}" / "run.json").read_text())
        print(
            f"\n{model}", *(report[name] for name in ("best_unit", "attention", "masked") if name in report), sep="\n"
        )
    for model in CLUSTERS:
        print(f"\n{model}", json.loads((FOLDER / f"clusters_{model}" / "run.json").read_text())["clusters"], sep="\n")
        print(found("clusters", model, "profiles.tsv").mean(numeric_only=True).round(3).to_dict())

    for source, picture in PICTURES.items():  # 256 colours: a third of the bytes
        with Image.open(FOLDER / source) as image:
            few = image.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(Path("docs/images") / picture, optimize=True)


if __name__ == "__main__":
    main()
