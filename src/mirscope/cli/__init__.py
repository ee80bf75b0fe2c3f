"""The command line: parse, call one library function, write. Modules are imported by the command that needs them.

Each file here holds a group of commands, in the order of the help: importing it puts them on `app`.
"""

from __future__ import annotations

import inspect
import itertools
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mirscope.cli import targets, report, explain, interpret, hairpins, discover, reads, functional, training  # noqa: F401  # isort: skip (the order of the help)
from mirscope.cli import negatives, audit, experiments, language, models, data  # noqa: F401  # isort: skip
from mirscope.cli.common import app, start_log
from mirscope.errors import MirscopeError

__all__ = ["app", "main", "start_log"]

for group in (app, *(each.typer_instance for each in app.registered_groups if each.typer_instance)):
    for command in group.registered_commands:  # lines of a paragraph are the terminal's to break
        command.help = re.sub(r"(?<=\S)\n(?=\S)", " ", inspect.getdoc(command.callback) or "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code: 0, 1 (the data), 2 (the question), 130 (interrupted)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code: int = app(args=arguments, prog_name="mirscope", standalone_mode=False) or 0
    except typer.TyperException as error:
        print(f"mirscope: {_usage(error, arguments)}", file=sys.stderr)
        return 2
    except MirscopeError as error:
        if "--debug" in arguments:
            raise
        print(f"mirscope: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if "--debug" in arguments:
            raise
        print(f"mirscope: {error.filename or 'input or output'}: {error.strerror}", file=sys.stderr)
        return 1
    if code == 130:
        print("mirscope: interrupted", file=sys.stderr)
    return code


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from mirscope import __version__

        print(f"mirscope {__version__}")
        raise typer.Exit


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """The message of a usage error in one line, with the value, which typer leaves out."""
    message = " ".join(error.format_message().split())
    options = getattr(getattr(error, "param", None), "opts", [])
    given = [value for option, value in itertools.pairwise(arguments) if option in options]
    return f"{message} (given: {' '.join(given)})" if given else message
