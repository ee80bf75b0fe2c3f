"""A language model of human 3'UTRs, for `mirscope train deepmirnatar --language-model`.

    python recipes/language_model.py

writes the folder results/language_model (10 minutes on one CPU core of its own; a run that was stopped goes on). It is
not part of the package (docs/decisions/010-language-model.md).
"""

from __future__ import annotations

from pathlib import Path

import torch

from mirscope import cli, datasets, io, language

FOLDER = Path("results/language_model")


def main() -> None:
    cli.start_log()
    torch.set_num_threads(1)
    records = io.iter_fasta(datasets.path("human_3utr_mirmark"), unique=False)
    language.pretrain([record.sequence for record in records], FOLDER, resume=True)


if __name__ == "__main__":
    main()
