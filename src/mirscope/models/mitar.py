"""miTAR: CNN and BiLSTM over the joined miRNA and target (Gu et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mirscope import rna
from mirscope.errors import UsageError
from mirscope.io import KerasModel
from mirscope.models import Kernels, Model, States, _letters, along

MIRNA_LENGTH = 26


@dataclass(frozen=True)
class Config:
    """Settings of the network.

    `gates` are the LSTM's activations: `tanh` as in the paper (tanh and sigmoid), `relu` as in its code (ReLU and a
    hard sigmoid). `target_length` is 53 nt for miTAR and miTAR1, 40 for miTAR2. `cnn`, `pooling`, `rnn` and `dense` are
    the parts that the paper leaves out in turn: without the CNN there is nothing to pool, without the RNN all positions
    are joined instead of its last states; `dropout` 0 leaves out the dropouts.
    """

    target_length: int = 53
    filters: int = 320
    kernel: int = 12
    hidden: int = 32
    dropout: float = 0.2
    gates: Literal["tanh", "relu"] = "tanh"
    cnn: bool = True
    pooling: bool = True
    rnn: bool = True
    dense: bool = True

    def __post_init__(self) -> None:
        joined = MIRNA_LENGTH + self.target_length
        if not (self.target_length > 0 and self.filters > 0 and self.hidden > 0 and 0 < self.kernel < joined):
            raise UsageError(
                f"mitar: sizes must be above 0, and the kernel shorter than the {joined} nt it slides along"
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a number from 0 to 1")


class Network(Model):
    """miRNA 3'->5', padded to 26 nt, then the target: embedding, convolution, pooling, BiLSTM, dense."""

    stride = 15
    soft = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.lengths = (MIRNA_LENGTH, config.target_length)
        self.config = config
        steps, width = sum(self.lengths), 5
        self.embed = nn.Embedding(5, width)
        if config.cnn:
            self.conv = nn.Conv1d(width, config.filters, config.kernel)
            steps, width = steps - config.kernel + 1, config.filters
            steps = steps // 2 if config.pooling else steps
        if config.rnn:
            self.lstm = _LSTM(width, config.hidden, config.gates)
            steps, width = 2, config.hidden
        if config.dense:
            self.dense = nn.Linear(steps * width, 16)
            steps, width = 1, 16
        self.head = nn.Linear(steps * width, 1)
        self.dropout = nn.Dropout(config.dropout)
        self._initialise()

    def _initialise(self) -> None:
        """As Keras does: Glorot-uniform kernels, orthogonal recurrence, forget gates open, the rest 0."""
        nn.init.uniform_(self.embed.weight, -0.05, 0.05)
        for layer in self.children():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                for parameter in layer.parameters():
                    (nn.init.xavier_uniform_ if parameter.dim() > 1 else nn.init.zeros_)(parameter)

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 26) and (n, target_length)."""
        x = self._convolve(mirna, target)
        return self._classify(self.lstm(x) if self.config.rnn else x.flatten(1))

    def kernels(self) -> tuple[Kernels, ...]:
        """The same kernels twice: along the miRNA, which they read 3'->5', and along the target."""
        if not self.config.cnn:
            return ()
        weight = torch.einsum("fdt,vd->fvt", self.conv.weight, self.embed.weight[: rna.N])
        pool = 2 if self.config.pooling else 1
        return Kernels("mirna", weight.flip(2), self.conv, pool), Kernels("target", weight, self.conv, pool)

    def states(self, *codes: Tensor) -> dict[str, States]:
        """Of the BiLSTM, forward then backward; a step is the nucleotides that its pooled convolutions see."""
        if not self.config.rnn:
            return {}
        mirna, target = codes
        values = self.lstm.steps(self._convolve(mirna, target))
        stride = 2 if self.config.cnn and self.config.pooling else 1
        starts = stride * torch.arange(values.shape[1], device=mirna.device)
        ends = starts + (self.config.kernel if self.config.cnn else 1) + stride - 1
        length = _letters.lengths(mirna)
        on_mirna = along(length[:, None] - ends, length[:, None] - starts, length)
        on_target = along(starts - MIRNA_LENGTH, ends - MIRNA_LENGTH, _letters.lengths(target))
        return {"bilstm": States(values, torch.stack([on_mirna, on_target], 2))}

    def _convolve(self, mirna: Tensor, target: Tensor) -> Tensor:
        """What the BiLSTM reads, (n, steps, filters)."""
        x = _letters.look_up(self.embed.weight, torch.cat([_letters.reverse(mirna), target], 1))  # (n, 79, 5)
        if not self.config.cnn:
            return x
        x = self.dropout(self.conv(x.transpose(1, 2)).relu())  # (n, filters, 68)
        if self.config.pooling:
            x = self.dropout(F.max_pool1d(x, 2))  # (n, filters, 34)
        return x.transpose(1, 2)  # (n, 34, filters)

    def _classify(self, x: Tensor) -> Tensor:
        x = self.dropout(x)  # (n, 64)
        if self.config.dense:
            x = self.dropout(self.dense(x).relu())  # (n, 16)
        return self.head(x)[:, 0]  # (n,)

    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """As the contract says, exactly, without computing twice what pairs share.

        Convolution positions see the miRNA alone, its end and the window's head, or the window alone. The first are
        the same for all windows, the last for all miRNAs and for windows that overlap; so are their products with the
        LSTM's input weights. The backward LSTM starts at the window's end and meets the miRNA last: that stretch is
        shared by all miRNAs; the forward LSTM's first stretch by all windows. What is left per pair are the few
        positions in between and the steps after them.
        """
        config, kernel, length = self.config, self.config.kernel, MIRNA_LENGTH
        whole = config.cnn and config.pooling and config.rnn
        if not whole or kernel >= min(length, self.lengths[1]):
            return super().score_windows(mirnas, transcript, starts)
        first = (length - kernel + 1) // 2  # pooled positions 0..first-1 see the miRNA alone
        last = (length + 1) // 2  # and those from `last` on the window alone
        pooled = (length + self.lengths[1] - kernel + 1) // 2
        heads = self.embed(_letters.reverse(mirnas).long()).transpose(1, 2)  # (m, 5, 26)
        known = F.max_pool1d(self.conv(heads).relu()[:, :, : 2 * first], 2)  # (m, filters, first)
        mirna_inputs = self.lstm.project(known.transpose(1, 2))  # (m, first, 2, 4 hidden)
        tails = self.conv(F.pad(heads[:, :, 2 * first :], (0, kernel - 1)))  # (m, filters, 2 mixed)
        tails = tails.unflatten(2, (-1, 2)).permute(3, 0, 2, 1).contiguous()  # (2, m, mixed, filters)

        alone = F.max_pool1d(self.conv(self.embed(transcript.long()).T[None]).relu(), 2, stride=1)[0].T
        shared = self.lstm.project(alone)  # (L - kernel, 2, 4 hidden)
        offsets = 2 * torch.arange(last, pooled, device=starts.device) - length
        before = self.lstm.run(0, self.lstm.start(len(mirnas)), mirna_inputs[:, :, 0].unbind(1))

        logits = torch.empty(len(mirnas), len(starts), device=starts.device)
        for low in range(0, len(starts), _BLOCK):
            block = starts[low : low + _BLOCK]
            at = block[:, None] + offsets  # (n, pooled - last)
            after = self.lstm.run(1, self.lstm.start(len(block)), shared[at.flip(1), 1].unbind(1))
            onward = shared[at, 0].unbind(1)
            head = transcript[block[:, None] + torch.arange(kernel - 1, device=starts.device)]
            head = F.pad(self.embed(head.long()).transpose(1, 2), (length - 2 * first, 0))
            head = F.conv1d(head, self.conv.weight).unflatten(2, (-1, 2)).permute(3, 0, 2, 1).contiguous()
            for i, beyond in enumerate(mirna_inputs[:, :, 1]):
                mixed = torch.maximum(head[0] + tails[0, i], head[1] + tails[1, i]).relu_()  # (n, mixed, filters)
                between = self.lstm.project(mixed)  # (n, mixed, 2, 4 hidden)
                state = [part[i].expand(len(block), -1) for part in before]
                forward = self.lstm.run(0, state, [*between[:, :, 0].unbind(1), *onward])
                backward = self.lstm.run(1, after, [*between[:, :, 1].flip(1).unbind(1), *beyond.flip(0)])
                logits[i, low : low + _BLOCK] = self._classify(torch.cat([forward[0], backward[0]], 1))
        return logits


_BLOCK = 512
"""Windows at a time in `score_windows`: few enough that a block stays in the processor's cache."""


class _LSTM(nn.LSTM):
    """Bidirectional LSTM that gives the last state of each direction, (n, 2 hidden)."""

    def __init__(self, inputs: int, hidden: int, gates: str) -> None:
        super().__init__(inputs, hidden, batch_first=True, bidirectional=True)
        self.gates = gates
        for name, parameter in self.named_parameters():
            if "weight_ih" in name:
                nn.init.xavier_uniform_(parameter)
            elif "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)
                if "bias_ih" in name:
                    nn.init.ones_(parameter[hidden : 2 * hidden])

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if self.gates == "tanh":
            _, (h, _) = super().forward(x)  # (2, n, hidden)
            return torch.cat([h[0], h[1]], 1)
        inputs = self.project(x)  # (n, steps, 2, 4 hidden)
        forward = self.run(0, self.start(len(x)), inputs[:, :, 0].unbind(1))
        backward = self.run(1, self.start(len(x)), inputs[:, :, 1].flip(1).unbind(1))
        return torch.cat([forward[0], backward[0]], 1)

    def steps(self, x: Tensor) -> Tensor:
        """The states (n, steps, 2 hidden) at each step."""
        if self.gates == "tanh":
            return super().forward(x)[0]
        directions = []
        for direction, inputs in enumerate(self.project(x).unbind(2)):  # (n, steps, 4 hidden)
            state, found = self.start(len(x)), []
            for step in (inputs.flip(1) if direction else inputs).unbind(1):
                state = self.run(direction, state, [step])
                found.append(state[0])
            states = torch.stack(found, 1)
            directions.append(states.flip(1) if direction else states)
        return torch.cat(directions, 2)

    def project(self, x: Tensor) -> Tensor:
        """What the inputs (..., inputs) add to the gates of each direction, (..., 2, 4 hidden)."""
        (w, _, b, c), (w_back, _, b_back, c_back) = self.all_weights
        return F.linear(x, torch.cat([w, w_back]), torch.cat([b + c, b_back + c_back])).unflatten(-1, (2, -1))

    def start(self, n: int) -> list[Tensor]:
        """Hidden and cell state before the first step, (n, hidden) each."""
        return [self.all_weights[0][1].new_zeros(n, self.hidden_size)] * 2

    def run(self, direction: int, state: Sequence[Tensor], inputs: Iterable[Tensor]) -> list[Tensor]:
        """The state after steps of projected inputs, (n, 4 hidden) or (4 hidden,) each."""
        h, c = state
        weight = self.all_weights[direction][1].T
        for x in inputs:
            gates = torch.addmm(x, h, weight)
            new = gates[:, 2 * self.hidden_size : 3 * self.hidden_size]
            if self.gates == "tanh":
                i, f, _, o = gates.sigmoid().chunk(4, 1)
                c = f * c + i * new.tanh()
                h = o * c.tanh()
            else:  # Keras 2.2: activation relu, recurrent_activation hard_sigmoid
                i, f, _, o = (0.2 * gates + 0.5).clamp(0, 1).chunk(4, 1)
                c = f * c + i * new.relu()
                h = o * c.relu()
        return [h, c]


ABLATIONS: dict[str, dict[str, Any]] = {
    "full network": {
        "config": {},
        "published": {
            "mirtarraw": {"accuracy": 0.955},
            "deepmirtar": {"accuracy": 0.979},
            "miraw": {"accuracy": 0.965},
        },
    },
    "without pooling": {
        "config": {"pooling": False},
        "published": {
            "mirtarraw": {"accuracy": 0.914},
            "deepmirtar": {"accuracy": 0.888},
            "miraw": {"accuracy": 0.953},
        },
    },
    "without CNN and pooling": {"config": {"cnn": False}, "published": {"mirtarraw": {"accuracy": 0.855}}},
    "without RNN": {"config": {"rnn": False}, "published": {}},
    "without Dense 16": {"config": {"dense": False}, "published": {}},
    "without dropouts": {"config": {"dropout": 0.0}, "published": {}},
}
"""What the paper leaves out in turn, and its accuracies by data set (Gu et al. 2021)."""
SEARCH: dict[str, Any] = {
    "learning_rate": (0.2, 0.1, 0.05, 0.01, 0.005, 0.001),
    "dropout": (0.1, 0.2, 0.3, 0.4, 0.5),
    "batch_size": (10, 30, 50, 100, 200),
}
"""The paper's grid."""


def from_keras(model: KerasModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and state of a published miTAR network (Keras 2.2; vocabulary N A U C G, our A C G U N)."""
    embed, conv, lstm, dense, head = model.weights.values()
    state = {
        "embed.weight": embed["embeddings"][[1, 3, 4, 2, 0]],
        "conv.weight": conv["kernel"].transpose(2, 1, 0),
        "conv.bias": conv["bias"],
        "dense.weight": dense["kernel"].T,
        "dense.bias": dense["bias"],
        "head.weight": head["kernel"].T,
        "head.bias": head["bias"],
    }
    for ours, theirs in (("", "forward"), ("_reverse", "backward")):
        state[f"lstm.weight_ih_l0{ours}"] = lstm[f"{theirs}/kernel"].T
        state[f"lstm.weight_hh_l0{ours}"] = lstm[f"{theirs}/recurrent_kernel"].T
        state[f"lstm.bias_ih_l0{ours}"] = lstm[f"{theirs}/bias"]
        state[f"lstm.bias_hh_l0{ours}"] = 0 * lstm[f"{theirs}/bias"]
    layers = {layer["class_name"]: layer["config"] for layer in model.config["config"]["layers"]}
    recurrent = layers["Bidirectional"]["layer"]["config"]
    settings = {
        "target_length": layers["Embedding"]["batch_input_shape"][1] - MIRNA_LENGTH,
        "filters": layers["Conv1D"]["filters"],
        "kernel": layers["Conv1D"]["kernel_size"][0],
        "hidden": recurrent["units"],
        "dropout": layers["Dropout"]["rate"],
        "gates": recurrent["activation"],
    }
    return settings, state
