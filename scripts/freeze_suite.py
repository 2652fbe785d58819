"""Write a new version of the standard suite: the tasks and all settings as they are now. Released versions never change.

python scripts/freeze_suite.py NAME

The digest that it prints goes into DIGESTS in seal_env/experiments/suite/definition.py.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from seal_env.experiments.suite.definition import DIGESTS, HERE, NOT_FROZEN, Part, Suite, task_digest
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.registration import environments
from seal_env.settings import Settings
from seal_env.tasks.knowledge.synthetic.draw import draw_passage
from seal_env.tools.registry import choose_tools

OTHER: Final = "a-model/without-defaults"
SUMMARY: Final = "five environments with the bundled models, sized so that a cheap agent takes minutes on two CPU cores"
PAIRS: Final = "{name}-pairs.jsonl"
PAIRS_SEED, PAIRS_COUNT = 19, 30


class Chosen(NamedTuple):
    """What is chosen for a part, see `Part`; everything else is what these settings resolve to."""

    env: str
    samples: int
    in_call: int
    settings: Mapping[str, Any]


CHOSEN: Final[Mapping[str, Chosen]] = {
    "arc-mini": Chosen("SEAL-ARC-Mini-v0", 2, 20, {"subset": "mini-eval:60", "max_examples": 16, "decode": "never"}),
    "arc": Chosen("SEAL-ARC-v0", 2, 10, {"subset": "seal-eval", "max_examples": 16, "decode": "never"}),
    "knowledge": Chosen("SEAL-Knowledge-v0", 1, 25, {"subset": "synthetic-eval:50"}),
    "custom": Chosen("SEAL-Custom-v0", 1, 15, {"subset": PAIRS, "in_context": False}),
    "continual": Chosen(
        "SEAL-Continual-v0", 1, 1, {"sequence": 5, "subset": ",".join(f"synthetic-eval-1-{index}" for index in range(40))}
    ),
}


def write_pairs(name: str) -> None:
    """Write the tasks of `custom`: direct questions about a subject are solved, indirect ones are asked in other words."""
    lines = []
    for index in range(PAIRS_COUNT):
        drawn = draw_passage("eval", PAIRS_SEED, index)
        named = [fact for fact in drawn.facts if fact.relation.named]
        asked = []
        for fact in drawn.facts:
            other = next(each for each in named if each is not fact)
            held_out = fact.indirect(other, held_out=True)
            asked.append(held_out[index % len(held_out)])
        solved = [fact.direct()[index % len(fact.direct())] for fact in drawn.facts]
        both = {
            kind: [{"input": each.question, "output": each.answer} for each in questions]
            for kind, questions in (("examples", solved), ("queries", asked))
        }
        lines.append(json.dumps({"id": f"pairs-{index}", **both, "metric": "exact_match"}))
    (HERE / PAIRS.format(name=name)).write_text("\n".join(lines) + "\n", encoding="utf-8")


def part(name: str, chosen: Chosen) -> Part:
    """A part with all its settings resolved."""
    given = {**environments()[chosen.env], "max_turns": 1, **chosen.settings}
    subset = str(given["subset"]).format(name=name)
    path = HERE / subset
    given["subset"] = str(path) if os.path.isfile(path) else subset
    used, other = Settings.resolve(**given), Settings.resolve(**given, model=OTHER)
    tools = [tool.name for tool in choose_tools(used.spec.tools, used.tools)]
    frozen = {key: value for key, value in used.flat().items() if key not in NOT_FROZEN}
    frozen |= {"subset": subset, "tools": tools}
    differ = {
        key: value
        for key, value in other.flat().items()
        if key in frozen.keys() - {"subset", "tools"} and value != frozen[key]
    }
    taskset, domain = used.spec.load(used.subset, used.options), used.spec.make(used.options, None)
    return Part(
        env=chosen.env,
        samples=chosen.samples,
        seed=0,
        in_call=chosen.in_call,
        model=used.model,
        fingerprint=load_base_model(used.model, "cpu", used.template).fingerprint,
        settings=frozen,
        other_models=differ,
        tasks={task.task_id: task_digest(task, domain) for task in taskset},
    )


def main(name: str) -> None:
    """Write the files of a version and print its digest."""
    if name in DIGESTS:
        raise SystemExit(f"{name} is released; choose another name")
    write_pairs(name)
    suite = Suite(name=name, summary=SUMMARY, parts={key: part(name, chosen) for key, chosen in CHOSEN.items()})
    (HERE / f"{name}.json").write_text(json.dumps(suite.model_dump(), indent=1) + "\n", encoding="utf-8")
    print(f'"{name}": "{suite.digest}"')


if __name__ == "__main__":
    main(sys.argv[1])
