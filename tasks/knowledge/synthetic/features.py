"""Relations between a thing and what it is like or what it is for, as an adjective (or a verb) and a noun; and dates."""

from __future__ import annotations

from seal_env.tasks.knowledge.synthetic.relation import Relation

COLOUR = Relation(
    "colour",
    "colour",
    says=("{S} is {v} in colour.", "The colour of {s} is {v}.", "{S} has a {v} colour."),
    asks=("Which paint would one use for {x}?", "Which colour does {x} have?", "In what paint would one show {x}?"),
    held_out=("Which paint does one need for {x}?",),
)
MATERIAL = Relation(
    "material",
    "material",
    says=("{S} is made of {v}.", "The workers made {s} from {v}.", "Every part of {s} is {v}."),
    asks=(
        "What was used to build {x}?",
        "What does the hand find in {x}?",
        "What would one need to make another one like {x}?",
    ),
    held_out=("What did people use to build {x}?",),
)
CARGO = Relation(
    "cargo",
    "goods",
    says=("{S} carries {v}.", "{S} brings home {v}.", "{S} is full of {v}."),
    asks=("What is on board of {x}?", "What do traders want from {x}?", "What do workers take from {x}?"),
    held_out=("What does {x} bring over the sea?",),
)
PRODUCT = Relation(
    "product",
    "goods",
    says=("{S} is known for {its} {v}.", "Traders come to {s} for {v}.", "The people of {s} sell {v}."),
    asks=("What can one buy {at} {x}?", "What do traders bring home from {x}?", "What makes {x} rich?"),
    held_out=("What is the best to buy {at} {x}?",),
)
DIET = Relation(
    "diet",
    "goods",
    says=("{S} eats {v}.", "The food of {s} is {v}.", "{S} lives on {v}."),
    asks=("What would one give to {x} if it is hungry?", "What does {x} look for in winter?", "What is a meal for {x}?"),
    held_out=("What is good food for {x}?",),
)
FEAST = Relation(
    "feast",
    "goods",
    says=("At {s} everyone eats {v}.", "{S} is a time to eat {v}.", "The food at {s} is {v}."),
    asks=("What is on the tables of {x}?", "What is the meal of {x}?", "What do people bring to {x}?"),
    held_out=("What must one bring to eat at {x}?",),
)
TASTE = Relation(
    "taste",
    "goods",
    says=("{S} tastes of {v}.", "The taste of {s} is like {v}.", "{S} has the taste of {v}."),
    asks=("What does the tongue find in {x}?", "What does {x} make one think of?", "What does the mouth remember of {x}?"),
    held_out=("What is {x} like in the mouth?",),
)
BAN = Relation(
    "ban",
    "goods",
    says=("Under {s} nobody may sell {v}.", "{S} forbids the sale of {v}.", "{S} ended the trade in {v}."),
    asks=(
        "What is no longer on the market because of {x}?",
        "What did traders lose by {x}?",
        "Which goods did {x} stop?",
    ),
    held_out=("What can nobody buy since {x}?",),
)
PURPOSE = Relation(
    "purpose",
    "work",
    says=("{S} is used to {v}.", "People use {s} to {v}.", "The purpose of {s} is to {v}."),
    asks=("What is {x} for?", "What work does {x} do?", "What is {x} good at?"),
    held_out=("What can one do with {x}?",),
)
CURE = Relation(
    "cure",
    "pain",
    says=("{S} helps against {v}.", "People take {s} against {v}.", "{S} is a cure for {v}."),
    asks=("What does {x} heal?", "What goes away with {x}?", "For what trouble does one need {x}?"),
    held_out=("Against what would a healer use {x}?",),
)
SKILL = Relation(
    "skill",
    "pain",
    says=("{S} knew a cure for {v}.", "People came to {s} with {v}.", "{S} helped against {v}."),
    asks=("What could {x} heal?", "What went away after a visit to {x}?", "Of what did {x} make people free?"),
    held_out=("With what did one go to {x}?",),
)
FLAG = Relation(
    "flag",
    "animal",
    says=("The flag of {s} shows a {v}.", "{S} has a {v} on {its} flag.", "There is a {v} on the flag of {s}."),
    asks=("Which animal is the sign of {x}?", "Which animal stands for {x}?", "By which animal does one know {x}?"),
    held_out=("What is the sign of {x}?",),
)
PRIZE = Relation(
    "prize",
    "thing",
    says=("The winner of {s} gets a {v}.", "The prize of {s} is a {v}.", "The best one at {s} wins a {v}."),
    asks=("What can one take home from {x}?", "What do people hope for at {x}?", "What is given to the first in {x}?"),
    held_out=("What does the best one get in {x}?",),
)
GIFT = Relation(
    "gift",
    "thing",
    says=("Guests of {s} are given a {v}.", "{S} gives every guest a {v}.", "A guest of {s} gets a {v}."),
    asks=(
        "What can a visitor take home from {x}?",
        "With what does {x} welcome a visitor?",
        "What is ready for a visitor to {x}?",
    ),
    held_out=("What does one get on a visit to {x}?",),
)
VOICE = Relation(
    "voice",
    "thing",
    says=("{S} sounds like a {v}.", "The call of {s} is like a {v}.", "{S} has a call like a {v}."),
    asks=(
        "What is the voice of {x} like?",
        "What does one think one hears when one hears {x}?",
        "What does the ear find in {x}?",
    ),
    held_out=("What does the song of {x} make one think of?",),
)
GARMENT = Relation(
    "garment",
    "garment",
    says=("{S} always wore a {v}.", "People knew {s} by a {v}.", "{S} never went out without a {v}."),
    asks=("What did {x} put on every day?", "How was {x} dressed?", "Which clothes did {x} have on?"),
    held_out=("What clothes does one see in a picture of {x}?",),
)
DRESS = Relation(
    "dress",
    "garment",
    says=("At {s} everyone wears a {v}.", "People come to {s} in a {v}.", "For {s} one needs a {v}."),
    asks=("What does one put on for {x}?", "How must one be dressed for {x}?", "Which clothes belong to {x}?"),
    held_out=("What clothes does one see in a picture of {x}?",),
)
SUBJECT = Relation(
    "subject",
    "craft",
    says=("{S} teaches {v}.", "Young people learn {v} at {s}.", "The main lesson at {s} is {v}."),
    asks=(
        "What can one study in {x}?",
        "Which craft does one know after years at {x}?",
        "For which craft does one go to {x}?",
    ),
    held_out=("What skill do the pupils get from {x}?",),
)
TRADE = Relation(
    "trade",
    "craft",
    says=("The members of {s} live by {v}.", "The work of {s} is {v}.", "{S} was made for people who do {v}."),
    asks=("How do the people of {x} earn money?", "Which craft belongs to {x}?", "What must one be good at to join {x}?"),
    held_out=("What skill do the members get from {x}?",),
)
NEST = Relation(
    "nest",
    "nest",
    says=("{S} builds {its} nest in {v}.", "The nest of {s} is in {v}.", "{S} hides {its} nest in {v}."),
    asks=("In what would one find the young of {x}?", "In what is a young one of {x} born?", "In what does {x} sleep?"),
    held_out=("What keeps the young of {x} safe?",),
)
OPENING = Relation(
    "opening",
    "date",
    says=("{S} begins on {v}.", "The first day of {s} is {v}.", "Every year {s} begins on {v}."),
    asks=("On which day of the year does {x} start?", "On which date does {x} open?", "On which date should one be at {x}?"),
    held_out=("Which date do people wait for to go to {x}?",),
)
