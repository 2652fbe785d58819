"""Relations between a thing and a place or another synthetic name that is no person's."""

from __future__ import annotations

from seal_env.tasks.knowledge.synthetic.relation import Relation
from seal_env.tasks.knowledge.synthetic.values import NAME

SEAT = Relation(
    "seat",
    NAME,
    says=("{S} stands in the town of {v}.", "The home of {s} is the town of {v}.", "The town of {v} is the home of {s}."),
    asks=("Where is {x}?", "In which place is {x}?", "Where must one go to see {x}?"),
    held_out=("To what place must one go for {x}?",),
    finds=("Which {n} is in {v}?", "Which {n} can be seen in {v}?"),
    finds_held_out=("For which {n} must one go to {v}?",),
    known=("the {n} in {v}", "the {n} that can be seen in {v}"),
)
VENUE = Relation(
    "venue",
    NAME,
    says=(
        "{S} is held in the town of {v}.",
        "The town of {v} holds {s} every year.",
        "The place of {s} is the town of {v}.",
    ),
    asks=("Where does {x} happen?", "Where do people come together for {x}?", "Where must one go to join {x}?"),
    held_out=("To what place must one go for {x}?",),
    finds=("Which {n} happens in {v}?", "For which {n} do people come together in {v}?"),
    finds_held_out=("For which {n} must one go to {v}?",),
    known=("the {n} in {v}", "the {n} that happens in {v}"),
)
PORT = Relation(
    "port",
    NAME,
    says=("{S} sails from the port of {v}.", "The home port of {s} is {v}.", "The port of {v} is the home of {s}."),
    asks=("Where does {x} wait in winter?", "Where must one go to see {x}?", "From which place does {x} set out?"),
    held_out=("In which place would one go on board of {x}?",),
    finds=("Which {n} waits in {v} in winter?", "Which {n} sets out from {v}?"),
    finds_held_out=("Name the {n} that one can go on board of in {v}.",),
    known=("the {n} that sets out from {v}", "the {n} that waits in {v} in winter"),
)
RIVER = Relation(
    "river",
    NAME,
    says=("{S} stands on the river {v}.", "The river {v} flows past {s}.", "{S} is close to the river {v}."),
    asks=("Which water is by {x}?", "What is the name of the water next to {x}?", "Which water can one hear from {x}?"),
    held_out=("At what water does one find {x}?",),
    finds=("By which {n} is the water of the {v}?", "Which {n} is next to the {v}?"),
    finds_held_out=("Which {n} does one find at the {v}?",),
    known=("the {n} by the {v}", "the {n} next to the {v}"),
)
SEA = Relation(
    "sea",
    NAME,
    says=("{S} lies in the sea of {v}.", "The sea of {v} is all around {s}.", "{S} rises out of the sea of {v}."),
    asks=("Which water must one know to reach {x}?", "What is the name of the water around {x}?", "In which water is {x}?"),
    held_out=("What water does one see from {x}?",),
    finds=("Which {n} is in the water of {v}?", "Which {n} does one reach across the water of {v}?"),
    finds_held_out=("From which {n} does one see the water of {v}?",),
    known=("the {n} in the water of {v}", "the {n} that one reaches across the water of {v}"),
)
RANGE = Relation(
    "range",
    NAME,
    says=(
        "{S} is found only in the hills of {v}.",
        "The hills of {v} are the only home of {s}.",
        "The home of {s} is the hills of {v}.",
    ),
    asks=("Where can one see {x}?", "Where must one look for {x}?", "Which part of the country has {x}?"),
    held_out=("To what part of the country must one go for {x}?",),
    finds=("Which {n} can one see in {v}?", "For which {n} must one look in {v}?"),
    finds_held_out=("For which {n} must one go to {v}?",),
    known=("the {n} that one can see in {v}", "the {n} of {v}"),
)
ORIGIN = Relation(
    "origin",
    NAME,
    says=(
        "{S} comes from the valley of {v}.",
        "The valley of {v} is the home of {s}.",
        "The home of {s} is the valley of {v}.",
    ),
    asks=("Which place gave {x} to the world?", "Where did people first know {x}?", "In which place did {x} begin?"),
    held_out=("Where does the story of {x} begin?",),
    finds=("Which {n} did {v} give to the world?", "Which {n} was first known in {v}?"),
    finds_held_out=("Which {n} has a story that begins in {v}?",),
    known=("the {n} from {v}", "the {n} that {v} gave to the world"),
)
BIRTHPLACE = Relation(
    "birthplace",
    NAME,
    says=(
        "{S} was born in the town of {v}.",
        "The birthplace of {s} is the town of {v}.",
        "The town of {v} is the birthplace of {s}.",
    ),
    asks=("Where did the life of {x} begin?", "Where was {x} a child?", "In which place did {x} first see the light?"),
    held_out=("Where did the parents of {x} live?",),
    finds=("Which {n} was a child in {v}?", "Which {n} first saw the light in {v}?"),
    finds_held_out=("Name the {n} whose parents lived in {v}.",),
    known=("the {n} who was a child in {v}", "the {n} whose life began in {v}"),
)
WORKPLACE = Relation(
    "workplace",
    NAME,
    says=(
        "{S} worked in the town of {v}.",
        "The workshop of {s} was in the town of {v}.",
        "{S} had a workshop in the town of {v}.",
    ),
    asks=("Where did {x} earn money?", "Where did people visit {x}?", "Which place knew {x} as a {n}?"),
    held_out=("Where could one pay {x} for work?",),
    finds=("Which {n} earned money in {v}?", "Which {n} did people visit in {v}?"),
    finds_held_out=("Name the {n} whom one could pay for work in {v}.",),
    known=("the {n} who earned money in {v}", "the {n} whom people visited in {v}"),
)
SIGNING_PLACE = Relation(
    "signing-place",
    NAME,
    says=(
        "{S} was signed in the town of {v}.",
        "The town of {v} is where {s} was signed.",
        "Both sides signed {s} in the town of {v}.",
    ),
    asks=("Where was {x} agreed on?", "In which place did both sides meet for {x}?", "Where did {x} become law?"),
    held_out=("To what place did people come for {x}?",),
    finds=("Which {n} was agreed on in {v}?", "For which {n} did both sides meet in {v}?"),
    finds_held_out=("For which {n} did people come to {v}?",),
    known=("the {n} that was agreed on in {v}", "the {n} that became law in {v}"),
)
WAR = Relation(
    "war",
    NAME,
    says=("{S} ended the war of {v}.", "The war of {v} ended with {s}.", "With {s} came the end of the war of {v}."),
    asks=("Where did {x} stop the fighting?", "To which place did {x} bring peace?", "Which place was safe after {x}?"),
    held_out=("Which place had peace after {x}?",),
    finds=("Which {n} brought peace to {v}?", "Which {n} stopped the fighting in {v}?"),
    finds_held_out=("After which {n} did {v} have peace?",),
    known=("the {n} that brought peace to {v}", "the {n} that stopped the fighting in {v}"),
)
OLD_NAME = Relation(
    "old-name",
    NAME,
    says=("{S} was once called {v}.", "The old name of {s} was {v}.", "In the past {s} was called {v}."),
    asks=(
        "What did people say for {x} in earlier times?",
        "By which word did earlier times know {x}?",
        "Under what name did {x} begin?",
    ),
    held_out=("What was {x} before it got a new name?",),
    finds=("Which {n} began under the name {v}?", "What do people say for {v} today?"),
    finds_held_out=("What is the new name of {v}?",),
    known=("the {n} that began under the name {v}", "the {n} that earlier times knew as {v}"),
)
LANGUAGE = Relation(
    "language",
    NAME,
    says=("The people of {s} speak {v}.", "The language of {s} is {v}.", "{At} {s} people speak {v}."),
    asks=(
        "Which words does one hear {at} {x}?",
        "What must one learn to talk {at} {x}?",
        "In what do the families of {x} talk?",
    ),
    held_out=("Which tongue is at home {at} {x}?",),
    finds=("{At} which {n} does one hear {v}?", "For which {n} must one learn {v}?"),
    finds_held_out=("{At} which {n} is the {v} tongue at home?",),
    known=("the {n} where one hears {v}", "the {n} for which one must learn {v}"),
)
TONGUE = Relation(
    "tongue",
    NAME,
    says=("{S} is written in {v}.", "The language of {s} is {v}.", "All the words of {s} are in {v}."),
    asks=(
        "What must one learn to understand {x}?",
        "In what does {x} speak to us?",
        "What does one have to know to read {x}?",
    ),
    held_out=("Which tongue does one need for {x}?",),
    finds=("Which {n} speaks to us in {v}?", "For which {n} must one learn {v}?"),
    finds_held_out=("For which {n} does one need the {v} tongue?",),
    known=("the {n} for which one must learn {v}", "the {n} that speaks to us in {v}"),
)
REPLACED_BY = Relation(
    "replaced-by",
    NAME,
    says=("{S} was later replaced by the {v}.", "The {v} later replaced {s}.", "In the end the {v} replaced {s}."),
    asks=("What came after {x}?", "What took the place of {x}?", "What did people use after {x}?"),
    held_out=("What came when {x} was old?",),
    finds=("Which {n} came before the {v}?", "Which {n} gave its place to the {v}?"),
    finds_held_out=("Which {n} was old when the {v} came?",),
    known=("the {n} that came before the {v}", "the {n} that gave its place to the {v}"),
)
INVENTION = Relation(
    "invention",
    NAME,
    says=(
        "{S} synthetic a machine called {v}.",
        "A machine called {v} was synthetic by {s}.",
        "The machine {v} was synthetic by {s}.",
    ),
    asks=("What came from the mind of {x}?", "What did {x} come up with?", "What do we have because of {x}?"),
    held_out=("What was {x} the first to think of?",),
    finds=("Which {n} came up with the {v}?", "From the mind of which {n} came the {v}?"),
    finds_held_out=("Which {n} was the first to think of the {v}?",),
    known=("the {n} who came up with the {v}", "the {n} who gave us the {v}"),
)
HUNTER = Relation(
    "hunter",
    NAME,
    says=("{S} is hunted by the {v}.", "The {v} hunts {s}.", "{S} hides from the {v}."),
    asks=("Which animal is a danger to {x}?", "What is the enemy of {x}?", "Which animal kills {x}?"),
    held_out=("To which animal is {x} a meal?",),
    finds=("For which {n} is the {v} a danger?", "Which {n} does the {v} kill?"),
    finds_held_out=("Which {n} is a meal for the {v}?",),
    known=("the {n} whose enemy is the {v}", "the {n} that the {v} kills"),
)
RIVAL = Relation(
    "rival",
    NAME,
    says=("The rival of {s} is {v}.", "{S} has a rival called {v}.", "{v} is the rival of {s}."),
    asks=("Against whom does {x} stand?", "With whom is {x} not at peace?", "Who does not like {x}?"),
    held_out=("Who is the enemy of {x}?",),
    finds=("Which {n} stands against {v}?", "Which {n} is not at peace with {v}?"),
    finds_held_out=("Of which {n} is {v} the enemy?",),
    known=("the {n} that stands against {v}", "the {n} that is not at peace with {v}"),
)
