"""How well cheap proxies rank self-edits: `python -m benchmarks.proxy_rewards [--subset NAME --samples N]`.

A model writes several replies about each passage. Each reply is learned, several times with seeds of their own, which gives
its rewards; and the proxies are computed of it, which need no update. For each proxy: Spearman's correlation with the
rewards among the replies to one passage, and the reward of the reply that the proxy ranks first, means over passages with
95 % bootstrap intervals.

`words` and `likelihood` are the values of `--proxy`. The others read a reply's texts with the model, or look them up in the
generator; those in context need the gold answers. Each passage, some 12 s of one thread, is stored in a .jsonl beside the
JSON file when it is finished, so a run that was stopped continues with the next one, and another subset adds to it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import spearmanr

from benchmarks.common import make_parser, new_document, percent, show, write
from seal_env.agents.baselines.fixed import FINETUNE_ONLY, FixedAgent
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.lm.local.proxies import PROXIES
from seal_env.agents.lm.local.sampling import Generation
from seal_env.agents.rollouts import Start, run_episodes
from seal_env.episodes.episode import Episode
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.errors import UpdateError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.intervals import bootstrap
from seal_env.journal import Journal
from seal_env.models.catalog import TEXT_MODEL_NAME
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.settings import Settings
from seal_env.tasks.knowledge.prompt import question_and_answer, question_text
from seal_env.tasks.knowledge.synthetic.taskset import synthetic_passage
from seal_env.types import Query

LOWEST: Final = -1e3
"""The likelihood of no text: below that of any."""
IN_CALL: Final = 32
"""Updates that train together, and texts that are read together."""
SHARED: Final = ("model", "style", "samples", "temperature", "max_new_tokens", "updates", "seed")
"""Arguments that decide what is written about a passage and how it is learned."""
ANOTHER: Final = "reward of another update"
Record = dict[str, Any]
Tokens = Sequence[int]


class Written(NamedTuple):
    """The replies to one passage, as texts.

    Attributes:
        task_id: Of a synthetic passage.
        passage: Title and text, a line each.
        questions: With their gold answers.
        replies: As sampled.
        texts: The documents that each reply comes to, none twice.
    """

    task_id: str
    passage: str
    questions: tuple[tuple[str, str], ...]
    replies: tuple[Generation, ...]
    texts: tuple[tuple[str, ...], ...]


class Reader:
    """Log-probabilities of texts after other texts, by a frozen model."""

    def __init__(self, base: FrozenLM) -> None:
        self._base, self._encoder = base, ChatEncoder(base.tokenizer, base.name)

    def texts(self, passage: str, texts: Sequence[str]) -> float:
        """Mean log-probability of a token of each text after the passage, mean over texts; LOWEST without any."""
        first, tokenizer = self._encoder.tokenize(f"{passage}\n")[0], self._base.tokenizer
        pairs = [(first, tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        found = [float(np.mean(each)) for each in self._log_probabilities(pairs)]
        return float(np.mean(found)) if found else LOWEST

    def answers(self, context: str, questions: Sequence[tuple[str, str]]) -> float:
        """Log-probability of a gold answer after the context and its question, mean over questions."""
        asked = [Query("", (), answer, prompt=context + question_text(question)) for question, answer in questions]
        encoded = [self._encoder.encode_query(query) for query in asked]
        found = self._log_probabilities([(each.prompt_T, each.gold_T) for each in encoded])
        return float(np.mean([sum(each) for each in found]))

    @torch.no_grad()
    def _log_probabilities(self, pairs: Sequence[tuple[Tokens, Tokens]]) -> Iterator[list[float]]:
        """Of the tokens of each second sequence after the first."""
        model: Any = self._base.model
        for start in range(0, len(pairs), IN_CALL):
            batch = pairs[start : start + IN_CALL]
            length = max(len(first) + len(second) for first, second in batch)
            ids_BT = torch.tensor([[*a, *b, *[0] * (length - len(a) - len(b))] for a, b in batch], device=self._base.device)
            logits_BTV = model(ids_BT).logits  # padding comes last, where it changes nothing before it
            for (first, second), ids_T, logits_TV in zip(batch, ids_BT, logits_BTV, strict=True):
                at = torch.arange(len(first), len(first) + len(second), device=ids_T.device)
                yield torch.log_softmax(logits_TV[at - 1].float(), -1).gather(1, ids_T[at, None]).squeeze(1).tolist()


def read(action: str) -> tuple[str, ...]:
    """The documents of a reply in plain text, none twice; a reply that is a mistake has none."""
    calls = parse_or_read(action)
    found: list[str] = []
    for call in calls if isinstance(calls, tuple) else ():
        found += call.arguments.get("texts", ())
        found += (question_and_answer(each["question"], each["answer"]) for each in call.arguments.get("pairs", ()))
    return tuple(dict.fromkeys(found))


def facts_stated(task_id: str, texts: Sequence[str]) -> float:
    """Share of a synthetic passage's facts that some text states, or asks for with the right answer, word for word."""
    facts, written = synthetic_passage(task_id).facts, set(texts)

    def stated(index: int) -> bool:
        fact = facts[index]
        asked = [*fact.direct(), *fact.reversed()]
        asked += [each for other in facts if other.relation.named and other is not fact for each in fact.indirect(other)]
        pairs = {question_and_answer(each.question, each.answer) for each in asked}
        return not written.isdisjoint(pairs.union(fact.statements()))

    return sum(map(stated, range(len(facts)))) / len(facts)


def proxies(written: Written, reader: Reader) -> dict[str, list[float]]:
    """The values of every proxy for the replies to one passage."""
    passage, questions = written.passage, written.questions
    found = {name: [proxy(reply) for reply in written.replies] for name, proxy in PROXIES.items()}
    found["number of texts"] = [float(len(texts)) for texts in written.texts]
    found["likelihood of the texts after the passage"] = [reader.texts(passage, texts) for texts in written.texts]
    joined = ["".join(f"{text}\n" for text in texts) for texts in written.texts]
    found["answers, with the texts in context"] = [reader.answers(texts, questions) for texts in joined]
    found["the same, with the passage too"] = [reader.answers(f"{passage}\n{texts}", questions) for texts in joined]
    found["facts stated"] = [facts_stated(written.task_id, texts) for texts in written.texts]
    return found


def sample(runtime: Runtime, policy: PolicyModel, task_id: str, given: argparse.Namespace) -> Written:
    """The policy's replies to one passage."""
    task = runtime.taskset[task_id]
    chat = policy.prompt.chat.messages(*Episode(runtime, task, 0).opening())
    seed = int(np.random.SeedSequence((given.seed, *task_id.encode())).generate_state(1)[0])
    replies = policy.sample([chat] * given.samples, seed, given.temperature, given.max_new_tokens)
    questions = tuple((query.question, query.answer) for query in task.queries)
    (passage,) = task.context if isinstance(task.context, tuple) else (task.context,)
    texts = tuple(read(reply.action) for reply in replies)
    return Written(task_id, f"{passage.title}\n{passage.text}", questions, tuple(replies), texts)


def learn(runtime: Runtime, task_id: str, actions: Sequence[str], updates: int) -> list[list[float]]:
    """The rewards of each action, one for each seed of the update. Raises UpdateError for an infrastructure failure."""
    starts = [Start(task_id, seed) for _ in actions for seed in range(updates)]
    taken = [[action] for action in actions for _ in range(updates)]
    base, rewards = BaseAnswerCache(updates), list[float]()
    for at in range(0, len(starts), IN_CALL):
        part = slice(at, at + IN_CALL)
        for episode in run_episodes(runtime, FixedAgent(FINETUNE_ONLY), starts[part], base, taken[part]):
            if episode.truncated:
                raise UpdateError(f"{task_id}: {episode.info['outcome']}")
            rewards.append(episode.reward)
    return np.reshape(rewards, (len(actions), updates)).tolist()


def measure(runtime: Runtime, base: FrozenLM, given: argparse.Namespace, journal: Journal) -> list[Record]:
    """A record of each passage, those that are in the journal already as they are there."""
    shared = {name: getattr(given, name) for name in SHARED}
    done = {record["task"]: record for record in journal.read() if record["arguments"] == shared}
    policy, reader = PolicyModel(base, PolicyChat.of(runtime, given.style)), Reader(base)
    for task_id in runtime.taskset.task_ids:
        if task_id in done:
            continue
        times = [time.perf_counter()]
        written = sample(runtime, policy, task_id, given)
        times.append(time.perf_counter())
        rewards = learn(runtime, task_id, [reply.action for reply in written.replies], given.updates)
        times.append(time.perf_counter())
        values = proxies(written, reader)
        times.append(time.perf_counter())
        seconds = dict(zip(("sample", "learn", "proxies"), np.diff(times).round(2).tolist(), strict=True))
        record = {"arguments": shared, "task": task_id, "proxies": values, "rewards": rewards, "seconds": seconds}
        journal.append(record)
        done[task_id] = record
        print(f"passage   {task_id}: mean reward {np.mean(rewards):.2f}; {sum(seconds.values()):.0f} s", flush=True)
    return [done[task_id] for task_id in runtime.taskset.task_ids]


def spearman(values_N: NDArray[np.float64], rewards_NU: NDArray[np.float64]) -> float:
    """Spearman's correlation of values with the rewards of one update, mean over updates; nan where one never differs."""
    if np.ptp(values_N) == 0 or (np.ptp(rewards_NU, axis=0) == 0).any():
        return math.nan
    return float(np.mean([spearmanr(values_N, rewards_N).statistic for rewards_N in rewards_NU.T]))


def ranked(records: Sequence[Record]) -> dict[str, dict[str, list[float]]]:
    """For each proxy, by passage: `spearman`, nan where it is not defined, and `best`, the reward of the first-ranked reply.

    The rewards are ranked too, each update's by those of the other updates, which no proxy can be expected to exceed.
    """
    found: dict[str, dict[str, list[float]]] = {}

    def add(name: str, pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> None:
        mine = found.setdefault(name, {"spearman": [], "best": []})
        mine["spearman"].append(float(np.mean([spearman(values_N, others_NU) for values_N, others_NU in pairs])))
        mine["best"].append(float(np.mean([others_NU[np.argmax(values_N)] for values_N, others_NU in pairs])))

    for record in records:
        rewards_NU = np.array(record["rewards"])
        for name, values in record["proxies"].items():
            add(name, [(np.array(values), rewards_NU)])
        updates = range(rewards_NU.shape[1])
        if len(updates) > 1:
            add(ANOTHER, [(rewards_NU[:, each], np.delete(rewards_NU, each, axis=1)) for each in updates])
    return found


def table(found: Mapping[str, Mapping[str, Sequence[float]]], samples: int) -> Table:
    """Correlations, and what the best reply by each proxy is worth in per cent."""
    shown = Table("proxy", "Spearman", "passages", f"best of {samples}")
    for name, row in found.items():
        known = [each for each in row["spearman"] if not math.isnan(each)]
        text = bootstrap(known).text(".2f") if known else ""
        shown.add_row(name, text, str(len(known)), percent(row["best"]))
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, show and write the correlations."""
    parser = make_parser(__doc__, "proxy-rewards")
    parser.add_argument("--subset", default="synthetic-eval:101-124", help="synthetic passages")
    parser.add_argument("--model", default=TEXT_MODEL_NAME, help="writes and learns")
    parser.add_argument("--style", default="implications", help="of the texts")
    parser.add_argument("--samples", type=int, default=16, help="replies to each passage")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--updates", type=int, default=2, help="of each reply, with seeds of their own")
    given: argparse.Namespace = parser.parse_args(arguments)
    document = new_document(given)
    runtime = Runtime(Settings.resolve(domain="knowledge", subset=given.subset, model=given.model, max_turns=1, cache="off"))
    runtime.load()
    records = measure(runtime, load_base_model(given.model, "cpu"), given, Journal(given.json.with_suffix(".jsonl")))
    found = ranked(records)
    mean = percent([float(np.mean(record["rewards"])) for record in records])
    seconds = {name: sum(record["seconds"][name] for record in records) for name in records[0]["seconds"]}
    spent = "; ".join(f"{name} {each:.0f} s" for name, each in seconds.items())
    write(given.json, document | {"records": records, "ranked": found, "seconds": seconds})
    show(given.json, document, [table(found, given.samples), f"mean      {mean} % of all replies", f"seconds   {spent}"])


if __name__ == "__main__":
    main()
