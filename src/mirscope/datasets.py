"""The catalogue of public data sets (`datasets.toml`): where each one comes from, fetch, verify, load, split.

A file is looked for in `MIRSCOPE_DATA`, in `../shared/data` of a checkout, in the user's cache. An entry's checksum is
that of the decompressed normal form, i.e. of what the converter makes of the origin: it proves both together.
"""

from __future__ import annotations

import difflib
import functools
import gzip
import hashlib
import os
import shutil
import tomllib
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import platformdirs
from numpy.typing import NDArray

from mirscope import io, rna
from mirscope.errors import DownloadError, InputError, UsageError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class SplitRule:
    """How `random_split` divides a set whose source gives no split."""

    random_state: int
    test: float = 0.2
    valid: float = 0.2
    skip_first: bool = False
    one_draw: bool = False


@dataclass(frozen=True)
class Entry:
    """A file of the catalogue.

    `file` is relative to a data folder; `kind` is pairs (what `load_pairs` reads), hairpins (`load_hairpins`),
    another table, FASTA, FASTQ, motifs (MEME), weights or other text; `rows` counts rows or records, None for weights;
    `sha256` is of the decompressed content; `converter` (a key of `CONVERTERS`; empty: none) makes the file of the
    `origins`, in order, and of the entries it `needs`. Without origins the file is put in place by hand, from `page`;
    `note` says why.
    """

    name: str
    file: str
    kind: Literal["pairs", "hairpins", "table", "fasta", "fastq", "motifs", "weights", "text"]
    what: str
    licence: str
    citation: str
    page: str
    sha256: str
    rows: int | None = None
    origins: tuple[str, ...] = ()
    converter: str = ""
    needs: tuple[str, ...] = ()
    split: SplitRule | None = None
    note: str = ""


@dataclass(frozen=True)
class Check:
    """What `verify` found: the file that `path` would give and its checksum; both empty where it is missing."""

    name: str
    state: Literal["ok", "missing", "different"]
    path: Path | None = None
    sha256: str = ""


@functools.cache
def _catalogue() -> dict[str, Entry]:
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {
        name: Entry(
            name=name,
            origins=tuple(table.pop("origins", ())),
            needs=tuple(table.pop("needs", ())),
            split=SplitRule(**table.pop("split")) if "split" in table else None,
            **table,
        )
        for name, table in tables.items()
    }


def names() -> list[str]:
    """The names of the catalogue, in its order."""
    return list(_catalogue())


def entry(name: str) -> Entry:
    """The entry of a name; `UsageError` with the nearest names when there is none."""
    try:
        return _catalogue()[name]
    except KeyError:
        raise UsageError(f"no data set {name!r}; {_nearest(name)}") from None


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, names())
    return f"did you mean {' or '.join(near)}?" if near else "mirscope data list shows all names"


def path(name: str) -> Path:
    """The first copy of a file, unverified: in `MIRSCOPE_DATA`, in `../shared/data` of a checkout, in the cache.

    Raises:
        InputError: there is no copy.
    """
    found = _find(entry(name))
    if found is None:
        raise InputError(f"{name} is not on this machine; get it with: mirscope data fetch {name}")
    return found


def _find(item: Entry) -> Path | None:
    return next((folder / item.file for folder in _folders() if (folder / item.file).is_file()), None)


def _folders() -> list[Path]:
    given = os.environ.get("MIRSCOPE_DATA")
    checkout = Path(__file__).parents[2]
    return [
        *([Path(given)] if given else []),
        *([checkout.parent / "shared" / "data"] if (checkout / "pyproject.toml").is_file() else []),
        _cache(),
    ]


def _cache() -> Path:
    return platformdirs.user_cache_path("mirscope") / "data"


def verify(name: str) -> Check:
    """Compare the local copy (see `path`) with the checksum of the catalogue; nothing is downloaded."""
    item = entry(name)
    found = _find(item)
    if found is None:
        return Check(name, "missing")
    try:
        digest = _digest(_content(found))
    except (OSError, EOFError, zlib.error) as error:  # what gzip raises for damage
        return Check(name, "different", found, f"unreadable: {error}")
    return Check(name, "ok" if digest == item.sha256 else "different", found, digest)


def _content(file: Path) -> bytes:
    """The bytes of a file, decompressed when they are gzip."""
    data = file.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(name: str, *, progress: bool = False) -> Path:
    """A verified copy of a file, downloaded into the cache and converted unless there is one already.

    What broke off is continued by the next call. A file appears under its name only when complete and verified.

    Args:
        name: of the catalogue; what the entry needs is fetched as well.
        progress: draw a bar on stderr.

    Raises:
        DownloadError: the entry has no origin, the server does not give the file, or gives another one.
        InputError: another file of that name lies in `MIRSCOPE_DATA` or `../shared/data`.
    """
    item = entry(name)
    here = verify(name)
    if here.state == "ok" and here.path is not None:
        return here.path
    final = _cache() / item.file
    if here.path not in (None, final):
        problem = (
            f"not the {name} of the catalogue: expected sha256 {item.sha256}, found {here.sha256}; remove it first"
        )
        raise InputError(problem, path=here.path)
    if not item.origins:
        raise DownloadError(
            f"{name} has to be put in place by hand, as {item.file} in the folder MIRSCOPE_DATA; "
            f"it comes from {item.page} ({item.note})"
        )
    needed = [_content(fetch(need, progress=progress)) for need in item.needs]
    try:
        content = _arrive(item, needed, progress=progress)
        _write(final, content)
    except OSError as error:
        raise DownloadError(f"{final}: cannot be written ({error.strerror})") from error
    return final


def _arrive(item: Entry, needed: list[bytes], *, progress: bool) -> bytes:
    """The verified content of an entry, downloaded and converted."""
    arriving = _cache() / "arriving" / item.name
    arriving.mkdir(parents=True, exist_ok=True)
    files = [arriving / hashlib.sha256(url.encode()).hexdigest()[:16] for url in item.origins]
    for url, file in zip(item.origins, files, strict=True):
        _download(url, file, progress=progress)
    content, problem = _convert(item, [file.read_bytes() for file in files] + needed)
    shutil.rmtree(arriving)
    if problem:
        more = f" and {len(item.origins) - 1} more" if len(item.origins) > 1 else ""
        raise DownloadError(f"{item.origins[0]}{more}: not {item.name} of the catalogue: {problem}; nothing was kept")
    return content


def _convert(item: Entry, parts: list[bytes]) -> tuple[bytes, str]:
    """The content of an entry made of its parts, and what is wrong with it (empty: nothing)."""
    content = parts[0]
    if item.converter:
        try:
            content = CONVERTERS[item.converter]([part.decode() for part in parts]).encode()
        except (ValueError, IndexError) as error:
            return b"", f"expected the layout of {item.converter!r}, found something else ({error})"
    digest = _digest(content)
    return content, "" if digest == item.sha256 else f"expected sha256 {item.sha256}, found {digest}"


def _write(final: Path, content: bytes) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f"{final.name}.{os.getpid()}.part")
    part.write_bytes(gzip.compress(content, mtime=0) if final.suffix == ".gz" else content)
    part.replace(final)


def _download(url: str, file: Path, *, progress: bool) -> None:
    """Download into `file`, going on from `file.part` where there is one and the server can send the rest."""
    import requests

    if file.exists():
        return
    part = file.with_suffix(".part")
    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    total = -1
    try:
        with requests.get(url, headers=headers, stream=True, timeout=30) as response:
            if response.status_code != requests.codes.partial_content:
                start = 0
            if not response.ok:
                if response.status_code == requests.codes.requested_range_not_satisfiable:
                    part.unlink(missing_ok=True)  # no beginning of this file: the next call starts anew
                raise DownloadError(f"{url}: expected the file, found {response.status_code} {response.reason}")
            if "Content-Length" in response.headers:
                total = start + int(response.headers["Content-Length"])
            with part.open("ab" if start else "wb") as out, _bar(file, start, total, shown=progress) as advance:
                for chunk in response.iter_content(1 << 13):
                    advance(out.write(chunk))
    except requests.RequestException as error:
        if total < 0:
            raise DownloadError(f"{url}: expected an answer, found none ({type(error).__name__})") from error
        got = part.stat().st_size
        raise DownloadError(f"{url}: expected {total} bytes, found {got}; fetch again to go on from there") from error
    part.replace(file)


@contextmanager
def _bar(file: Path, start: int, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    if not shown:
        yield lambda n_bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(file.parent.name, total=total if total >= 0 else None, completed=start)
        yield lambda n_bytes: bar.advance(task, n_bytes)


def load_pairs(data: str) -> pd.DataFrame:
    """The pairs of a data set, or of one of its splits.

    Args:
        data: `NAME`, `NAME:SPLIT`, a path (`-` is stdin) or `PATH:SPLIT`; a name of the catalogue goes
            before a file of the same name.

    Returns:
        The columns of `io.read_pairs`, with `split` where the file or the entry's rule gives it; index 0, 1, ...

    Raises:
        UsageError: neither a data set of pairs nor a file, or no such split.
        InputError: the data set is not on this machine.
    """
    return _load(data, "pairs", io.read_pairs)


def load_hairpins(data: str) -> pd.DataFrame:
    """The hairpins of a data set or of one of its splits: columns of `io.read_hairpins`, as `load_pairs`."""
    return _load(data, "hairpins", io.read_hairpins)


def load(data: str) -> pd.DataFrame:
    """The pairs or the hairpins of a data set or file, whichever it holds; as `load_pairs`."""
    source, _ = _parse(data)
    item = _catalogue().get(source)
    hairpins = item.kind == "hairpins" if item else io.holds_hairpins(source)
    return load_hairpins(data) if hairpins else load_pairs(data)


def _load(data: str, kind: str, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    source, wanted = _parse(data)
    item = _catalogue().get(source)
    if item is not None and item.kind != kind:
        raise UsageError(f"{source} holds no {kind} but {item.kind}")
    table = read(path(source) if item else Path(source))
    given = "split" in table and bool(table["split"].fillna("").ne("").any())
    if not given and item is not None and item.split is not None:
        table["split"] = random_split(table, **asdict(item.split))
        given = True
    if not wanted:
        return table
    there = [split for split in SPLITS if given and (table["split"] == split).any()]
    if wanted not in there:
        raise UsageError(f"{source} has no split {wanted!r}; it has {', '.join(there) or 'none'}")
    return table[table["split"] == wanted].reset_index(drop=True)


def _parse(data: str) -> tuple[str, str]:
    """`NAME[:SPLIT]` or `PATH[:SPLIT]` as source and split."""
    head, colon, split = data.rpartition(":")
    for source, wanted in ((data, ""), (head, split)):
        if source in _catalogue() or source == "-" or (source and Path(source).exists()):
            return source, wanted
    name = head if colon else data
    raise UsageError(f"{name!r} is neither a data set of the catalogue nor a file; {_nearest(name)}")


def random_split(
    table: pd.DataFrame,
    *,
    random_state: int,
    test: float = 0.2,
    valid: float = 0.2,
    skip_first: bool = False,
    one_draw: bool = False,
) -> pd.Series:
    """Train, valid or test for each row, by row order: `test` of all, then `valid` of the rest (miTAR's rule).

    With `skip_first` the first row is not drawn (and is train): miTAR's reader takes its file's first line for a
    header, and only so does its published network meet the pairs it did not learn from. With `one_draw` the rows are
    shuffled once: the first are test, the last valid, both rounded down (dnnPreMiR's rule).
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(int(skip_first), len(table))
    if len(rows) < 5:
        raise InputError(f"{len(rows)} pairs are too few to split; expected 5 or more")
    if one_draw:
        shuffled = np.random.RandomState(random_state).permutation(rows)
        n_test = int(test * len(rows))
        tested, validated = shuffled[:n_test], shuffled[len(rows) - int(valid * (len(rows) - n_test)) :]
        return _split(table, tested, validated)
    rest, tested = train_test_split(rows, test_size=test, random_state=random_state)
    _, validated = train_test_split(rest, test_size=valid, random_state=random_state)
    return _split(table, tested, validated)


def _split(table: pd.DataFrame, tested: NDArray[np.int64], validated: NDArray[np.int64]) -> pd.Series:
    split = np.full(len(table), "train", dtype=object)
    split[tested], split[validated] = "test", "valid"
    return pd.Series(split, index=table.index, name="split", dtype="str")


# Converters: the texts of the origins, then of the needed entries -> the normal form (see docs/commands/data.md).

_PAIR = "mirna_id\tmirna_seq\tgene_id\ttarget_seq\tlabel"


def _rna(sequence: str) -> str:
    return sequence.replace("T", "U")


def _fields(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def _tsv(header: str, rows: Iterable[tuple[str, ...]]) -> str:
    return "".join("\t".join(row) + "\n" for row in [tuple(header.split("\t")), *rows])


def _mitar(texts: list[str]) -> str:
    """miTAR: id, miRNA 3'->5', gene, target, label; no header."""
    rows = [(name, _rna(mirna[::-1]), gene, _rna(site), label) for name, mirna, gene, site, label in _fields(texts[0])]
    return _tsv(_PAIR, rows)


def _mitar_positives(texts: list[str]) -> str:
    """The same with a header line; positives only."""
    return _mitar(["\n".join(line for line in texts[0].splitlines()[1:] if line.endswith("\t1"))])


def _tec(texts: list[str]) -> str:
    """TEC-miTarget: `>miRNA 3'->5'`, `>target`, label; a file a split, no ids: those of MirTarRAW and its rest.

    Where one pair of sequences has several ids, the last listed goes to the first row that has it, and so on.
    """
    ids = defaultdict(list)
    for text in texts[3:]:
        for name, mirna, gene, site, label in _fields(text)[1:]:
            ids[mirna, site, label].append((name, gene))
    rows = []
    for split, text in zip(SPLITS, texts, strict=False):
        for mirna, site, label in _fields(text):
            mirna, site = _rna(mirna.lstrip(">")[::-1]), _rna(site.lstrip(">"))
            name, gene = ids[mirna, site, label].pop()
            rows.append((name, mirna, gene, site, label, split))
    return _tsv(f"{_PAIR}\tsplit", rows)


def _mirbind(texts: list[str]) -> str:
    """miRBind: tables of miRNA (20 nt), target, label for train (if given) and test, RNAcofold output (`target&miRNA`)
    for valid.

    Ids are all human miRNAs of miRBase (the needed entry) that begin with the sequence.
    """
    *train, valid, test, mirbase = texts
    lines = valid.splitlines()
    folded = [[*pair.split("&")[::-1], label[1:]] for label, pair in zip(lines[::3], lines[1::3], strict=True)]
    return _named([*(_fields(text)[1:] for text in train), folded, _fields(test)[1:]], SPLITS, mirbase, length=20)


def _hybridetector(texts: list[str]) -> str:
    """HybriDetector: tables of miRNA, target, label for train (if given) and test.

    Ids are all human miRNAs of miRBase (the needed entry) that are the sequence.
    """
    *tables, mirbase = texts
    return _named([_fields(text)[1:] for text in tables], ("train", "test"), mirbase)


def _tec_valid(texts: list[str]) -> str:
    """TEC-miTarget's deepTargetPro: `>miRNA` (5'->3' in this one), `>target`, label; ids as for HybriDetector."""
    sites, mirbase = texts
    rows = [[mirna.lstrip(">"), site.lstrip(">"), label] for mirna, site, label in _fields(sites)]
    return _named([rows], ("valid",), mirbase)


def _named(tables: list[list[list[str]]], splits: tuple[str, ...], mirbase: str, length: int | None = None) -> str:
    """Tables of miRNA, target, label, the last of them of the last split, with the ids of equal miRBase sequences."""
    names: dict[str, list[str]] = defaultdict(list)
    for header, sequence in _records(mirbase):
        names[sequence[:length]].append(header.split()[0])
    rows = []
    for split, table in zip(splits[-len(tables) :], tables, strict=True):
        for mirna, site, label in table:
            mirna = _rna(mirna)
            rows.append(("|".join(names[mirna]), mirna, "", _rna(site), label, split))
    return _tsv(f"{_PAIR}\tsplit", rows)


def _mirbench(texts: list[str]) -> str:
    """miRBench: the site, the miRNA, its name and family, feature, label, place, gene cluster; train and test."""
    rows = []
    for split, text in zip(("train", "test"), texts, strict=True):
        for site, mirna, name, family, feature, label, *place in _fields(text)[1:]:
            rows.append((name, _rna(mirna), "", _rna(site), label, split, family, feature, *place))
    return _tsv(f"{_PAIR}\tsplit\tmirna_family\tfeature\tchr\tstart\tend\tstrand\tgene_cluster_id", rows)


def _dmiso(texts: list[str]) -> str:
    """DMISO's output: both ids, both sequences, score, prediction."""
    rows = [(name, mirna, gene, site, score, call) for name, gene, mirna, site, score, call in _fields(texts[0])[1:]]
    return _tsv("mirna_id\tmirna_seq\tgene_id\ttarget_seq\tdmiso_score\tdmiso_prediction", rows)


def _records(text: str) -> list[tuple[str, str]]:
    """Header (without `>`) and sequence of each FASTA record."""
    first, *blocks = f"\n{text}".split("\n>")
    if first.strip() or not blocks:
        raise ValueError("no FASTA header")
    return [(header, "".join(lines.split())) for header, _, lines in (block.partition("\n") for block in blocks)]


def _fasta(texts: list[str]) -> str:
    """FASTA, each sequence in one line."""
    return "".join(f">{header}\n{sequence}\n" for header, sequence in _records(texts[0]))


def _mirbase(texts: list[str]) -> str:
    """miRBase's `mature.fa` with headers cut to name and accession."""
    return "".join(f">{' '.join(header.split()[:2])}\n{sequence}\n" for header, sequence in _records(texts[0]))


def _mirbase_human(texts: list[str]) -> str:
    """The human records of miRBase's `mature.fa`."""
    return "".join(f">{header}\n{sequence}\n" for header, sequence in _records(texts[0]) if header.startswith("hsa-"))


_HAIRPIN = "id\tsequence\tstructure\tmfe\tlabel\tspecies\tdataset\tstructure_source"
_CALLED = [f"{source}_{species}" for source in ("miRBase22", "MirGeneDB") for species in ("hsa", "mml", "mmu", "rno")]


def _dnnpremir(texts: list[str]) -> str:
    """dnnPreMiR's training set: number, id, each nucleotide with its bracket (`G( C. `), class; two files."""
    rows = []
    for text in texts:
        for line in text.splitlines()[1:]:
            _, name, symbols, kind = line.split(",")
            sequence, structure = ("".join(part) for part in zip(*symbols.split(), strict=True))
            mfe, label = f"{rna.energy(sequence, structure):.2f}", str(int(kind == "TRUE"))
            rows.append(
                (name, sequence, structure, mfe, label, "hsa", "dnnPreMiR_balanced", "dnnPreMiR (RNAfold, authors)")
            )
    return _tsv(_HAIRPIN, rows)


def _folded(texts: list[str], *, data: str, label: str = "1") -> str:
    """FASTA of hairpins, folded by ViennaRNA; the species is the beginning of the id."""
    rows = []
    for name, sequence in ((header.split()[0], sequence) for text in texts for header, sequence in _records(text)):
        structure, mfe = rna.fold(sequence)
        species = name[:3].lower() if label == "1" else "hsa"
        rows.append((name, sequence, structure, f"{mfe:.2f}", label, species, data, "ViennaRNA 2.7.2"))
    return _tsv(_HAIRPIN, rows)


def _pseudo(texts: list[str]) -> str:
    """The same of pseudo hairpins, and which of them are in dnnPreMiR's training set (the needed entry)."""
    fasta, balanced = texts
    chosen = {row[0] for row in _fields(balanced)}
    header, *rows = _fields(_folded([fasta], data="pseudo_hairpins_8492", label="0"))
    return _tsv("\t".join([*header, "in_balanced_set"]), ((*row, str(int(row[0] in chosen))) for row in rows))


def _dnnpremir_calls(texts: list[str]) -> str:
    """dnnPreMiR's answers, a file a set: `>header`, sequence and True or False, a line of `=`."""
    rows = []
    for data, text in zip([*_CALLED, "pseudo_8492"], texts, strict=True):
        lines = text.splitlines()
        for header, answer in zip(lines[::3], lines[1::3], strict=True):
            rows.append((data, header[1:].split()[0], str(int(answer.split()[1] == "True"))))
    return _tsv("dataset\tid\tcalled_premirna", rows)


CONVERTERS: dict[str, Callable[[list[str]], str]] = {
    "mitar": _mitar,
    "mitar_positives": _mitar_positives,
    "tec": _tec,
    "tec_valid": _tec_valid,
    "mirbind": _mirbind,
    "hybridetector": _hybridetector,
    "mirbench": _mirbench,
    "dmiso": _dmiso,
    "fasta": _fasta,
    "mirbase": _mirbase,
    "mirbase_human": _mirbase_human,
    "dnnpremir": _dnnpremir,
    "folded_mirbase": functools.partial(_folded, data="miRBase22"),
    "folded_mirgenedb": functools.partial(_folded, data="MirGeneDB"),
    "pseudo": _pseudo,
    "dnnpremir_calls": _dnnpremir_calls,
}
"""Pure functions: the texts of an entry's origins, then of the entries it needs, to its normal form."""
