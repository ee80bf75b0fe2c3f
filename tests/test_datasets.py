"""The catalogue: its entries against the real files, the converters, and fetch against a loopback server."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from mirscope import datasets, io, rna
from mirscope.errors import DownloadError, InputError, UsageError

FIELDS = "\t".join


def tsv(*rows):
    return "".join(FIELDS(row.split()) + "\n" for row in rows)


# --- the catalogue


@pytest.mark.parametrize("name", datasets.names())
def test_entry_has_all_fields(name):
    item = datasets.entry(name)
    for field in ("file", "what", "licence", "citation"):
        assert getattr(item, field).strip()
    assert "\n" not in item.what
    assert re.fullmatch("[0-9a-f]{64}", item.sha256)
    assert item.page.startswith("https://")
    assert item.kind in {"pairs", "hairpins", "table", "fasta", "motifs", "weights", "text", "fastq"}
    assert (item.rows is None) == (item.kind == "weights")
    assert not item.converter or item.converter in datasets.CONVERTERS
    assert all(need in datasets.names() for need in item.needs)
    assert item.origins or item.note
    for url in item.origins:
        assert re.match(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", url)


def test_every_converter_is_used():
    assert {datasets.entry(name).converter for name in datasets.names()} == {"", *datasets.CONVERTERS}


def test_unknown_name_lists_the_nearest():
    with pytest.raises(UsageError, match="'mirtaraw'; did you mean mirtarraw"):
        datasets.entry("mirtaraw")


def real(name):
    """The content of a real file; skips where it is not on this machine."""
    try:
        return datasets._content(datasets.path(name))
    except InputError:
        pytest.skip(f"{name} is not on this machine")


@pytest.mark.data
@pytest.mark.parametrize("name", datasets.names())
def test_real_file_is_the_one_of_the_catalogue(name):
    content, item = real(name), datasets.entry(name)
    assert datasets.verify(name) == datasets.Check(name, "ok", datasets.path(name), item.sha256)
    if item.kind in {"pairs", "hairpins", "table"}:
        assert content.count(b"\n") - 1 == item.rows
    elif item.kind == "fastq":
        assert content.count(b"\n") == 4 * item.rows
    elif item.kind == "motifs":
        assert content.count(b"\nMOTIF ") == item.rows
    elif item.rows is not None:
        assert content.count(b">") == item.rows


# --- where a file is


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty MIRSCOPE_DATA, checkout and cache."""
    monkeypatch.setenv("MIRSCOPE_DATA", str(tmp_path / "given"))
    checkout = tmp_path / "work" / "main"
    checkout.mkdir(parents=True)
    (checkout / "pyproject.toml").touch()
    module = checkout / "src" / "mirscope" / "datasets.py"
    datasets._catalogue()  # is read beside the real module
    monkeypatch.setattr(datasets, "__file__", str(module))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    return [tmp_path / "given", tmp_path / "work" / "shared" / "data", tmp_path / "cache" / "data"]


def test_resolution_order(folders):
    file = datasets.entry("mirtarraw").file
    with pytest.raises(InputError, match="mirscope data fetch mirtarraw"):
        datasets.path("mirtarraw")
    assert datasets.verify("mirtarraw") == datasets.Check("mirtarraw", "missing")
    for folder in reversed(folders):
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_bytes(b"")
        assert datasets.path("mirtarraw") == folder / file


def test_shared_data_counts_only_beside_a_checkout(folders, tmp_path):
    (tmp_path / "work" / "main" / "pyproject.toml").unlink()
    (folders[1] / "targets").mkdir(parents=True)
    (folders[1] / datasets.entry("mirtarraw").file).touch()
    with pytest.raises(InputError):
        datasets.path("mirtarraw")


def test_verify_does_not_depend_on_the_compression(folders, entries):
    entries(origins=())
    for number, content in enumerate([gzip.compress(MADE, 1), gzip.compress(MADE, 9), MADE]):
        (folders[0] / "targets").mkdir(parents=True, exist_ok=True)
        (folders[0] / "targets/x.tsv.gz").write_bytes(content)
        assert datasets.verify("x").state == "ok", number


@pytest.mark.parametrize("content", [b"other", gzip.compress(b"x" * 999, mtime=0)[:20], b"\x1f\x8b"])
def test_verify_of_a_damaged_file(folders, entries, content):
    entries(origins=())
    (folders[0] / "targets").mkdir(parents=True)
    (folders[0] / "targets/x.tsv.gz").write_bytes(content)
    check = datasets.verify("x")
    assert check.state == "different" and check.sha256
    with pytest.raises(InputError, match="remove it first"):
        datasets.fetch("x")


# --- fetch, from a loopback server

SERVED = "".join(f"mir-{i}\tUGGAU\tgene\tACGT\t{i % 2}\n" for i in range(1000)).encode()
DIES = 16384  # bytes sent where the server dies
MADE = datasets.CONVERTERS["mitar"]([SERVED.decode()]).encode()


class Server(ThreadingHTTPServer):
    """Serves SERVED at any path; `mode` and `body` change how, `seen` lists the requests' Range headers."""

    daemon_threads = True
    mode, body, ranges = "good", SERVED, True

    def __init__(self):
        self.seen = []
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, name="x"):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers["Range"]
        self.server.seen.append(asked)
        body, start = self.server.body, 0
        if self.server.mode == "missing":
            return self.send_error(404)
        if asked and self.server.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = DIES if self.server.mode == "dies" else len(body)
        self.wfile.write(body[start:end])
        self.close_connection = True
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def entries(monkeypatch):
    """Puts an entry `x`, whose content is MADE, in place of the catalogue; its fields are the arguments."""

    def put(**fields):
        item = datasets.Entry(
            **{
                "name": "x", "file": "targets/x.tsv.gz", "kind": "pairs", "what": "w", "licence": "l", "citation": "c",
                "page": "https://example.org", "sha256": hashlib.sha256(MADE).hexdigest(), "rows": 1000,
                "converter": "mitar", "note": "no origin known",
            } | fields
        )  # fmt: skip
        catalogue = datasets._catalogue()
        monkeypatch.setattr(datasets, "_catalogue", lambda: {**catalogue, item.name: item})
        return item

    return put


def left(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_fetch_converts_verifies_and_asks_once(folders, entries, server):
    entries(origins=(server.url(),))
    file = datasets.fetch("x")
    assert file == datasets.path("x") == folders[2] / "targets/x.tsv.gz"
    assert gzip.decompress(file.read_bytes()) == MADE
    assert datasets.verify("x").state == "ok"
    assert datasets.fetch("x") == file
    assert server.seen == [None]
    assert left(folders[2]) == ["targets/x.tsv.gz"]


def test_fetch_returns_a_good_copy_without_network(folders, entries):
    entries(origins=("http://127.0.0.1:1/nobody",))
    (folders[0] / "targets").mkdir(parents=True)
    (folders[0] / "targets/x.tsv.gz").write_bytes(gzip.compress(MADE))
    assert datasets.fetch("x") == folders[0] / "targets/x.tsv.gz"


def test_fetch_replaces_a_damaged_copy_of_the_cache(folders, entries, server):
    entries(origins=(server.url(),))
    datasets.fetch("x").write_bytes(b"damaged")
    assert datasets._content(datasets.fetch("x")) == MADE


def test_fetch_without_converter_keeps_the_bytes(folders, entries, server):
    server.body = bytes(range(256))
    digest = hashlib.sha256(server.body).hexdigest()
    entries(origins=(server.url(),), converter="", file="w/x.h5", kind="weights", sha256=digest)
    assert datasets.fetch("x").read_bytes() == server.body


def test_fetch_of_what_the_server_does_not_have(folders, entries, server):
    entries(origins=(server.url(),))
    server.mode = "missing"
    with pytest.raises(DownloadError, match=r"http://127.+/x: expected the file, found 404 Not Found$"):
        datasets.fetch("x")
    assert left(folders[2]) == []


def test_fetch_without_a_server(folders, entries):
    entries(origins=("http://127.0.0.1:1/x",))
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:1/x: expected an answer, found none"):
        datasets.fetch("x")


@pytest.mark.parametrize(
    "body", [SERVED[: SERVED.index(b"mir-500")], SERVED.replace(b"A", b"C"), SERVED[:-3], b"<html>busy</html>", b"\xff"]
)
def test_fetch_of_other_content_keeps_nothing(folders, entries, server, body):
    entries(origins=(server.url(), server.url("second")))
    server.body = body
    with pytest.raises(
        DownloadError, match=r"/x and 1 more: not x of the catalogue: expected .+ found .+nothing"
    ) as raised:
        datasets.fetch("x")
    assert "\n" not in str(raised.value)
    assert left(folders[2]) == []
    assert datasets.verify("x").state == "missing"


def test_fetch_continues_what_broke_off(folders, entries, server):
    entries(origins=(server.url(),))
    server.mode = "dies"
    with pytest.raises(DownloadError, match=f"expected {len(SERVED)} bytes, found {DIES}; fetch again"):
        datasets.fetch("x")
    assert [Path(file).suffix for file in left(folders[2])] == [".part"]
    server.mode = "good"
    assert datasets._content(datasets.fetch("x")) == MADE
    assert server.seen == [None, f"bytes={DIES}-"]
    assert left(folders[2]) == ["targets/x.tsv.gz"]


def test_fetch_starts_anew_where_the_server_knows_no_ranges(folders, entries, server):
    entries(origins=(server.url(),))
    server.mode = "dies"
    with pytest.raises(DownloadError):
        datasets.fetch("x")
    server.mode, server.ranges = "good", False
    assert datasets._content(datasets.fetch("x")) == MADE


@pytest.mark.parametrize("part", [SERVED, SERVED + b"x", b"wrong"])
def test_fetch_with_a_wrong_part_succeeds_at_the_second_call(folders, entries, server, part):
    item = entries(origins=(server.url(),))
    arriving = folders[2] / "arriving" / "x"
    arriving.mkdir(parents=True)
    (arriving / hashlib.sha256(item.origins[0].encode()).hexdigest()[:16]).with_suffix(".part").write_bytes(part)
    with pytest.raises(DownloadError):
        datasets.fetch("x")
    assert left(folders[2]) == []
    assert datasets._content(datasets.fetch("x")) == MADE


def test_fetch_of_several_origins_does_not_repeat_those_that_came(folders, entries, server):
    entries(origins=(server.url(), server.url("b")))
    server.mode = "good"
    good = Handler.do_GET

    def second_fails(handler):
        server.mode = "missing" if handler.path == "/b" and len(server.seen) < 2 else "good"
        good(handler)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Handler, "do_GET", second_fails)
        with pytest.raises(DownloadError, match="/b: expected the file, found 404"):
            datasets.fetch("x")
        datasets.fetch("x")
    assert len(server.seen) == 3


def test_fetch_brings_what_an_entry_needs(folders, entries, server, monkeypatch):
    made = {"n": MADE, "x": b"".join([SERVED, MADE])}
    monkeypatch.setitem(datasets.CONVERTERS, "join", "".join)
    entries(name="n", file="n.tsv", origins=(server.url("n"),))
    entries(origins=(server.url(),), needs=("n",), converter="join", sha256=hashlib.sha256(made["x"]).hexdigest())
    assert datasets._content(datasets.fetch("x")) == made["x"]
    assert datasets.path("n").read_bytes() == MADE


def test_fetch_without_origin_says_where_to_get_it(folders, entries):
    entries(origins=())
    with pytest.raises(DownloadError, match=r"by hand, as targets/x.tsv.gz .+ https://example.org \(no origin known\)"):
        datasets.fetch("x")


def test_fetch_into_a_folder_that_cannot_be_written(folders, entries, server):
    entries(origins=(server.url(),))
    folders[2].parent.mkdir()
    folders[2].write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="cannot be written"):
        datasets.fetch("x")


def test_progress_goes_to_stderr(folders, entries, server, capsys):
    entries(origins=(server.url(),))
    datasets.fetch("x", progress=True)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("x ")


# --- converters, on excerpts of the origins

PAIR = "mirna_id mirna_seq gene_id target_seq label"
RAW = tsv(
    "hsa-miR-96-5p UCGUUUUUACACGAUCACGGUUU ENSG00000095139 AGCAGAGCACTCACACATAAATGGCTGTGTGTGGAATTGC 1",
    "MIMAT0004784 GGCUCUGCGUCAUAAACACGA NM_001008388 AAUCUUUAAAAUUUUUGUGCU 0",
)


def converted(converter, *texts):
    return datasets.CONVERTERS[converter](list(texts))


def test_mitar_stores_mirnas_backwards():
    assert converted("mitar", RAW) == tsv(
        PAIR,
        "hsa-miR-96-5p UUUGGCACUAGCACAUUUUUGCU ENSG00000095139 AGCAGAGCACUCACACAUAAAUGGCUGUGUGUGGAAUUGC 1",
        "MIMAT0004784 AGCACAAAUACUGCGUCUCGG NM_001008388 AAUCUUUAAAAUUUUUGUGCU 0",
    )


def test_mitar_positives_leaves_out_header_and_negatives():
    text = "miRNA ID\tmiRNA Seq (3'-->5')\tmRNA Accession Number\tTarget Site\tlabel\n" + tsv(
        "hsa-miR-107 ACUAUCGGGACAUGUUACGACGA NM_017913 TAAATTTTTTTTAATGTGCTGCT 1",
        "MIMAT0000098 AUCUGAUAAGACCUCGCGGAUC NM_001142418 GCGUCUAC 0",
    )
    assert converted("mitar_positives", text) == tsv(
        PAIR, "hsa-miR-107 AGCAGCAUUGUACAGGGCUAUCA NM_017913 UAAAUUUUUUUUAAUGUGCUGCU 1"
    )


def test_tec_takes_its_ids_from_mitar():
    raw = tsv(PAIR, "A UUGG g1 ACUU 1", "B CCGG g2 ACUU 0", "C UUGG g3 ACUU 1")
    rest = tsv(PAIR, "D UUGG g4 ACUU 0")
    train, valid, test = tsv(">GGUU >ACTT 1"), tsv(">GGUU >ACTT 0", ">GGCC >ACUU 0"), tsv(">GGUU >ACTT 1")
    assert converted("tec", train, valid, test, raw, rest) == tsv(
        f"{PAIR} split",
        "C UUGG g3 ACUU 1 train",  # the last listed goes first
        "D UUGG g4 ACUU 0 valid",
        "B CCGG g2 ACUU 0 valid",
        "A UUGG g1 ACUU 1 test",
    )


def test_mirbind_joins_tables_and_folded_pairs():
    header = "miRNA\tgene\tlabel\n"
    train = header + tsv("ACCTGGCATACAATGTAGAT AGGCGTGGTGCTTATGGTGGAGGCTATGGAGGCTATGATGATTACAATGG 0")
    test = header + tsv("GGGCTCACATCACCCCAT CCAACAGGAGAAGACCCCACCGCCTAGACCCAGCCCGCTAGAGGCAGGCA 0")
    valid = (
        ">0\nUAAAGGCCUGGGGUGUGUGGCCUAAAGCCCAAGAGCGGUGGGGCGACCCU&UAGGUAGUUUCCUGUUGUUG\n"
        "....(((...((((.....))))...)))(((.(((((.(((((.(((..&..))).)))))))))).))) (-25.40)\n"
    )
    mirbase = (
        ">hsa-miR-221-5p MIMAT0004568 Homo sapiens miR-221-5p\nACCUGGCAUACAAUGUAGAUUU\n"
        ">hsa-miR-196b-5p MIMAT0001080 Homo sapiens miR-196b-5p\nUAGGUAGUUUCCUGUUGUUGGG\n"
        ">hsa-miR-196x MIMAT0 Homo sapiens miR-196x\nUAGGUAGUUUCCUGUUGUUGCA\n"
    )
    rows = converted("mirbind", train, valid, test, mirbase).splitlines()
    assert rows == [
        FIELDS(row)
        for row in (
            f"{PAIR} split".split(),
            [
                "hsa-miR-221-5p",
                "ACCUGGCAUACAAUGUAGAU",
                "",
                "AGGCGUGGUGCUUAUGGUGGAGGCUAUGGAGGCUAUGAUGAUUACAAUGG",
                "0",
                "train",
            ],
            [
                "hsa-miR-196b-5p|hsa-miR-196x",
                "UAGGUAGUUUCCUGUUGUUG",
                "",
                "UAAAGGCCUGGGGUGUGUGGCCUAAAGCCCAAGAGCGGUGGGGCGACCCU",
                "0",
                "valid",
            ],
            ["", "GGGCUCACAUCACCCCAU", "", "CCAACAGGAGAAGACCCCACCGCCUAGACCCAGCCCGCUAGAGGCAGGCA", "0", "test"],
        )
    ]


def test_mirbind_without_train():
    header = "miRNA\tgene\tlabel\n"
    mirbase = ">hsa-let-7a-5p MIMAT0000062\nUGAGGUAGUAGGUUGUAUAGUU\n"
    test = header + tsv("TGAGGTAGTAGGTTGTATAG ACTT 1")
    assert converted("mirbind", ">0\nGGCC&UUGG\n..&.. (0)\n", test, mirbase).splitlines()[1:] == [
        FIELDS(["", "UUGG", "", "GGCC", "0", "valid"]),
        FIELDS(["hsa-let-7a-5p", "UGAGGUAGUAGGUUGUAUAG", "", "ACUU", "1", "test"]),
    ]


def test_hybridetector_names_only_mirnas_of_mirbase():
    header = "noncodingRNA\tgene\tlabel\n"
    mirbase = ">hsa-miR-1 M1\nUGGAAU\n>hsa-miR-2 M2\nUGGAAU\n>hsa-miR-3 M3\nUGGA\n"
    tables = [header + tsv("TGGAAT ACTT 1", "TGGAA ACTT 0"), header + tsv("TGGA ACTT 1")]
    rows = [FIELDS(["hsa-miR-1|hsa-miR-2", "UGGAAU", "", "ACUU", "1", "train"])]
    rows += [FIELDS(["", "UGGAA", "", "ACUU", "0", "train"]), FIELDS(["hsa-miR-3", "UGGA", "", "ACUU", "1", "test"])]
    assert converted("hybridetector", *tables, mirbase).splitlines()[1:] == rows
    assert converted("hybridetector", tables[1], mirbase).splitlines()[1:] == rows[2:]


def test_tec_valid_does_not_turn_the_mirna():
    made = converted("tec_valid", tsv(">UGGAAU >ACTT 1"), ">hsa-miR-1 M1\nUGGAAU\n")
    assert made.splitlines()[1:] == [FIELDS(["hsa-miR-1", "UGGAAU", "", "ACUU", "1", "valid"])]


def test_mirbench_reorders_the_columns():
    header = "gene noncodingRNA noncodingRNA_name noncodingRNA_fam feature label chr start end strand gene_cluster_ID"
    train = tsv(
        header,
        "CCTGTGGCTGGACTACAAGAACATCTGCAAGGTGGTGGAAGTGGGCAGCA CACCCGTAGAACCGACCTTGCG hsa-miR-99b-5p mir-10 intron 0 "
        "15 72209721 72209770 - 1163",
    )
    test = tsv(
        header,
        "TAAGTAGATTTTTCTGATGGCACTGATCAGATTGTATCACAATTATCTGT AACCCGTAGATCCGATCTTGTG hsa-miR-99a-5p mir-10 intron 0 "
        "1 31638932 31638981 - 721",
    )
    table = [line.split("\t") for line in converted("mirbench", train, test).splitlines()]
    assert table[0] == f"{PAIR} split mirna_family feature chr start end strand gene_cluster_id".split()
    assert table[1][:3] == ["hsa-miR-99b-5p", "CACCCGUAGAACCGACCUUGCG", ""]
    assert table[1][4:] == ["0", "train", "mir-10", "intron", "15", "72209721", "72209770", "-", "1163"]
    assert table[2][3:6] == ["UAAGUAGAUUUUUCUGAUGGCACUGAUCAGAUUGUAUCACAAUUAUCUGU", "0", "test"]


def test_dmiso_reorders_the_columns():
    text = (
        "miRNA ID\tTarget ID\tmiRNA Sequence\tTarget Sequence\tPrediction Score\tPrediction\n"
        "hsa-miR-27a-3p\tENST1|RPS15A\tUUCACAGUGGCUAAGUUCUUCU\tCUUAAUUAAAAGAAGUUAAUG\t0.6678337\t1"
    )
    assert converted("dmiso", text) == tsv(
        "mirna_id mirna_seq gene_id target_seq dmiso_score dmiso_prediction",
        "hsa-miR-27a-3p UUCACAGUGGCUAAGUUCUUCU ENST1|RPS15A CUUAAUUAAAAGAAGUUAAUG 0.6678337 1",
    )


def test_fasta_becomes_one_line_a_sequence():
    text = ">NM_005488\nGTGTGGGGTC\nTGGAG\nGTCAA\n>NM_175709\nATCACCGT\n"
    assert converted("fasta", text) == ">NM_005488\nGTGTGGGGTCTGGAGGTCAA\n>NM_175709\nATCACCGT\n"


def test_mirbase_headers():
    text = (
        ">sma-miR-71b-3p MIMAT0025044 Schistosoma mansoni miR-71b-3p\nCCUCAUACUGAGUCUUUCCCG\n"
        ">hsa-let-7a-5p MIMAT0000062 Homo sapiens let-7a-5p\nUGAGGUAGUAGGUUGUAUAGUU"
    )
    all_species, human = converted("mirbase", text), converted("mirbase_human", text)
    assert all_species.splitlines()[::2] == [">sma-miR-71b-3p MIMAT0025044", ">hsa-let-7a-5p MIMAT0000062"]
    assert human == ">hsa-let-7a-5p MIMAT0000062 Homo sapiens let-7a-5p\nUGAGGUAGUAGGUUGUAUAGUU\n"


# --- converters, on whole origins made from the real files: their sizes are those of the published files


@functools.cache
def rows_of(name):
    return [line.split("\t") for line in real(name).decode().splitlines()[1:]]


def dna(sequence):
    return sequence.replace("U", "T")


def lines(rows):
    return "".join(FIELDS(row) + "\n" for row in rows)


def by_split(name, form):
    rows = rows_of(name)
    parts = [lines(form(row) for row in rows if row[5] == split) for split in datasets.SPLITS]
    return [part for part in parts if part]


def mitar_origin(name):
    return [lines((row[0], row[1][::-1], row[2], dna(row[3]), row[4]) for row in rows_of(name))]


def tec_origin(name):
    return by_split(name, lambda row: (f">{row[1][::-1]}", f">{row[3]}", row[4]))


def mirbind_origin(name):
    *train, _, test = by_split(name, lambda row: (dna(row[1]), dna(row[3]), row[4]))
    folded = "".join(
        f">{row[4]}\n{row[3]}&{row[1]}\n{'.' * (len(row[1]) + len(row[3]) + 1)} ( -0.00)\n"
        for row in rows_of(name)
        if row[5] == "valid"
    )
    header = "miRNA\tgene\tlabel\n"
    return [*(header + part for part in train), folded, header + test]


def hybridetector_origin(name):
    header = "noncodingRNA\tgene\tlabel\n"
    return [header + part for part in by_split(name, lambda row: (dna(row[1]), dna(row[3]), row[4]))]


def tec_valid_origin(name):
    return by_split(name, lambda row: (f">{row[1]}", f">{dna(row[3])}", row[4]))


def mirbench_origin(name):
    train, test = by_split(name, lambda row: (dna(row[3]), dna(row[1]), row[0], *row[6:8], row[4], *row[8:]))
    header = "gene noncodingRNA noncodingRNA_name noncodingRNA_fam feature label chr start end strand gene_cluster_ID"
    return [tsv(header) + train, tsv(header) + test]


def fasta_origin(name):
    records = datasets._records(real(name).decode())
    wrapped = ("\n".join(seq[i : i + 60] for i in range(0, len(seq), 60)) for _, seq in records)
    return ["".join(f">{header}\n{text}\n" for (header, _), text in zip(records, wrapped, strict=True))]


def dmiso_origin(name):
    header = "miRNA ID\tTarget ID\tmiRNA Sequence\tTarget Sequence\tPrediction Score\tPrediction\n"
    return [(header + lines((row[0], row[2], row[1], row[3], *row[4:]) for row in rows_of(name))).rstrip("\n")]


def dnnpremir_origin(name):
    parts = []
    for label, kind in (("1", "TRUE"), ("0", "FALSE")):
        rows = [row for row in rows_of(name) if row[4] == label]
        symbols = ("".join(letter + sign + " " for letter, sign in zip(*row[1:3], strict=True)) for row in rows)
        lines = [f"{k},{row[0]},{text},{kind}\n" for k, (row, text) in enumerate(zip(rows, symbols, strict=True))]
        parts.append("".join([",Accession,seq_struc,Classification\n", *lines]))
    return parts


def hairpins_origin(name):
    species = dict.fromkeys(row[5] for row in rows_of(name))
    return ["".join(f">{row[0]}\n{row[1]}\n" for row in rows_of(name) if row[5] == one) for one in species]


def mirbase_hairpins_origin(name):
    """The files of miRBase 22 as they are."""
    names = (f"mirbase/{one}_hairpin_mirbase22.fa.gz" for one in ("hsa", "mml", "mmu", "rno"))
    folder = datasets.path(name).parents[1]
    return [datasets._content(folder / file).decode() for file in names]


def calls_origin(name):
    headers = dict(
        record
        for text in mirbase_hairpins_origin("mirbase22_hairpins_4species")
        for record in ((header.split()[0], header) for header, _ in datasets._records(text))
    )
    kinds = {"miRBase22": "mirbase22_hairpins_4species", "MirGeneDB": "mirgenedb_hairpins_4species"}
    parts = defaultdict(str)
    for data, identity, call in rows_of(name):
        source = kinds.get(data.split("_")[0], "pseudo_hairpins_8492")
        header, answer = headers.get(identity, identity), str(call == "1")
        parts[data] += f">{header}\n{sequences(source)[identity]}  {answer}\n{'=' * 27}\n"
    return list(parts.values())


@functools.cache
def sequences(name):
    return {row[0]: row[1] for row in rows_of(name)}


MIRBASE_CALLS = [332115, 110160, 214342, 92520]
MIRGENEDB_CALLS = [67500, 57381, 51631, 47590]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "origin", "sizes"),
    [
        ("dnnpremir_human_balanced", dnnpremir_origin, [506345, 554954]),
        ("mirgenedb_hairpins_4species", hairpins_origin, [47503, 40414, 36362, 33511]),
        ("dnnpremir_published_cnn_calls", calls_origin, [*MIRBASE_CALLS, *MIRGENEDB_CALLS, 1285983]),
        ("mirbase22_hairpins_4species", mirbase_hairpins_origin, [266843, 89129, 172233, 75631]),
        ("pseudo_hairpins_8492", hairpins_origin, [989776]),
        ("mirtarraw", mitar_origin, [2516446]),
        ("deepmirtar_left", mitar_origin, [60437]),
        ("miraw_left", mitar_origin, [4047883]),
        ("miraw_in", mitar_origin, [175890]),
        ("deepmirtar", tec_origin, [252055, 62934, 78710]),
        ("miraw", tec_origin, [2741146, 685284, 856734]),
        ("clash_helwak2013_1to1", mirbind_origin, [2276853, 311858, 295866]),
        ("clash_helwak2013_1to10_valid_test", mirbind_origin, [1714682, 1626719]),
        ("clash_hejret2023_realseq", hybridetector_origin, [3139313, 107250]),
        ("clash_hejret2023_realseq_1to10_test", hybridetector_origin, [586930]),
        ("clash_hejret2023_mirbench", mirbench_origin, [1111884, 131544]),
        ("deeptargetpro_valid", tec_valid_origin, [68229]),
        ("human_3utr_mirmark", fasta_origin, [1457540]),
        ("dmiso_examples", dmiso_origin, [1924]),
    ],
)
def test_converter_makes_the_real_file(monkeypatch, name, origin, sizes):
    texts, item = origin(name), datasets.entry(name)
    if item.converter.startswith(("folded", "pseudo")):  # every fiftieth is folded, for the others the file is believed
        known = {row[1]: (row[2], float(row[3])) for row in rows_of(name)}
        for sequence in list(known)[::50]:
            assert rna.fold(sequence) == known[sequence]
        monkeypatch.setattr(rna, "fold", known.__getitem__)
    assert [len(text) for text in texts] == sizes
    made = converted(item.converter, *texts, *(real(need).decode() for need in item.needs))
    assert hashlib.sha256(made.encode()).hexdigest() == item.sha256


def test_dnnpremir_decodes_nucleotides_with_brackets():
    text = ",Accession,seq_struc,Classification\n0,a,G( G( G( A. A. A. C) C) C) ,TRUE\n1,b,A. C. ,FALSE\n"
    assert converted("dnnpremir", text).splitlines()[1:] == [
        FIELDS([name, sequence, structure, mfe, label, "hsa", "dnnPreMiR_balanced", "dnnPreMiR (RNAfold, authors)"])
        for name, sequence, structure, mfe, label in (
            ("a", "GGGAAACCC", "(((...)))", "-1.20", "1"),
            ("b", "AC", "..", "0.00", "0"),
        )
    ]


def test_pseudo_hairpins_are_marked_where_they_are_in_the_training_set():
    made = converted("pseudo", ">a x\nGGGAAACCC\n>b\nAC\n", tsv("id sequence", "b AC"))
    assert [line.split("\t")[::8] for line in made.splitlines()] == [["id", "in_balanced_set"], ["a", "0"], ["b", "1"]]
    assert made.splitlines()[1].split("\t")[2:6] == ["(((...)))", "-1.20", "0", "hsa"]


def test_dnnpremir_calls_are_named_by_set():
    texts = [f">h{k} more\nACGU  {k == 3}\n{'=' * 27}\n" for k in range(9)]
    made = [line.split("\t") for line in converted("dnnpremir_calls", *texts).splitlines()[1:]]
    assert made[0] == ["miRBase22_hsa", "h0", "0"]
    assert made[3] == ["miRBase22_rno", "h3", "1"]
    assert made[8] == ["pseudo_8492", "h8", "0"]


# --- pairs and splits


def test_random_split_is_that_of_mitar():
    from sklearn.model_selection import train_test_split

    table = pd.DataFrame({"label": range(1000)}, index=range(5, 1005))
    split = datasets.random_split(table, random_state=1122)
    rest, test = train_test_split(table, test_size=0.2, random_state=1122)
    train, valid = train_test_split(rest, test_size=0.2, random_state=1122)
    assert dict(split.value_counts()) == {"train": 640, "valid": 160, "test": 200}
    for part, name in ((train, "train"), (valid, "valid"), (test, "test")):
        assert (split[part.index] == name).all()
    assert split.equals(datasets.random_split(table, random_state=1122))


@pytest.fixture
def installed(folders, entries):
    """The entry `x` in MIRSCOPE_DATA, with the split rule of miTAR."""
    entries(split=datasets.SplitRule(1122))
    (folders[0] / "targets").mkdir(parents=True)
    (folders[0] / "targets/x.tsv.gz").write_bytes(gzip.compress(MADE))


def test_load_pairs_by_name_and_split(installed):
    table = datasets.load_pairs("x")
    assert list(table.columns) == [*PAIR.split(), "split"]
    parts = {split: datasets.load_pairs(f"x:{split}") for split in datasets.SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 640, "valid": 160, "test": 200}
    assert sorted(pd.concat(parts.values()).mirna_id) == sorted(table.mirna_id)
    assert list(parts["test"].index) == list(range(200))
    with pytest.raises(UsageError, match="x has no split 'dev'; it has train, valid, test"):
        datasets.load_pairs("x:dev")


def test_load_pairs_by_path(tmp_path, installed):
    given = tmp_path / "a:b.tsv"
    given.write_text(tsv(f"{PAIR} split", "a UUGG g ACUU 1 train", "b UUGG g ACUU 0 valid"))
    assert len(datasets.load_pairs(str(given))) == 2
    assert list(datasets.load_pairs(f"{given}:valid").mirna_id) == ["b"]
    with pytest.raises(UsageError, match="no split 'test'; it has train, valid"):
        datasets.load_pairs(f"{given}:test")
    given.write_text(tsv(PAIR, "a UUGG g ACUU 1"))
    assert "split" not in datasets.load_pairs(str(given))
    with pytest.raises(UsageError, match="no split 'test'; it has none"):
        datasets.load_pairs(f"{given}:test")


@pytest.mark.parametrize("data", ["miraww", "miraww:test", ""])
def test_load_pairs_of_neither_name_nor_file(data):
    with pytest.raises(UsageError, match="neither a data set of the catalogue nor a file"):
        datasets.load_pairs(data)


def test_load_pairs_of_what_holds_none():
    with pytest.raises(UsageError, match="mature_mirbase22 holds no pairs but fasta"):
        datasets.load_pairs("mature_mirbase22")


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("pairs.tsv", "mirna_seq\ttarget_seq\nUGAGGUAG\tACGU\n", "mirna_seq"),
        ("hairpins.csv", "id,sequence\na,ACGU\n", "hairpin_seq"),
        ("hairpins.tsv", "hairpin_id\thairpin_seq\tlabel\na\tACGU\t1\n", "hairpin_seq"),
        ("hairpins.fa", ">a\nACGU\n", "hairpin_seq"),
        ("bare.txt", "ACGU\n", "hairpin_seq"),
        ("targetnet.tsv", "mirna_id\tmirna_seq\tmrna_id\tsequence\na\tUGAGGUAG\tb\tACGU\n", "mirna_seq"),
    ],
)
def test_a_table_tells_what_it_holds(tmp_path, name, text, column):
    (tmp_path / name).write_text(text)
    table = datasets.load(str(tmp_path / name))
    assert column in table
    if name != "targetnet.tsv":
        io.write_table(table, tmp_path / "table.parquet")
        pd.testing.assert_frame_equal(datasets.load(str(tmp_path / "table.parquet")), table)


def test_load_pairs_not_on_this_machine(folders):
    with pytest.raises(InputError, match=r"mirscope data fetch miraw$"):
        datasets.load_pairs("miraw:test")


@pytest.mark.data
def test_real_splits():
    real("mirtarraw"), real("deepmirtar")
    table = datasets.load_pairs("mirtarraw")
    assert dict(table.split.value_counts()) == {"train": 17741, "valid": 4435, "test": 5544}
    table = datasets.load_pairs("deepmirtar")
    assert dict(table.split.value_counts()) == {"train": 4964, "valid": 1242, "test": 1552}
    assert len(datasets.load_pairs("deepmirtar:test")) == 1552


def test_entries_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        datasets.entry("mirtarraw").file = "x"
