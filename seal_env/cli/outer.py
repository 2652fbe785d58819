"""`seal-env eval` and `seal-env train`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from seal_env.agents.registry import agents
from seal_env.agents.trainers.outer_settings import (
    ARC_PRESETS,
    ARC_ROWS,
    CALLS,
    KEEP,
    KNOWLEDGE_PRESETS,
    KNOWLEDGE_ROWS,
    EvalSettings,
    GrpoSettings,
    RestEmSettings,
)
from seal_env.cli.options import add_agent, add_agent_options, add_settings, given_settings
from seal_env.cli.run import add_environment, agent_options_of, new_folder
from seal_env.registration import environments
from seal_env.settings import Settings, default_of

if TYPE_CHECKING:
    from seal_env.experiments.outer_loops import Where
    from seal_env.experiments.reproduce.presets import Preset

SERVICES = ("wandb", "trackio")
POLICY = ("local_hf",)
"""Whose options a policy that is trained has."""
HELD_OUT = {"arc": "seal-eval", "knowledge": "synthetic-eval"}
CONTINUAL_AGENTS = ("passage_only", "local_hf")
GATES = ("exact_match", "bits", "kl")
ONE_TASK = tuple(name for name in environments() if name != "SEAL-Continual-v0")
"""The environments whose episodes are one task, which outer loops can sample many times over."""
EVAL_EXAMPLES = """examples:
  random self-edits, five for each of 20 generated tasks:
    seal-env eval --subset mini-eval:20 --agent random
  self-edits that seal-tiny writes itself:
    seal-env eval --subset mini-eval:20 --agent local_hf
  those of a served model:
    seal-env eval --agent openai_compatible --base-url http://127.0.0.1:8000/v1 --policy-model NAME"""
TRAIN_EXAMPLES = """examples:
  the bundled model learns to write its own self-edits:
    seal-env train rest-em --subset mini-train:40 --held-out mini-eval:40 --sft-learning-rate 1e-3 --out runs/rest-em
  go on after an interruption: the same command"""

REPRODUCE_EXAMPLES = """examples:
  the bundled model on generated tasks (hours on a CPU); go on with it by the same command:
    seal-env reproduce arc --preset mini --out runs/arc-mini
  SEAL's own model, tasks and settings:
    seal-env reproduce arc --preset llama-1b --out runs/arc-llama-1b"""


def add_eval(commands: Any) -> None:
    """The command's parser."""
    about = "Measure an agent: self-edits for each task, success rates with intervals, pass@k, cost. Can be gone on with."
    parser = commands.add_parser("eval", help="measure an agent", description=about, epilog=EVAL_EXAMPLES)
    add_agent(parser)
    add_settings(parser, EvalSettings)
    _add_env(parser)
    _add_common(parser)
    parser.set_defaults(command=run_eval)


def add_train(commands: Any) -> None:
    """The command's parser."""
    parser = commands.add_parser("train", help="train a policy", description="Train a policy to write self-edits.")
    loops = parser.add_subparsers(title="outer loops", required=True, metavar="LOOP", dest="loop name")
    about = "ReST-EM: sample self-edits, keep those that earned a reward, learn from them, repeat. Can be gone on with."
    rest_em = loops.add_parser("rest-em", help="learn from rewarded self-edits", description=about, epilog=TRAIN_EXAMPLES)
    add_settings(rest_em.add_argument_group("ReST-EM"), RestEmSettings, {"keep": KEEP})
    about = "GRPO (TRL): self-edits for one prompt are compared by their rewards. Needs seal-env[grpo]. Can be gone on with."
    grpo = loops.add_parser("grpo", help="learn from rewards within a prompt", description=about)
    add_settings(grpo.add_argument_group("GRPO"), GrpoSettings, {"tool_calls": CALLS})
    for loop, command in ((rest_em, run_rest_em), (grpo, run_grpo)):
        help_text = "task set to measure on (default: seal-eval, in knowledge synthetic-eval)"
        loop.add_argument("--held-out", metavar="SUBSET", help=help_text)
        _add_env(loop)
        _add_common(loop)
        add_agent_options(loop, POLICY)
        loop.set_defaults(command=command)


def add_reproduce(commands: Any) -> None:
    """The command's parser."""
    parser = commands.add_parser("reproduce", help="the paper's tables", description="Measure the paper's tables again.")
    tables = parser.add_subparsers(title="tables", required=True, metavar="TABLE", dest="table name")
    about = "Accuracy on held-out tasks: no update, untrained self-edits, GRPO, ReST-EM, search. Can be gone on with."
    arc = tables.add_parser("arc", help="few-shot ARC", description=about, epilog=REPRODUCE_EXAMPLES)
    _add_table(arc, ARC_PRESETS, ARC_ROWS, run_reproduce_arc)
    about = "Accuracy without context on held-out passages: no update, passage, texts by rules, by the model, GRPO, ReST-EM."
    knowledge = tables.add_parser("knowledge", help="knowledge incorporation", description=f"{about} Can be gone on with.")
    _add_table(knowledge, KNOWLEDGE_PRESETS, KNOWLEDGE_ROWS, run_reproduce_knowledge)
    about = "Sequences of passages learned for good: what is left of each after every update. Can be gone on with."
    continual = tables.add_parser("continual", help="continual self-adaptation", description=about)
    about = f"agents, separated by commas (default: {','.join(CONTINUAL_AGENTS)})"
    continual.add_argument("--agents", default=",".join(CONTINUAL_AGENTS), metavar="NAMES", help=about)
    continual.add_argument("--sequences", type=int, default=8, metavar="N", help="sequences for each agent (default: 8)")
    continual.add_argument("--seed", type=int, default=0, metavar="N", help="decides everything random (default: 0)")
    help_text = "take an update back that forgets more than --limit: by this measure (default: no gate)"
    continual.add_argument("--gate", choices=GATES, help=help_text)
    continual.add_argument("--limit", type=float, default=0.1, metavar="X", help="of the gate (default: 0.1)")
    add_agent_options(continual, agents())
    _add_common(continual)
    continual.set_defaults(command=run_reproduce_continual)


def run_reproduce_continual(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env reproduce continual`."""
    from seal_env.experiments.reproduce.continual import ContinualRun, reproduce_continual

    where = _where(arguments, "reproduce-continual")
    run = ContinualRun(
        {"subset": "synthetic-eval", **where.environment},
        tuple(name.strip() for name in arguments.agents.split(",")),
        arguments.sequences,
        arguments.seed,
        where.out,
        arguments.gate,
        arguments.limit,
        where.options,
    )
    reproduce_continual(run, console)
    return 0


def _add_table(parser: argparse.ArgumentParser, presets: Sequence[str], every: Sequence[str], command: Any) -> None:
    first = presets[0]
    parser.add_argument("--preset", default=first, choices=presets, help=f"tasks, models and settings (default: {first})")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how often everything is repeated (default: 3)")
    parser.add_argument("--held-out", metavar="SUBSET", help="task set to measure on (default: the preset's)")
    rows = f"which rows, separated by commas (default: {','.join(every)})"
    parser.add_argument("--rows", default=",".join(every), metavar="ROWS", help=rows)
    _add_common(parser)
    add_agent_options(parser, POLICY)
    parser.set_defaults(command=command)


def run_reproduce_arc(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env reproduce arc`."""
    from seal_env.experiments.reproduce.presets import ARC

    return _reproduce("arc", ARC[arguments.preset], arguments, console)


def run_reproduce_knowledge(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env reproduce knowledge`."""
    from seal_env.experiments.reproduce.presets import KNOWLEDGE

    return _reproduce("knowledge", KNOWLEDGE[arguments.preset], arguments, console)


def _reproduce(table: str, preset: Preset, arguments: argparse.Namespace, console: Console) -> int:
    from seal_env.experiments.reproduce.table import Reproduction

    learn_on, held_out = (getattr(arguments, name, None) for name in ("subset", "held_out"))
    preset = replace(preset, learn_on=learn_on or preset.learn_on, held_out=held_out or preset.held_out)
    where = _where(arguments, f"reproduce-{table}-{arguments.preset}", preset.policy)
    Reproduction(preset, arguments.seeds, arguments.rows.split(","), where, console).run()
    return 0


def _add_env(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", default="SEAL-ARC-v0", choices=ONE_TASK, help="default: %(default)s")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder; one that is there is gone on with")
    parser.add_argument("--track", action="append", choices=SERVICES, help="report to this service too")
    add_environment(parser)


def _where(arguments: argparse.Namespace, name: str, policy: Mapping[str, Any] | None = None) -> Where:
    """What the options say. policy: options of the policy that the command line may override."""
    from seal_env.experiments.outer_loops import Where  # here: it imports torch

    out = arguments.out or new_folder(Path("runs"), f"{datetime.now():%Y%m%d-%H%M%S}-{name}")
    options = {**(policy or {}), **agent_options_of(arguments)}
    environment = {**environments().get(getattr(arguments, "env", ""), {}), **given_settings(arguments, Settings)}
    return Where(environment, options, out, tuple(arguments.track or ()))


def _held_out(arguments: argparse.Namespace, where: Where) -> str:
    return arguments.held_out or HELD_OUT[where.environment.get("domain", default_of("domain"))]


def run_eval(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env eval`: 1 if the machine failed in every episode."""
    from seal_env.experiments.outer_loops import evaluate

    settings = EvalSettings(**given_settings(arguments, EvalSettings))
    report = evaluate(arguments.agent, settings, _where(arguments, f"eval-{arguments.agent}"), console)
    return int(report["failed"] == report["samples"])


def run_rest_em(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env train rest-em`."""
    from seal_env.experiments.outer_loops import train_rest_em

    settings = RestEmSettings(**given_settings(arguments, RestEmSettings))
    where = _where(arguments, "rest-em")
    train_rest_em(settings, _held_out(arguments, where), where, console)
    return 0


def run_grpo(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env train grpo`."""
    from seal_env.experiments.outer_loops import train_grpo

    settings = GrpoSettings(**given_settings(arguments, GrpoSettings))
    where = _where(arguments, "grpo")
    train_grpo(settings, _held_out(arguments, where), where, console)
    return 0
