"""Probabilities of miRNAs on genes: the best window of each transcript, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import io, plot, scan
from mirscope.errors import InputError, TableError
from mirscope.io import Record
from mirscope.models import Model

COLUMNS = ("mirna_id", "target_id", "score", "start", "end", "seed_type", "n_windows")
"""Of the table: the best window's score, place (0-based, half-open) and best seed match; windows scored."""
Cluster = Literal["none", "mirnas", "targets", "both"]

_SPREAD = 300  # more rows than this are clustered without the best order of the branches, which takes their cube


def heatmap(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    *,
    stride: int | None = None,
    candidates: Literal["all", "seed", "peaks"] | None = None,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> pd.DataFrame:
    """The best window of every miRNA on every transcript.

    Args:
        model: stays as it is.
        mirnas: mature sequences.
        transcripts: of any length; read twice.
        stride: nt between windows; default the model's.
        candidates: windows to score, as a scan's; default the model's.
        threads: processes that share the work.
        report: called with the pairs of a miRNA and a transcript done, as they are done.

    Returns:
        Columns `COLUMNS`; transcripts in their order for each miRNA in its own. Where no window is a candidate, the
        score is NaN and start and end are -1.

    Raises:
        InputError: no miRNA or transcript, or a miRNA that can be none.
    """
    settings = scan.Settings(threshold=0, stride=stride, candidates=candidates, merge=False, duplexes=False)
    ids = [record.id for record in mirnas], [record.id for record in transcripts]
    for what, given in zip(("miRNAs", "transcripts"), ids, strict=True):
        if not given:
            raise InputError(f"no {what}; expected at least one")
    parts = []
    for windows in scan.iter_sites(model, mirnas, transcripts, settings=settings, threads=threads):
        pairs = windows.groupby(["mirna_id", "target_id"], sort=False)["score"]
        best = windows.loc[pairs.idxmax()].assign(n_windows=pairs.size().to_numpy())
        parts.append(best[list(COLUMNS)])
        report(len(best))
    everything = pd.MultiIndex.from_product(ids, names=COLUMNS[:2])
    table = pd.concat(parts).set_index(list(COLUMNS[:2])).reindex(everything).reset_index()
    table = table.fillna({"start": -1, "end": -1, "seed_type": "", "n_windows": 0})
    return table.astype({"start": np.int64, "end": np.int64, "n_windows": np.int64})


def matrix(table: pd.DataFrame, *, cluster: Cluster = "none") -> pd.DataFrame:
    """Scores (miRNAs, transcripts) of a table of `heatmap`, in its order or with like ones together.

    Args:
        table: columns mirna_id, target_id, score.
        cluster: what is ordered by average linkage of Euclidean distances (NaN counts as 0), neighbours as alike as the
            tree allows; of equal trees the same one always.
    """
    wide = table.pivot(index="mirna_id", columns="target_id", values="score")
    wide = wide.loc[table["mirna_id"].unique(), table["target_id"].unique()]
    values = wide.fillna(0).to_numpy()
    if cluster in ("mirnas", "both"):
        wide = wide.iloc[_order(values)]
    if cluster in ("targets", "both"):
        wide = wide.iloc[:, _order(values.T)]
    return wide


def _order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(values) < 3:
        return np.arange(len(values))
    return leaves_list(linkage(values, "average", optimal_ordering=len(values) <= _SPREAD)).astype(np.int64)


def write(table: pd.DataFrame, folder: Path, *, cluster: Cluster = "none", title: str = "") -> list[Path]:
    """Write the table (heatmap.tsv), its matrix (matrix.tsv) and the picture (heatmap.png, heatmap.svg).

    Args:
        table: what `heatmap` returned.
        folder: made where it is not there.
        cluster: order of the matrix and the picture, see `matrix`.
        title: of the colours.

    Returns:
        The files written.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wide = matrix(table, cluster=cluster)
    if "mirna_id" in wide.columns:
        raise TableError("a transcript is called mirna_id; expected an id that is no column of the matrix")
    files = [folder / name for name in ("heatmap.tsv", "matrix.tsv")]
    io.write_tsv(table, files[0], COLUMNS)
    io.write_tsv(wide.reset_index(), files[1], ["mirna_id", *wide.columns])
    return files + plot.save_all(plot.heatmap(wide, title=title), folder, "heatmap")
