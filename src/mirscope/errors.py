"""The exceptions of mirscope; the command line prints one line of each and exits with its `exit_code`.

MirscopeError
├── UsageError            the question cannot be asked that way (unknown model, option out of range): exit 2
├── DownloadError         a public file could not be fetched or is not the file we know: exit 1
└── InputError            a file given by the user is not what was expected: exit 1
    ├── SequenceError     a sequence holds a character outside the RNA alphabet
    ├── RepeatedIdError   an id comes twice in one file
    ├── TableError        a column is missing or a value is not of its kind
    └── WeightsError      a weight file is not one of ours, or not of that network
"""

from __future__ import annotations

from pathlib import Path


class MirscopeError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 1


class UsageError(MirscopeError):
    """The command or call itself cannot be carried out as asked."""

    exit_code = 2


class DownloadError(MirscopeError):
    """A public file could not be fetched, or what came is not the file of the catalogue."""


class InputError(MirscopeError):
    """A file is not what was expected.

    Args:
        problem: what is wrong and what was expected, naming the value.
        path: the file; `None` when the data did not come from one.
        line: 1-based line number.
        record: id of the record, where it has one.
    """

    def __init__(
        self, problem: str, *, path: str | Path | None = None, line: int | None = None, record: str | None = None
    ) -> None:
        super().__init__(problem)
        self.problem, self.path, self.line, self.record = problem, path, line, record

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line) if part is not None)
        return ": ".join(part for part in (place, self.record, self.problem) if part)


class SequenceError(InputError):
    """A sequence holds a character outside the RNA alphabet.

    Args:
        char: the offending character.
        position: its 1-based position in the sequence.
    """

    def __init__(
        self,
        char: str,
        position: int,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        record: str | None = None,
    ) -> None:
        problem = f"unexpected {char!r} at position {position}; expected A C G U T N or an IUPAC code"
        super().__init__(problem, path=path, line=line, record=record)
        self.char, self.position = char, position


class RepeatedIdError(InputError):
    """An id comes twice in one file."""


class TableError(InputError):
    """A table lacks a column, or a value is not of its column's kind."""


class WeightsError(InputError):
    """A weight file is not one of ours, is damaged, or belongs to another network."""
