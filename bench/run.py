"""Speed and memory, measured in one run so that the ratios hold on a machine that others use too: `make bench`.

Prints a table and writes bench/latest/results.json; the results of a release are kept in bench/results/VERSION.json.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812

from measure import CORES, peak_memory
from mirscope import discover, gradients, interpret, io, models, negatives, predict, rna, runs, train
from mirscope.io import Record

MIRANDA = 2.6e6
"""nt x miRNA/s of miRanda (C) on one core of this kind of machine."""
RESULTS: list[dict[str, object]] = []


def record(what: str, value: float, unit: str, against: str = "") -> None:
    RESULTS.append({"what": what, "value": round(float(value), 3), "unit": unit, "against": against})
    print(f"{what:58} {value:>14,.3g} {unit:18} {against}", flush=True)


def alternate(*functions, repeats: int = 5) -> list[float]:
    """Median seconds of each function, run in turn so that all meet the same machine."""
    times: list[list[float]] = [[] for _ in functions]
    for round_ in range(repeats + 1):
        for function, taken in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            if round_:  # the first is a warm-up
                taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


def random_sequences(n: int, length: int, seed: int = 0) -> list[str]:
    codes = np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.int8)
    return rna.decode(codes)


def bench_training(n: int = 4000, batch_size: int = 100) -> None:
    """Whole epochs of `fit`, as a user has them, against the network's own steps on batches that are ready."""
    pairs = pd.DataFrame({"mirna_seq": random_sequences(n, 22), "target_seq": random_sequences(n, 50, 1)})
    pairs["label"] = np.arange(n) % 2
    epochs = 3
    settings = train.Settings(epochs=epochs, batch_size=batch_size)

    def fit() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train.fit("mitar", pairs, pairs[:1000], Path(folder), settings=settings)

    model = models.create("mitar").train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    codes = model.encode(pairs["mirna_seq"].tolist(), pairs["target_seq"].tolist())
    labels = torch.tensor(pairs["label"].to_numpy(np.float32))
    batches = list(zip(*(part.split(batch_size) for part in (*codes, labels)), strict=True))

    def network() -> None:
        for _ in range(epochs):
            for mirna, target, y in batches:
                optimizer.zero_grad(set_to_none=True)
                F.binary_cross_entropy_with_logits(model(mirna, target), y).backward()
                optimizer.step()
            with torch.inference_mode():
                model.eval()(*(part[:1000] for part in codes))
                model.train()

    whole, bare = alternate(fit, network, repeats=3)
    record("training miTAR, whole epochs", epochs * n / whole, "examples/s", f"{CORES} threads, batch {batch_size}")
    record("share of an epoch outside the network", 100 * max(0.0, 1 - bare / whole), "%", "encoding, loading, logging")


def bench_networks(n: int = 200, batch_size: int = 100) -> None:
    """Every model of a miRNA and a target, in turn on one thread: scores, and steps of training."""
    torch.set_num_threads(1)
    pairs = pd.DataFrame({"mirna_seq": random_sequences(n, 22), "target_seq": random_sequences(n, 50, 1)})
    labels = torch.tensor(np.arange(n) % 2, dtype=torch.float32)
    networks = {name: models.create(name).eval() for name in models.names(models.PAIR)}
    learners = {name: models.create(name).train() for name in networks if models.needs_weights(name)}

    def prediction(model: models.Model) -> None:
        predict.score(model, pairs.assign(target_seq=pairs["target_seq"].str[: model.lengths[-1]]))

    def training(model: models.Model, optimizer: torch.optim.Optimizer) -> None:
        codes = model.encode(pairs["mirna_seq"].tolist(), pairs["target_seq"].tolist())
        for *batch, y in zip(*(part.split(batch_size) for part in (*codes, labels)), strict=True):
            optimizer.zero_grad(set_to_none=True)
            (F.binary_cross_entropy_with_logits(model(*batch), y) + model.penalty()).backward()
            optimizer.step()

    steps = [partial(training, m, torch.optim.Adam(m.parameters(), fused=True)) for m in learners.values()]
    for verb, names, functions in (
        ("training", learners, steps),
        ("prediction", networks, [partial(prediction, model) for model in networks.values()]),
    ):
        rates = dict(zip(names, (n / seconds for seconds in alternate(*functions, repeats=3)), strict=True))
        for name, rate in rates.items():
            record(f"{verb}, {name}", rate, "examples/s", f"1 thread, {rate / rates['mitar']:.2g} x mitar")


def bench_explaining(n: int = 16) -> None:
    """Every method on every model of pairs, in turn on one thread; against scores of as many pairs as of mutants."""
    torch.set_num_threads(1)
    pairs = pd.DataFrame({"mirna_seq": random_sequences(n, 22), "target_seq": random_sequences(n, 50, 1)})

    def explaining(model: models.Model, some: pd.DataFrame, method: str) -> None:
        list(interpret.explain(model, some, methods=[method]))

    for name in models.names(models.PAIR):
        model = models.create(name).eval()
        some = pairs.assign(target_seq=pairs["target_seq"].str[: model.lengths[-1]])
        mutants = pd.concat([some] * 3 * (22 + len(some["target_seq"][0])), ignore_index=True)
        methods = [method for method in interpret.METHODS if model.soft or method not in gradients.METHODS]
        whole = [partial(explaining, model, some, method) for method in methods]
        scores, *times = alternate(partial(predict.score, model, mutants), *whole, repeats=3)
        for method, seconds in zip(methods, times, strict=True):
            against = f"1 thread, {seconds / scores:.2g} x scores of as many as mutants"
            record(f"explaining, {name}, {method}", n / seconds, "examples/s", against)


def bench_windows(n_windows: int = 1024, n_mirnas: int = 8) -> None:
    """Three ways to the same scores: shared, batched, and one window a call as the published script."""
    model = models.create("mitar")
    mirnas = torch.from_numpy(rna.encode(random_sequences(n_mirnas, 22), 26))
    transcript = torch.from_numpy(rna.encode(random_sequences(1, 15 * n_windows + 53))[0])
    starts = torch.arange(0, 15 * n_windows, 15)
    windows = transcript.unfold(0, 53, 1)[starts]

    @torch.inference_mode()
    def shared() -> None:
        model.score_windows(mirnas, transcript, starts)

    @torch.inference_mode()
    def batched() -> None:
        model(mirnas[:1].expand(n_windows, -1), windows)

    @torch.inference_mode()
    def single() -> None:
        for window in windows[:40]:
            model(mirnas[:1], window[None])

    for threads in sorted({1, CORES}):
        torch.set_num_threads(threads)
        seconds = alternate(shared, batched, single)
        rates = [n / s for n, s in zip((n_windows * n_mirnas, n_windows, 40), seconds, strict=True)]
        for name, rate in zip(("shared (score_windows)", "batched (forward)", "one by one"), rates, strict=True):
            times = f"{threads} threads, {rate / rates[1]:.2g} x batched"
            record(f"miTAR windows, {name}", rate, "windows/s", times)


def bench_peaks(n_mirnas: int = 320, length: int = 100_000) -> None:
    """Every position of a transcript with every miRNA, by the model that can: kernels alone, on one core."""
    torch.set_num_threads(1)
    model = models.load("duplex")
    mirnas = torch.from_numpy(rna.encode(random_sequences(n_mirnas, 22), model.lengths[0]))
    transcript = torch.from_numpy(rna.encode(random_sequences(1, length))[0])
    [seconds] = alternate(lambda: model.peaks(mirnas, [transcript], torch.full((n_mirnas,), 20.0)), repeats=3)
    rate = n_mirnas * length / seconds
    record(
        "duplex peaks",
        rate / 1e6,
        "M nt x miRNA/s",
        f"1 thread, {rate / MIRANDA:.3g} x miRanda, {length:,} bytes of text",
    )


def bench_scan(n_transcripts: int = 60, length: int = 1500, n_mirnas: int = 40) -> None:
    """A scan as a command, from FASTA to files, with the memory of all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        texts = random_sequences(n_transcripts, length)
        io.write_fasta((Record(f"t{i}", text) for i, text in enumerate(texts)), here / "t.fa")
        io.write_fasta(
            (Record(f"m{i}", text) for i, text in enumerate(random_sequences(n_mirnas, 22, 2))), here / "m.fa"
        )
        n_windows = n_transcripts * n_mirnas * len(predict.window_starts(length, 53, 15))
        model = models.create("mitar")
        models.save(model, here / "fresh.safetensors")
        for threads in sorted({1, CORES}):
            for more, what in (([], "with duplexes"), (["--no-duplex"], "without duplexes")):
                out = ["-o", str(here / f"out{threads}{len(more)}"), "--threads", str(threads), "-p", "0.5", *more]
                command = [sys.executable, "-m", "mirscope", "scan", str(here / "m.fa"), str(here / "t.fa"), "--quiet"]
                began = time.perf_counter()
                peak = peak_memory([*command, "-m", str(here / "fresh.safetensors"), *out])
                rate = n_windows / (time.perf_counter() - began)
                record(f"scan command, {what}", rate, "windows/s", f"{threads} processes, {peak:.0f} MB in all")


def bench_discovery(length: int = 500_000) -> None:
    """Pre-miRNAs in a random genome: the search for stems alone, and the command, both strands, from FASTA to files."""
    torch.set_num_threads(1)
    text = negatives.random_sequence(length, frequencies=(0.3, 0.2, 0.2, 0.3))
    [seconds] = alternate(lambda: discover.candidates(text[:100_000]), repeats=3)
    record("search for stems, one strand", 0.1 / seconds * 60, "Mb/min", "1 thread")
    peer = 2750 * 20 / 1e6 * 60 / 2  # windows of 100 nt every 20 nt of one strand a second, on a GPU, as both strands
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        io.write_fasta([Record("g", text)], here / "g.fa")
        for threads in sorted({1, CORES}):
            out = ["-o", str(here / f"out{threads}"), "--threads", str(threads), "--quiet"]
            began = time.perf_counter()
            peak = peak_memory([sys.executable, "-m", "mirscope", "discover", str(here / "g.fa"), *out])
            whole = time.perf_counter() - began
            rate = (length + discover.BACKGROUND) / 1e6 / whole * 60  # the background is searched too
            times = f"{threads} processes, {peak:.0f} MB in all, {rate / peer:.2g} x miRe2e on a GPU"
            record("discover command, both strands", rate, "Mb/min", times)


def main() -> None:
    torch.set_num_threads(CORES)
    bench_training()
    bench_networks()
    bench_explaining()
    torch.set_num_threads(CORES)
    bench_windows()
    bench_peaks()
    torch.set_num_threads(CORES)
    bench_scan()
    bench_discovery()
    folder = Path(__file__).parent / "latest"
    folder.mkdir(exist_ok=True)
    runs.write_json(folder / "results.json", runs.environment() | {"cores": CORES, "results": RESULTS})
    print(f"written: {folder / 'results.json'}")


if __name__ == "__main__":
    main()
