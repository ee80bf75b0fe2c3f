"""Parts of runs: shares on disk, what is done already, what is left behind."""

import numpy as np
import pandas as pd
import pytest

from mirscope import parts
from mirscope.errors import InputError, UsageError

TABLE = pd.DataFrame({"text": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]})


def test_shares_of_files(tmp_path):
    paths = [tmp_path / "1", tmp_path / "2"]
    parts.write(paths[0], TABLE, np.array([2, 0, 2, 0]), 3, {"reads": 7})
    parts.write(paths[1], TABLE[:0], np.array([], dtype=np.int64), 3)
    assert parts.read(paths, 0).equals(TABLE.iloc[[1, 3]].reset_index(drop=True))
    assert parts.read(paths, 1).equals(TABLE[:0])
    assert parts.read(paths, 2, ["n"])["n"].tolist() == [1, 3]
    assert parts.read(paths)["text"].tolist() == ["b", "d", "a", "c"]
    assert (parts.notes(paths[0]), parts.notes(paths[1])) == ({"reads": 7}, {})
    assert parts.n_rows(paths[0]) == 4


def test_a_text_is_always_in_the_same_share():
    """The check value of CRC-32 is 0xCBF43926, 3,421,780,262."""
    assert parts.share(["123456789", "", "123456789"], 1000).tolist() == [262, 0, 262]
    counts = np.bincount(parts.share((f"{i:b}" for i in range(8000)), 8))
    assert counts.min() > 800


def _job(shared, job, path):
    if job == shared:
        raise OSError("no space")
    path.write_text(f"{job}")


def test_what_is_there_is_not_made_again(tmp_path):
    done = []
    with pytest.raises(OSError, match="no space"):
        parts.carry_out(_job, 2, range(4), tmp_path, what="x", processes=1, report=done.append)
    assert done == [1, 1]
    (tmp_path / "x-000000.parquet").write_text("as it was")
    paths = parts.carry_out(_job, None, range(4), tmp_path, what="x", processes=1, report=done.append)
    assert [path.read_text() for path in paths] == ["as it was", "1", "2", "3"]
    assert done == [1] * 6


def test_what_a_failed_run_leaves(tmp_path):
    out = tmp_path / "out"

    def run(error, **identity):
        with parts.unfinished(out, identity, what="search", source="reads.fq", resume=True) as here:
            (here / "part").write_text("")
            if error:
                raise error

    with pytest.raises(InputError):
        run(InputError("damaged", path="reads.fq"))
    assert not out.exists()
    with pytest.raises(InputError):
        run(InputError("cannot write: no space", path="part"), reads=1)
    assert (out / "unfinished" / "part").exists()
    with pytest.raises(UsageError, match="had other reads"):
        run(None, reads=2)
    run(None, reads=1)
    assert list(out.iterdir()) == []
