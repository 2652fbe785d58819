"""A quick run of `benchmarks.inner_loop`, and its parts: jobs, rows, FLOPs, table and plot."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from benchmarks.inner_loop import __main__ as benchmark
from benchmarks.inner_loop import growth, hardware, jobs, measure, plot, report, rows, shapes
from seal_env.inner_loop import make_inner_loop
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.types import Answer, LoraSpec, Outcome, UpdateResult

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("benchmark") / "quick.json"
    chosen = ["--rows", "R0", "R1", "R2", "reference", "batched K=8", "--set", "max_examples=4", "subset=6150a2bd"]
    benchmark.main([*chosen, "--edits", "2", "--rounds", "1", "--json", str(path)])
    written: dict[str, Any] = json.loads(path.read_text())
    return written


@pytest.mark.slow
def test_document_names_machine_versions_and_rows(document: dict[str, Any]) -> None:
    assert document["matmul_peak_flops"] > 1e8
    assert document["versions"]["torch"] == torch.__version__
    assert document["preset"] == "cpu"
    assert [row["name"] for row in document["rows"]] == ["R0", "R1", "R2", "reference", "batched K=8"]


@pytest.mark.slow
def test_measured_rows_have_figures_and_the_others_a_reason(document: dict[str, Any]) -> None:
    *measured, missing = document["rows"]
    reason = "needs at least 8 self-edits, there are 2"
    assert missing == {"name": "batched K=8", "self_edits_per_hour": None, "missing": reason}
    for row in measured:
        assert (row["self_edits"], len(row["rounds"]), row["outcomes"]) == (2, 1, {"ok": 2})
        assert row["self_edits_per_hour"] == pytest.approx(3600 * 2 / row["seconds"])
        assert row["ratio_to_R0"] == pytest.approx(row["self_edits_per_hour"] / measured[0]["self_edits_per_hour"])
        assert 0 < row["share_of_peak"] < 1
        assert 5 * 2**20 < row["peak_memory_bytes"] < 2**30
    best = max(row["ratio_to_R0"] for row in measured[:3])
    assert measured[3]["ratio_to_best_other"] == pytest.approx(measured[3]["ratio_to_R0"] / best)
    assert measured[3]["share_of_peak"] < measured[3]["share_of_peak_in_training"] < 1


@pytest.mark.slow
def test_published_recipe_with_padding_masked_is_the_update_of_our_reference(document: dict[str, Any]) -> None:
    agreed = document["rows"][3]["agreement_with_R1"]
    assert (agreed["same"], agreed["of"]) == (2, 2)
    assert agreed["largest_loss_difference"] < 1e-4


def test_published_recipe_with_loss_on_padding_is_the_update_of_our_reference_under_the_paper_s_recipe() -> None:
    preset = jobs.PRESETS["cpu"]
    (case,) = jobs.make_cases(preset, "seal-tiny", 1, 0, max_examples=4)
    job = replace(case.job, recipe=preset.published)
    (theirs,) = rows.PublishedRecipe(load_base_model("seal-tiny", "cpu"), None).run([job])
    (ours,) = make_inner_loop("reference", "seal-tiny", "cpu").run([job])
    assert theirs.losses_S == pytest.approx(ours.losses_S, abs=1e-4)
    assert case.score(theirs.answers_Q) == case.score(ours.answers_Q)


@pytest.mark.slow
def test_table_shows_every_row(document: dict[str, Any]) -> None:
    console = Console(width=170, file=io.StringIO(), record=True)
    console.print(report.table_of(document))
    text = console.export_text()
    assert "batched K=8 is missing: needs at least 8 self-edits, there are 2" in text
    assert f"{document['rows'][0]['self_edits_per_hour']:,.0f}" in text


def test_jobs_are_the_environment_s_and_equal_for_equal_seeds() -> None:
    cases, again, other = (jobs.make_cases(jobs.PRESETS["cpu"], "seal-tiny", 13, seed, max_examples=3) for seed in (0, 0, 1))
    assert [case.job for case in cases] == [case.job for case in again]
    assert [case.job for case in cases] != [case.job for case in other]
    assert len({(case.job.training, case.job.examples_E) for case in cases}) == 13
    assert {len(case.job.examples_E) for case in cases} == {3}
    assert cases[0].job.queries_Q == cases[12].job.queries_Q  # 12 tasks, in turn
    assert cases[0].job.lora == LoraSpec(16, 256.0)
    gold = [Answer(query.query_id, True, query.answer, 1.0) for query in cases[0].job.queries_Q]
    wrong = [replace(answer, exact=False, text="no grid") for answer in gold]
    assert (cases[0].score(gold), cases[0].score(wrong)) == (1.0, 0.0)


def test_jobs_about_synthetic_passages_are_their_statements() -> None:
    cases = jobs.make_cases(jobs.PRESETS["cpu-knowledge"], "seal-tiny-text", 2, 0)
    assert all(len(case.job.examples_E) > 10 for case in cases)
    assert all(example.document for case in cases for example in case.job.examples_E)


@pytest.mark.parametrize(
    ("preset", "shape", "parameters"),
    [("llama-1b", shapes.LLAMA_1B, 1_235_814_400), ("qwen-7b-knowledge", shapes.QWEN_7B, 7_615_616_512)],
)
def test_gpu_presets_have_the_published_shapes(preset: str, shape: dict[str, Any], parameters: int) -> None:
    assert jobs.PRESETS[preset].shape == shape
    assert growth.parameters_of(shape) == parameters


def small(name: str) -> jobs.Preset:
    """The preset with a model that fits a test."""
    preset = jobs.PRESETS[name]
    assert preset.shape is not None
    return replace(preset, shape={**preset.shape, **SMALL, "head_dim": 16})


def test_llama_preset_can_be_built_and_run(tmp_path: Path) -> None:
    preset = small("llama-1b")
    model = jobs.model_of(preset, tmp_path, "cpu")
    (case,) = jobs.make_cases(preset, model, 1, 0, max_examples=4)
    assert case.job.lora == LoraSpec(128, 16.0)
    assert len(case.job.queries_Q) > 5
    assert all(query.pattern is None for query in case.job.queries_Q)
    one = replace(case.job, queries_Q=case.job.queries_Q[:1])
    (result,) = make_inner_loop("reference", model, "cpu").run([one])
    assert (result.outcome, result.tokens_trained) == (Outcome.OK, case.tokens)
    assert result.answers_Q[0].text is not None  # random weights never end an answer


def test_llama_tokenizer_splits_a_grid_as_llama_3_does() -> None:
    tokenizer = shapes.build_tokenizer(8192)
    assert tokenizer.tokenize("0 1\n2 3\n") == ["0", "Ġ", "1", "Ċ", "2", "Ġ", "3", "Ċ"]
    assert tokenizer("7")["input_ids"][0] == tokenizer.bos_token_id


def test_knowledge_preset_can_be_built_and_run(tmp_path: Path) -> None:
    """47 real tokens a step, batch 1, ten epochs; R0 pads each of them to 2,048."""
    preset = small("qwen-7b-knowledge")
    model = jobs.model_of(preset, tmp_path, "cpu")
    cases = jobs.make_cases(preset, model, 2, 0)
    job = cases[0].job
    steps = len(job.examples_E) * job.training.num_train_epochs
    assert (job.recipe.batch_size, job.lora) == (1, LoraSpec(32, 64.0, ("q_proj", "v_proj")))
    assert mean(case.tokens for case in cases) / steps == pytest.approx(47, abs=1)
    assert {query.max_answer_tokens for query in job.queries_Q} == {64}
    base = load_base_model(model, "cpu")
    recipe = rows.PublishedRecipe(base, preset.pad_to)
    few = replace(job, training=replace(job.training, num_train_epochs=1), examples_E=job.examples_E[:2])
    padded = recipe._rows(replace(few, recipe=preset.published))
    assert [len(row["labels"]) for row in padded] == [2048, 2048]
    assert padded[0]["labels"][-1] == base.tokenizer.pad_token_id
    assert {len(row["labels"]) for row in recipe._rows(few)} == {36}
    (result,) = recipe.run([replace(few, queries_Q=job.queries_Q[:2])])
    assert len(result.losses_S) == 2
    assert [answer.exact for answer in result.answers_Q] == [False, False]


def test_flops_are_those_that_an_update_needs() -> None:
    """Against a count of what torch runs, all tokens supervised; without attention, which torch counts without its mask."""
    config = shapes.make_config({"model_type": "llama", **SMALL})
    spec = LoraSpec(rank=8, alpha=8.0)
    model: Any = get_peft_model(
        AutoModelForCausalLM.from_config(config), LoraConfig(r=8, target_modules=list(spec.target_modules))
    )
    ids = torch.zeros((2, 48), dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids).logits.sum().backward()
    operations = counter.get_flop_counts()["Global"]
    counted = sum(count for operation, count in operations.items() if "attention" not in str(operation))
    without_attention = 6 * 4 * 64 * 2 * 48**2
    expected = hardware.pass_flops(config, spec, [48, 48], 2 * 48) - without_attention
    assert expected == pytest.approx(counted, rel=0.1)  # the first block has no gradient to hand on
    assert expected >= counted


def make_row(name: str) -> tuple[measure.Row, jobs.Case]:
    (case,) = jobs.make_cases(jobs.PRESETS["cpu"], "seal-tiny", 1, 0, max_examples=1)
    return measure.Row(rows.ROWS[name], measure.Order("reference", "no-such-model", "cpu", 1), case.job), case


def test_row_waits_until_it_has_the_jobs_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    row, case = make_row("batched K=8")

    def run_calls(order: object, warm_up: object, calls: list[Any], processes: int) -> list[measure.Done]:
        results = [UpdateResult(Outcome.OK, "", ()) for call in calls for _ in call]
        return [measure.Done([1.0] * len(calls), results, 100)]

    monkeypatch.setattr(measure, "run_calls", run_calls)
    for start, turns, last in ((0, 0, False), (6, 1, False), (12, 2, True)):
        row.take([(number, case.job) for number in range(start, start + 6)], last=last)
        assert len(row.turns) == turns
    assert [len(turn.cases) for turn in row.turns] == [8, 10]
    assert [len(turn.calls) for turn in row.turns] == [1, 2]
    assert sorted(row.results) == list(range(18))


def test_row_that_fails_is_missing_with_its_reason() -> None:
    row, case = make_row("R1")
    row.take([(0, case.job)], last=True)
    (found,) = report.row_reports([row], [case], 1e9)
    assert found["self_edits_per_hour"] is None
    assert found["missing"].startswith("ModelError: ")


def test_growth_jobs_have_the_length_that_is_asked_for() -> None:
    for length in growth.LENGTHS:
        (job,) = growth.growth_jobs("seal-tiny", 1, length)
        assert set(jobs.text_encoder("seal-tiny").count_tokens(job.examples_E)) == {length}
    assert growth.parameters_of(growth.llama_shape(128, 6)) == 1_541_760


def test_plot_is_an_svg_with_a_line_for_each_loop_that_was_measured(tmp_path: Path) -> None:
    points = [{"x": x, "batched": 1000.0 * x, "reference": 900.0} for x in (1, 2, 4)]
    unmeasured = [{"x": x, "batched": None, "reference": 900.0 + x} for x in (64, 128)]
    found: dict[str, Any] = {"jobs_in_call": points, "tokens_per_example": unmeasured, "parameters": []}
    (tmp_path / "growth.json").write_text(json.dumps({"growth": found}))
    plot.main([str(tmp_path / "growth.json"), str(tmp_path / "plot.svg")])
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    lines = [[line.get_label() for line in axes.lines] for axes in plot.plot(found).axes]
    assert lines == [["batched", "reference"], ["reference"], []]
    assert [plot.short(value) for value in (1500, 15_000, 23_799_168)] == ["1,500", "15k", "23.8M"]
