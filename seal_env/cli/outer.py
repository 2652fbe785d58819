"""`seal-env eval` and `seal-env train`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from seal_env.agents.outer_settings import ARC_PRESETS, ARC_ROWS, CALLS, KEEP, EvalSettings, GrpoSettings, RestEmSettings
from seal_env.agents.policy_settings import PolicySettings
from seal_env.agents.registry import AGENTS
from seal_env.cli.options import add_settings, given_settings
from seal_env.cli.run import add_environment, new_folder, text_or_file
from seal_env.settings import Settings

if TYPE_CHECKING:
    from seal_env.outer_loops import Where

SERVICES = ("wandb", "trackio")
EVAL_EXAMPLES = """examples:
  random self-edits, five for each of 20 generated tasks:
    seal-env eval --subset mini-eval:20 --agent random
  self-edits that seal-tiny writes itself:
    seal-env eval --subset mini-eval:20 --agent local_hf
  those of a served model:
    seal-env eval --agent openai_compatible --base-url http://127.0.0.1:8000/v1 --policy-model NAME"""
TRAIN_EXAMPLES = """examples:
  the embedded model learns to write its own self-edits:
    seal-env train rest-em --subset mini-train:40 --held-out mini-eval:40 --sft-learning-rate 1e-3 --out runs/rest-em
  go on after an interruption: the same command"""

REPRODUCE_EXAMPLES = """examples:
  the embedded model on generated tasks (hours on a CPU); go on with it by the same command:
    seal-env reproduce arc --preset mini --out runs/arc-mini
  SEAL's own model, tasks and settings:
    seal-env reproduce arc --preset llama-1b --out runs/arc-llama-1b"""


def add_eval(commands: Any) -> None:
    """The command's parser."""
    about = "Measure an agent: self-edits for each task, success rates with intervals, pass@k, cost. Can be gone on with."
    parser = commands.add_parser("eval", help="measure an agent", description=about, epilog=EVAL_EXAMPLES)
    agents = "; ".join(f"{name}: {entry.summary}" for name, entry in AGENTS.items())
    parser.add_argument("--agent", default="random", choices=tuple(AGENTS), help=f"{agents} (default: random)")
    parser.add_argument("--self-edit", metavar="JSON", help="for the agent `fixed`: the JSON text, or a file with it")
    add_settings(parser, EvalSettings)
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
    add_settings(grpo.add_argument_group("GRPO"), GrpoSettings, {"tools": CALLS})
    for loop, command in ((rest_em, run_rest_em), (grpo, run_grpo)):
        help_text = "task set to measure on (default: seal-eval)"
        loop.add_argument("--held-out", default="seal-eval", metavar="SUBSET", help=help_text)
        _add_common(loop)
        loop.set_defaults(command=command)


def add_reproduce(commands: Any) -> None:
    """The command's parser."""
    parser = commands.add_parser("reproduce", help="the paper's tables", description="Measure the paper's tables again.")
    tables = parser.add_subparsers(title="tables", required=True, metavar="TABLE", dest="table name")
    about = "Accuracy on held-out tasks: no update, untrained self-edits, GRPO, ReST-EM, search. Can be gone on with."
    arc = tables.add_parser("arc", help="few-shot ARC", description=about, epilog=REPRODUCE_EXAMPLES)
    arc.add_argument("--preset", default="mini", choices=ARC_PRESETS, help="tasks, models and settings (default: mini)")
    arc.add_argument("--seeds", type=int, default=3, metavar="N", help="how often everything is repeated (default: 3)")
    arc.add_argument("--held-out", metavar="SUBSET", help="task set to measure on (default: the preset's)")
    rows = f"which rows, separated by commas (default: {','.join(ARC_ROWS)})"
    arc.add_argument("--rows", default=",".join(ARC_ROWS), metavar="ROWS", help=rows)
    _add_common(arc)
    arc.set_defaults(command=run_reproduce_arc)


def run_reproduce_arc(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env reproduce arc`."""
    from seal_env.reproduction import PRESETS, Reproduction

    preset = PRESETS[arguments.preset]
    learn_on, held_out = (getattr(arguments, name, None) for name in ("subset", "held_out"))
    preset = replace(preset, learn_on=learn_on or preset.learn_on, held_out=held_out or preset.held_out)
    where = _where(arguments, f"reproduce-arc-{arguments.preset}", preset.policy)
    Reproduction(preset, arguments.seeds, arguments.rows.split(","), where, console).run()
    return 0


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder; one that is there is gone on with")
    parser.add_argument("--track", action="append", choices=SERVICES, help="report to this service too")
    add_environment(parser)
    add_settings(parser.add_argument_group("language-model policy"), PolicySettings)


def _where(arguments: argparse.Namespace, name: str, usual: PolicySettings | None = None) -> Where:
    """What the options say, on top of the usual settings of the policy."""
    from seal_env.outer_loops import Where  # here: it imports torch

    out = arguments.out or new_folder(Path("runs"), f"{datetime.now():%Y%m%d-%H%M%S}-{name}")
    policy = replace(usual or PolicySettings(), **given_settings(arguments, PolicySettings))
    return Where(given_settings(arguments, Settings), policy, out, tuple(arguments.track or ()))


def run_eval(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env eval`: 1 if the machine failed in every episode."""
    from seal_env.outer_loops import evaluate

    settings = EvalSettings(**given_settings(arguments, EvalSettings))
    where = _where(arguments, f"eval-{arguments.agent}")
    report = evaluate(arguments.agent, text_or_file(arguments.self_edit), settings, where, console)
    return int(report["failed"] == report["samples"])


def run_rest_em(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env train rest-em`."""
    from seal_env.outer_loops import train_rest_em

    settings = RestEmSettings(**given_settings(arguments, RestEmSettings))
    train_rest_em(settings, arguments.held_out, _where(arguments, "rest-em"), console)
    return 0


def run_grpo(arguments: argparse.Namespace, console: Console) -> int:
    """`seal-env train grpo`."""
    from seal_env.outer_loops import train_grpo

    settings = GrpoSettings(**given_settings(arguments, GrpoSettings))
    train_grpo(settings, arguments.held_out, _where(arguments, "grpo"), console)
    return 0
