"""What a run leaves behind so that it can be understood and repeated: settings, versions, checksums, times."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mirscope import io

_PACKAGES = ("mirscope", "torch", "numpy", "pandas", "ViennaRNA")


def checksum(path: str | Path) -> str:
    """sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def environment() -> dict[str, Any]:
    """Versions and machine of this run."""
    return {
        "command": sys.argv,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def write_json(path: str | Path, record: dict[str, Any]) -> None:
    """Write a record as indented JSON."""
    with io.atomic(path) as partial:
        partial.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")
