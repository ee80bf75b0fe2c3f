"""dnnPreMiR's CNN: is this hairpin a pre-miRNA? (Zheng et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mirscope.errors import UsageError
from mirscope.io import KerasModel
from mirscope.models import Kernels
from mirscope.models._hairpin import KERAS_ROWS, LENGTH, SYMBOLS, Cut, HairpinModel

LAYERS = 3


@dataclass(frozen=True)
class Config:
    """Settings of the network.

    `filters` and `kernel` are of the first convolution: each of the next two has twice the filters and a kernel longer
    by 1 nt. `l2` times the sum of the squared weights of the dense layer is added to the loss. `cut`: what is left of
    hairpins of more than 180 nt, the part with the most base pairs (`hairpin`) or the first 180 nt (`right`, as
    published).
    """

    filters: int = 16
    kernel: int = 4
    dense: int = 32
    dropout: float = 0.5
    l2: float = 0.1
    cut: Cut = "hairpin"

    def __post_init__(self) -> None:
        if not (self.filters > 0 and self.dense > 0 and 0 < self.kernel <= LENGTH):
            raise UsageError(f"dnnpremir_cnn: sizes must be above 0, and the kernel at most {LENGTH} nt")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a number from 0 to 1")
        if not self.l2 >= 0:
            raise UsageError(f"l2 is {self.l2}; expected 0 or more")


class Network(HairpinModel):
    """180 symbols of nucleotide and bracket: three convolutions, each pooled by 2, and two dense layers."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.cut)
        self.config = config
        widths = [SYMBOLS, *(config.filters << layer for layer in range(LAYERS))]
        self.convs: list[nn.Conv1d] = nn.ModuleList(  # type: ignore[assignment]
            nn.Conv1d(widths[layer], widths[layer + 1], config.kernel + layer) for layer in range(LAYERS)
        )
        self.dense = nn.Linear((LENGTH >> LAYERS) * widths[-1], config.dense)
        self.head = nn.Linear(config.dense, 2)
        self.dropout = nn.Dropout(config.dropout)
        for parameter in self.parameters():  # as Keras does
            (nn.init.xavier_uniform_ if parameter.dim() > 1 else nn.init.zeros_)(parameter)

    def forward(self, hairpin: Tensor, structure: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 180) of nucleotides and of brackets."""
        x = self.symbols(hairpin, structure).transpose(1, 2)  # (n, 12, 180)
        for layer, conv in enumerate(self.convs):
            more = self.config.kernel + layer - 1
            x = F.max_pool1d(conv(F.pad(x, (more // 2, more - more // 2))).relu(), 2)
        x = self.dropout(x.transpose(1, 2).flatten(1))  # (n, 22 * 4 filters)
        x = self.head(self.dropout(self.dense(x).relu()))  # (n, 2): pre-miRNA, none
        return x[:, 0] - x[:, 1]

    def kernels(self) -> tuple[Kernels, ...]:
        """Of the first convolution."""
        return (Kernels("hairpin", self.convs[0].weight, self.convs[0], pool=2),)

    def penalty(self) -> Tensor:
        """L2 of the dense layer."""
        return self.config.l2 * self.dense.weight.square().sum()


def from_keras(model: KerasModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and state of the published network (Keras 2.2; symbols `. ( )` times A U G C, our A C G U)."""
    *convs, dense, head = model.weights.values()
    convs[0]["kernel"] = convs[0]["kernel"][:, KERAS_ROWS]
    state: dict[str, Any] = {}
    for name, layer in {f"convs.{number}": conv for number, conv in enumerate(convs)}.items():
        state |= {f"{name}.weight": layer["kernel"].transpose(2, 1, 0), f"{name}.bias": layer["bias"]}
    for name, layer in {"dense": dense, "head": head}.items():
        state |= {f"{name}.weight": layer["kernel"].T, f"{name}.bias": layer["bias"]}
    layers = {layer["config"]["name"]: layer["config"] for layer in model.config["config"]}
    settings = {
        "filters": layers["conv1d_1"]["filters"],
        "kernel": layers["conv1d_1"]["kernel_size"][0],
        "dense": layers["dense_1"]["units"],
        "dropout": layers["dropout_1"]["rate"],
        "l2": round(layers["dense_1"]["kernel_regularizer"]["config"]["l2"], 6),
        "cut": "right",
    }
    return settings, state


ABLATIONS: dict[str, dict[str, Any]] = {
    "full network": {"published": {"dnnpremir_human_balanced": {"accuracy": 0.8856}}},
    "without dropouts": {"config": {"dropout": 0.0}},
    "without L2": {"config": {"l2": 0.0}},
    "half the filters": {"config": {"filters": 8}},
    "kernels of 2, 3, 4 nt": {"config": {"kernel": 2}},
}
"""What holds the network back from learning its set by heart, and how large it is; the paper left nothing out."""
SEARCH: dict[str, Any] = {
    "learning_rate": (0.001, 0.003, 0.01),
    "dropout": (0.3, 0.5),
    "l2": (0.01, 0.1),
    "label_smoothing": (0.0, 0.1),
}
"""Around the paper's settings; it says nothing of others that it tried."""
