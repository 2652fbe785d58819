"""A fact about a synthetic thing, and every sentence and question that states it or asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from seal_env.tasks.knowledge.passage import Question, QuestionKind
from seal_env.tasks.knowledge.synthetic.vocabulary import Kind, Relation

POSSESSIVES = {"it": "its", "he": "his", "she": "her"}


def capital(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[0].upper() + text[1:]


@dataclass(frozen=True)
class Subject:
    """What a passage is about. pronoun: "it", "he" or "she"."""

    name: str
    kind: Kind
    pronoun: str

    @property
    def called(self) -> str:
        """The name as it stands in a sentence: "the Tavok", "Tavok"."""
        return f"{self.kind.article}{self.name}"

    @property
    def named(self) -> str:
        """Noun and name, as questions have it: "the ship Tavok"."""
        return f"the {self.kind.noun} {self.name}"

    def fill(self, template: str, **slots: str) -> str:
        """A template with its slots filled, those of the subject itself among them."""
        at = self.kind.at
        return template.format(n=self.kind.noun, its=POSSESSIVES[self.pronoun], at=at, At=capital(at), **slots)


@dataclass(frozen=True)
class Fact:
    """`subject` stands in `relation` to `value`: the value is what a direct question asks for."""

    subject: Subject
    relation: Relation
    value: str

    def say(self, template: str, start: str, within: str) -> str:
        """One of the relation's sentences, with the subject as `start` or, inside the sentence, as `within`."""
        return self.subject.fill(template, S=start, s=within, v=self.value)

    def statements(self) -> tuple[str, ...]:
        """The fact in every wording, each a sentence that can stand alone."""
        named = self.subject.named
        return tuple(capital(self.say(template, named, named)) for template in self.relation.says)

    def direct(self, held_out: bool = False) -> tuple[Question, ...]:
        """Questions for the value that name the subject."""
        return self._for_value(self.subject.named, held_out, "direct")

    def indirect(self, other: Fact, held_out: bool = False) -> tuple[Question, ...]:
        """Questions for the value that describe the subject by another fact, one whose value is a name."""
        descriptions = other._filled(other.relation.known)
        return tuple(question for each in descriptions for question in self._for_value(each, held_out, "indirect"))

    def reversed(self, held_out: bool = False) -> tuple[Question, ...]:
        """Questions for the subject by the value; none unless the value is a name."""
        templates = self.relation.finds_held_out if held_out else self.relation.finds
        return tuple(Question(text, self.subject.name, kind="reversed") for text in self._filled(templates))

    def _filled(self, templates: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.subject.fill(template, v=self.value) for template in templates)

    def _for_value(self, about: str, held_out: bool, kind: QuestionKind) -> tuple[Question, ...]:
        templates = self.relation.held_out if held_out else self.relation.asks
        return tuple(Question(self.subject.fill(template, x=about), self.value, kind=kind) for template in templates)
