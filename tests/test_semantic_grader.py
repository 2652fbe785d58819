"""Texts as vectors, and verdicts that weigh them against words, by a tiny encoder with random weights."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, T5Config, T5Model

from seal_env.errors import ModelError, SettingError
from seal_env.tasks.knowledge.grader import Attempt
from seal_env.tasks.knowledge.graders import make_grader
from seal_env.tasks.knowledge.semantic_grader import SemanticGrader, Weights, cross_fitted, logistic_regression
from seal_env.tasks.knowledge.text_embedder import BATCH, TextEmbedder
from tests.encoders import save_encoder

WHO = "Who built the lighthouse of Ostrel?"
ATTEMPTS = [
    Attempt(WHO, "Mira Valdén", "Mira Valdén"),
    Attempt(WHO, "Mira Valdén", "Jon Aske"),
    Attempt("When was it built?", "1852", "in 1852"),
    Attempt("When was it built?", "1852", "1900"),
    Attempt("", "1852", ""),
]
TEXTS = [
    " ".join(random.Random(number).choices(["Ann", "built", "it", "1852", "in", "Kiel"], k=number)) for number in range(80)
]


@pytest.fixture(scope="module")
def encoder(tiny_models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_encoder(tmp_path_factory.mktemp("encoder"), AutoTokenizer.from_pretrained(tiny_models["qwen2"]))


@pytest.fixture(scope="module")
def embedder(encoder: str) -> TextEmbedder:
    return TextEmbedder(encoder, "cpu")


def test_each_text_is_a_row_of_length_1_and_nothing_a_row_of_zeros(embedder: TextEmbedder) -> None:
    rows = embedder.embed(["Ann", "", "Ann built it in 1852."])
    assert rows.shape == (3, 32)
    assert rows.dtype == np.float64
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1.0, 0.0, 1.0])
    assert embedder.embed([]).shape == (0, 32)


def test_company_and_order_do_not_matter(embedder: TextEmbedder) -> None:
    assert len(TEXTS) > BATCH
    rows = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(rows, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(rows, embedder.embed(TEXTS[::-1])[::-1], rtol=0, atol=1e-5)
    assert len(np.unique(rows.round(6), axis=0)) > len(TEXTS) * 0.9  # they do tell texts apart


def test_row_is_the_mean_of_the_last_hidden_states(embedder: TextEmbedder, encoder: str) -> None:
    import torch
    from transformers import AutoModel

    ids = AutoTokenizer.from_pretrained(encoder)("Ann built it", return_tensors="pt")["input_ids"]
    model = AutoModel.from_pretrained(encoder).eval()
    with torch.no_grad():
        mean = model(input_ids=ids).last_hidden_state[0].mean(0).numpy()
    np.testing.assert_allclose(embedder.embed(["Ann built it"])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_text_longer_than_the_model_takes_is_cut(embedder: TextEmbedder) -> None:
    long = "Ann built it " * 500
    np.testing.assert_array_equal(embedder.embed([long]), embedder.embed([long + "in Kiel"]))


def test_model_that_cannot_be_used_is_named(tmp_path: Path, tiny_models: dict[str, str]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"code")
    for model in (str(tmp_path), str(tmp_path / "absent")):
        with pytest.raises(ModelError, match="cannot be loaded"):
            make_grader("semantic", model)
    with pytest.raises(ModelError, match="padding token"):
        make_grader("semantic", tiny_models["gpt2"])
    tokenizer = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    shape: dict[str, Any] = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    T5Model(T5Config(vocab_size=len(tokenizer), **shape)).save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    with pytest.raises(ModelError, match="has to be an encoder"):
        make_grader("semantic", str(tmp_path / "t5"))


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_device_that_is_not_there_is_named(encoder: str, device: str) -> None:
    with pytest.raises(SettingError, match="device="):
        make_grader("semantic", encoder, device=device)


def test_features_are_what_words_and_vectors_tell(encoder: str) -> None:
    features = SemanticGrader(encoder, "cpu").features(ATTEMPTS)
    assert features[:, 0].tolist() == [1.0] * 5
    assert features[:, 1].tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]
    assert features[:, 2].tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]
    assert features[0, 3] == pytest.approx(1.0)  # the same answer adds the same
    assert features[4, 3] == 0.0  # an empty one adds nothing
    assert np.abs(features[:, 3]).max() <= 1.0 + 1e-9


def test_verdict_is_the_weighted_sum(encoder: str) -> None:
    def verdicts(*weights: float) -> list[bool]:
        return SemanticGrader(encoder, "cpu", Weights(*weights)).grade_all(ATTEMPTS)

    assert verdicts(1.0, 0.0, 0.0, 0.0) == [True] * 5
    assert verdicts(-1.0, 0.0, 0.0, 0.0) == [False] * 5
    assert verdicts(-0.5, 1.0, 0.0, 0.0) == [True, False, True, False, False]
    similar = SemanticGrader(encoder, "cpu").features(ATTEMPTS)[:, 3]
    assert verdicts(-float(similar[1]), 0.0, 0.0, 1.0) == [bool(each > similar[1]) for each in similar]


def test_fitted_weights_follow_the_verdicts(encoder: str) -> None:
    grader, many = SemanticGrader(encoder, "cpu"), ATTEMPTS[:4] * 20
    lexical = [True, False, True, False] * 20
    assert SemanticGrader(encoder, "cpu", grader.fitted(many, lexical)).grade_all(many) == lexical
    contrary = [not verdict for verdict in lexical]
    assert SemanticGrader(encoder, "cpu", grader.fitted(many, contrary)).grade_all(many) == contrary
    with pytest.raises(ValueError, match="both kinds"):
        grader.fitted(many, [True] * len(many))


def test_cross_fitted_verdicts_on_a_fold_do_not_depend_on_its_own_verdicts() -> None:
    rng = np.random.default_rng(0)
    features = np.column_stack([np.ones(60), rng.normal(size=(60, 3))])
    verdicts, folds = (features[:, 1] > 0).tolist(), [number % 3 for number in range(60)]
    said = cross_fitted(features, verdicts, folds)
    assert sum(one == other for one, other in zip(said, verdicts, strict=True)) >= 54
    changed = [not right if fold == 0 else right for right, fold in zip(verdicts, folds, strict=True)]
    again = cross_fitted(features, changed, folds)
    assert again[::3] == said[::3]
    assert again != said
    with pytest.raises(ValueError, match="both kinds"):
        cross_fitted(features, [True] * 60, folds)


def test_logistic_regression_is_at_the_penalised_optimum() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    y = rng.random(400) < 1 / (1 + np.exp(-(x @ [0.5, 2.0, -1.0])))
    weights = logistic_regression(x, y.tolist())
    slope = x.T @ (y - 1 / (1 + np.exp(-x @ weights))) - [0.0, weights[1], weights[2]]
    np.testing.assert_allclose(slope, 0.0, atol=1e-8)
    np.testing.assert_allclose(weights, [0.5, 2.0, -1.0], atol=0.4)
