"""deepTarget: two RNN auto-encoders, then an RNN over both strands position by position (Lee et al. 2016)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from mirscope import rna
from mirscope.errors import UsageError
from mirscope.models import Model, States, Unlabelled, _letters, along

log = logging.getLogger(__name__)

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}
WINDOWS = 20_000
"""Of the transcripts, for pre-training; fewer where they do not hold as many."""


@dataclass(frozen=True)
class Config:
    """Settings of the network.

    `cell`, `layers`, `bidirectional` and `hidden` are those of the RNN over both strands; the encoders have one layer
    of the same cell. `embedding` and `encoded` are the widths of a nucleotide before and after its encoder. `dropout`
    is before, within and after the RNN over both strands. `pretrain_epochs` are passes over the unlabelled sequences.
    """

    cell: Literal["gru", "lstm"] = "gru"
    layers: int = 2
    bidirectional: bool = False
    embedding: int = 4
    encoded: int = 30
    hidden: int = 30
    dropout: float = 0.1
    pretrain_epochs: int = 3

    def __post_init__(self) -> None:
        for name in ("layers", "embedding", "encoded", "hidden"):
            if getattr(self, name) < 1:
                raise UsageError(f"deeptarget: {name} is {getattr(self, name)}; expected 1 or more")
        if self.pretrain_epochs < 0:
            raise UsageError(f"deeptarget: pretrain_epochs is {self.pretrain_epochs}; expected 0 or more")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a number from 0 to 1")


class Network(Model):
    """Nucleotide i from the miRNA's 5' end beside nucleotide i from the target's 3' end, as they face each other.

    A pair is as long as the longer of its two sequences; the shorter strand's encoding is 0 beyond its end. What lies
    beyond both is not seen. One logit instead of two classes: their difference, which is all that a softmax looks at.
    """

    lengths = (26, 53)
    pretrains = True
    candidates = "seed"
    soft = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        cell = CELLS[config.cell]
        self.embed = nn.Embedding(len(rna.ALPHABET), config.embedding, padding_idx=rna.N)
        nn.init.uniform_(self.embed.weight, -0.5, 0.5)  # within reach of a decoder's tanh
        nn.init.zeros_(self.embed.weight[rna.N])
        self.mirna_encoder = cell(config.embedding, config.encoded, batch_first=True)
        self.target_encoder = cell(config.embedding, config.encoded, batch_first=True)
        self.rnn = cell(
            2 * config.encoded,
            config.hidden,
            config.layers,
            batch_first=True,
            bidirectional=config.bidirectional,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.head = nn.Linear(config.hidden * (1 + config.bidirectional), 1)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 26) and (n, 53)."""
        return self._classify(self._encode_mirna(mirna), self._encode_target(target))

    def states(self, *codes: Tensor) -> dict[str, States]:
        """Of the last layer, (n, 53, hidden), forward then backward; 0 beyond the end of both strands.

        Step i is nucleotide i of the miRNA from its 5' end and nucleotide i of the target from its 3' end.
        """
        mirna, target = self._encode_mirna(codes[0]), self._encode_target(codes[1])
        packed = self._join(mirna, target)
        values = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=max(self.lengths))[0]
        step = torch.arange(values.shape[1], device=values.device)
        opposite = target[1][:, None] - 1 - step
        on_target = along(opposite, opposite + 1, target[1])
        return {"rnn": States(values, torch.stack([along(step, step + 1, mirna[1]), on_target], 2))}

    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """As the contract says; each miRNA and each window is encoded once."""
        windows = self._encode_target(transcript.unfold(0, self.lengths[1], 1)[starts])
        n, (states, lengths) = len(starts), self._encode_mirna(mirnas)
        strands = zip(states, lengths, strict=True)
        return torch.stack([self._classify((s.expand(n, -1, -1), k.expand(n)), windows) for s, k in strands])

    def pretrain(self, unlabelled: Unlabelled, random_state: int) -> None:
        """Train the embedding's encoders to give their sequences back, each with a decoder that is dropped afterwards.

        The embedding keeps its fresh weights meanwhile: if it were to learn here, all nucleotides would become 0, which
        is easy to reconstruct.
        """
        if not self.config.pretrain_epochs:
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_state)
            strands = {
                "mirna": (self.mirna_encoder, rna.encode(list(dict.fromkeys(unlabelled.mirnas)), self.lengths[0])),
                "target": (self.target_encoder, _windows(unlabelled.transcripts, self.lengths[1], random_state)),
            }
            for name, (encoder, codes) in strands.items():
                self._reconstruct(name, encoder, torch.from_numpy(codes))

    def _reconstruct(self, name: str, encoder: nn.RNNBase, codes: Tensor) -> None:
        device = self.embed.weight.device
        codes = codes.to(device) if name == "mirna" else _letters.reverse(codes.to(device))
        decoder = CELLS[self.config.cell](self.config.encoded, self.config.embedding, batch_first=True).to(device)
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
        for epoch in range(1, self.config.pretrain_epochs + 1):
            total = torch.zeros((), device=device)
            for batch in torch.randperm(len(codes)).to(device).split(200):
                x = self.embed(codes[batch].long()).detach()  # (n, length, embedding)
                used = (codes[batch] != rna.N)[:, :, None]
                loss = ((decoder(encoder(x)[0])[0] - x).square() * used).sum() / used.sum().clamp(min=1)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(batch)
            log.info("pretraining of the %s encoder: epoch %d  loss %.4f", name, epoch, float(total) / len(codes))

    def _encode_mirna(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        return self._encode(self.mirna_encoder, codes)

    def _encode_target(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        return self._encode(self.target_encoder, _letters.reverse(codes))

    def _encode(self, encoder: nn.RNNBase, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Encodings (n, steps, encoded), 0 beyond a sequence's end, and lengths (n,); `steps` is the longest length."""
        lengths = _letters.lengths(codes)
        codes = codes[:, : max(int(lengths.max()), 1)]
        states = encoder(_letters.look_up(self.embed.weight, codes, padding=rna.N))[0]
        beyond = torch.arange(codes.shape[1], device=codes.device) >= lengths[:, None]
        return states.masked_fill(beyond[:, :, None], 0), lengths

    def _join(self, mirna: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> PackedSequence:
        steps = max(mirna[0].shape[1], target[0].shape[1])
        x = torch.cat([F.pad(states, (0, 0, 0, steps - states.shape[1])) for states, _ in (mirna, target)], 2)
        lengths = torch.maximum(mirna[1], target[1]).clamp(min=1).cpu()
        return pack_padded_sequence(self.dropout(x), lengths, batch_first=True, enforce_sorted=False)

    def _classify(self, mirna: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
        _, last = self.rnn(self._join(mirna, target))
        h = last[0] if self.config.cell == "lstm" else last  # (layers * directions, n, hidden)
        x = h[-2:] if self.config.bidirectional else h[-1:]
        return self.head(self.dropout(x.transpose(0, 1).flatten(1)))[:, 0]  # (n,)


def _windows(transcripts: Sequence[str], length: int, random_state: int) -> NDArray[np.int8]:
    """Codes (n, length) of windows anywhere in the transcripts, long ones oftener."""
    generator = np.random.default_rng(random_state)
    sizes = np.array([max(len(transcript) - length + 1, 1) for transcript in transcripts])
    ends = np.cumsum(sizes)
    places = np.sort(generator.integers(0, ends[-1], min(WINDOWS, ends[-1])))
    which = np.searchsorted(ends, places, side="right")
    starts = places - (ends - sizes)[which]
    pairs = zip(which.tolist(), starts.tolist(), strict=True)
    return rna.encode([transcripts[number][start : start + length] for number, start in pairs], length)


ABLATIONS: dict[str, dict[str, Any]] = {
    "GRU, 2 layers": {
        "config": {},
        "published": {
            "table of cells": {"accuracy": 0.8750, "sensitivity": 0.8496, "specificity": 0.8728, "f1": 0.8559},
            "table of layers": {"accuracy": 0.8286},
            "table of dropouts": {"accuracy": 0.8429},
        },
    },
    "LSTM": {"config": {"cell": "lstm"}},
    "1 layer": {"config": {"layers": 1}, "published": {"table of layers": {"accuracy": 0.8214}}},
    "3 layers": {"config": {"layers": 3}, "published": {"table of layers": {"accuracy": 0.8250}}},
    "bidirectional": {"config": {"bidirectional": True}, "published": {"table of layers": {"accuracy": 0.8250}}},
    "without dropout": {"config": {"dropout": 0.0}, "published": {"table of dropouts": {"accuracy": 0.8214}}},
    "dropout .2": {"config": {"dropout": 0.2}, "published": {"table of dropouts": {"accuracy": 0.8179}}},
    "dropout .3": {"config": {"dropout": 0.3}, "published": {"table of dropouts": {"accuracy": 0.8179}}},
    "dropout .4": {"config": {"dropout": 0.4}, "published": {"table of dropouts": {"accuracy": 0.7857}}},
}
"""The variants of the paper, and its medians on 507 + 507 sites that are not public (Lee et al. 2016)."""
SEARCH: dict[str, Any] = {
    "cell": ("gru", "lstm"),
    "layers": (1, 2, 3),
    "bidirectional": (False, True),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4),
}
"""What the paper tried."""
