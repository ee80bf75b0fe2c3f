"""The figures and pictures of docs/commands/motifs.md, activations.md and clusters.md.

    python recipes/motifs.py

runs the commands below into results/inside/COMMAND_MODEL and copies four pictures to docs/images.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mirscope import cli, datasets

PAIRS = ["--pairs", "clash_hejret2023_mirbench:test"]
DATABASES = ["--database", "rbp", "--database", "seeds", "--database", "jaspar"]
COMMANDS = {
    "motifs_dmiso": ["motifs", "dmiso", *PAIRS, *DATABASES, "--logos", "8"],
    "motifs_dmiso_helwak": ["motifs", "dmiso_helwak", *PAIRS, *DATABASES],
    "motifs_published": ["motifs", "results/inside/published.safetensors", *PAIRS, *DATABASES],
    "motifs_deepmirnatar": ["motifs", "deepmirnatar", *PAIRS, *DATABASES, "--shuffles", "3"],
    "motifs_mitar": ["motifs", "mitar", *PAIRS, *DATABASES, "--shuffles", "3"],
    "activations_deeptarget": ["activations", "deeptarget", *PAIRS],
    "activations_dmiso": ["activations", "dmiso", *PAIRS],
    "activations_mitar": ["activations", "mitar", *PAIRS],
    "activations_deepmirnatar": ["activations", "deepmirnatar", *PAIRS],
    "clusters_dmiso": ["clusters", "--model", "dmiso", *PAIRS],
    "clusters_dmiso_helwak": ["clusters", "--model", "dmiso_helwak", *PAIRS],
}
PICTURES = {
    "motifs_dmiso/logos.png": "logos_dmiso.png",
    "activations_deeptarget/units.png": "units_deeptarget.png",
    "activations_deepmirnatar/attention.png": "attention_deepmirnatar.png",
    "clusters_dmiso/dendrogram.png": "dendrogram_dmiso.png",
}


def main() -> None:
    folder = Path("results/inside")
    folder.mkdir(parents=True, exist_ok=True)
    published = ["--as", "dmiso", "-o", str(folder / "published.safetensors")]
    assert cli.main(["models", "import", str(datasets.path("dmiso_h5")), *published]) == 0
    for name, command in COMMANDS.items():
        print(name)
        assert cli.main([*command, "-o", str(folder / name)]) == 0
    for source, picture in PICTURES.items():
        shutil.copy(folder / source, Path("docs/images") / picture)


if __name__ == "__main__":
    main()
