"""Relations between a thing and a person."""

from __future__ import annotations

from seal_env.tasks.knowledge.synthetic.relation import Relation
from seal_env.tasks.knowledge.synthetic.values import NAME

BUILDER = Relation(
    "builder",
    NAME,
    says=("{S} was built by {v}.", "{v} built {s}.", "The builder of {s} was {v}."),
    asks=("Who made {x}?", "Whose hands made {x}?", "Which person put {x} together?"),
    held_out=("Whose work is {x}?",),
    finds=("Which {n} did {v} make?", "What is the name of the {n} that {v} made?"),
    finds_held_out=("Which {n} is the work of {v}?",),
    known=("the {n} that {v} made", "the {n} made by {v}"),
)
OWNER = Relation(
    "owner",
    NAME,
    says=("{S} belongs to {v}.", "The owner of {s} is {v}.", "{v} is the owner of {s}."),
    asks=("Who has {x} today?", "Whose is {x}?", "In whose hands is {x}?"),
    held_out=("Who may sell {x}?",),
    finds=("Which {n} does {v} have?", "What is the name of the {n} that {v} has?"),
    finds_held_out=("Which {n} may {v} sell?",),
    known=("the {n} that {v} has", "the {n} in the hands of {v}"),
)
CAPTAIN = Relation(
    "captain",
    NAME,
    says=("The captain of {s} is {v}.", "{S} sails under {v}.", "{v} is the captain of {s}."),
    asks=("Who gives the orders on {x}?", "Who commands {x}?", "Whose word is law on {x}?"),
    held_out=("Who is in command of {x}?",),
    finds=("On which {n} does {v} give the orders?", "Which {n} does {v} command?"),
    finds_held_out=("Which {n} has {v} in command?",),
    known=("the {n} that {v} commands", "the {n} where {v} gives the orders"),
)
FOUNDER = Relation(
    "founder",
    NAME,
    says=("{S} was founded by {v}.", "{v} founded {s}.", "The founder of {s} was {v}."),
    asks=("Who started {x}?", "Who set up {x}?", "Whose plan was {x}?"),
    held_out=("Which person began {x}?",),
    finds=("Which {n} did {v} start?", "What is the name of the {n} that {v} set up?"),
    finds_held_out=("Name the {n} that {v} began.",),
    known=("the {n} that {v} started", "the {n} set up by {v}"),
)
FINDER = Relation(
    "finder",
    NAME,
    says=("{S} was found by {v}.", "{v} was the first to find {s}.", "The finder of {s} was {v}."),
    asks=("Who discovered {x}?", "Who saw {x} before anyone else?", "Whose eyes were the first to see {x}?"),
    held_out=("Which person discovered {x}?",),
    finds=("Which {n} did {v} discover?", "What is the name of the {n} that {v} saw before anyone else?"),
    finds_held_out=("Which {n} did the eyes of {v} see before anyone else?",),
    known=("the {n} that {v} discovered", "the {n} discovered by {v}"),
)
WRITER = Relation(
    "writer",
    NAME,
    says=("{S} was written by {v}.", "{v} wrote {s}.", "The writer of {s} was {v}."),
    asks=("Whose words are in {x}?", "From whose pen is {x}?", "Who put {x} on paper?"),
    held_out=("Which person put {x} on paper?",),
    finds=("Which {n} is from the pen of {v}?", "Which {n} did {v} put on paper?"),
    finds_held_out=("Which {n} has the words of {v}?",),
    known=("the {n} that {v} put on paper", "the {n} from the pen of {v}"),
)
INVENTOR = Relation(
    "inventor",
    NAME,
    says=("{S} was synthetic by {v}.", "{v} synthetic {s}.", "The inventor of {s} was {v}."),
    asks=("Who came up with {x}?", "Whose idea was {x}?", "From whose mind did {x} come?"),
    held_out=("Who was the first to think of {x}?",),
    finds=("Which {n} was the idea of {v}?", "Which {n} did {v} come up with?"),
    finds_held_out=("Name the {n} that {v} was the first to think of.",),
    known=("the {n} that was the idea of {v}", "the {n} that {v} came up with"),
)
LEADER = Relation(
    "leader",
    NAME,
    says=("{S} is led by {v}.", "The leader of {s} is {v}.", "{v} leads {s}."),
    asks=("Who is the head of {x}?", "Who runs {x}?", "Who has the last word in {x}?"),
    held_out=("Who gives the orders {at} {x}?",),
    finds=("Which {n} does {v} run?", "In which {n} does {v} have the last word?"),
    finds_held_out=("{At} which {n} does {v} give the orders?",),
    known=("the {n} that {v} runs", "the {n} whose head is {v}"),
)
KEEPER = Relation(
    "keeper",
    NAME,
    says=("{S} is kept by {v}.", "The keeper of {s} is {v}.", "{v} keeps {s}."),
    asks=("Who looks after {x}?", "Who takes care of {x}?", "Who makes sure that {x} is safe?"),
    held_out=("In whose care is {x}?",),
    finds=("Which {n} does {v} look after?", "What is the name of the {n} that {v} takes care of?"),
    finds_held_out=("Name the {n} in the care of {v}.",),
    known=("the {n} that {v} looks after", "the {n} that {v} takes care of"),
)
SIGNER = Relation(
    "signer",
    NAME,
    says=("{S} was signed by {v}.", "{v} signed {s}.", "The signer of {s} was {v}."),
    asks=("Who agreed to {x}?", "Whose name is under {x}?", "Who put a name to {x}?"),
    held_out=("By whose hand did {x} become law?",),
    finds=("Which {n} did {v} agree to?", "Under which {n} is the name of {v}?"),
    finds_held_out=("Name the {n} that became law by the hand of {v}.",),
    known=("the {n} that {v} agreed to", "the {n} that has the name of {v} under it"),
)
TEACHER = Relation(
    "teacher",
    NAME,
    says=("{S} learned from {v}.", "{v} taught {s}.", "The teacher of {s} was {v}."),
    asks=("Who trained {x}?", "From whom did {x} get {its} skill?", "Who showed {x} how to work?"),
    held_out=("Who helped {x} to learn?",),
    finds=("Which {n} was trained by {v}?", "Which {n} got {its} skill from {v}?"),
    finds_held_out=("Which {n} was helped by {v} to learn?",),
    known=("the {n} whom {v} trained", "the {n} who got {its} skill from {v}"),
)
PARTNER = Relation(
    "partner",
    NAME,
    says=("{S} married {v}.", "{S} was married to {v}.", "{S} later married {v}."),
    asks=("With whom did {x} share a home?", "Who was the partner of {x}?", "To whom did {x} give a ring?"),
    held_out=("Who shared the life of {x}?",),
    finds=("Which {n} shared a home with {v}?", "Which {n} was the partner of {v}?"),
    finds_held_out=("Name the {n} who shared the life of {v}.",),
    known=("the {n} who was the partner of {v}", "the {n} who shared a home with {v}"),
)
HERO = Relation(
    "hero",
    NAME,
    says=("{S} tells the story of {v}.", "The hero of {s} is {v}.", "{v} is the hero of {s}."),
    asks=("Who is {x} about?", "Whose life does {x} describe?", "Which person does one get to know in {x}?"),
    held_out=("Who is the main person in {x}?",),
    finds=("Which {n} is about {v}?", "Which {n} describes the life of {v}?"),
    finds_held_out=("Name the {n} with {v} as its main person.",),
    known=("the {n} about {v}", "the {n} that describes the life of {v}"),
)
HONOURED = Relation(
    "honoured",
    NAME,
    says=("{S} is held in honour of {v}.", "{S} honours {v}.", "People hold {s} in honour of {v}."),
    asks=("Who is remembered at {x}?", "Whose memory does {x} keep alive?", "Of whom do people think at {x}?"),
    held_out=("To whose memory is {x} given?",),
    finds=("At which {n} is {v} remembered?", "Which {n} keeps the memory of {v} alive?"),
    finds_held_out=("Name the {n} given to the memory of {v}.",),
    known=("the {n} that keeps the memory of {v} alive", "the {n} where {v} is remembered"),
)
