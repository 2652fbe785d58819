"""The key of a job: it changes with every ingredient of the result, and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.cache import key as job_key
from seal_env.inner_loop.cache.key import JobKeys
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.types import Example, LoraSpec, Message, Query, Recipe, TrainingConfig, UpdateJob

Change = Callable[[UpdateJob], UpdateJob]


def example(text: str) -> Example:
    return Example((Message("user", "Repeat."), Message("assistant", text)))


ASKED = Query("first", (Message("user", "What is it?"),), "one two", pattern="[a-z ]+", max_answer_tokens=9)
JOB = UpdateJob(
    examples_E=(example("1 2"), example("3 4 5")),
    training=TrainingConfig(),
    lora=LoraSpec(4, 8.0),
    recipe=Recipe(),
    seed=0,
    queries_Q=(ASKED, replace(ASKED, query_id="second")),
)
UPDATE: dict[str, Change] = {
    "order of examples": lambda job: replace(job, examples_E=job.examples_E[::-1]),
    "an answer": lambda job: replace(job, examples_E=(example("1 3"), job.examples_E[1])),
    "a question": lambda job: replace(
        job, examples_E=(Example((Message("user", "Say."), job.examples_E[0].messages[1])), job.examples_E[1])
    ),
    "an example more": lambda job: replace(job, examples_E=(*job.examples_E, job.examples_E[0])),
    "an example less": lambda job: replace(job, examples_E=job.examples_E[:1]),
    "strategy": lambda job: replace(job, training=replace(job.training, strategy="train_using_all_tokens")),
    "learning rate": lambda job: replace(job, training=replace(job.training, learning_rate=2e-4)),
    "epochs": lambda job: replace(job, training=replace(job.training, num_train_epochs=3)),
    "rank": lambda job: replace(job, lora=replace(job.lora, rank=8)),
    "alpha": lambda job: replace(job, lora=replace(job.lora, alpha=9.0)),
    "targets": lambda job: replace(job, lora=replace(job.lora, target_modules=("q_proj",))),
    "seed": lambda job: replace(job, seed=1),
    "all weights": lambda job: replace(job, method="full"),
    "subspace": lambda job: replace(job, orthogonal_to={"q_proj": torch.eye(4)[:, :2]}),
}
OTHERS: dict[str, Change] = {
    "decode": lambda job: replace(job, decode=False),
    "order of queries": lambda job: replace(job, queries_Q=job.queries_Q[::-1]),
    "a query less": lambda job: replace(job, queries_Q=job.queries_Q[:1]),
    "prompt": lambda job: asking(job, messages=(Message("user", "What was it?"),)),
    "prompt without a chat": lambda job: asking(job, messages=(), prompt="What is it?"),
    "gold": lambda job: asking(job, answer="one three"),
    "gold's white space": lambda job: asking(job, answer="one two "),
    "pattern": lambda job: asking(job, pattern=None),
    "answer's limit": lambda job: asking(job, max_answer_tokens=10),
    "query's id": lambda job: asking(job, query_id="third"),
}


def asking(job: UpdateJob, **changed: Any) -> UpdateJob:
    return replace(job, queries_Q=(replace(ASKED, **changed), *job.queries_Q[1:]))


@pytest.fixture
def base(tiny_models: dict[str, str]) -> FrozenLM:
    return load_base_model(tiny_models["llama"], "cpu")


@pytest.mark.parametrize("name", [*UPDATE, *OTHERS])
def test_key_changes_with(name: str, base: FrozenLM) -> None:
    keys = JobKeys.of(base, "reference")
    assert keys.key((UPDATE | OTHERS)[name](JOB)) != keys.key(JOB)


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_key_changes_with_the_recipe_s(name: str, base: FrozenLM) -> None:
    value = getattr(JOB.recipe, name)
    names = {"schedule": "linear", "optimizer": "sgd"}
    other = names[name] if name in names else not value if isinstance(value, bool) else value + 1
    changed = replace(JOB.recipe, **dict[str, Any]({name: other}))
    keys = JobKeys.of(base, "reference")
    assert keys.key(replace(JOB, recipe=changed)) != keys.key(JOB)


def test_every_field_of_a_job_is_covered_here() -> None:
    """A new field has to be put into the key, or declared as one that no result depends on."""
    covered = {"examples_E", "training", "lora", "recipe", "seed", "queries_Q", "decode", "method", "orthogonal_to"}
    assert {field.name for field in fields(UpdateJob)} == covered | {"save_to"}
    asked = {"query_id", "messages", "answer", "pattern", "max_answer_tokens", "prompt"}
    assert {field.name for field in fields(Query)} == asked


def test_key_is_of_what_is_said_and_not_of_who_says_it(base: FrozenLM) -> None:
    again = replace(JOB, examples_E=tuple(example(text) for text in ("1 2", "3 4 5")), training=TrainingConfig())
    assert again.examples_E[0] is not JOB.examples_E[0]
    assert JobKeys.of(base, "reference").key(again) == JobKeys.of(base, "reference").key(JOB)


def test_where_the_adapter_is_saved_is_no_part_of_the_key(base: FrozenLM) -> None:
    keys = JobKeys.of(base, "reference")
    assert keys.key(replace(JOB, save_to=Path("somewhere"))) == keys.key(JOB)


@pytest.mark.parametrize("name", ["rank", "alpha", "targets"])
def test_key_of_an_update_of_all_weights_ignores_the_adapter_s(name: str, base: FrozenLM) -> None:
    keys, full = JobKeys.of(base, "reference"), replace(JOB, method="full")
    assert keys.key(UPDATE[name](full)) == keys.key(full)


@pytest.mark.parametrize("untrained", [{"examples_E": ()}, {"training": TrainingConfig(num_train_epochs=0)}])
def test_key_without_an_update_ignores_how_it_would_be_done(untrained: dict[str, Any], base: FrozenLM) -> None:
    keys = JobKeys.of(base, "reference")
    plain = keys.key(replace(JOB, examples_E=()))
    changed = [change(JOB) for change in UPDATE.values()]
    assert {keys.key(replace(job, **untrained)) for job in changed} == {plain}
    assert plain != keys.key(JOB)
    assert len({keys.key(replace(change(JOB), **untrained)) for change in OTHERS.values()} | {plain}) == len(OTHERS) + 1


@pytest.mark.parametrize("kept", ["examples_E", "queries_Q"])
def test_tokens_that_move_to_a_neighbour_change_the_key(kept: str, base: FrozenLM) -> None:
    """Lengths are part of the key, so that streams cannot be cut in two ways."""
    two: dict[str, Any] = {
        "examples_E": (example("1 2"), example("3")),
        "queries_Q": (ASKED, replace(ASKED, query_id="second", answer="one")),
    }
    keys = JobKeys.of(base, "reference")
    job = replace(JOB, **{kept: two[kept]})
    assert keys.key(job) != keys.key(replace(job, **{kept: two[kept][::-1]}))


def test_equal_tokens_with_another_answer_change_the_key(tiny_models: dict[str, str]) -> None:
    """A template that shows no roles: only what is supervised differs."""
    base = load_base_model(tiny_models["gpt2"], "cpu")
    one = Example((Message("user", "1"), Message("assistant", "2\n\n3")))
    two = Example((Message("user", "1\n\n2"), Message("assistant", "3")))
    ids = [base.encoder.example(chosen, JOB.recipe).ids_T for chosen in (one, two)]
    assert ids[0] == ids[1]
    keys = JobKeys.of(base, "reference")
    assert keys.key(replace(JOB, examples_E=(one,))) != keys.key(replace(JOB, examples_E=(two,)))


def test_key_changes_with_engine_and_versions(base: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {JobKeys.of(base, "reference").key(JOB), JobKeys.of(base, "batched").key(JOB)}
    monkeypatch.setattr(job_key, "ENGINE_VERSION", job_key.ENGINE_VERSION + 1)
    found.add(JobKeys.of(base, "reference").key(JOB))
    for changed in job_key.LIBRARIES:
        monkeypatch.setattr(job_key, "version", lambda name, changed=changed: "other" if name == changed else "same")
        found.add(JobKeys.of(base, "reference").key(JOB))
    assert len(found) == 3 + len(job_key.LIBRARIES)


def test_key_changes_with_the_longest_sequence(base: FrozenLM) -> None:
    assert JobKeys.of(replace(base, max_tokens=77), "reference").key(JOB) != JobKeys.of(base, "reference").key(JOB)


def test_fingerprint_is_of_the_contents_and_not_of_the_place(base: FrozenLM, tmp_path: Path) -> None:
    shutil.copytree(base.name, tmp_path / "copy")
    copy = load_base_model(str(tmp_path / "copy"), "cpu")
    assert copy.model is not base.model
    assert copy.fingerprint == base.fingerprint


def change_weight(base: FrozenLM) -> FrozenLM:
    weight = base.model.model.layers[1].mlp.up_proj.weight
    weight.data[3, 3] += 1e-6
    return base


def change_buffer(base: FrozenLM) -> FrozenLM:
    base.model.model.rotary_emb.inv_freq[1] *= 2
    return base


def change_config(base: FrozenLM) -> FrozenLM:
    base.model.config.rms_norm_eps *= 2
    return base


def change_dtype(base: FrozenLM) -> FrozenLM:
    base.model.to(torch.bfloat16)
    return base


def change_template(base: FrozenLM) -> FrozenLM:
    base.tokenizer.chat_template += " "
    return base


def change_vocabulary(base: FrozenLM) -> FrozenLM:
    base.tokenizer.add_tokens(["newword"])
    return base


def change_padding(base: FrozenLM) -> FrozenLM:
    base.tokenizer.pad_token = "<|eot|>"
    return base


def change_device(base: FrozenLM) -> FrozenLM:
    moved = replace(base, device=torch.device("meta"))
    assert moved.model is base.model
    return moved


CHANGES = [
    change_weight,
    change_buffer,
    change_config,
    change_dtype,
    change_template,
    change_vocabulary,
    change_padding,
    change_device,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_fingerprint_sees(change: Callable[[FrozenLM], FrozenLM], base: FrozenLM, tmp_path: Path) -> None:
    shutil.copytree(base.name, tmp_path / "copy")
    changed = change(load_base_model(str(tmp_path / "copy"), "cpu"))
    assert changed.fingerprint != base.fingerprint
    assert JobKeys.of(changed, "reference").key(JOB) != JobKeys.of(base, "reference").key(JOB)


def test_fingerprint_is_the_same_after_an_update(base: FrozenLM, tmp_path: Path) -> None:
    shutil.copytree(base.name, tmp_path / "copy")
    copy = load_base_model(str(tmp_path / "copy"), "cpu")
    make_inner_loop("reference", copy.name, "cpu").run([JOB])
    assert copy.fingerprint == base.fingerprint


def test_fingerprint_is_read_once(base: FrozenLM, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, calls = replace(base), []
    monkeypatch.setattr("seal_env.inner_loop.model.frozen_lm.fingerprint", lambda *_: calls.append(1) or "digest")
    assert [fresh.fingerprint, fresh.fingerprint] == ["digest", "digest"]
    assert len(calls) == 1
