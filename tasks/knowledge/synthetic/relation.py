"""What can be said and asked about an synthetic thing: relations and kinds, as tables of wordings.

Wordings are templates. `{S}` is the subject at the beginning of a sentence ("The Tavok", "The ship", "It"), `{s}` within
one, `{its}` its possessive, `{v}` the value, `{n}` the kind's noun, `{x}` the thing that a question is about: either named
("the ship Tavok") or known by another fact ("the ship that Zemilu commands"), `{at}` or `{At}` the kind's "in" or "on".
"""

from __future__ import annotations

from dataclasses import dataclass

from seal_env.tasks.knowledge.synthetic.values import NAME


@dataclass(frozen=True)
class Relation:
    """A relation between a thing and a value, with its wordings.

    name: unique; facts of two relations never count as the same. values: what kind of value, as `values` knows it. says:
    sentences of a passage. asks: questions for the value, worded otherwise than `says`. held_out: such questions, kept for
    the eval split. Only where values are names: finds, finds_held_out: questions for the thing, by the value; known:
    descriptions of the thing by the value.
    """

    name: str
    values: str
    says: tuple[str, ...]
    asks: tuple[str, ...]
    held_out: tuple[str, ...]
    finds: tuple[str, ...] = ()
    finds_held_out: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """True if the value is an synthetic name."""
        return self.values == NAME


@dataclass(frozen=True)
class Kind:
    """A kind of thing.

    article: "the " or "", before its name. opens: first sentences. pronouns: what it can be, one of them for each passage.
    at: the word for being there.
    """

    noun: str
    article: str
    opens: tuple[str, ...]
    relations: tuple[Relation, ...]
    pronouns: tuple[str, ...] = ("it",)
    at: str = "in"
