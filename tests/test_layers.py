"""Imports point down the layers, never up."""

import ast
from pathlib import Path

import mirscope

LAYERS = [
    {"errors", "rna"},
    {"workers"},
    {"metrics", "tables"},
    {"io"},
    {"runs", "annotation", "align", "plot"},
    {"parts"},
    {"reads", "ligation", "page"},
    {"reports"},
    {"isomir"},
    {"chimera"},
    {"simulate"},
    {"language"},
    {"models", "datasets", "floors"},
    {"splits"},
    {"negatives"},
    {"background", "repression"},
    {"predict"},
    {"train", "gradients"},
    {"evaluate", "scan", "audit", "hairpins"},
    {"compare"},
    {"heatmap", "enrich", "variants", "discover", "interpret"},
    {"activations", "clusters", "pair_report", "evaluation_report", "explanations"},
    {"motifs"},
    {"experiment"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ROOT = Path(mirscope.__file__).parent


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "mirscope":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mirscope."):
            found.add(node.module.split(".")[1])
    return found & LEVEL.keys()


def test_every_module_has_a_layer():
    modules = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert modules - {"__init__", "__main__"} == LEVEL.keys()


def test_imports_point_down():
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for other in imported(path) - {name}:
            assert LEVEL[other] < LEVEL.get(name, len(LAYERS)), f"{path} imports {other}"
