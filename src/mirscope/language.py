"""A language model of RNA: BERT over overlapping 4-mers, which learns to fill in masked ones (DNABERT, Ji et al. 2021).

A model is a folder as `transformers` writes it: config.json, model.safetensors (or pytorch_model.bin), vocab.txt. The
folders of DNABERT and 3UTRBERT are such; `pretrain` makes our own. `transformers` is an extra (`mirscope[bert]`).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mirscope import io, rna, runs
from mirscope.errors import InputError, UsageError

log = logging.getLogger(__name__)

K = 4
N_KMERS = 4**K
UNKNOWN = N_KMERS
"""Token of a k-mer with an N, padding among them."""

PAD, UNK, CLS, SEP, MASK = range(5)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + ["".join(word) for word in itertools.product("ACGT", repeat=K)]
"""The vocabulary in DNA letters, as DNABERT's: a word's index is its id."""
FIRST = WORDS.index("A" * K)

_SHORTEST = 20  # nt: of a transcript to learn from, and of a stretch that two pieces may not share


def tokens(codes: Tensor) -> Tensor:
    """Numbers (n, length - 3) of the overlapping 4-mers of codes (n, length): AAAA is 0; `UNKNOWN` has an N."""
    kmers = codes.long().unfold(1, K, 1)  # (n, length - 3, 4)
    numbers = (kmers * (4 ** torch.arange(K - 1, -1, -1, device=codes.device))).sum(2)
    return torch.where((kmers == rna.N).any(2), UNKNOWN, numbers)


def sentences(kmers: Tensor) -> tuple[Tensor, Tensor]:
    """Ids (n, length + 2) of k-mer tokens (n, length) between [CLS] and, after the last k-mer, [SEP]; which to heed."""
    known = kmers != UNKNOWN
    ids = F.pad(torch.where(known, kmers + FIRST, PAD), (1, 1), value=PAD)
    heeded = F.pad(known, (1, 1))
    ids[:, 0], heeded[:, 0] = CLS, True
    end = lengths(known)[:, None] + 1
    return ids.scatter(1, end, SEP), heeded.scatter(1, end, True)


def lengths(known: Tensor) -> Tensor:
    """Number of columns (n,) up to the last true one of each row (n, length)."""
    return (known * torch.arange(1, known.shape[1] + 1, device=known.device)).amax(1)


@dataclass(frozen=True)
class Size:
    """Sizes of the network; the default has half a million parameters."""

    layers: int = 4
    hidden: int = 96
    heads: int = 4
    intermediate: int = 384

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 1 or self.hidden % self.heads:
            raise UsageError(f"sizes of the language model must be above 0, and heads divide hidden: {self}")


@dataclass(frozen=True)
class Settings:
    """Settings of a run of `pretrain`."""

    steps: int = 6000
    batch_size: int = 32
    length: int = 64
    """nt of the pieces that are read at once."""
    learning_rate: float = 0.001
    """The peak: reached after a tenth of the steps, then down to 0 along a line."""
    masked: float = 0.15
    """Share of the 4-mers to fill in."""
    span: int = K
    """4-mers masked in a row, at least; fewer would leave every nucleotide readable in a neighbour."""
    held_out: float = 0.05
    """Share of the transcripts that are not learned from but measured on."""
    dropout: float = 0.0
    """A small network hears each piece a few times only, and has nothing to recite."""
    every: int = 500
    """Steps between two measurements, each with a checkpoint."""
    random_state: int = 0
    """Decides what is held out, initial weights, order, masks and dropout."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', '-')} is {getattr(self, name)}; expected 1 or more")
        if self.length < _SHORTEST:
            raise UsageError(f"length is {self.length}; expected {_SHORTEST} nt or more")
        if not K <= self.span <= self.length // 2:
            raise UsageError(f"span is {self.span}; expected {K} to {self.length // 2}, half the length of a piece")
        if not self.learning_rate > 0:
            raise UsageError(f"learning-rate is {self.learning_rate}; expected a number above 0")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a number from 0 to 1")
        for name in ("masked", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(
                    f"{name.replace('_', '-')} is {getattr(self, name)}; expected a number between 0 and 1"
                )


def pretrain(
    transcripts: Sequence[str],
    folder: Path,
    *,
    settings: Settings | None = None,
    size: Size | None = None,
    resume: bool = False,
    report: Callable[[int], None] = lambda steps: None,
) -> dict[str, Any]:
    """Train a language model and write its folder, with history.tsv and run.json beside the files of transformers.

    Runs of `span` 4-mers or more are masked, so that each masked one holds a nucleotide which no visible one shows.

    Args:
        transcripts: RNA; what comes twice counts once. Some are held out, and so is every piece that shares 20 nt with
            one of these.
        folder: made if needed; holds checkpoint.pt until the run is complete.
        settings: of the run.
        size: of the network.
        resume: go on from the checkpoint in `folder`: the end is the same as without a break.
        report: called with the number of steps just done.

    Returns:
        What run.json holds: settings, numbers, and `held_out`: accuracy and perplexity of the masked 4-mers, beside
        those of two floors: the most frequent 4-mer, and the most frequent one that fits the letters still visible.

    Raises:
        UsageError: transformers is not installed; the folder holds another run.
        InputError: too little sequence.
    """
    began, settings, size = time.perf_counter(), settings or Settings(), size or Size()
    transformers = _transformers()
    folder.mkdir(parents=True, exist_ok=True)
    learned, held_out = _split(transcripts, settings)
    log.info(
        "%s pieces of up to %d nt to learn from, %s held out",
        f"{len(learned):,}",
        settings.length,
        f"{len(held_out):,}",
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.random_state)
        positions = settings.length - K + 3
        network = _fresh(transformers, _config(transformers, size, positions, settings.dropout)).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.01, fused=True)
        identity = {
            "settings": asdict(settings),
            "size": asdict(size),
            "pieces": runs.checksum_tensors(learned, held_out),
        }
        state: dict[str, Any] = {"identity": identity, "step": 0, "history": []}
        path = folder / "checkpoint.pt"
        if path.is_file():
            state = _read_checkpoint(path, identity, resume, device)
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            report(state["step"])
        question = _question(held_out, settings)
        losses = []
        for step in range(state["step"], settings.steps):
            losses.append(_step(network, optimizer, learned, settings, step))
            report(1)
            if (step + 1) % settings.every and step + 1 < settings.steps:
                continue
            row = {"step": step + 1, "train_loss": float(torch.stack(losses).mean())} | _measure(network, *question)
            losses = []
            state["history"].append(row)
            state |= {"step": step + 1, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
            with io.atomic(path) as partial:
                torch.save(state, partial)
            log.info("step %d  loss %.4f  held out: accuracy %.4f, perplexity %.2f", *row.values())
    record: dict[str, Any] = {
        "settings": asdict(settings),
        "size": asdict(size),
        "n_pieces": {"learned": len(learned), "held_out": len(held_out)},
        "held_out": {"model": _round(state["history"][-1])} | _floors(learned, held_out, question[2]),
        "device": device.type,
        "seconds": time.perf_counter() - began,
    }
    _write(transformers, network, folder)
    pd.DataFrame(state["history"]).to_csv(folder / "history.tsv", sep="\t", index=False, float_format="%.6g")
    runs.write_json(folder / "run.json", record | runs.environment())
    path.unlink()
    for name, figures in record["held_out"].items():
        log.info("held out, %s: accuracy %.4f, perplexity %.2f", name, figures["accuracy"], figures["perplexity"])
    return record


def mask(
    kmers: Tensor, *, share: float, span: int, generator: torch.Generator, replace: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Sentences with runs of 4-mers masked.

    Args:
        kmers: tokens (n, length).
        share: about how many of them.
        span: the shortest run, where neither the end nor an N cuts it.
        generator: of the runs.
        replace: in a tenth of the sequences random 4-mers stand for the mask, in a tenth the true ones (BERT's
            80:10:10; by sequence, as a 4-mer shown inside a run would give its neighbours away).

    Returns:
        Ids (n, length + 2), which of them to heed, and which of `kmers` are to be filled in (n, length).
    """
    n, length = kmers.shape
    places = torch.arange(length)
    begun = torch.where(torch.rand(n, length, generator=generator) < share / span, places, -span).cummax(1)[0]
    chosen = (places - begun < span) & (kmers != UNKNOWN)
    ids, heeded = sentences(kmers)
    random = torch.randint(FIRST, len(WORDS), (n, length), generator=generator)
    kind = torch.rand(n, 1, generator=generator) if replace else torch.zeros(n, 1)
    shown = torch.where(kind < 0.8, MASK, torch.where(kind < 0.9, random, ids[:, 1:-1]))
    ids[:, 1:-1] = torch.where(chosen, shown, ids[:, 1:-1])
    return ids, heeded, chosen


def visible(kmers: Tensor, chosen: Tensor) -> Tensor:
    """Nucleotides (n, length + 3) that a 4-mer shows which is not chosen, of tokens (n, length)."""
    shown = F.pad(((kmers != UNKNOWN) & ~chosen).float(), (K - 1, K - 1))
    return F.max_pool1d(shown, K, stride=1) > 0


def _split(transcripts: Sequence[str], settings: Settings) -> tuple[Tensor, Tensor]:
    """Pieces to learn from and held out, codes (n, length) each."""
    distinct = [sequence for sequence in dict.fromkeys(transcripts) if len(sequence) >= _SHORTEST]
    rng = np.random.default_rng(settings.random_state)
    order = rng.permutation(len(distinct))
    n_held_out = max(1, round(settings.held_out * len(distinct)))
    held_out = _pieces([distinct[i] for i in sorted(order[:n_held_out])], settings.length)
    seen = {piece[i : i + _SHORTEST] for piece in held_out for i in range(len(piece) - _SHORTEST + 1)}
    learned = [
        piece
        for piece in _pieces([distinct[i] for i in sorted(order[n_held_out:])], settings.length)
        if not any(piece[i : i + _SHORTEST] in seen for i in range(len(piece) - _SHORTEST + 1))
    ]
    if not learned or not held_out:
        raise InputError(f"too little sequence to learn from; expected several transcripts of {_SHORTEST} nt or more")
    known, unknown = (torch.from_numpy(rna.encode(pieces, settings.length)) for pieces in (learned, held_out))
    return known, unknown


def _pieces(sequences: Sequence[str], length: int) -> list[str]:
    """Pieces of `length` nt, each half over the one before, the last against the end."""
    return [
        sequence[start : start + length]
        for sequence in sequences
        for start in [*range(0, max(len(sequence) - length, 0), length // 2), max(len(sequence) - length, 0)]
    ]


def _fresh(transformers: Any, config: Any) -> Any:
    """A network whose positions begin as sines and cosines, so that attention finds neighbours early (decision 010)."""
    network = transformers.BertForMaskedLM(config)
    weight = network.bert.embeddings.position_embeddings.weight
    n, hidden = weight.shape
    angles = torch.arange(n)[:, None] * 1000 ** (-torch.arange(0, hidden, 2) / hidden)  # (n, hidden / 2)
    with torch.no_grad():
        weight.copy_(torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :hidden] * config.initializer_range * 2)
    return network


def _step(network: Any, optimizer: torch.optim.Optimizer, pieces: Tensor, settings: Settings, step: int) -> Tensor:
    """One step of training; its loss."""
    seed = int(np.random.SeedSequence([settings.random_state, step]).generate_state(1)[0])
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # of dropout: a resumed step draws what it would have drawn
    rows = torch.randint(len(pieces), (settings.batch_size,), generator=generator)
    kmers = tokens(pieces[rows])
    ids, heeded, chosen = mask(kmers, share=settings.masked, span=settings.span, generator=generator)
    done, warm = (step + 1) / settings.steps, 0.1
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * min(done / warm, (1 - done) / (1 - warm) + 1e-3)
    network.train()
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(_logits(network, ids, heeded, chosen), kmers[chosen].to(network.device))
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.detach().cpu()


def _logits(network: Any, ids: Tensor, heeded: Tensor, chosen: Tensor) -> Tensor:
    """Logits (n chosen, 256) of the 4-mers to be filled in."""
    ids, heeded, chosen = (part.to(network.device) for part in (ids, heeded, chosen))
    states = network.bert(input_ids=ids, attention_mask=heeded).last_hidden_state[:, 1:-1]
    return network.cls(states[chosen])[:, FIRST:]


def _question(pieces: Tensor, settings: Settings) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The held-out sentences, the same at every measurement: what `mask` returns, and the true 4-mers."""
    kmers, generator = tokens(pieces), torch.Generator().manual_seed(settings.random_state)
    return *mask(kmers, share=settings.masked, span=settings.span, generator=generator, replace=False), kmers


@torch.inference_mode()
def _measure(network: Any, ids: Tensor, heeded: Tensor, chosen: Tensor, kmers: Tensor) -> dict[str, float]:
    network.eval()
    parts = zip(*(part.split(256) for part in (ids, heeded, chosen)), strict=True)
    logits = torch.cat([_logits(network, *part) for part in parts])
    return _figures(logits.log_softmax(1).cpu(), kmers[chosen])


def _figures(log_probabilities: Tensor, truth: Tensor) -> dict[str, float]:
    """Accuracy and perplexity of guesses (n, 256)."""
    return {
        "accuracy": float((log_probabilities.argmax(1) == truth).float().mean()),
        "perplexity": float(F.nll_loss(log_probabilities, truth).exp()),
    }


def _floors(learned: Tensor, held_out: Tensor, chosen: Tensor) -> dict[str, dict[str, float]]:
    """What guesses by frequency alone reach, and by frequency among the 4-mers that fit the visible letters."""
    counts = torch.bincount(tokens(learned).flatten(), minlength=N_KMERS + 1)[:N_KMERS] + 1.0
    frequent = (counts / counts.sum()).log()
    kmers = tokens(held_out)
    letters = torch.where(visible(kmers, chosen), held_out, rna.N).unfold(1, K, 1)[chosen]  # (n chosen, 4)
    words = torch.cartesian_prod(*[torch.arange(4)] * K)  # (256, 4)
    patterns, which = letters.unique(dim=0, return_inverse=True)
    fits = ((patterns[:, None] == words) | (patterns[:, None] == rna.N)).all(2)  # (patterns, 256)
    fitting = frequent.expand_as(fits).masked_fill(~fits, -math.inf).log_softmax(1)
    truth = kmers[chosen]
    return {
        "most frequent 4-mer": _round(_figures(frequent.expand(len(truth), -1), truth)),
        "most frequent 4-mer that fits": _round(_figures(fitting[which], truth)),
    }


def _round(row: dict[str, float]) -> dict[str, float]:
    return {name: round(row[name], 6) for name in ("accuracy", "perplexity")}


def _read_checkpoint(path: Path, identity: dict[str, Any], resume: bool, device: torch.device) -> dict[str, Any]:
    state = runs.read_checkpoint(path, resume=resume, device=device)
    for part, value in state["identity"].items():
        if value != identity[part]:
            raise UsageError(f"the run in {path.parent} had other {part}: {value}, this one has {identity[part]}")
    log.info("resuming after step %d", state["step"])
    return state


def _write(transformers: Any, network: Any, folder: Path) -> None:
    """config.json, model.safetensors, the tokenizer's files and vocab.txt."""
    network.config.architectures = ["BertForMaskedLM"]
    network.config.save_pretrained(folder)
    state = network.state_dict()
    state.pop("cls.predictions.decoder.weight")  # the same tensors as the embedding's and the bias
    state.pop("cls.predictions.decoder.bias")
    with io.atomic(folder / "model.safetensors") as partial:
        save_file({key: value.cpu().contiguous() for key, value in state.items()}, partial, metadata={"format": "pt"})
    words = {word: index for index, word in enumerate(WORDS)}
    transformers.BertTokenizer(vocab=words, do_lower_case=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")


def bert(size: Size, *, positions: int, dropout: float = 0.1) -> Any:
    """A fresh `transformers.BertModel` over `WORDS` for sentences of up to `positions` ids.

    Raises:
        UsageError: transformers is not installed.
    """
    transformers = _transformers()
    return transformers.BertModel(_config(transformers, size, positions, dropout), add_pooling_layer=False)


def read(folder: str | Path) -> tuple[Size, dict[str, Tensor]]:
    """Size and weights of a model's folder, for `bert`: words in the order of `WORDS`, one token type, every position.

    Raises:
        InputError: not the folder of a BERT over 4-mers.
    """
    folder = Path(folder)
    with _reading(folder / "config.json") as path:
        config = json.loads(path.read_text())
        if config.get("model_type", "bert") != "bert" or config.get("hidden_act", "gelu") != "gelu":
            raise ValueError("expected a BERT with gelu")
        keys = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
        size = Size(*(int(config[key]) for key in keys))
    with _reading(folder / "vocab.txt") as path:
        words = path.read_text().split()
        rows = {word if word[0] == "[" else word.replace("U", "T"): row for row, word in enumerate(words)}
        missing = [word for word in WORDS if word not in rows]
        if missing:
            raise ValueError(f"expected a vocabulary of {K}-mers; {missing[0]} is not in it")
    packed = folder / "model.safetensors"
    with _reading(packed if packed.is_file() else folder / "pytorch_model.bin") as path:
        raw = load_file(path) if path == packed else torch.load(path, map_location="cpu", weights_only=True)
        state = {_key(key): value.float() for key, value in raw.items()}
        state = {key: value for key, value in state.items() if key.startswith(("embeddings.", "encoder."))}
        state.pop("embeddings.position_ids", None)  # of old folders; a count, no weights
        embedding, types = "embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight"
        state |= {embedding: state[embedding][[rows[word] for word in WORDS]], types: state[types][:1]}
    return size, state


def _key(key: str) -> str:
    """The name of a weight today: old files have a prefix, and call a LayerNorm's weights gamma and beta."""
    return (
        key.removeprefix("bert.")
        .replace("LayerNorm.gamma", "LayerNorm.weight")
        .replace("LayerNorm.beta", "LayerNorm.bias")
    )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Path]:
    try:
        yield path
    except FileNotFoundError as error:
        raise InputError("no such file; expected the folder of a BERT over 4-mers", path=path) from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, OSError) as error:
        raise InputError(f"not of a BERT over 4-mers ({str(error).splitlines()[0]})", path=path) from error
    except (SafetensorError, pickle.UnpicklingError, EOFError, UsageError) as error:
        raise InputError(f"not of a BERT over 4-mers ({str(error).splitlines()[0]})", path=path) from error


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError("this needs the package transformers: pip install 'mirscope[bert]'") from error
    return transformers


def _config(transformers: Any, size: Size, positions: int, dropout: float) -> Any:
    return transformers.BertConfig(
        vocab_size=len(WORDS),
        num_hidden_layers=size.layers,
        hidden_size=size.hidden,
        num_attention_heads=size.heads,
        intermediate_size=size.intermediate,
        max_position_embeddings=positions,
        type_vocab_size=1,
        initializer_range=size.hidden**-0.5,  # BERT's 0.02 is for 768, and leaves a small network all but still
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
