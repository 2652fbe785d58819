"""A quick run of benchmarks/inner_loop.py, and its parts: the jobs, the rows, the work it counts, the table and the plot."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from seal_env.types import Answer, LoraSpec, Outcome, UpdateResult

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = [
    "R0", "R1", "R2", "reference", "batched K=1", "batched K=8", "batched K=16", "batched K=32", "batched K=16 cache"
]  # fmt: skip
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
}


@pytest.fixture(scope="module", autouse=True)
def _path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield


def module(name: str) -> ModuleType:
    return import_module(name)


@pytest.fixture(scope="module")
def document(_path: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("benchmark") / "quick.json"
    settings = ["max_examples=4", "subset=6150a2bd"]
    rows = ["--rows", "R0", "R1", "reference", "batched K=8"]
    module("inner_loop").main([*rows, "--edits", "2", "--rounds", "2", "--set", *settings, "--json", str(path)])
    written: dict[str, Any] = json.loads(path.read_text())
    return written


def test_document_names_machine_versions_and_rows(document: dict[str, Any]) -> None:
    assert document["machine"]["matmul_peak_flops"] > 1e8
    assert document["versions"]["torch"] == torch.__version__
    assert document["preset"] == "cpu"
    assert [row["name"] for row in document["rows"]] == ["R0", "R1", "reference", "batched K=8"]
    assert list(module("inner_loop_rows").ROWS) == NAMES


def test_measured_rows_have_figures_and_the_others_a_reason(document: dict[str, Any]) -> None:
    *measured, missing = document["rows"]
    assert missing == {
        "name": "batched K=8", "self_edits_per_hour": None, "missing": "needs at least 8 self-edits, there are 2"
    }  # fmt: skip
    for row in measured:
        assert (row["self_edits"], len(row["rounds"]), row["outcomes"]) == (2, 2, {"ok": 2})
        assert row["self_edits_per_hour"] == pytest.approx(3600 * 2 / row["seconds"])
        assert 0 < row["share_of_peak"] < row["share_of_peak_in_training"] < 1
        assert 5 * 2**20 < row["peak_memory_bytes"] < 2**30
    published = measured[0]
    for row in measured:
        assert row["ratio_to_R0"] == pytest.approx(row["self_edits_per_hour"] / published["self_edits_per_hour"])
    best = max(row["ratio_to_R0"] for row in measured[:2])
    assert measured[2]["ratio_to_best_other"] == pytest.approx(measured[2]["ratio_to_R0"] / best)


def test_published_recipe_is_the_update_that_our_reference_does(document: dict[str, Any]) -> None:
    """With padding masked against R1, with padding trained on against R0: the same losses step by step, the same rewards."""
    reference = document["rows"][2]
    for yardstick in ("agreement_with_R1", "agreement_with_R0"):
        assert (reference[yardstick]["same"], reference[yardstick]["of"]) == (2, 2)
        assert reference[yardstick]["largest_loss_difference"] < 1e-4


def test_jobs_are_the_environment_s_and_equal_for_equal_seeds() -> None:
    jobs = module("inner_loop_jobs")
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


@pytest.mark.parametrize(
    ("preset", "shape", "parameters"),
    [("llama-1b", "LLAMA_1B", 1_235_814_400), ("qwen-7b-knowledge", "QWEN_7B", 7_615_616_512)],
)
def test_gpu_presets_have_the_published_shapes(preset: str, shape: str, parameters: int) -> None:
    models = module("inner_loop_models")
    assert module("inner_loop_jobs").PRESETS[preset].shape == getattr(models, shape)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(models.make_config(getattr(models, shape)))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def small(preset: str) -> Any:
    """The preset with a model that fits a test."""
    found = module("inner_loop_jobs").PRESETS[preset]
    return replace(found, shape={**found.shape, **SMALL, "head_dim": 16})


def test_llama_preset_can_be_built_and_run(tmp_path: Path) -> None:
    jobs, rows = module("inner_loop_jobs"), module("inner_loop_rows")
    preset = small("llama-1b")
    model = jobs.model_of(preset, tmp_path, "cpu")
    (case,) = jobs.make_cases(preset, model, 1, 0, max_examples=4)
    assert case.job.lora == LoraSpec(128, 16.0)
    assert len(case.job.queries_Q) > 5
    assert all(query.pattern is None for query in case.job.queries_Q)
    done = rows.work(rows.Order("reference", model, "cpu", 1), [replace(case.job, queries_Q=case.job.queries_Q[:1])])
    assert not done.failure
    assert done.results[0].outcome is Outcome.OK
    assert done.results[0].tokens_trained == case.tokens
    text = done.results[0].answers_Q[0].text
    assert text is not None  # random weights never end an answer


def test_llama_tokenizer_splits_a_grid_as_llama_3_does() -> None:
    tokenizer = module("inner_loop_models").build_tokenizer(8192)
    assert tokenizer.tokenize("0 1\n2 3\n") == ["0", "Ġ", "1", "Ċ", "2", "Ġ", "3", "Ċ"]
    assert tokenizer("7")["input_ids"][0] == tokenizer.bos_token_id


def test_knowledge_preset_can_be_built_and_run(tmp_path: Path) -> None:
    """47 real tokens a step, batch 1, ten epochs; R0 pads each of them to 2,048."""
    jobs, rows = module("inner_loop_jobs"), module("inner_loop_rows")
    preset = small("qwen-7b-knowledge")
    model = jobs.model_of(preset, tmp_path, "cpu")
    cases = jobs.make_cases(preset, model, 2, 0)
    job = cases[0].job
    steps = len(job.examples_E) * job.training.num_train_epochs
    assert (job.recipe.batch_size, job.lora) == (1, LoraSpec(32, 64.0, ("q_proj", "v_proj")))
    assert mean(case.tokens for case in cases) / steps == pytest.approx(47, abs=1)
    assert {query.max_answer_tokens for query in job.queries_Q} == {64}
    base = import_module("seal_env.inner_loop.model.frozen_lm").load_base_model(model, "cpu")
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
    config = module("inner_loop_models").make_config({"model_type": "llama", **SMALL})
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
    expected = module("inner_loop_measure").pass_flops(config, spec, [48, 48], 2 * 48) - without_attention
    assert expected == pytest.approx(counted, rel=0.1)  # the first block has no gradient to hand on
    assert expected >= counted


def test_list_as_sampled_repeats_what_came_before() -> None:
    jobs = module("inner_loop_jobs")
    entries = jobs.as_sampled(1000, 0)
    assert len(entries) == 1000
    assert all(entry.case <= place for place, entry in enumerate(entries))
    assert mean(entry.no_op for entry in entries) == pytest.approx(jobs.NO_OPS / (1 - jobs.REPEATED), abs=0.03)
    assert 1 - len(set(entries)) / 1000 == pytest.approx(jobs.REPEATED, abs=0.04)


def test_parts_hold_each_self_edit_once() -> None:
    parts = module("inner_loop_jobs").parts
    assert [list(part) for part in parts(5, 2)] == [[0, 1, 2], [3, 4]]
    assert sum(map(len, parts(32, 4))) == 32


class Inline:
    """A process that is none: `work` answers at once, each job taking no time."""

    def submit(self, work: Any, order: Any, jobs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        results = [UpdateResult(Outcome.OK, "", (), timings={"evaluate_seconds": 2.0}) for _ in jobs]
        future.set_result(module("inner_loop_rows").Done(results, 100))
        return future


def fake_row(name: str, case: Any) -> Any:
    rows, run = module("inner_loop_rows"), module("inner_loop_run")
    row = run.Row(rows.ROWS[name], rows.Order("", "", "cpu", 1), case.job)
    row._workers = [Inline()]
    return row


def test_row_waits_until_it_has_the_jobs_of_a_call() -> None:
    jobs, run = module("inner_loop_jobs"), module("inner_loop_run")
    preset = jobs.PRESETS["cpu"]
    (case,) = jobs.make_cases(preset, "seal-tiny", 1, 0, max_examples=1)
    row = fake_row("batched K=8", case)
    entries = [jobs.Entry(0)] * 6
    for turns, last in ((0, False), (1, False), (2, True)):
        row.take(run.share_of(row, [case], preset, entries), last=last)
        assert len(row.turns) == turns
    assert [len(turn.entries) for turn in row.turns] == [8, 10]
    assert [len(turn.calls) for turn in row.turns] == [1, 2]


def test_ratio_of_the_row_with_a_cache_counts_what_the_published_recipe_would_take() -> None:
    jobs, run, report = (module(f"inner_loop_{name}") for name in ("jobs", "run", "report"))
    (case,) = jobs.make_cases(jobs.PRESETS["cpu"], "seal-tiny", 1, 0, max_examples=1)
    row = fake_row("R0", case)
    row.take([(jobs.Entry(0), case.job)], last=True)
    row.turns = [run.Turn((jobs.Entry(0),), (10.0,))]
    published = report.Published(row)
    cached = run.Turn((jobs.Entry(0), jobs.Entry(0), jobs.Entry(0, no_op=True)), (5.0, 0.5))
    assert published.ratio([cached]) == pytest.approx((10 + 10 + 2) / 5.5)


def test_row_that_fails_is_missing_with_its_reason() -> None:
    rows, report = module("inner_loop_rows"), module("inner_loop_report")
    jobs = module("inner_loop_jobs")
    (case,) = jobs.make_cases(jobs.PRESETS["cpu"], "seal-tiny", 1, 0, max_examples=1)
    row = fake_row("R1", case)
    failing: Future[Any] = Future()
    failing.set_result(rows.Done(failure="SettingError: no such loop"))
    row._starting = [failing]
    row._workers = []
    row.start = lambda: None
    row.take([(jobs.Entry(0), case.job)], last=True)
    (found,) = report.row_reports([row], [case], 1e9, {})
    assert found == {"name": "R1", "self_edits_per_hour": None, "missing": "SettingError: no such loop"}


def test_work_reports_a_failure_instead_of_raising(capsys: pytest.CaptureFixture[str]) -> None:
    rows = module("inner_loop_rows")
    done = rows.work(rows.Order("no such loop", "seal-tiny", "cpu", 1), [])
    assert done.failure.startswith("SettingError: inner_loop='no such loop'")
    assert "Traceback" in capsys.readouterr().err


def test_table_shows_every_row(document: dict[str, Any]) -> None:
    console = Console(width=170, file=io.StringIO(), record=True)
    console.print(module("inner_loop_report").table_of(document["rows"], "title"))
    text = console.export_text()
    assert "batched K=8 is missing: needs at least 8 self-edits, there are 2" in text
    assert f"{document['rows'][0]['self_edits_per_hour']:,.0f}" in text


def test_growth_jobs_have_the_length_that_is_asked_for() -> None:
    growth, jobs = module("inner_loop_growth"), module("inner_loop_jobs")
    for length in growth.LENGTHS:
        (job,) = growth.growth_jobs("seal-tiny", 1, length)
        assert set(jobs.text_encoder("seal-tiny").count_tokens(job.examples_E)) == {length}
    assert growth.parameters_of(growth.llama_shape(128, 6)) == 1_541_760


def test_plot_is_an_svg_with_a_line_for_each_loop_that_was_measured(tmp_path: Path) -> None:
    plot = module("plot_inner_loop")
    points = [{"x": x, "batched": 1000.0 * x, "reference": 900.0} for x in (1, 2, 4)]
    unmeasured = [{"x": x, "batched": None, "reference": 900.0 + x} for x in (64, 128)]
    growth = {"jobs_in_call": points, "tokens_per_example": unmeasured, "parameters": []}
    (tmp_path / "growth.json").write_text(json.dumps({"growth": growth}))
    plot.main([str(tmp_path / "growth.json"), str(tmp_path / "plot.svg")])
    text = (tmp_path / "plot.svg").read_text()
    strokes = re.findall(r'fill="none" stroke="(#[0-9a-f]+)"', text)
    assert strokes == [plot.LOOPS["batched"], plot.LOOPS["reference"], plot.LOOPS["reference"]]
    assert text.count("not measured") == 1
    assert [plot.short(value) for value in (1500, 15_000, 23_799_168)] == ["1,500", "15k", "23.8M"]
    heights = [plot.Axis([900.0, 4000.0], 200, 40).at(value) for value in (900.0, 4000.0)]
    assert 200 > heights[0] > heights[1] > 40
