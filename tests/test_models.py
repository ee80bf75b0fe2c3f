"""Conformance: every check on every model; a new file in models/ is tested by being there."""

import functools
import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from mirscope import models, predict, rna, train
from mirscope.errors import TableError, UsageError, WeightsError

VARIANTS = [(name, {}) for name in models.names()] + [
    ("deepmirnatar", {"hidden": 16, "layers": 2, "heads": 2, "rnn": "gru", "spatial_conv": False}),
    ("deepmirnatar", {"hidden": 16, "layers": 1, "heads": 4, "text_cnn": False, "frozen": True}),
    ("deepmirnatar", {"hidden": 16, "layers": 1, "text_cnn": False, "spatial_conv": False, "rnn": "none"}),
    ("deepmirnatar", {"hidden": 16, "layers": 1, "target_encoder": "bert", "bert_hidden": 8, "bert_layers": 1}),
    ("deeptarget", {"cell": "lstm", "layers": 3, "hidden": 7, "encoded": 5}),
    ("deeptarget", {"bidirectional": True, "layers": 2, "embedding": 3}),
    ("deeptarget", {"cell": "lstm", "layers": 1, "bidirectional": True, "dropout": 0.0, "pretrain_epochs": 0}),
    ("dmiso", {"abundance": True, "kernel": 5, "filters": 7, "hidden": 4, "dense": 9}),
    ("dnnpremir_cnn", {"cut": "right", "kernel": 9, "filters": 3, "dense": 5}),
    ("dnnpremir_rnn", {"cut": "right", "gates": "hard_sigmoid", "hidden": 9}),
    ("mitar", {"gates": "relu"}),
    ("mitar", {"target_length": 40}),
    ("mitar", {"kernel": 5, "hidden": 8, "filters": 16}),
    ("mitar", {"kernel": 26, "hidden": 8, "filters": 16}),
    ("mitar", {"kernel": 27, "hidden": 8, "filters": 16}),
    ("mitar", {"cnn": False, "hidden": 8}),
    ("mitar", {"pooling": False, "filters": 16}),
    ("mitar", {"rnn": False, "filters": 16}),
    ("mitar", {"dense": False, "filters": 16}),
]


@pytest.fixture(params=VARIANTS, ids=lambda v: "-".join([v[0], *(f"{k}={x}" for k, x in v[1].items())]))
def model(request):
    return make(*request.param)


def make(name, settings_):
    """A model with weights that matter: fresh ones give nearly constant logits."""
    torch.manual_seed(1)
    model = models.create(name, **settings_)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@functools.cache
def toy(name):
    return make(name, {})


@pytest.fixture
def examples(model, pairs, hairpins):
    """What the model reads; no target is longer than its window."""
    if model.inputs == models.HAIRPIN:
        return hairpins
    return pairs.assign(target_seq=pairs["target_seq"].str[-model.lengths[1] :])


def codes(model, examples):
    return model.encode(*model.columns(examples))


def test_one_finite_logit_per_example(model, examples):
    logits = model(*codes(model, examples))
    assert logits.shape == (len(examples),)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@torch.inference_mode()
def test_score_alone_is_score_in_company(model, examples):
    together = model(*codes(model, examples))
    for row in range(0, len(examples), 7):
        alone = model(*codes(model, examples.iloc[[row]]))
        torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-6)


def test_batch_size_does_not_matter(model, examples):
    np.testing.assert_allclose(predict.score(model, examples), predict.score(model, examples, batch_size=7), atol=1e-6)


def test_each_input_counts(model, examples):
    columns = codes(model, examples)
    before = model(*columns)
    for number in range(len(columns)):
        other = [column.roll(13, 0) if number == place else column for place, column in enumerate(columns)]
        assert not torch.allclose(before, model(*other))


def test_one_hot_weights_of_letters_give_the_same_logits(model, examples):
    columns = codes(model, examples)
    n_strands = sum(part != "structure" for part in model.inputs)
    if not model.soft:
        pytest.skip("takes no weights of letters")
    soft = [torch.nn.functional.one_hot(part.long(), 5).float().requires_grad_() for part in columns[:n_strands]]
    logits = model(*soft, *columns[n_strands:])
    torch.testing.assert_close(logits, model(*columns), rtol=1e-5, atol=1e-5)
    for gradient in torch.autograd.grad(logits.sum(), soft):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_prediction_leaves_the_model_as_it_was(model, examples):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    predict.score(model, examples)
    assert not model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_save_and_load_give_the_same_scores(model, examples, tmp_path):
    model.provenance = {"data": "toy"}
    models.save(model, tmp_path / "toy.safetensors")
    loaded = models.load(tmp_path / "toy.safetensors")
    assert loaded.config == model.config
    assert loaded.provenance == {"data": "toy"}
    assert loaded.name == "toy"
    np.testing.assert_array_equal(predict.score(loaded, examples), predict.score(model, examples))


@torch.inference_mode()
def test_windows_score_as_pairs_do(model):
    if model.inputs != models.PAIR:
        pytest.skip("no windows of a transcript")
    rng = np.random.default_rng(0)
    length = 5 * model.lengths[1] + 17
    transcript = torch.from_numpy(rng.integers(0, 5, length).astype(np.int8))
    mirnas = torch.from_numpy(
        rna.encode(["UGAGGUAGUAGGUUGUAUAGUU", "UAGCUUAUC", "A" * 26, "UGNAGGUAGUAGN"], model.lengths[0])
    )
    starts = torch.tensor([0, 1, 2, 3, 15, 16, 77, length - model.lengths[1]]) % (length - model.lengths[1] + 1)
    slow = models.Model.score_windows(model, mirnas, transcript, starts)
    fast = model.score_windows(mirnas, transcript, starts)
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@torch.inference_mode()
def test_gpu_gives_the_same_logits(model, examples):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    columns = codes(model, examples)
    there = model.to("cuda")(*(column.cuda() for column in columns)).cpu()
    torch.testing.assert_close(there, model.to("cpu")(*columns), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [name for name in models.names() if models.needs_weights(name)])
def test_a_few_steps_lower_the_loss(name, pairs, hairpins, tmp_path):
    short = hairpins[hairpins["hairpin_seq"].str.len() < 100]  # an LSTM of 180 steps learns slowly
    examples = pairs if name in models.names(models.PAIR) else short
    settings_ = train.Settings(epochs=25, batch_size=12, learning_rate=0.005)
    _, history = train.fit(name, examples, examples, tmp_path, settings=settings_)
    assert history["train_loss"].iloc[-1] < 0.9 * history["train_loss"].iloc[0]


@settings(deadline=None, max_examples=40)
@given(
    mirna=st.text("ACGU", min_size=1, max_size=30),
    target=st.text("ACGUN", min_size=1, max_size=120),
    name=st.sampled_from(models.names()),
)
def test_any_sequence_gets_a_score(mirna, target, name):
    texts = {"mirna_seq": [mirna], "target_seq": [target], "hairpin_seq": [2 * target]}
    score = predict.score(toy(name), pd.DataFrame(texts))
    assert 0 <= score[0] <= 1


def test_bundled_weights_load_and_have_a_card():
    assert models.bundled()
    for name in models.bundled():
        assert models.load(name).name == name
        assert models.card(models.load(name)).startswith(f"# {name}")
        assert (models.WEIGHTS / f"{name}.safetensors").stat().st_size < 1_000_000


def test_each_kind_of_model_refuses_the_tables_of_the_other(pairs, hairpins):
    kinds = [models.names(models.PAIR), models.names(models.HAIRPIN)]
    assert sorted([*kinds[0], *kinds[1]]) == models.names()
    assert all(kinds)
    for names, inputs, other in zip(kinds, (models.PAIR, models.HAIRPIN), (hairpins, pairs), strict=True):
        for name in names:
            models.expect(toy(name), inputs)
            with pytest.raises(UsageError, match=f"{name} reads "):
                models.expect(toy(name), (*inputs, "more"))
            with pytest.raises(TableError, match=f"no column {inputs[0]}_seq.*, which {name} reads; found"):
                predict.score(toy(name), other)
    assert sorted(models.bundled(models.PAIR) + models.bundled(models.HAIRPIN)) == models.bundled()


def test_unknown_names_are_one_line():
    for name, hint in (("mitra", "mitar"), ("nothing", "seed")):
        with pytest.raises(UsageError, match=hint):
            models.load(name)
    with pytest.raises(UsageError, match="filters"):
        models.create("mitar", filtres=3)
    with pytest.raises(WeightsError, match="no such weight file"):
        models.load("missing.safetensors")


def test_nothing_else_is_taken_for_weights(tmp_path):
    torch.save({"a": 1}, tmp_path / "pickle.pt")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1]))
    (tmp_path / "empty.safetensors").write_bytes(b"")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    header = {"mirscope": json.dumps({"model": "mitar", "config": {}, "provenance": {}})}
    save_file({"x": torch.zeros(1)}, tmp_path / "lacking.safetensors", metadata=header)
    header = {"mirscope": json.dumps({"model": "os.system", "config": {}, "provenance": {}})}
    save_file({"x": torch.zeros(1)}, tmp_path / "evil.safetensors", metadata=header)
    for path in tmp_path.iterdir():
        with pytest.raises(WeightsError, match=path.name) as caught:
            models.load(path)
        assert "\n" not in str(caught.value)
