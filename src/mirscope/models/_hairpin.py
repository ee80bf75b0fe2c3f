"""What the networks of dnnPreMiR share: 180 nt of a hairpin, each a nucleotide and a bracket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from mirscope import rna
from mirscope.errors import TableError
from mirscope.models import HAIRPIN, Model, _letters, expect_columns

if TYPE_CHECKING:
    import pandas as pd

LENGTH = 180
SYMBOLS = 12
"""`. ( )` times A C G U."""
KERAS_ROWS = [4 * bracket + "AUGC".index(letter) for bracket in range(len(rna.BRACKETS)) for letter in "ACGU"]
"""Of each of our symbols, its place among those of the published networks."""

Cut = Literal["hairpin", "right"]


class Folded(Model):
    """A hairpin and its structure; ViennaRNA folds those whose structure is not given."""

    inputs = HAIRPIN

    def columns(self, examples: pd.DataFrame) -> tuple[list[str], ...]:
        """Hairpins of column `hairpin_seq` and structures of column `structure`, folded where there is none.

        Raises:
            TableError: no column `hairpin_seq`, or a structure that is not one of its hairpin.
        """
        expect_columns(self, examples, ["hairpin_seq"])
        hairpins = examples["hairpin_seq"].tolist()
        given = examples["structure"].fillna("").tolist() if "structure" in examples else [""] * len(hairpins)
        for row, (hairpin, structure) in enumerate(zip(hairpins, given, strict=True), 1):
            if structure and (problem := rna.structure_problem(hairpin, structure)):
                raise TableError(f"row {row} of column structure: {problem}")
        folded = zip(hairpins, given, strict=True)
        return hairpins, [structure or rna.fold(hairpin)[0] for hairpin, structure in folded]


class HairpinModel(Folded):
    """The first 180 nt of a hairpin, or its best.

    Of what is longer than 180 nt the networks see the part with the most base pairs (`cut` is `hairpin`), or as in the
    authors' code the first 180 nt, with brackets whose other half may be cut off (`right`).
    """

    lengths = (LENGTH, LENGTH)
    soft = True

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self.cut = cut

    def encode(self, *columns: Sequence[str]) -> tuple[Tensor, ...]:
        """Codes int8 (n, 180) of hairpins and of structures."""
        hairpins, structures = columns
        if self.cut == "hairpin":
            parts = [around_hairpin(*both) for both in zip(hairpins, structures, strict=True)]
            hairpins, structures = [part[0] for part in parts], [part[1] for part in parts]
        codes = rna.encode(hairpins, LENGTH), rna.encode_structures(structures, LENGTH)
        return torch.from_numpy(codes[0]), torch.from_numpy(codes[1])

    def symbols(self, hairpin: Tensor, structure: Tensor) -> Tensor:
        """One-hot symbols (n, 180, 12) of codes (n, 180); all 0 where there is padding or N."""
        brackets = torch.eye(len(rna.BRACKETS), device=hairpin.device)[structure.long()]  # (n, 180, 3)
        return (brackets[..., None] * _letters.bases(hairpin)[:, :, None]).flatten(2)


def around_hairpin(hairpin: str, structure: str, length: int = LENGTH) -> tuple[str, str]:
    """The `length` nt that hold the most whole base pairs, the middle one of such parts; pairs cut in two are undone.

    Sequences that are not longer come back as they are.
    """
    n_starts = len(hairpin) - length + 1
    if n_starts <= 1:
        return hairpin, structure
    pairs = np.array(rna.base_pairs(structure), dtype=np.int64).reshape(-1, 2)
    first, last = np.maximum(pairs[:, 1] - length + 1, 0), np.minimum(pairs[:, 0], n_starts - 1)  # starts that hold it
    held = first <= last
    change = np.zeros(n_starts + 1, dtype=np.int64)
    np.add.at(change, first[held], 1)
    np.add.at(change, last[held] + 1, -1)
    n_pairs = change.cumsum()[:-1]
    best = np.flatnonzero(n_pairs == n_pairs.max())
    start = int(best[len(best) // 2])
    signs = ["."] * length
    for i, j in pairs - start:
        if i >= 0 and j < length:
            signs[i], signs[j] = "(", ")"
    return hairpin[start : start + length], "".join(signs)
