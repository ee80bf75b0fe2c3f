"""What a run leaves behind, to be understood, repeated or gone on with: settings, versions, checksums, times."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mirscope import io
from mirscope.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_PACKAGES = ("mirscope", "torch", "numpy", "pandas", "ViennaRNA")


def checksum(path: str | Path) -> str:
    """sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_tensors(*tensors: torch.Tensor) -> str:
    """sha256 of the tensors' values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def read_checkpoint(path: Path, *, resume: bool, device: torch.device) -> dict[str, Any]:
    """The state of an unfinished run.

    Raises:
        UsageError: it is not to be resumed.
        InputError: the file is damaged.
    """
    import torch

    if not resume:
        raise UsageError(f"{path.parent} holds an unfinished run; --resume goes on with it, or choose another folder")
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds on a damaged file
        raise InputError(f"not a checkpoint ({str(error).splitlines()[0]})", path=path) from error
    return state


def begin_parts(parts: Path, identity: dict[str, Any], *, what: str, resume: bool) -> None:
    """Make the folder where the finished parts of a run wait, with a note of what run it is; or go on with it.

    Args:
        parts: within the folder of the results.
        identity: settings and inputs, all of which must be those of the run that is resumed.
        what: the run is called, e.g. scan.
        resume: use what is there.

    Raises:
        UsageError: an unfinished run is there that is not to be resumed, or is another one.
    """
    note = parts / f"{what}.json"
    if note.is_file():
        if not resume:
            raise UsageError(f"{parts.parent} holds an unfinished {what}; --resume goes on with it, or remove {parts}")
        before = json.loads(note.read_text())
        for part, value in identity.items():
            if before.get(part) != value:
                unlike = f"the unfinished {what} in {parts.parent} had other {part}"
                raise UsageError(f"{unlike}; remove {parts} to start anew")
        log.info("resuming after %d finished chunks", len(list(parts.glob("*.parquet"))))
    parts.mkdir(parents=True, exist_ok=True)
    write_json(note, identity)


def environment() -> dict[str, Any]:
    """Versions and machine of this run."""
    return {
        "command": sys.argv,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def known(value: Any) -> Any:
    """The value with numbers of Python, None for those that JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [known(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: str | Path, record: dict[str, Any]) -> None:
    """Write a record as indented JSON."""
    with io.atomic(path) as partial:
        partial.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
