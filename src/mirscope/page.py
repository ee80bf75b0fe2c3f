"""A page of words, numbers, tables and pictures in one HTML file: no network and no script is needed to read it."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype

from mirscope import __version__, io, plot


@dataclass(frozen=True)
class Note:
    """A paragraph that stands out: how to read what is beside it."""

    text: str
    kind: ClassVar = "note"


@dataclass(frozen=True)
class Tiles:
    """The few numbers to see first, each with its name."""

    values: Mapping[str, object]
    kind: ClassVar = "tiles"


@dataclass(frozen=True)
class Facts:
    """Names and values, one below the other: settings, versions."""

    values: Mapping[str, object]
    kind: ClassVar = "facts"


@dataclass(frozen=True)
class Links:
    """Other pages by name, for a reader who has a network; nothing of them is loaded."""

    values: Mapping[str, str]
    kind: ClassVar = "links"


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawing of `plot`; pictures that follow each other stand side by side where the window is wide enough."""

    drawing: Axes | Figure
    caption: str
    wide: bool = False
    """As wide as the page, beside no other."""
    kind: ClassVar = "picture"

    @cached_property
    def uri(self) -> str:
        """The picture itself, as SVG."""
        return "data:image/svg+xml;base64," + base64.b64encode(plot.svg(self.drawing)).decode()


@dataclass(frozen=True, eq=False)
class Table:
    """A table, its columns named as in its header; numbers and shares stand to the right."""

    frame: pd.DataFrame
    caption: str = ""
    kind: ClassVar = "table"

    @property
    def header(self) -> list[tuple[str, bool]]:
        """Each column's name, and whether it holds numbers."""
        return [(str(name), _is_number(column)) for name, column in self.frame.items()]

    @property
    def rows(self) -> Iterator[list[tuple[object, bool]]]:
        """Values, each with whether it is a number."""
        numbers = [number for _, number in self.header]
        for row in self.frame.itertuples(index=False, name=None):
            yield list(zip(row, numbers, strict=True))


Part = str | Note | Tiles | Facts | Links | Picture | Table
"""A str is a paragraph. All text is text: what looks like HTML is shown, not obeyed."""


@dataclass(frozen=True, eq=False)
class Section:
    """A heading and what stands under it."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, eq=False)
class Page:
    """A page."""

    title: str
    lead: str = ""
    """A line below the title."""
    sections: Sequence[Section] = field(default_factory=tuple)

    def html(self) -> str:
        """The whole page."""
        return _templates.get_template("page.html").render(page=self, version=__version__)

    def write(self, path: Path) -> None:
        """Write the page; it appears when complete."""
        with io.atomic(path) as partial:
            partial.write_text(self.html(), encoding="utf-8")


def made(run: Mapping[str, Any], facts: Mapping[str, object], settings: Mapping[str, Mapping[str, object]]) -> Section:
    """How a page was made: a record of `runs.environment`, what else is to be known, settings under their titles."""
    told = {
        "command": shlex.join(["mirscope", *run["command"][1:]]),
        "finished": run["finished"],
        "Python": run["python"],
        "machine": run["machine"],
        **run["versions"],
        **facts,
    }
    parts: list[Part] = [Facts(told)]
    for title, values in settings.items():
        parts += [f"{title}:", Facts({name.replace("_", " "): value for name, value in values.items()})]
    return Section("How this was made", parts)


def shown(value: object) -> str:
    """A value as it stands on a page: thousands with commas, three significant digits, - where there is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not float(value).is_integer():
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int | float):
        return f"{int(value):,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return str(value) if value not in ("", None) else "–"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; - of nothing."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.2g} %" if 0 < percent < 10 else f"{percent:.0f} %"


_NUMBER = re.compile(r"|–|[<+−-]?\s?\d*\.?\d+([Ee][+-]\d+)?( %)?(\n.*)?")
"""A number or a share, and an interval or so below it; or none."""


def _is_number(column: pd.Series) -> bool:
    return bool(is_numeric_dtype(column) or (len(column) and column.str.fullmatch(_NUMBER).all()))


def _groups(parts: Iterable[Part]) -> list[tuple[str, list[Part]]]:
    """Parts of one kind that follow each other, together."""
    found = groupby(parts, lambda part: "text" if isinstance(part, str) else part.kind)
    return [(kind, list(some)) for kind, some in found]


def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters: dict[str, Any] = {"shown": shown, "groups": _groups}
    made.filters.update(filters)
    return made


_templates = _environment()
