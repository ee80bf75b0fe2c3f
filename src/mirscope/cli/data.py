"""Commands on the catalogue of public data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from mirscope.cli.common import Debug, Quiet, app, begin, show_table
from mirscope.errors import InputError

data_app = typer.Typer(help="The public data sets: where they are, where they come from.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("list")
def data_list(quiet: Quiet = False, debug: Debug = False) -> None:
    """The data sets, and which are on this machine."""
    begin(quiet)
    from mirscope import datasets

    rows = []
    for name in datasets.names():
        entry = datasets.entry(name)
        rows.append((name, entry.kind, f"{entry.rows:,}" if entry.rows else "", _here(name), entry.what))
    show_table(("data set", "kind", "rows", "here", "what it is"), rows)


@data_app.command("info")
def data_info(name: Annotated[str, typer.Argument()], quiet: Quiet = False, debug: Debug = False) -> None:
    """Origin, licence, citation and checksum of a data set."""
    begin(quiet)
    from mirscope import datasets

    entry = datasets.entry(name)
    for key in ("name", "what", "kind", "rows", "file", "licence", "citation", "page", "sha256", "converter", "note"):
        if getattr(entry, key):
            print(f"{key:10} {getattr(entry, key)}")
    for origin in entry.origins:
        print(f"{'origin':10} {origin}")
    print(f"{'here':10} {_here(name)}")


@data_app.command("path")
def data_path(name: Annotated[str, typer.Argument()], quiet: Quiet = False, debug: Debug = False) -> None:
    """Where a data set is on this machine."""
    begin(quiet)
    from mirscope import datasets

    print(datasets.path(name))


@data_app.command("fetch")
def data_fetch(names: Annotated[list[str], typer.Argument()], quiet: Quiet = False, debug: Debug = False) -> None:
    """Download data sets from their public origins, verified; goes on where it broke off."""
    begin(quiet)
    from mirscope import datasets

    for name in names:
        print(datasets.fetch(name, progress=not quiet))


@data_app.command("verify")
def data_verify(
    names: Annotated[list[str] | None, typer.Argument(show_default="all")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare the local copies with the checksums of the catalogue."""
    begin(quiet)
    from mirscope import datasets

    checks = [datasets.verify(name) for name in names or datasets.names()]
    show_table(("data set", "state", "path"), [(check.name, check.state, check.path or "") for check in checks])
    different = [check for check in checks if check.state == "different"]
    if different:
        raise InputError(f"not the file of the catalogue: {', '.join(check.name for check in different)}")


def _here(name: str) -> str:
    from mirscope import datasets

    try:
        return str(datasets.path(name))
    except InputError:
        return "no"
