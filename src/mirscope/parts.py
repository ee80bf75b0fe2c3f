"""Work in parts that are kept as they are finished, so that a run that was stopped goes on where it was.

A pass is a list of jobs, and each leaves a file. Its rows are in shares, one for each job of the pass that comes after:
so what belongs together comes together, however much there is, and nothing has to be in memory at once.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mirscope import io, runs, workers
from mirscope.errors import InputError

Shared = TypeVar("Shared")
Job = TypeVar("Job")


Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Shows how far a pass is: a block, of title and size (`None`: unknown), with a function to call with what is done."""


@contextlib.contextmanager
def no_progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Shows nothing."""
    yield lambda n: None


@contextlib.contextmanager
def unfinished(
    folder: Path, identity: dict[str, Any], *, what: str, source: str | Path, resume: bool
) -> Iterator[Path]:
    """Where the parts of a run to `folder` wait until the block ends, as `runs.begin_parts`, which see.

    They stay when the block fails, to be gone on with; but not where `source`, the input, is at fault: what was made of
    it is of no use.

    Raises:
        InputError: `folder` is a file, or cannot be written to.
    """
    io.expect_folder(folder)
    new, parts = not folder.exists(), folder / "unfinished"
    runs.begin_parts(parts, identity, what=what, resume=resume)
    try:
        yield parts
    except InputError as error:
        if str(error.path) == str(source):
            shutil.rmtree(parts)
            if new:
                folder.rmdir()
        raise
    shutil.rmtree(parts)


def carry_out(
    function: Callable[[Shared, Job, Path], None],
    shared: Shared,
    jobs: Iterable[Job],
    folder: Path,
    *,
    what: str,
    processes: int,
    size: Callable[[Job], int] = lambda job: 1,
    report: Callable[[int], None] = lambda n: None,
) -> list[Path]:
    """The files that `function(shared, job, path)` left of the jobs, in their order; what is there is not made again.

    Args:
        function: of a module; writes the file at once or not at all (`write`).
        shared: sent once to each process.
        jobs: always the same.
        folder: of the files.
        what: their names begin with.
        processes: jobs at the same time.
        size: of a job.
        report: called with it when a job is done.

    Raises:
        MirscopeError: a process was killed.
    """
    paths: list[Path] = []
    sizes: deque[int] = deque()

    def todo() -> Iterator[tuple[Job, Path]]:
        for job in jobs:
            paths.append(folder / f"{what}-{len(paths):06d}.parquet")
            if paths[-1].is_file():
                report(size(job))
            else:
                sizes.append(size(job))
                yield job, paths[-1]

    for _ in workers.in_order(_work, _Work(function, shared), todo(), processes=processes):
        report(sizes.popleft())
    return paths


@dataclass(frozen=True)
class _Work(Generic[Shared, Job]):
    function: Callable[[Shared, Job, Path], None]
    shared: Shared


def _work(work: _Work[Shared, Job], job: tuple[Job, Path]) -> None:
    work.function(work.shared, *job)


def share(texts: Iterable[str], n_shares: int) -> NDArray[np.int64]:
    """The share (n,) of each text: always the same, and about as many in each."""
    return np.array([zlib.crc32(text.encode()) % n_shares for text in texts], dtype=np.int64)


def write(
    path: Path, table: pd.DataFrame, shares: NDArray[np.int64], n_shares: int, notes: Mapping[str, Any] | None = None
) -> None:
    """Write a table by its rows' shares (n,), 0 to n_shares - 1, and notes (JSON); rows of a share keep order."""
    rows = pa.Table.from_pandas(table, preserve_index=False)
    rows = rows.replace_schema_metadata({"notes": json.dumps(dict(notes or {}))})
    order = np.argsort(shares, kind="stable")
    bounds = np.searchsorted(shares[order], np.arange(n_shares + 1))
    rows = rows.take(pa.array(order))
    with io.atomic(path) as partial, pq.ParquetWriter(partial, rows.schema, compression="zstd") as writer:
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            writer.write_table(rows.slice(low, high - low), row_group_size=max(high - low, 1))


def read(paths: Sequence[Path], share: int | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A share of files (`None`: all of them), one after the other; all columns or those named."""
    names, found = None if columns is None else list(columns), []
    for path in paths:
        with pq.ParquetFile(path) as file:
            found.append(file.read(names) if share is None else file.read_row_group(share, names))
    return pa.concat_tables(found).replace_schema_metadata().to_pandas()


def n_rows(path: Path) -> int:
    """Rows of a file."""
    return int(pq.read_metadata(path).num_rows)


def notes(path: Path) -> dict[str, Any]:
    """The notes of a file."""
    found: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"notes"])
    return found
