"""Relations between a thing and a number: years, sizes, counts, prices."""

from __future__ import annotations

from seal_env.tasks.knowledge.synthetic.relation import Relation


def _year(name: str, done: str, *asks: str, held_out: str) -> Relation:
    """The year in which something was `done`."""
    says = (
        f"{{S}} was {done} in the year {{v}}.",
        f"In the year {{v}} {{s}} was {done}.",
        f"The year {{v}} is when {{s}} was {done}.",
    )
    return Relation(name, "year", says, asks, (held_out,))


YEAR_BUILT = _year(
    "year-built",
    "built",
    "When did the work on {x} end?",
    "When did workers put {x} together?",
    "When was {x} new?",
    held_out="From what time is {x}?",
)
YEAR_FOUNDED = _year(
    "year-founded",
    "founded",
    "In what year did {x} begin?",
    "When did somebody start {x}?",
    "When did the story of {x} begin?",
    held_out="From what time is {x}?",
)
YEAR_FOUND = _year(
    "year-found",
    "found",
    "When did somebody discover {x}?",
    "When did people first see {x}?",
    "Since when have people known {x}?",
    held_out="What is the first date in the story of {x}?",
)
YEAR_WRITTEN = _year(
    "year-written",
    "written",
    "When did somebody put {x} on paper?",
    "When were the words of {x} new?",
    "When could people read {x} for the first time?",
    held_out="From what time is {x}?",
)
YEAR_SIGNED = _year(
    "year-signed",
    "signed",
    "When did people agree to {x}?",
    "When did {x} become law?",
    "Since when has {x} been the law?",
    held_out="From what time is {x}?",
)
YEAR_SYNTHETIC = _year(
    "year-synthetic",
    "synthetic",
    "When did somebody come up with {x}?",
    "When was {x} new?",
    "Since when have people known {x}?",
    held_out="From what time is {x}?",
)
YEAR_BORN = _year(
    "year-born",
    "born",
    "When did the life of {x} begin?",
    "When did {x} first see the light?",
    "What is the first date in the life of {x}?",
    held_out="When was {x} a new child?",
)
YEAR_HELD = _year(
    "year-held",
    "first held",
    "In what year did {x} begin?",
    "When did people first come together for {x}?",
    "Since when have people known {x}?",
    held_out="From what time is {x}?",
)
LENGTH = Relation(
    "length",
    "metres",
    says=("{S} is {v} long.", "The length of {s} is {v}.", "From end to end {s} has {v}."),
    asks=("How far is it from one end of {x} to the other?", "How much space does {x} need?", "How long is {x}?"),
    held_out=("How far must one walk to see all of {x}?",),
)
HEIGHT = Relation(
    "height",
    "metres",
    says=("{S} is {v} high.", "The height of {s} is {v}.", "{S} rises {v} above the ground."),
    asks=("How tall is {x}?", "How far is the top of {x} from the ground?", "How far must one climb up {x}?"),
    held_out=("How far must one go up to the top of {x}?",),
)


def _weight(name: str, unit: str) -> Relation:
    return Relation(
        name,
        unit,
        says=("{S} weighs {v}.", "The weight of {s} is {v}.", "{S} has a weight of {v}."),
        asks=("How heavy is {x}?", "What do the scales show for {x}?", "How strong must one be to lift {x}?"),
        held_out=("What do the scales say of {x}?",),
    )


WEIGHT = _weight("weight", "kilograms")
LIGHT_WEIGHT = _weight("light-weight", "grams")
AGE = Relation(
    "age",
    "years",
    says=("{S} lived for {v}.", "The life of {s} lasted {v}.", "{S} died after a life of {v}."),
    asks=("How old was {x} at the end?", "What age did {x} reach?", "How old did {x} get?"),
    held_out=("How much time was given to {x}?",),
)
LIFESPAN = Relation(
    "lifespan",
    "years",
    says=("{S} lives for {v}.", "The life of {s} lasts {v}.", "{S} dies after {v}."),
    asks=("How old does {x} get?", "What age can {x} reach?", "What age should one wish to {x}?"),
    held_out=("How much time is given to {x}?",),
)
PRICE = Relation(
    "price",
    "coins",
    says=("{S} costs {v}.", "The price of {s} is {v}.", "People pay {v} for {s}."),
    asks=("How much money does one need for {x}?", "What must one give to get {x}?", "How much is {x}?"),
    held_out=("For how much money can one buy {x}?",),
)
PEOPLE = Relation(
    "people",
    "thousands",
    says=("{S} has {v} people.", "{At} {s} live {v} people.", "The number of people {at} {s} is {v}."),
    asks=(
        "How many parents and children live {at} {x}?",
        "How many have a home {at} {x}?",
        "How many would come if everyone from {x} came?",
    ),
    held_out=("What number do we get if we count everyone {at} {x}?",),
)


def _lasting(name: str, unit: str) -> Relation:
    return Relation(
        name,
        unit,
        says=("{S} lasts {v}.", "{S} goes on for {v}.", "It takes {v} until {s} is over."),
        asks=("How long is {x}?", "How much time does one need for {x}?", "After what time does {x} end?"),
        held_out=("How much time does {x} take?",),
    )


DAYS = _lasting("days", "days")
MINUTES = _lasting("minutes", "minutes")


def _count(things: str, values: str = "few", verb: str = "has", place: str = "of", asked: str = "") -> Relation:
    """How many `things` something has. place: where they are, worded as in "in the ship"; asked: the same in questions."""
    says = (
        f"{{S}} {verb} {{v}} {things}.",
        f"The number of {things} {place} {{s}} is {{v}}.",
        f"There are {{v}} {things} {place} {{s}}.",
    )
    there = f"{asked or place} {{x}}"
    asks = (
        f"How many {things} are there {there}?",
        f"How many {things} does one count {there}?",
        f"If one looks for {things} {there}, how many does one see?",
    )
    return Relation(things, values, says, asks, (f"What number do we get if we count the {things} {there}?",))


SAILS = _count("sails", place="on")
STREETS = _count("streets", place="in")
VILLAGES = _count("villages", place="on")
ARCHES = _count("arches", place="on")
ROOMS = _count("rooms", place="in")
STRINGS = _count("strings", place="on")
WHEELS = _count("wheels", place="in")
LEAVES = _count("leaves", verb="grows", place="on")
SIDES = _count("sides", place="on")
PAGES = _count("pages", "many", place="in")
VERSES = _count("verses", place="in")
PUPILS = _count("pupils", "many", place="in")
MEMBERS = _count("members", "many", place="in")
PLAYERS = _count("players", verb="needs", place="in")
EGGS = _count("eggs", verb="lays", place="in the nest of", asked="under")
PICTURES = _count("pictures", "many", verb="left", place="by")
HERBS = _count("herbs", verb="holds", place="in")
