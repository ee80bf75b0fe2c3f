"""Fixtures of all tests: the command line as a function, real data where it is, toy inputs with known answers."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mirscope import cli, datasets, io, rna
from mirscope.errors import InputError
from mirscope.io import Record

LET7 = "UGAGGUAGUAGGUUGUAUAGUU"
MIR21 = "UAGCUUAUCAGACUGAUGUUGA"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _log():
    """A command sets up the log of the process; the next test finds it as it was."""
    logger = logging.getLogger("mirscope")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def data_path():
    """Path of a file of the catalogue; skips the test where the real data is not."""

    def path(name: str) -> Path:
        try:
            return datasets.path(name)
        except InputError as error:
            pytest.skip(str(error))

    return path


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder: `run("scan a.fa b.fa", code=0)` -> (stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run_command(command: str | list[str], *, code: int = 0) -> tuple[str, str]:
        got = cli.main(command.split() if isinstance(command, str) else command)
        torch.set_num_threads(1)  # a command takes all cores, and two threads beside another worker stall
        captured = capsys.readouterr()
        assert got == code, captured.err
        return captured.out, captured.err

    return run_command


@pytest.fixture(scope="session")
def mirnas() -> list[Record]:
    return [Record("let-7a", LET7), Record("miR-21", MIR21), Record("short", "UGAGGUAGUAGGUUG")]


@pytest.fixture(scope="session")
def transcripts() -> list[Record]:
    """Unequal lengths: shorter than a window, just a window, long; N in one; a planted let-7 8mer in one."""
    rng = np.random.default_rng(3)
    texts = ["".join(rng.choice(list("ACGU"), length)) for length in (7, 40, 53, 54, 131, 700)]
    texts[4] = texts[4][:60] + "N" * 9 + texts[4][69:]
    texts[5] = texts[5][:300] + "CUACCUCA" + texts[5][308:]
    return [Record(f"utr{number}", text) for number, text in enumerate(texts)]


@pytest.fixture(scope="session")
def pairs() -> pd.DataFrame:
    """Designed sites of unequal lengths for real miRNAs: half hold a seed match (label 1), half are background."""
    examples = Path(__file__).parents[1] / "examples"
    rng = np.random.default_rng(5)
    rows = []
    for record in io.read_fasta(examples / "mirnas.fa"):
        for number in range(12):
            text = list(rng.choice(list("ACGU"), int(rng.integers(9, 54))))
            if number % 2:
                text[-8:] = rna.reverse_complement(record.sequence)[-8:]
            rows.append((record.id, record.sequence, f"gene{number}", "".join(text), number % 2))
    table = pd.DataFrame(rows, columns=["mirna_id", "mirna_seq", "gene_id", "target_seq", "label"])
    return table.astype({"label": "int8"})


@pytest.fixture(scope="session")
def hairpins() -> pd.DataFrame:
    """Designed hairpins of unequal lengths, some over 180 nt: label 1 a stem with flaws, label 0 its nt shuffled.

    Some have their structure, the others are to be folded.
    """
    rng = np.random.default_rng(7)
    rows = []
    for number in range(24):
        stem = rng.choice(list("ACGU"), int(rng.integers(18, 36)))
        back = np.array(list(rna.reverse_complement("".join(stem))))
        back[rng.integers(0, len(back), 3)] = rng.choice(list("ACGU"), 3)
        flank = rng.choice(list("ACGU"), (0, 5, 160)[number % 3])
        letters = np.concatenate([flank, stem, rng.choice(list("ACGU"), int(rng.integers(4, 20))), back])
        for label in (1, 0):
            sequence = "".join(letters if label else rng.permutation(letters))
            structure = rna.fold(sequence)[0] if number % 2 else ""
            rows.append((f"hairpin{number}-{label}", sequence, structure, label))
    table = pd.DataFrame(rows, columns=["hairpin_id", "hairpin_seq", "structure", "label"])
    return table.astype({"label": "int8"})
