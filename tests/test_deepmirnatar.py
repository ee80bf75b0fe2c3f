"""DeepmiRNATar: padding, attention, switches, word2vec, the language model's folder."""

import builtins
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mirscope import language, models, rna, train
from mirscope.errors import InputError, UsageError
from mirscope.models import Unlabelled

SMALL = {"hidden": 16, "layers": 2, "heads": 2, "filters": 8, "mirna_dimension": 6, "target_dimension": 8}
BERT = SMALL | {"target_encoder": "bert", "bert_layers": 1, "bert_hidden": 8, "bert_heads": 2, "bert_intermediate": 8}
SWITCHES = [
    {"spatial_conv": False},
    {"text_cnn": False},
    {"rnn": "gru"},
    {"rnn": "none"},
    {"rnn": "none", "text_cnn": False, "spatial_conv": False},
    {"frozen": True},
]


def make(**settings):
    torch.manual_seed(2)
    model = models.create("deepmirnatar", **settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def codes(model, pairs):
    return model.encode(pairs["mirna_seq"].tolist(), pairs["target_seq"].tolist())


@pytest.fixture
def unlabelled(pairs):
    return Unlabelled(list(pairs["mirna_seq"].unique()), pairs["target_seq"].tolist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language") / "model"
    rng = np.random.default_rng(0)
    transcripts = ["".join(rng.choice(list("ACGU"), 60)) for _ in range(9)]
    settings = language.Settings(steps=2, batch_size=4, length=60, held_out=0.2)
    language.pretrain(transcripts, folder, settings=settings, size=language.Size(1, 8, 2, 8))
    return folder


@torch.inference_mode()
@pytest.mark.parametrize("settings", [{}, *SWITCHES, BERT], ids=str)
def test_padding_does_not_matter(settings, pairs):
    """A network that reads wider codes gives the same logits: nothing leaks from the padding into the sequences."""
    model = make(**SMALL | settings)
    mirna, target = codes(model, pairs)
    wider = F.pad(mirna, (0, 7), value=rna.N), F.pad(target, (0, 11), value=rna.N)
    if "target_encoder" in settings:  # it has only so many positions
        wider = wider[0], target
        narrow = target[:, : int((target != rna.N).sum(1).max())]
        torch.testing.assert_close(model(mirna, narrow), model(mirna, target), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model(*wider), model(mirna, target), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("settings", [{}, *SWITCHES, BERT], ids=str)
def test_sequences_too_short_for_a_kmer_have_a_logit(settings):
    model = make(**SMALL | settings)
    logits = model(*model.encode(["UGA", "UGAGGUAG", "N"], ["ACGUACGUAC", "ACG", "NNNNNNNNN"]))
    assert logits.isfinite().all()


@torch.inference_mode()
def test_order_counts_without_an_rnn(pairs):
    model = make(**SMALL, rnn="none", text_cnn=False, spatial_conv=False)
    mirna, target = model.encode(["UGAGGUAGUAGG"] * 2, ["ACGUNCCUU", "CCUUNACGU"])  # the same two 4-mers
    first, second = model(mirna, target)
    assert abs(first - second) > 1e-3


@torch.inference_mode()
def test_attention_is_a_share_and_gives_the_same_logits(pairs):
    model = make(**SMALL)
    mirna, target = codes(model, pairs)
    maps = model.attention(mirna, target)
    assert maps.shape == (len(pairs), 2, 2, 23, 50)
    known = [language.tokens(part) != language.UNKNOWN for part in (mirna, target)]
    sums = maps.sum(4)[:, 0, 0]
    torch.testing.assert_close(sums, known[0].float(), rtol=1e-5, atol=1e-5)
    assert (maps.sum((1, 2, 3))[~known[1]] == 0).all()
    memory = model._remember(target)
    explicit = model._classify(model._decode(model.mirna(language.tokens(mirna)), memory, []), memory)
    torch.testing.assert_close(explicit, model(mirna, target), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_looked_up_convolution_is_the_convolution(pairs):
    model = make(**SMALL)
    tokens = language.tokens(codes(model, pairs)[1])
    shown = (tokens != language.UNKNOWN)[:, :, None]
    vectors = (model.target.embed(tokens) * shown).transpose(1, 2)
    slow = torch.cat([convolution(vectors) for convolution in model.target.convolutions], 1).transpose(1, 2).relu()
    torch.testing.assert_close(model.target._convolve(tokens, shown), slow, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_beta_weighs_the_convolution(pairs):
    model = make(**SMALL)
    mirna, target = codes(model, pairs)
    before = model(mirna, target)
    for layer in model.layers:
        layer.attention.beta.zero_()
    without = model(mirna, target)
    assert not torch.allclose(before, without)
    for layer in model.layers:
        layer.attention.convolution = None
    torch.testing.assert_close(model(mirna, target), without)


@pytest.mark.parametrize("settings", [{}, *SWITCHES, BERT], ids=str)
def test_every_switch_trains(settings, pairs, unlabelled, folder):
    torch.manual_seed(0)
    model = models.create("deepmirnatar", **SMALL | settings)
    model.pretrain(Unlabelled(unlabelled.mirnas, unlabelled.transcripts, folder), 0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model.train()
    loss = F.binary_cross_entropy_with_logits(model(*codes(model, pairs)), torch.tensor(pairs["label"].to_numpy("f4")))
    loss.backward()
    optimizer.step()
    same = {key for key, value in model.state_dict().items() if torch.equal(value, before[key])}
    frozen = {"mirna.embed.weight", "target.embed.weight"} if "frozen" in settings else set()
    unused = {key for key in same if "position" in key and "target_encoder" in settings}
    assert same - unused == frozen


def test_word2vec_is_a_function_of_its_input(unlabelled):
    pytest.importorskip("gensim")
    found = []
    for random_state in (0, 0, 1):
        torch.manual_seed(0)  # of the 4-mers that are not seen
        model = models.create("deepmirnatar", **SMALL)
        model.pretrain(unlabelled, random_state)
        found.append(model.target.embed.weight.detach().clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert found[0].shape == (257, 8)
    assert (found[0][language.UNKNOWN] == 0).all()


def test_word2vec_puts_kmers_with_the_same_neighbours_together():
    pytest.importorskip("gensim")
    rng = np.random.default_rng(4)
    texts = ["".join(rng.choice(["ACGUACGUAC", "GGAACUUCGG"], 1).repeat(6)) for _ in range(200)]
    model = models.create("deepmirnatar", **SMALL)
    model.pretrain(Unlabelled(texts, texts), 0)
    vectors = F.normalize(model.mirna.embed.weight.detach(), dim=1)
    kmers = language.tokens(torch.from_numpy(rna.encode(["ACGUACGUAC", "GGAACUUCGG"])))
    inside = vectors[kmers[0]] @ vectors[kmers[0]].T
    between = vectors[kmers[0]] @ vectors[kmers[1]].T
    assert inside.mean() > between.mean() + 0.2


def test_weights_of_a_language_model(folder, unlabelled, tmp_path, pairs):
    given = Unlabelled(unlabelled.mirnas, unlabelled.transcripts, folder)
    model = models.create("deepmirnatar", **BERT)
    model.pretrain(given, 0)
    _, state = language.read(folder)
    ours = model.target.embed.bert.state_dict()
    assert ours.keys() == state.keys()
    for key, value in ours.items():
        assert torch.equal(value, state[key][: len(value)]), key
    with pytest.raises(UsageError, match="mirscope pretrain"):
        model.pretrain(unlabelled, 0)
    with pytest.raises(UsageError, match="bert_layers=1 bert_hidden=8 bert_heads=2 bert_intermediate=8"):
        models.create("deepmirnatar", **BERT | {"bert_layers": 2}).pretrain(given, 0)
    with pytest.raises(InputError, match=r"config\.json"):
        model.pretrain(Unlabelled(given.mirnas, given.transcripts, tmp_path), 0)
    settings = train.Settings(epochs=1, batch_size=20)
    trained, _ = train.fit(
        "deepmirnatar", pairs, pairs, tmp_path, settings=settings, config=BERT | {"frozen": True}, unlabelled=given
    )
    for key, value in trained.target.embed.bert.state_dict().items():
        assert torch.equal(value, state[key][: len(value)]), key


def test_a_short_language_model_is_refused(folder, unlabelled, tmp_path):
    _, state = language.read(folder)
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_text((folder / name).read_text())
    key = "embeddings.position_embeddings.weight"
    torch.save(state | {key: state[key][:20]}, tmp_path / "pytorch_model.bin")
    model = models.create("deepmirnatar", **BERT)
    with pytest.raises(UsageError, match="reads 20 ids"):
        model.pretrain(Unlabelled(unlabelled.mirnas, unlabelled.transcripts, tmp_path), 0)
    torch.save({key: state[key] for key in list(state)[:-1]}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="lacks weights"):
        model.pretrain(Unlabelled(unlabelled.mirnas, unlabelled.transcripts, tmp_path), 0)


@pytest.mark.parametrize(("package", "settings"), [("gensim", SMALL), ("transformers", BERT)])
def test_a_missing_extra_is_one_line(package, settings, unlabelled, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"pip install 'mirscope\["):
        models.create("deepmirnatar", **settings).pretrain(unlabelled, 0)


def test_settings_are_checked():
    for wrong in ({"hidden": 15}, {"heads": 3}, {"dropout": 1.0}, {"filters": 0}, {"bert_heads": 5}):
        with pytest.raises(UsageError):
            models.create("deepmirnatar", **wrong)
    with pytest.raises(UsageError, match="lstm, gru, none"):
        models.create("deepmirnatar", rnn="elman")


def test_settings_are_json_in_the_weight_file(tmp_path):
    model = models.create("deepmirnatar", **BERT)
    models.save(model, tmp_path / "toy.safetensors")
    loaded = models.load(tmp_path / "toy.safetensors")
    assert json.loads(json.dumps(loaded.config.__dict__)) == loaded.config.__dict__
    assert loaded.config.target_encoder == "bert"
