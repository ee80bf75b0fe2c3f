"""dnnPreMiR's RNN: is this hairpin a pre-miRNA? (Zheng et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mirscope.errors import UsageError
from mirscope.io import KerasModel
from mirscope.models import _letters
from mirscope.models._hairpin import KERAS_ROWS, SYMBOLS, Cut, HairpinModel

Gates = Literal["sigmoid", "hard_sigmoid"]


@dataclass(frozen=True)
class Config:
    """Settings of the network.

    `hidden` is of the first LSTM, the second has half of it, the third the two classes. `dropout` is of the first two:
    of their inputs and of their states, the same units in all steps. `gates`: the sigmoid of the textbooks, or the
    piecewise linear one that Keras had at the time. `cut`: what is left of hairpins of more than 180 nt, the part with
    the most base pairs (`hairpin`) or the first 180 nt (`right`, published).
    """

    hidden: int = 128
    dropout: float = 0.2
    gates: Gates = "sigmoid"
    cut: Cut = "hairpin"

    def __post_init__(self) -> None:
        if self.hidden < 2:
            raise UsageError(f"hidden is {self.hidden}; expected 2 or more")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a number from 0 to 1")


class Network(HairpinModel):
    """180 symbols of nucleotide and bracket: three LSTMs, the last of two units, whose last state are the classes."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.cut)
        self.config = config
        widths = [SYMBOLS, config.hidden, config.hidden // 2, 2]
        rates = [config.dropout, config.dropout, 0.0]
        self.lstms = nn.ModuleList(
            _LSTM(inputs, hidden, rate, config.gates)
            for inputs, hidden, rate in zip(widths[:-1], widths[1:], rates, strict=True)
        )

    def forward(self, hairpin: Tensor, structure: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 180) of nucleotides and of brackets."""
        known, lengths = _letters.known(hairpin), _letters.lengths(hairpin).clamp(min=1).cpu()
        order: dict[str, Any] = {"lengths": lengths, "batch_first": True, "enforce_sorted": False}
        symbols = pack_padded_sequence(self.symbols(hairpin, structure), **order)
        here = pack_padded_sequence(known[..., None], **order).data
        x = symbols.data  # of the first nt of all, then of the second nt of those that have one, the longest first
        for lstm in self.lstms:
            x = lstm(x, here, symbols.batch_sizes.tolist())
        states, _ = pad_packed_sequence(symbols._replace(data=x), batch_first=True)  # (n, longest, 2)
        last = states[torch.arange(len(lengths)), lengths - 1]
        return last[:, 0] - last[:, 1]  # of pre-miRNA, none


class _LSTM(nn.Module):
    """LSTM that keeps its state where nothing is known, with the same dropout in all steps (Gal and Ghahramani 2016).

    Gates in Keras's order (input, forget, cell, output), each with its own dropout.
    """

    def __init__(self, inputs: int, hidden: int, dropout: float, gates: Gates) -> None:
        super().__init__()
        self.dropout, self.gates = dropout, gates
        reach = (6 / (inputs + 4 * hidden)) ** 0.5  # as Keras does: Glorot-uniform, orthogonal, forget gates open
        self.kernel = nn.Parameter(torch.empty(4, inputs, hidden).uniform_(-reach, reach))
        turned = nn.init.orthogonal_(torch.empty(hidden, 4 * hidden)).unflatten(1, (4, hidden))
        self.recurrent = nn.Parameter(turned.transpose(0, 1).contiguous())
        self.bias = nn.Parameter(torch.tensor([0.0, 1.0, 0.0, 0.0])[:, None, None].repeat(1, 1, hidden))

    def forward(self, x: Tensor, known: Tensor, sizes: list[int]) -> Tensor:
        """The states (total, hidden) of packed inputs (total, inputs) known (total, 1) or not; `sizes` of the steps."""
        n, hidden = sizes[0], self.recurrent.shape[1]
        weight = torch.cat([self.kernel, self.recurrent], 1)  # (4, inputs + hidden, hidden)
        keep = nn.functional.dropout(x.new_ones(4, n, weight.shape[1]), self.dropout, self.training)
        h, c = x.new_zeros(n, hidden), x.new_zeros(n, hidden)
        states = []
        for inputs, here, size in zip(x.split(sizes), known.split(sizes), sizes, strict=True):
            h, c = h[:size], c[:size]  # the others have ended
            seen = torch.cat([inputs, h], 1) * keep[:, :size]  # (4, size, inputs + hidden)
            i, f, new, o = torch.baddbmm(self.bias, seen, weight)  # (size, hidden) each
            c = torch.where(here, self._gate(f) * c + self._gate(i) * new.tanh(), c)
            h = torch.where(here, self._gate(o) * c.tanh(), h)
            states.append(h)
        return torch.cat(states)

    def _gate(self, x: Tensor) -> Tensor:
        return x.sigmoid() if self.gates == "sigmoid" else (0.2 * x + 0.5).clamp(0, 1)


def from_keras(model: KerasModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and state of the published network (Keras 2.2; symbols `. ( )` times A U G C, our A C G U)."""
    state: dict[str, Any] = {}
    for number, layer in enumerate(model.weights.values()):
        kernel = layer["kernel"] if number else layer["kernel"][KERAS_ROWS]
        for name, weight in (("kernel", kernel), ("recurrent", layer["recurrent_kernel"]), ("bias", layer["bias"])):
            by_gate = weight.reshape(-1, 4, weight.shape[-1] // 4)
            state[f"lstms.{number}.{name}"] = by_gate.transpose(1, 0, 2)
    first = next(layer["config"] for layer in model.config["config"] if layer["class_name"] == "LSTM")
    settings = {
        "hidden": first["units"],
        "dropout": first["dropout"],
        "gates": first["recurrent_activation"],
        "cut": "right",
    }
    return settings, state


ABLATIONS: dict[str, dict[str, Any]] = {
    "full network": {"published": {"dnnpremir_human_balanced": {"accuracy": 0.8843}}},
    "without dropouts": {"config": {"dropout": 0.0}},
    "half the units": {"config": {"hidden": 64}},
    "hard sigmoid": {"config": {"gates": "hard_sigmoid"}},
}
"""What holds the network back from learning its set by heart, its size, and the gates of the published weights."""
SEARCH: dict[str, Any] = {
    "learning_rate": (0.001, 0.003, 0.01),
    "dropout": (0.0, 0.2, 0.4),
    "hidden": (64, 128),
}
"""Around the paper's settings; it says nothing of others that it tried."""
