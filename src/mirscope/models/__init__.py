"""The model contract, and the models: each file of this folder without a leading underscore is one.

A model sees integer codes `A C G U N -> 0..4` with N as padding, and answers with a logit per example. What is
particular to an architecture (a reversed strand, k-mers, N as zero) stays inside its own file, which holds

    Config      a frozen dataclass: the architecture's settings
    Network     a `Model`: Network(Config())

Most models read a miRNA and a target (`PAIR`), some a hairpin and its structure (`HAIRPIN`, codes `. ( ) -> 0..2`).
What works with one kind only says so (`expect`) or takes only those (`names`).

Weights are safetensors files whose header holds the model's name, its settings and its provenance.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, cast, get_args, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from mirscope import io, rna, runs
from mirscope.errors import TableError, UsageError, WeightsError

if TYPE_CHECKING:
    import pandas as pd

PAIR = ("mirna", "target")
"""Inputs of a model that says whether a miRNA binds a target."""
HAIRPIN = ("hairpin", "structure")
"""Inputs of a model that says whether a hairpin is a pre-miRNA."""
ANY_LENGTH = 2**31 - 1
"""Of `Model.lengths`: the model reads the whole of any example."""
WEIGHTS = Path(__file__).parents[1] / "weights"
"""Folder of the bundled weights: NAME.safetensors and its model card NAME.md."""


@dataclass(frozen=True)
class Unlabelled:
    """What a network may learn from before it sees labels."""

    mirnas: Sequence[str]
    transcripts: Sequence[str]
    language_model: Path | None = None
    """Folder of a BERT over k-mers (`mirscope pretrain`), for the network that takes one."""

    def fingerprint(self) -> str:
        """sha256 of all of it, the files of the language model among them."""
        files = sorted(self.language_model.iterdir()) if self.language_model else []
        parts = [list(self.mirnas), list(self.transcripts), [runs.checksum(file) for file in files]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Kernels(NamedTuple):
    """Kernels of a first convolution as they lie along one of the RNAs, 5'->3'.

    What a kernel finds at a place is its bias plus, for each of its taps, the weight of the symbol that begins there;
    of that the network sees what is above 0, of neighbouring places (`pool`) the largest.
    """

    part: str
    """The input they slide along: `mirna`, `target` or `hairpin`."""
    weight: Tensor
    """(units, symbols, taps). Symbols are k-mers, AA.., AC..; k is 1 where the network reads nucleotides. Where it
    reads each with its sign of the structure, `. ( )`, those of the first sign come first."""
    conv: nn.Conv1d
    """Whose channels they are, in the same order: what is changed there changes what the network finds."""
    pool: int = 1

    @property
    def bias(self) -> Tensor:
        """(units,)"""
        return cast(Tensor, self.conv.bias)

    @property
    def signs(self) -> int:
        """By how many signs of the structure symbols are told apart: 3, or 1 where there are none."""
        return len(rna.BRACKETS) if self.weight.shape[1] % len(rna.BRACKETS) == 0 else 1

    @property
    def k(self) -> int:
        """nt of a symbol."""
        return round(math.log(self.weight.shape[1] // self.signs, 4))


class States(NamedTuple):
    """What the hidden units of a recurrent layer hold at each of its steps."""

    values: Tensor
    """(n, steps, units)"""
    places: Tensor
    """The nucleotides of each input that a step is about: (n, steps, inputs, 2), start and end of codes; -1: none."""


class Model(nn.Module):
    """Scores examples. Subclasses set `lengths` and define `forward`; the rest has good defaults."""

    inputs: ClassVar[tuple[str, ...]] = PAIR
    """What an example is made of: `PAIR` or `HAIRPIN`."""
    lengths: tuple[int, ...]
    """Longest length of each input, nt; shorter ones are padded. The last is the window of a scan."""
    stride: int = 1
    """nt between the windows of a scan, unless the user says otherwise."""
    longest: int = 0
    """Longest target of a pair, nt, of which `encode` makes one window although it is longer than that."""
    numbers: tuple[str, ...] = ()
    """Columns of numbers that `forward` takes after the codes if it is given them; NaN: not known."""
    soft: bool = False
    """Whether `forward` takes, in place of the codes of a strand, also weights of its letters (n, length, 5).

    One-hot they give the same logits; mixed they are what gradients by letter need (`_letters`).
    """
    candidates: ClassVar[Literal["all", "seed", "peaks"]] = "all"
    """What a scan scores, unless the user says otherwise: all windows, those that end with a seed match, or `peaks`."""
    fp_per_kb: ClassVar[float | None] = None
    """What a scan calls, unless the user says otherwise: sites as good as so many in a kb of shuffled transcript.

    None: windows with a score of one half.
    """
    reach: ClassVar[int] = 0
    """Of `peaks`: those of a miRNA that are nearer than this to each other are one site, nt opposite its first nt."""
    pretrains: ClassVar[bool] = False
    """Whether a fresh network learns from `Unlabelled` first."""
    config: Any
    provenance: dict[str, Any]
    """How the weights came about: data, settings, versions, metrics; empty for weights that were not trained."""
    name: str
    """Of the weights (`mitar1`), or of the architecture where there are none to name."""

    def columns(self, examples: pd.DataFrame) -> tuple[list[str], ...]:
        """The texts (n) of each input, as `encode` takes them: columns `mirna_seq`, `target_seq` and so on.

        Raises:
            TableError: the table has no such column.
        """
        wanted = [f"{part}_seq" for part in self.inputs]
        expect_columns(self, examples, wanted)
        return tuple(examples[column].tolist() for column in wanted)

    def encode(self, *columns: Sequence[str]) -> tuple[Tensor, ...]:
        """Codes int8 (n, length) of each input; longer sequences are cut at the right."""
        return tuple(
            torch.from_numpy(rna.encode(list(column), length))
            for column, length in zip(columns, self.lengths, strict=True)
        )

    forward: Callable[..., Tensor]
    """Logits (n,) of codes (n, length) of each input."""

    def pretrain(self, unlabelled: Unlabelled, random_state: int) -> None:
        """Learn from sequences without labels; called before the training of a fresh network that `pretrains`."""

    def penalty(self) -> Tensor | float:
        """What is added to the loss of each batch in training."""
        return 0.0

    def score_windows(self, mirnas: Tensor, transcript: Tensor, starts: Tensor) -> Tensor:
        """Logits of every miRNA against windows of a transcript; models may override it with a faster way.

        Args:
            mirnas: codes (m, lengths[0]).
            transcript: codes (length,); several transcripts may stand in a row.
            starts: first nt of each window (w,); a window is lengths[1] nt, all within `transcript`.

        Returns:
            (m, w), equal to `forward` on each pair of a miRNA and a window.
        """
        windows = transcript.unfold(0, self.lengths[1], 1)[starts]  # (w, window)
        return torch.stack([self(mirna.expand(len(windows), -1), windows) for mirna in mirnas])

    def peaks(self, mirnas: Tensor, transcripts: Sequence[Tensor], least: Tensor) -> tuple[Tensor, ...]:
        """Windows around the places where each miRNA binds best; for models that know better than to try all windows.

        Args:
            mirnas: codes (m, lengths[0]).
            transcripts: codes (length,) of each, at least a window long.
            least: logit that each miRNA's windows must have, (m,).

        Returns:
            For each peak (n,): its miRNA and transcript, the first nt of the window, the nt opposite the miRNA's first,
            and the logit, equal to `forward` on that pair. The same site may come more than once.
        """
        raise NotImplementedError

    def kernels(self) -> tuple[Kernels, ...]:
        """The kernels that read nucleotides first; none, unless the model has some."""
        return ()

    def states(self, *codes: Tensor) -> dict[str, States]:
        """The hidden units of each recurrent layer on codes (n, length) of each input; none, unless it has some."""
        return {}

    def attention(self, *codes: Tensor) -> Tensor:
        """Weights (n, layers, heads, places of the first input, places of the second), 0 where there is padding.

        A place is as many nt as the codes are longer than the places, plus one. No layers, unless the model attends.
        """
        return torch.zeros(len(codes[0]), 0, 0, *(part.shape[1] for part in codes))

    def duplexes(self, mirnas: Sequence[str], targets: Sequence[str]) -> dict[str, Sequence[Any]]:
        """How each pair binds: columns of `tables.SITES`, with places in the target; by default the least energy.

        ViennaRNA's RNAduplex; about 4,000 pairs per second and core.
        """
        found = [rna.duplex(mirna, target) for mirna, target in zip(mirnas, targets, strict=True)]
        return {"mfe": [duplex.mfe for duplex in found], **drawn(found)}

    def arms(self, hairpins: Sequence[str], structures: Sequence[str]) -> NDArray[np.int64]:
        """Where the mature miRNAs of hairpins are; for models that know.

        Returns:
            Start and end (0-based, half-open) of the 5p one and of the 3p one in each hairpin (n, 4); -1: none.
        """
        raise NotImplementedError


def along(starts: Tensor, ends: Tensor, lengths: Tensor) -> Tensor:
    """Places (n, steps, 2) as of `States` of steps (n, steps) or (steps,), cut to sequences of these lengths (n,)."""
    places = torch.stack(torch.broadcast_tensors(starts.clamp(min=0), torch.minimum(ends, lengths[:, None])), 2)
    return places.masked_fill((places[:, :, :1] >= places[:, :, 1:]), -1)


def drawn(duplexes: Sequence[rna.Duplex]) -> dict[str, Sequence[Any]]:
    """The columns of `tables.SITES` that draw duplexes."""
    places: Sequence[Any] = [duplex.start if duplex.pairs else -1 for duplex in duplexes]
    lines = {f"duplex_{line}": [getattr(d, line) for d in duplexes] for line in ("target", "pairs", "mirna")}
    return {"duplex_start": places} | lines


def names(inputs: tuple[str, ...] | None = None) -> list[str]:
    """The architectures, or those of them that read `inputs`."""
    found = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return [name for name in found if inputs in (None, importlib.import_module(f"{__name__}.{name}").Network.inputs)]


def architecture(model: Model) -> str:
    """The name under which the model's network is in `names`."""
    return type(model).__module__.rpartition(".")[2]


def calls_arms(model: Model) -> bool:
    """Whether the model says where mature miRNAs are (`Model.arms`)."""
    return type(model).arms is not Model.arms


def named(model: Model) -> str:
    """The model's name, or its architecture's where it was not created by name."""
    return getattr(model, "name", architecture(model))


def strands(model: Model) -> tuple[str, ...]:
    """The inputs that are nucleotides."""
    return tuple(part for part in model.inputs if part != "structure")


def expect(model: Model, inputs: tuple[str, ...]) -> None:
    """Raise `UsageError`, one clear line, unless the model reads `inputs`."""
    if model.inputs != inputs:
        reads, wanted = (" and ".join(parts) for parts in (model.inputs, inputs))
        raise UsageError(f"{named(model)} reads {reads}; expected a model that reads {wanted}")


def expect_columns(model: Model, examples: pd.DataFrame, wanted: Sequence[str]) -> None:
    """Raise `TableError` unless the table has these columns, which the model reads."""
    if missing := [column for column in wanted if column not in examples]:
        found = ", ".join(map(str, examples.columns)) or "no columns"
        raise TableError(f"no column {', '.join(missing)}, which {named(model)} reads; found {found}")


def needs_weights(name: str) -> bool:
    """Whether the architecture has anything to train."""
    with torch.random.fork_rng(devices=[]):
        return any(True for _ in create(name).parameters())


def bundled(inputs: tuple[str, ...] | None = None) -> list[str]:
    """The trained weights that come with the package, or those of them that read `inputs`."""
    found = sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))
    return found if inputs is None else [name for name in found if load(name).inputs == inputs]


def create(name: str, **settings: Any) -> Model:
    """A new model with fresh weights; `settings` are fields of its Config.

    Raises:
        UsageError: no such model or setting.
    """
    if name not in names():
        raise _unknown(name, names())
    module = importlib.import_module(f"{__name__}.{name}")
    kinds = get_type_hints(module.Config)
    for setting, value in settings.items():
        if setting not in kinds:
            raise UsageError(f"{name} has no setting {setting!r}; it has {', '.join(kinds) or 'none'}")
        choices = get_args(kinds[setting])
        if choices and value not in choices:
            raise UsageError(f"{setting} is {value!r}; expected one of {', '.join(choices)}")
        if not choices and not isinstance(value, (int, float) if kinds[setting] is float else kinds[setting]):
            raise UsageError(f"{setting} is {value!r}; expected a value like {getattr(module.Config(), setting)!r}")
    model: Model = module.Network(module.Config(**settings))
    model.config, model.name, model.provenance = module.Config(**settings), name, {}
    return model.eval()


def fingerprint(model: Model) -> str:
    """sha256 of the settings and weights: what a model is, whatever its name."""
    digest = hashlib.sha256(json.dumps(asdict(model.config), sort_keys=True).encode())
    for key, value in sorted(model.state_dict().items()):
        digest.update(key.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


def save(model: Model, path: str | Path) -> None:
    """Write the weights, with the model's architecture, settings and provenance in the header."""
    header = {"model": architecture(model), "config": asdict(model.config), "provenance": model.provenance}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    with io.atomic(path) as partial:
        partial.write_bytes(serialise(tensors, metadata={"mirscope": json.dumps(header, sort_keys=True)}))


def load(name: str | Path) -> Model:
    """The model of a weight file, of bundled weights, or of an architecture that has no weights; ready to predict.

    Raises:
        UsageError: neither a file nor a known name.
        WeightsError: the file is not one of ours, or does not fit its network.
    """
    path = Path(name)
    if path.suffix in (".h5", ".hdf5", ".keras"):
        raise WeightsError("a Keras file; turn it into a weight file with: mirscope models import", path=path)
    if not path.is_file():
        path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        if str(name) in names() and not needs_weights(str(name)):
            return create(str(name))
        if str(name) in names():
            raise UsageError(f"{name} is a network and comes without weights: mirscope train {name} makes some")
        if Path(name).suffix or "/" in str(name):
            raise WeightsError("no such weight file", path=name)
        raise _unknown(str(name), [*bundled(), *(n for n in names() if n not in bundled())])
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["mirscope"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        model = create(header["model"], **header["config"])
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError, UsageError) as error:
        reason = str(error).split("\n")[0]
        raise WeightsError(f"not a mirscope weight file ({reason})", path=path) from error
    model.name, model.provenance = path.stem, header["provenance"]
    return model.eval()


def import_keras(path: str | Path, name: str) -> Model:
    """The model of a published Keras HDF5 file, read as data (nothing in it is run).

    Raises:
        UsageError: this architecture has no published Keras form.
        WeightsError: the file does not hold that network.
    """
    if name not in names():
        raise _unknown(name, names())
    module = importlib.import_module(f"{__name__}.{name}")
    if not hasattr(module, "from_keras"):
        able = [n for n in names() if hasattr(importlib.import_module(f"{__name__}.{n}"), "from_keras")]
        raise UsageError(f"{name} has no published Keras weights; those that have: {', '.join(able)}")
    try:
        settings, state = module.from_keras(io.read_keras_h5(path))
        model = create(name, **settings)
        model.load_state_dict({key: torch.as_tensor(value) for key, value in state.items()})
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise WeightsError(f"does not hold the network of {name} ({reason})", path=path) from error
    model.provenance = {"imported_from": Path(path).name}
    return model


def card(model: Model) -> str:
    """The model card, Markdown; empty unless the weights are bundled ones."""
    path = WEIGHTS / f"{named(model)}.md"
    known = path.is_file() and fingerprint(load(path.stem)) == fingerprint(model)  # not others of that name
    return path.read_text() if known else ""


def _unknown(name: str, known: Sequence[str]) -> UsageError:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "expected one of"
    return UsageError(f"no model {name!r}; {hint} ({', '.join(known)})")
