"""DMISO: a convolution for each RNA, then a BiLSTM along both (Talukder et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mirscope.errors import UsageError
from mirscope.io import KerasModel
from mirscope.models import Kernels, Model, States, _letters, along

LENGTHS = (30, 60)
POOLED = 4


@dataclass(frozen=True)
class Config:
    """Settings of the network.

    `dropout_early` is of the convolutions' outputs, `dropout` of the BiLSTM's and of the dense layer's; `l1` times the
    sum of the absolute weights of both kernels and of the dense layer is added to the loss. With `abundance` the last
    layer also sees how much there is of the miRNA and of the transcript.
    """

    filters: int = 10
    kernel: int = 8
    hidden: int = 10
    dense: int = 100
    dropout_early: float = 0.25
    dropout: float = 0.5
    l1: float = 0.01
    abundance: bool = False

    def __post_init__(self) -> None:
        longest = min(LENGTHS) - POOLED + 1
        if not (self.filters > 0 and self.hidden > 0 and self.dense > 0 and 0 < self.kernel <= longest):
            raise UsageError(f"dmiso: sizes must be above 0, and the kernel at most {longest} nt")
        for name in ("dropout_early", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1")
        if not self.l1 >= 0:
            raise UsageError(f"l1 is {self.l1}; expected 0 or more")


class Network(Model):
    """miRNA and target, 5'->3': convolution and pooling of each, joined in time, BiLSTM, dense.

    As in the authors' code, short sequences get N at the right and N is .25 of each nucleotide. A target of up to 90 nt
    is one window, its middle; a miRNA is cut at its 3' end (the code: both ends, but none is so long).
    """

    stride = 30  # any site of 30 nt lies wholly in a window; the authors cut every 60 nt
    longest = 90
    soft = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.lengths, self.config = LENGTHS, config
        self.numbers = ("mirna_abundance", "target_abundance") if config.abundance else ()
        self.register_buffer("letters", torch.cat([torch.eye(4), torch.full((1, 4), 0.25)]), persistent=False)
        self.conv_mirna = nn.Conv1d(4, config.filters, config.kernel)
        self.conv_target = nn.Conv1d(4, config.filters, config.kernel)
        self.norm_conv = _Norm(config.filters)
        self.ahead = nn.LSTM(config.filters, config.hidden, batch_first=True)
        self.back = nn.LSTM(config.filters, config.hidden, batch_first=True)
        self.norm_lstm = _Norm(2 * config.hidden)
        self.steps = [length - config.kernel - POOLED + 2 for length in LENGTHS]  # 20 and 50
        self.dense = nn.Linear(sum(self.steps) * 2 * config.hidden, config.dense)
        self.norm_dense = _Norm(config.dense)
        if config.abundance:
            self.norm_abundance = _Norm(2, affine=False)
        self.head = nn.Linear(config.dense + len(self.numbers), 1)
        self.norm_head = _Norm(1)
        self.dropout_early, self.dropout = nn.Dropout(config.dropout_early), nn.Dropout(config.dropout)
        self._initialise()

    letters: Tensor

    def _initialise(self) -> None:
        """As Keras does: Glorot-uniform kernels, orthogonal recurrence, forget gates open, the other biases 0."""
        for name, parameter in self.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            elif "bias" in name:
                nn.init.zeros_(parameter)
                if "bias_ih" in name:
                    nn.init.ones_(parameter[self.config.hidden : 2 * self.config.hidden])

    def encode(self, *columns: Sequence[str]) -> tuple[Tensor, ...]:
        """Codes of miRNAs (n, 30) and of the middle of targets (n, 60)."""
        mirnas, targets = columns
        return super().encode(mirnas, [target[max(0, len(target) - LENGTHS[1]) // 2 :] for target in targets])

    def forward(
        self,
        mirna: Tensor,
        target: Tensor,
        mirna_abundance: Tensor | None = None,
        target_abundance: Tensor | None = None,
    ) -> Tensor:
        """Logits (n,) of codes (n, 30) and (n, 60), and abundances (n,), e.g. reads per million; NaN: not known."""
        x = self.dropout(self.norm_lstm(self._recur(mirna, target).transpose(1, 2)).transpose(1, 2))
        return self._classify(self.dense(x.flatten(1)), mirna_abundance, target_abundance)

    def kernels(self) -> tuple[Kernels, ...]:
        """Of the miRNA's convolution and of the target's."""
        convs = {"mirna": self.conv_mirna, "target": self.conv_target}
        return tuple(Kernels(part, conv.weight, conv, POOLED) for part, conv in convs.items())

    def states(self, *codes: Tensor) -> dict[str, States]:
        """Of the BiLSTM, forward then backward; a step is the nucleotides that its pooled convolutions see."""
        places = torch.full((len(codes[0]), sum(self.steps), 2, 2), -1, device=codes[0].device)
        for part, (steps, first) in enumerate(zip(self.steps, (0, self.steps[0]), strict=True)):
            starts = torch.arange(steps, device=codes[0].device)
            ends = starts + self.config.kernel + POOLED - 1
            places[:, first : first + steps, part] = along(starts, ends, _letters.lengths(codes[part]))
        return {"bilstm": States(self._recur(*codes), places)}

    def _recur(self, mirna: Tensor, target: Tensor) -> Tensor:
        """States (n, 70, 2 hidden) of the BiLSTM."""
        x = torch.cat([self._convolve(self.conv_mirna, mirna), self._convolve(self.conv_target, target)], 1)
        x = self.dropout_early(x)  # (n, 70, filters)
        return torch.cat([self.ahead(x)[0], self.back(x.flip(1))[0].flip(1)], 2)

    def _convolve(self, conv: nn.Conv1d, codes: Tensor) -> Tensor:
        """The steps (n, steps, filters) of codes (n, length), normalised."""
        x = _letters.look_up(self.letters, codes).transpose(1, 2)  # (n, 4, length)
        return self.norm_conv(F.max_pool1d(conv(x).relu(), POOLED, stride=1)).transpose(1, 2)

    def _classify(self, x: Tensor, *abundances: Tensor | None) -> Tensor:
        x = self.dropout(self.norm_dense(x).relu())  # (n, dense)
        if self.config.abundance:
            unknown = x.new_full((len(x),), torch.nan)
            given = [unknown if abundance is None else abundance for abundance in abundances or (None, None)]
            amount = torch.stack(given, 1).log1p()  # (n, 2)
            # what is not known counts as the average of the training pairs
            amount = torch.where(amount.isnan(), self.norm_abundance.running_mean, amount)
            x = torch.cat([x, self.norm_abundance(amount)], 1)
        return self.norm_head(self.head(x))[:, 0]  # (n,)

    def penalty(self) -> Tensor:
        """L1 of the kernels and of the dense layer."""
        layers = (self.conv_mirna, self.conv_target, self.dense)
        return self.config.l1 * torch.stack([layer.weight.abs().sum() for layer in layers]).sum()

    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """As the contract says, exactly, without computing twice what pairs share.

        Shared are the convolutions, the forward LSTM along the miRNA, the backward LSTM along the window, and what
        these add to the dense layer. Left per pair are the forward LSTM along the window, begun where the miRNA left
        it, and the backward LSTM along the miRNA.
        """
        n_mirna, n_target = self.steps
        head = self._convolve(self.conv_mirna, mirnas)  # (m, 20, filters)
        tail = self._convolve(self.conv_target, transcript[None])[0].unfold(0, n_target, 1)[starts]
        tail = tail.transpose(1, 2)  # (w, 50, filters)
        head_ahead, (h, c) = self.ahead(head)
        tail_back, state = self.back(tail.flip(1))

        norm = self.norm_lstm  # taken into the dense layer
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = self.dense.weight.unflatten(1, (-1, len(scale)))  # (dense, 70, 2 hidden)
        bias = self.dense.bias + weight.sum(1) @ (norm.bias - norm.running_mean * scale)
        ahead, back = (weight * scale).split(self.config.hidden, 2)  # (dense, 70, hidden) each

        of_mirna = F.linear(head_ahead.flatten(1), ahead[:, :n_mirna].flatten(1), bias)  # (m, dense)
        of_window = F.linear(tail_back.flatten(1), back[:, n_mirna:].flip(1).flatten(1))  # (w, dense)
        ahead, back = ahead[:, n_mirna:].flatten(1), back[:, :n_mirna].flip(1).flatten(1)
        logits = []
        for i in range(len(mirnas)):
            begin = [part[:, i : i + 1].expand(-1, len(starts), -1).contiguous() for part in (h, c)]
            tail_ahead, _ = self.ahead(tail, begin)
            head_back, _ = self.back(head[i].flip(0).expand(len(starts), -1, -1), state)
            of_pair = F.linear(tail_ahead.flatten(1), ahead) + F.linear(head_back.flatten(1), back)
            logits.append(self._classify(of_mirna[i] + of_window + of_pair))
        return torch.stack(logits)


class _Norm(nn.BatchNorm1d):
    """Batch normalisation with the constants of Keras."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, *, affine: bool = True) -> None:
        super().__init__(width, eps=0.001, momentum=0.01, affine=affine)


def from_keras(model: KerasModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and state of DMISO's published weights (Keras 2.3; letters A T C G, our A C G U).

    Their file holds weights alone, whose shapes tell the settings; what they do not tell is as published.
    """
    conv_mirna, conv_target, norm_conv, lstm, norm_lstm, dense, norm_dense, head, norm_head = model.weights.values()
    state: dict[str, Any] = {}
    for name, layer in {"conv_mirna": conv_mirna, "conv_target": conv_target}.items():
        state |= {f"{name}.weight": layer["kernel"][:, [0, 2, 3, 1]].transpose(2, 1, 0), f"{name}.bias": layer["bias"]}
    for name, layer in {"dense": dense, "head": head}.items():
        state |= {f"{name}.weight": layer["kernel"].T, f"{name}.bias": layer["bias"]}
    norms = {"conv": norm_conv, "lstm": norm_lstm, "dense": norm_dense, "head": norm_head}
    for name, layer in norms.items():
        parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        state |= {f"norm_{name}.{ours}": layer[theirs] for ours, theirs in parts.items()}
        state[f"norm_{name}.num_batches_tracked"] = 0
    for ours, theirs in {"ahead": "forward", "back": "backward"}.items():
        state[f"{ours}.weight_ih_l0"] = lstm[f"{theirs}/kernel"].T
        state[f"{ours}.weight_hh_l0"] = lstm[f"{theirs}/recurrent_kernel"].T
        state[f"{ours}.bias_ih_l0"] = lstm[f"{theirs}/bias"]
        state[f"{ours}.bias_hh_l0"] = 0 * lstm[f"{theirs}/bias"]
    kernel, _, filters = conv_mirna["kernel"].shape
    hidden = lstm["forward/recurrent_kernel"].shape[0]
    return {"filters": filters, "kernel": kernel, "hidden": hidden, "dense": dense["kernel"].shape[1]}, state
