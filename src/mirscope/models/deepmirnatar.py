"""DeepmiRNATar: pre-trained k-mer vectors, TextCNN, BiLSTM, and attention with convolution (Peng et al. 2024).

The paper encodes each side by itself and lets a decoder attend. Here the miRNA's 4-mers are the queries and the
target's the memory: every decoder layer asks, for each place of the miRNA, where in the window its partner is. The maps
of attention are then miRNA by target (`Network.attention`), a miRNA is encoded once for all windows and a window once
for all miRNAs, and the layers run over the shorter side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mirscope import language, rna
from mirscope.errors import InputError, UsageError
from mirscope.models import Kernels, Model, States, Unlabelled, _letters, along

_NEVER = -1e4  # finite: a sequence may have no 4-mer at all
_BLOCK = 256  # windows decoded at once in a scan
_TEXT = 10_000  # words; gensim leaves out what a text has beyond


@dataclass(frozen=True)
class Config:
    """Settings of the network.

    `target_encoder` gives the vectors of the target's 4-mers: `word2vec` as in the authors' code, or a `bert` of the
    sizes `bert_*`, whose weights come from the folder of a language model. `frozen` keeps pre-trained vectors as they
    are. Without `text_cnn`, without `spatial_conv` and with `rnn` none the network is a plain Transformer.
    """

    target_encoder: Literal["word2vec", "bert"] = "word2vec"
    frozen: bool = False
    text_cnn: bool = True
    rnn: Literal["lstm", "gru", "none"] = "lstm"
    spatial_conv: bool = True
    hidden: int = 64
    layers: int = 4
    heads: int = 8
    feed_forward: int = 64
    filters: int = 32
    dropout: float = 0.1
    mirna_dimension: int = 34
    target_dimension: int = 100
    bert_layers: int = 4
    bert_hidden: int = 96
    bert_heads: int = 4
    bert_intermediate: int = 384

    def __post_init__(self) -> None:
        sizes = (self.layers, self.heads, self.feed_forward, self.filters, self.mirna_dimension, self.target_dimension)
        if min(sizes) < 1 or self.hidden < 1 or self.hidden % self.heads or self.hidden % 2:
            raise UsageError("deepmirnatar: sizes must be above 0, hidden even and a multiple of heads")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; expected a number from 0 to 1")
        self.bert  # noqa: B018 (checks the sizes)

    @property
    def bert(self) -> language.Size:
        """Sizes of the target's BERT."""
        return language.Size(self.bert_layers, self.bert_hidden, self.bert_heads, self.bert_intermediate)


class Network(Model):
    """Encoded 4-mers of both sides; in every layer the miRNA's attend to the target's; the pooled states decide."""

    lengths = (26, 53)
    stride = 15
    pretrains = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.soft = config, config.target_encoder != "bert"
        self.mirna = _Encoder(_Embedding(config.mirna_dimension, frozen=config.frozen), config)
        if config.target_encoder == "bert":
            self.target = _Encoder(_Bert(config.bert, self.lengths[1], config), config)
        else:
            self.target = _Encoder(_Embedding(config.target_dimension, frozen=config.frozen), config)
        layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.layers: list[_Layer] = layers  # type: ignore[assignment]
        self.head = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(3 * config.hidden, config.hidden // 2),
            nn.ReLU(),
            nn.Linear(config.hidden // 2, 1),
        )

    def forward(self, mirna: Tensor, target: Tensor) -> Tensor:
        """Logits (n,) of codes (n, 26) and (n, 53)."""
        queries, memory = self.mirna(_tokens(mirna)), self._remember(target)
        return self._classify(self._decode(queries, memory), memory)

    def kernels(self) -> tuple[Kernels, ...]:
        """Of the TextCNN of either side, over the vectors of 4-mers; not over a BERT's, which hang on their context."""
        found = []
        for part, encoder in (("mirna", self.mirna), ("target", self.target)):
            if isinstance(encoder.embed, _Embedding):
                vectors = encoder.embed.weight[: language.UNKNOWN]
                for conv in encoder.convolutions:
                    weight = torch.einsum("fdt,vd->fvt", conv.weight, vectors)
                    found.append(Kernels(part, weight, conv))
        return tuple(found)

    def states(self, *codes: Tensor) -> dict[str, States]:
        """Of the BiLSTM of either side, forward then backward, which does not see the other side; a step is a 4-mer."""
        found = {}
        for part, (name, encoder) in enumerate({"mirna": self.mirna, "target": self.target}.items()):
            if encoder.directions:
                values, known = encoder(language.tokens(codes[part]))
                start = torch.arange(values.shape[1], device=values.device)
                places = torch.full((*values.shape[:2], 2, 2), -1, device=values.device)
                on_part = along(start, start + language.K, _letters.lengths(codes[part]))
                places[:, :, part] = on_part.masked_fill(~known[:, :, None], -1)
                found[f"{name}_bilstm"] = States(values, places)
        return found

    def attention(self, *codes: Tensor) -> Tensor:
        """Attention (n, layers, heads, 23, 50) of the miRNA's 4-mers to the target's; 0 where either has an N."""
        mirna, target = codes
        queries, memory = self.mirna(language.tokens(mirna)), self._remember(target)
        maps: list[Tensor] = []
        self._decode(queries, memory, maps)
        both = queries.known[:, :, None] & memory.known[:, None, :]
        return torch.stack(maps, 1) * both[:, None, None]

    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """As the contract says; a miRNA is encoded once, and a window once, with the keys and values of all layers."""
        states, known = self.mirna(language.tokens(mirnas))
        windows = transcript.unfold(0, self.lengths[1], 1)
        logits = torch.empty(len(mirnas), len(starts), device=starts.device)
        for low in range(0, len(starts), _BLOCK):
            memory = self._remember(windows[starts[low : low + _BLOCK]])
            n = len(memory.known)
            for i in range(len(mirnas)):
                query = _Encoded(states[i].expand(n, -1, -1), known[i].expand(n, -1))
                logits[i, low : low + n] = self._classify(self._decode(query, memory), memory)
        return logits

    def _remember(self, target: Tensor) -> _Memory:
        """What the layers attend to."""
        states, known = self.target(_tokens(target))
        bias = torch.zeros_like(known, dtype=states.dtype).masked_fill(~known, _NEVER)[:, None, None]
        keys_values = [layer.attention.remember(states) for layer in self.layers]
        return _Memory(known, bias, keys_values, _top(states, known))

    def _decode(self, queries: _Encoded, memory: _Memory, maps: list[Tensor] | None = None) -> _Encoded:
        """The miRNA (n, 23, hidden) having read the target; the layers' attention is added to `maps`."""
        x, known = queries
        for layer, keys_values in zip(self.layers, memory.keys_values, strict=True):
            x = layer(x, known, keys_values, memory.bias, maps)
        return _Encoded(x, known)

    def _classify(self, decoded: _Encoded, memory: _Memory) -> Tensor:
        """Logits of the mean and the largest of the miRNA's states, and the largest of the target's."""
        x, known = decoded
        mean = (x * known[:, :, None]).sum(1) / known.sum(1, keepdim=True).clamp(min=1)
        return self.head(torch.cat([mean, _top(x, known), memory.top], 1))[:, 0]

    def pretrain(self, unlabelled: Unlabelled, random_state: int) -> None:
        """Word2vec of the miRNAs' 4-mers, and of the transcripts'; or the language model's weights for the target."""
        for encoder, sequences in ((self.mirna, unlabelled.mirnas), (self.target, unlabelled.transcripts)):
            if isinstance(encoder.embed, _Bert):
                encoder.embed.load(unlabelled.language_model)
            else:
                encoder.embed.learn(sequences, random_state)


class _Encoded(NamedTuple):
    states: Tensor  # (n, length, hidden)
    known: Tensor  # bool (n, length): where there is a k-mer, not padding


class _Memory(NamedTuple):
    known: Tensor  # bool (n, length)
    bias: Tensor  # (n, 1, 1, length): added to attention
    keys_values: list[tuple[Tensor, Tensor]]  # of each layer, (n, heads, length, hidden / heads)
    top: Tensor  # (n, hidden)


def _top(x: Tensor, known: Tensor) -> Tensor:
    """The largest (n, hidden) of states (n, length, hidden) where they are known; 0 where none is."""
    return x.masked_fill(~known[:, :, None], _NEVER).amax(1) * known.any(1)[:, None]


class _Embedding(nn.Embedding):
    """A vector for each 4-mer; zeros for one with an N."""

    def __init__(self, dimension: int, *, frozen: bool) -> None:
        super().__init__(language.N_KMERS + 1, dimension, padding_idx=language.UNKNOWN)
        self.dimension = dimension
        self.weight.requires_grad_(not frozen)

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors (n, length, dimension) of tokens (n, length), or mixed as weights of tokens (n, length, 257) are."""
        return tokens @ self.weight if tokens.is_floating_point() else super().forward(tokens)

    def learn(self, sequences: Sequence[str], random_state: int) -> None:
        """Set the vectors to those of word2vec, trained on the sequences' overlapping 4-mers (skip-gram)."""
        try:
            from gensim.models import Word2Vec
        except ImportError as error:
            raise UsageError("this needs the package gensim: pip install 'mirscope[kmer]'") from error
        words = [str(number) for number in range(language.N_KMERS)]
        texts = [[words[token] for token in _kmers(sequence) if token != language.UNKNOWN] for sequence in sequences]
        texts = [text[low : low + _TEXT] for text in texts for low in range(0, len(text), _TEXT)]
        model = Word2Vec(
            texts, vector_size=self.dimension, window=5, min_count=1, sg=1, epochs=5, seed=random_state + 1, workers=1
        )
        vectors = torch.from_numpy(model.wv.vectors.copy())
        with torch.no_grad():  # as large as the vectors of an untrained embedding, which unseen 4-mers keep
            self.weight[[int(word) for word in model.wv.index_to_key]] = (vectors / vectors.std()).to(self.weight)


class _Bert(nn.Module):
    """The vectors that a language model gives the 4-mers of a sequence of up to `length` nt."""

    def __init__(self, size: language.Size, length: int, config: Config) -> None:
        super().__init__()
        self.size, self.dimension = size, size.hidden
        self.positions = length - language.K + 3  # 4-mers, [CLS] and [SEP]
        self.bert = language.bert(size, positions=self.positions, dropout=0.0 if config.frozen else config.dropout)
        self.bert.requires_grad_(not config.frozen)

    def forward(self, tokens: Tensor) -> Tensor:
        ids, heeded = language.sentences(tokens)
        return self.bert(input_ids=ids, attention_mask=heeded).last_hidden_state[:, 1:-1]  # (n, length, dimension)

    def load(self, folder: Path | None) -> None:
        """Take the weights of a language model's folder."""
        if folder is None:
            raise UsageError("target_encoder bert needs the folder of a language model (see mirscope pretrain)")
        size, state = language.read(folder)
        if size != self.size:
            wanted = " ".join(f"bert_{name}={value}" for name, value in asdict(size).items())
            raise UsageError(f"{folder} is of another size than the network; it has {wanted}")
        places = "embeddings.position_embeddings.weight"
        if len(state[places]) < self.positions:
            raise UsageError(
                f"{folder} reads {len(state[places])} ids; the windows of this network have {self.positions}"
            )
        state[places] = state[places][: self.positions]
        try:
            self.bert.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"lacks weights of a BERT ({reason[:100]})", path=folder) from error


class _Encoder(nn.Module):
    """TextCNN, linear, BiLSTM over the vectors that `embed` gives 4-mers; what is not known is 0.

    Padding does not matter: convolutions see zeros there, as beyond the end, and the backward pass begins at the last
    4-mer.
    """

    def __init__(self, embed: _Embedding | _Bert, config: Config) -> None:
        super().__init__()
        self.embed = embed
        kernels = (1, 3, 5) if config.text_cnn else ()
        self.convolutions: list[nn.Conv1d] = nn.ModuleList(  # type: ignore[assignment]
            nn.Conv1d(embed.dimension, config.filters, kernel, padding=kernel // 2) for kernel in kernels
        )
        self.linear = nn.Linear(len(kernels) * config.filters or embed.dimension, config.hidden)
        self.directions = nn.ModuleList()
        if config.rnn != "none":
            kind = nn.LSTM if config.rnn == "lstm" else nn.GRU
            self.directions.extend(kind(config.hidden, config.hidden // 2, batch_first=True) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> _Encoded:
        """States (n, length, hidden) of tokens (n, length)."""
        known = tokens[..., language.UNKNOWN] < 0.5 if tokens.is_floating_point() else tokens != language.UNKNOWN
        shown = known[:, :, None]
        x = self.linear(self.dropout(self._convolve(tokens, shown))) * shown
        if self.directions:
            forward, backward = self.directions
            turned = _turn(known)[:, :, None].expand_as(x)
            back = backward(x.gather(1, turned))[0]
            x = torch.cat([forward(x)[0], back.gather(1, turned[:, :, : back.shape[2]])], 2)
        else:
            x = x + _places(x)
        return _Encoded(self.dropout(x) * shown, known)

    def _convolve(self, tokens: Tensor, shown: Tensor) -> Tensor:
        """Features (n, length, 3 filters), or the vectors themselves without a TextCNN."""
        if not self.convolutions:
            return self.embed(tokens) * shown
        if isinstance(self.embed, _Embedding) and not tokens.is_floating_point():
            x = torch.cat([_look_up(tokens, self.embed, convolution) for convolution in self.convolutions], 2)
        else:
            vectors = (self.embed(tokens) * shown).transpose(1, 2)
            x = torch.cat([convolution(vectors) for convolution in self.convolutions], 1).transpose(1, 2)
        return x.relu()


def _tokens(letters: Tensor) -> Tensor:
    """Tokens (n, length - 3) of codes (n, length); of weights of letters weights of tokens (n, length - 3, 257)."""
    if not letters.is_floating_point():
        return language.tokens(letters)
    first, *others = _letters.bases(letters).unfold(1, language.K, 1).unbind(3)  # 4 x (n, length - 3, 4)
    for other in others:
        first = (first[..., None] * other[:, :, None]).flatten(2)
    return torch.cat([first, 1 - first.sum(2, keepdim=True)], 2)


def _look_up(tokens: Tensor, embed: _Embedding, convolution: nn.Conv1d) -> Tensor:
    """The convolution (n, length, filters) of the tokens' vectors, in half the time.

    What a 4-mer adds at each tap of the kernel is computed once for all places where it stands.
    """
    taps, rows = convolution.kernel_size[0], embed.num_embeddings
    weight = F.pad(embed.weight[: language.UNKNOWN], (0, 0, 0, 1))
    table = torch.einsum("vd,fdt->tvf", weight, convolution.weight).flatten(0, 1)  # (taps * 257, filters)
    places = F.pad(tokens, (taps // 2, taps // 2), value=language.UNKNOWN).unfold(1, taps, 1)  # (n, length, taps)
    places = places + rows * torch.arange(taps, device=tokens.device)
    sums = F.embedding_bag(places.flatten(0, 1), table, mode="sum")
    return sums.unflatten(0, tokens.shape) + convolution.bias


def _turn(known: Tensor) -> Tensor:
    """The order (n, length) that turns each row's part up to its last 4-mer round, and leaves the padding behind it."""
    places = torch.arange(known.shape[1], device=known.device)
    turned = language.lengths(known)[:, None] - 1 - places
    return torch.where(turned >= 0, turned, places)


def _places(x: Tensor) -> Tensor:
    """Sines and cosines (length, hidden) that tell attention the order (Vaswani et al. 2017)."""
    _, length, hidden = x.shape
    rates = 10_000 ** (-torch.arange(0, hidden, 2, device=x.device) / hidden)
    angles = torch.arange(length, device=x.device)[:, None] * rates  # (length, hidden / 2)
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


class _Layer(nn.Module):
    """A decoder layer: attention and feed-forward, each added to its input and normalised."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = SpatialAttention(config.hidden, config.heads, convolve=config.spatial_conv)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.hidden, config.feed_forward),
            nn.ReLU(),
            nn.Linear(config.feed_forward, config.hidden),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, known: Tensor, keys_values: tuple[Tensor, Tensor], bias: Tensor, maps: list[Tensor] | None
    ) -> Tensor:
        x = self.norms[0](x + self.dropout(self.attention(x, known, keys_values, bias, maps)))
        return self.norms[1](x + self.dropout(self.feed_forward(x)))


class SpatialAttention(nn.Module):
    """Multi-head attention + beta x convolution over neighbouring places of the queries; beta is learned."""

    def __init__(self, hidden: int, heads: int, *, convolve: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.keys_values = nn.Linear(hidden, 2 * hidden)
        self.output = nn.Linear(hidden, hidden)
        self.convolution: nn.Module | None = None
        if convolve:  # a kernel for each channel: the linear maps of attention mix channels already
            self.convolution = nn.Conv1d(hidden, hidden, 3, padding=1, groups=hidden)
            self.beta = nn.Parameter(torch.ones(()))

    def remember(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (n, heads, length, hidden / heads) of what is attended to, (n, length, hidden)."""
        keys, values = self._split(self.keys_values(states)).chunk(2, 1)
        return keys, values

    def forward(
        self,
        x: Tensor,
        known: Tensor,
        keys_values: tuple[Tensor, Tensor],
        bias: Tensor,
        maps: list[Tensor] | None = None,
    ) -> Tensor:
        """States (n, m, hidden) of queries (n, m, hidden); with `maps`, the weights (n, heads, m, length) are added."""
        queries, (keys, values) = self._split(self.query(x)), keys_values
        if maps is None:
            y = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        else:
            weights = (queries @ keys.mT * queries.shape[3] ** -0.5 + bias).softmax(3)
            maps.append(weights)
            y = weights @ values
        y = self.output(y.transpose(1, 2).flatten(2))
        if self.convolution is not None:
            y = y + self.beta * self.convolution((x * known[:, :, None]).transpose(1, 2)).transpose(1, 2)
        return y

    def _split(self, x: Tensor) -> Tensor:
        """(n, length, c hidden) -> (n, c heads, length, hidden / heads)."""
        return x.unflatten(2, (x.shape[2] // self._width, self._width)).transpose(1, 2)

    @property
    def _width(self) -> int:
        return self.query.out_features // self.heads


def _kmers(sequence: str) -> list[int]:
    codes = torch.from_numpy(rna.encode([sequence]))
    return language.tokens(codes)[0].tolist() if len(sequence) >= language.K else []


ABLATIONS = {
    "full network": {
        "config": {},
        "published": {
            "deepmirnatar": {
                "accuracy": 0.9527,
                "auroc": 0.9915,
                "average_precision": 0.9918,
                "sensitivity": 0.9743,
                "f1": 0.9547,
            }
        },
    },
    "without SpatialConv": {"config": {"spatial_conv": False}},
    "without TextCNN": {"config": {"text_cnn": False}},
    "without BiLSTM": {"config": {"rnn": "none"}},
    "plain Transformer": {"config": {"spatial_conv": False, "text_cnn": False, "rnn": "none"}},
    "BiGRU for BiLSTM": {"config": {"rnn": "gru"}},
    "batch of 16": {"settings": {"batch_size": 16}},
    "batch of 64": {"settings": {"batch_size": 64}},
    "dropout .2": {"config": {"dropout": 0.2}},
    "dropout .3": {"config": {"dropout": 0.3}},
}
"""What the paper leaves out or changes, from batches of 32 and dropout .1; its figures of the network itself."""
SEARCH = {"batch_size": (16, 32, 64), "dropout": (0.1, 0.2, 0.3)}
"""What the paper tried."""
