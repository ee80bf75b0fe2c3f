"""Commands on models: list, info, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirscope.cli.common import Debug, Quiet, app, begin, show_table

if TYPE_CHECKING:
    from mirscope.models import Model

models_app = typer.Typer(help="Networks and their trained weights.", no_args_is_help=True)
app.add_typer(models_app, name="models")


@models_app.command("list")
def models_list(quiet: Quiet = False, debug: Debug = False) -> None:
    """The models that score, scan and evaluate know by name."""
    begin(quiet)
    from mirscope import models

    rows = []
    for name in [*models.bundled(), *(n for n in models.names() if not models.needs_weights(n))]:
        model = models.load(name)
        n_parameters = sum(parameter.numel() for parameter in model.parameters())
        every = f", every {model.stride}" if model.inputs == models.PAIR else ""
        window = f"{model.lengths[-1]} nt{every}" if model.lengths[-1] < models.ANY_LENGTH else "any length"
        rows.append((name, models.architecture(model), f"{n_parameters:,}", window, _source(model)))
    show_table(("model", "network", "parameters", "window", "trained on"), rows)
    print(f"\nnetworks to train: {', '.join(n for n in models.names() if models.needs_weights(n))}")


@models_app.command("info")
def models_info(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE")], quiet: Quiet = False, debug: Debug = False
) -> None:
    """The model card: data, split, figures with intervals and floors, limits."""
    begin(quiet)
    import json

    from mirscope import models

    network = models.load(model)
    print(models.card(network) or f"# {network.name}\n")
    print(f"network      {models.architecture(network)}: {type(network).__doc__}")
    print(f"settings     {network.config}")
    print(f"parameters   {sum(parameter.numel() for parameter in network.parameters()):,}")
    print(f"provenance   {json.dumps(network.provenance, indent=2)}")


@models_app.command("import")
def models_import(
    path: Annotated[Path, typer.Argument(metavar="FILE.h5", help="Published Keras weights (HDF5).")],
    name: Annotated[str, typer.Option("--as", help="The network they are of, e.g. mitar.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weight file to write (.safetensors).")],
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn published Keras weights into a weight file for --model. Nothing in the file is executed."""
    begin(quiet)
    from mirscope import models

    models.save(models.import_keras(path, name), output)


def _source(model: Model) -> str:
    learned_from = [model.provenance.get(key, "") for key in ("data", "soft_labels", "imported_from")]
    return " + ".join(filter(None, learned_from)) or "no training"
