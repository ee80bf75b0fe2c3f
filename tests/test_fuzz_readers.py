"""Malformed files, more than 10,000 in all: a reader reads or raises one clear line, and always comes to an end."""

import gzip
import io as streams
import signal
import sys

import numpy as np
import pandas as pd
import pytest

from mirscope import io, rna
from mirscope.errors import MirscopeError
from mirscope.tables import SITES

SECONDS = 5  # for one file; they take about a millisecond


def bit_flips(rng, data):
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        data[place] ^= 1 << rng.integers(8)


def truncation(rng, data):
    del data[rng.integers(len(data)) :]


def deletion(rng, data):
    start = rng.integers(len(data))
    del data[start : start + rng.integers(1, 40)]


def insertion(rng, data):
    start = rng.integers(len(data))
    tokens = [
        b"\0",
        b"\n",
        b"\r",
        b"\t",
        b",",
        b'"',
        b">",
        b"@",
        b"\n\n",
        b"\xff\xfe",
        b"-1",
        b"NaN",
        b"1e999",
        b"\xc3",
        b" ",
    ]
    data[start:start] = tokens[rng.integers(len(tokens))] if rng.random() < 0.8 else rng.bytes(rng.integers(1, 40))


def copy_within(rng, data):
    start, to = rng.integers(0, len(data), 2)
    data[to:to] = data[start : start + rng.integers(1, 200)]


def line_edit(rng, data):
    lines = data.split(b"\n")
    i, j = rng.integers(0, len(lines), 2)
    kind = rng.integers(4)
    if kind == 0:
        lines.insert(i, lines[j])
    elif kind == 1:
        del lines[i]
    elif kind == 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        lines[i] = b""
    data[:] = b"\n".join(lines)


def swapped_columns(rng, data):
    lines = [line.split(b"\t") for line in data.split(b"\n")]
    width = max(map(len, lines))
    i, j = rng.integers(0, width, 2)
    everywhere = rng.random() < 0.5
    for line in lines:
        if max(i, j) < len(line) and (everywhere or rng.random() < 0.2):
            line[i], line[j] = line[j], line[i]
    data[:] = b"\n".join(b"\t".join(line) for line in lines)


def digit_edit(rng, data):
    places = [place for place, byte in enumerate(data) if 48 <= byte < 58]
    if places:
        data[places[rng.integers(len(places))]] = rng.choice(list(b"0123456789-.eEnN_xX"))


def noise(rng, data):
    data[:] = rng.bytes(rng.integers(0, 300))


def noise_behind_the_magic(rng, data):
    data[16:] = rng.bytes(rng.integers(0, 300))


def printable_noise(rng, data):
    data[:] = bytes(rng.choice(list(b"ACGUTNacgu>@+\t,\n\r\"'#;-*01 \xc3\xa9"), rng.integers(0, 200)).tolist())


MUTATIONS = [
    bit_flips,
    truncation,
    deletion,
    insertion,
    copy_within,
    line_edit,
    swapped_columns,
    digit_edit,
    noise,
    noise_behind_the_magic,
    printable_noise,
]


def malformed(rng, seeds):
    """One of the valid files with one to three mutations, before or within gzip or neither."""
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(rng.integers(1, 4)):
        if data:
            MUTATIONS[rng.integers(len(MUTATIONS))](rng, data)
    kind = rng.random()
    if kind < 0.1:
        data = bytearray(gzip.compress(bytes(data), mtime=0))
        if kind < 0.07 and data:
            MUTATIONS[rng.integers(5)](rng, data)
    elif kind < 0.12:
        data = bytearray(bytes(data).decode("latin-1").encode("utf-16"))
    return bytes(data)


PAIRS = pd.DataFrame(
    {
        "mirna_id": ["hsa-let-7a-5p", "hsa-miR-21-5p", "NA"] * 4,
        "mirna_seq": ["UGAGGUAGUAGGUUGUAUAGUU", "UAGCUUAUCAGACUGAUGUUGA", "tagcRt"] * 4,
        "gene_id": ["ENSG00000169504", "", "007"] * 4,
        "target_seq": ["AGGCAGCCCCAAACUGGUGCAUAAUGCAUGGUACAAGAAA", "CAUCUGUCUAAUGUAGCAUCC", "NNACG"] * 4,
        "label": [0, 1, 1] * 4,
        "split": ["train", "valid", "test"] * 4,
    }
)
VALUES = {"text": "hsa-let-7a", "integer": 12, "number": -10.5, "score": 0.75}
SITES_TABLE = pd.DataFrame({column.name: [VALUES[column.kind]] * 5 for column in SITES})


def parquet(table, **options):
    buffer = streams.BytesIO()
    table.to_parquet(buffer, **options)
    return buffer.getvalue()


def fasta_seeds():
    fasta = "".join(f">seq{i} text\n{'ACGUacgtN' * i}\nACGRU\n" for i in range(1, 9))
    fastq = "".join(f"@read{i} x\n{'ACGTN' * i}\n+\n{'IIIII' * i}\n" for i in range(1, 9))
    return [fasta.encode(), fastq.encode(), fasta.replace("\n", "\r\n").encode()]


def pair_seeds():
    dmiso = PAIRS[["mirna_id", "gene_id", "mirna_seq", "target_seq"]].to_csv(sep="\t", header=False, index=False)
    targetnet = PAIRS.rename(columns={"gene_id": "mrna_id", "target_seq": "mrna_seq"})
    csv = PAIRS.to_csv(index=False, quoting=2)
    return [
        PAIRS.to_csv(sep="\t", index=False).encode(),
        csv.encode(),
        dmiso.encode(),
        targetnet.to_csv(sep="\t", index=False).encode(),
    ]


def pair_parquet_seeds():
    plain = parquet(PAIRS, compression=None, use_dictionary=False)
    extra = PAIRS.assign(when=pd.Timestamp("2020-01-01"), parts=[[1, 2]] * len(PAIRS), number=1.5)
    return [plain, parquet(PAIRS), parquet(extra, compression="zstd"), parquet(PAIRS.astype({"mirna_id": "category"}))]


def site_seeds():
    return [SITES_TABLE.to_csv(sep="\t", index=False).encode(), SITES_TABLE.to_csv(index=False).encode()]


def site_parquet_seeds():
    return [parquet(SITES_TABLE, compression=None, use_dictionary=False), parquet(SITES_TABLE)]


def keras_seeds():
    h5py = pytest.importorskip("h5py")
    seeds = []
    for root in ("model_weights", ""):
        buffer = streams.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.attrs["model_config"] = '{"class_name": "Sequential", "config": []}'
            top = file.create_group(root) if root else file
            top.attrs["layer_names"] = [b"conv1d_1", b"both_1"]
            for layer, names in {"conv1d_1": ["kernel:0", "bias:0"], "both_1": ["forward_lstm/kernel:0"]}.items():
                group = top.create_group(layer)
                group.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in names]
                for name in names:
                    group[f"{layer}/{name}"] = np.ones((3, 4), dtype="f4")
        seeds.append(buffer.getvalue())
    return seeds


def hairpin_seeds():
    table = pd.DataFrame({"id": ["a", "b"], "sequence": ["GGGAAAUCC", "ACGU"], "structure": ["((.....))", ""]})
    parquet = streams.BytesIO()
    table.to_parquet(parquet)
    return [
        b">a x\nGGGAAAUCC\n((.....)) (-1.20)\n>b\nACGU\nACG\n",
        b"GGGAAAUCC\n((.....)) ( -1.20)\nACGU\n....\n",
        table.to_csv(sep="\t", index=False).encode(),
        table.assign(label=[1, 0]).to_csv(index=False).encode(),
        parquet.getvalue(),
    ]


def isomir_seeds():
    table = pd.DataFrame(
        {
            "sequence": ["UGAGGUAGUAGG", "GAGGUAGUAGG", "GAGGUAGUAGC"],
            "mirna_id": "let-7",
            "variant": ["NA", "iso_5p:+1", "iso_5p:+1"],
            "filter": ["PASS", "PASS", "REJECT:lowcount"],
        }
    )
    text = "## mirGFF3. VERSION 1.2\n## COLDATA: a\n"
    for row in table.to_dict("records"):
        name, letters = rna.uid(row["sequence"]), row["sequence"].replace("U", "T")
        attributes = (
            f"UID={name}; Read={letters}; Name=let-7; Parent=let-7; Variant={row['variant']}; Expression=3; Hits=1"
        )
        text += f"let-7\tmiRBase\tisomiR\t1\t12\t.\t+\t.\t{attributes}; Filter={row['filter']}\n"
    csv = table.to_csv(index=False).encode()
    return [text.encode(), table.to_csv(sep="\t", index=False).encode(), csv, parquet(table)]


@pytest.fixture
def limit():
    """Each file has `SECONDS`; a hang becomes a failure with its traceback."""

    def ring(*_):
        raise AssertionError(f"a reader took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("read", "seeds", "n", "random_state"),
    [
        (io.read_fasta, fasta_seeds, 4000, 1),
        (io.read_pairs, pair_seeds, 3000, 2),
        (io.read_pairs, pair_parquet_seeds, 1500, 3),
        (io.read_sites, site_seeds, 1500, 4),
        (io.read_sites, site_parquet_seeds, 700, 5),
        (io.read_keras_h5, keras_seeds, 1500, 6),
        (io.read_hairpins, hairpin_seeds, 2000, 8),
        (io.read_mirnas, isomir_seeds, 2000, 9),
    ],
    ids=["fasta", "pairs", "pairs-parquet", "sites", "sites-parquet", "keras", "hairpins", "mirnas"],
)
def test_a_malformed_file_is_read_or_refused_in_one_line(tmp_path, limit, read, seeds, n, random_state):
    rng = np.random.default_rng(random_state)
    valid = seeds()
    path = tmp_path / "malformed"
    for content in valid:
        path.write_bytes(content)
        read(path)
    n_refused = 0
    for i in range(n):
        content = malformed(rng, valid)
        path.write_bytes(content)
        limit()
        try:
            read(path)
        except MirscopeError as error:
            n_refused += 1
            text = str(error)
            assert text.isprintable(), (i, text, content)
            assert str(path) in text, (i, text, content)
            assert len(text) < 1000, (i, text, content)
        except Exception as error:
            raise AssertionError(f"file {i}: {error!r} from {content!r}") from error
    assert n_refused > n / 4


def test_every_reader_refuses_every_other_type(tmp_path):
    files = {
        io.read_fasta: fasta_seeds(),
        io.read_pairs: [*pair_seeds(), *pair_parquet_seeds()],
        io.read_sites: [*site_seeds(), *site_parquet_seeds()],
        io.read_keras_h5: keras_seeds(),
        None: [
            b"",
            b"\n",
            b"\0",
            b"\x1f\x8b",
            b"PAR1",
            b"\x89PNG\r\n\x1a\n",
            b"%PDF-1.7",
            b"x" * 100_000,
            b"\t" * 300_000,
        ],
    }
    path = tmp_path / "other"
    for reader in files:
        for kind, contents in files.items():
            for content in contents:
                path.write_bytes(content)
                if reader and kind is not reader:
                    with pytest.raises(MirscopeError) as caught:
                        reader(path)
                    assert str(path) in str(caught.value)
                    assert str(caught.value).isprintable()


def test_stdin_is_fuzzed_too(monkeypatch):
    rng = np.random.default_rng(7)
    for reader, seeds in ((io.read_fasta, fasta_seeds()), (io.read_pairs, pair_seeds())):
        for _ in range(300):
            monkeypatch.setattr(sys, "stdin", streams.TextIOWrapper(streams.BytesIO(malformed(rng, seeds))))
            try:
                reader("-")
            except MirscopeError as error:
                assert str(error).startswith("stdin")
                assert str(error).isprintable()
