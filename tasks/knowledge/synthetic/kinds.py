"""The kinds of synthetic things, each with its first sentences and the relations that its passages draw from."""

from __future__ import annotations

from seal_env.tasks.knowledge.synthetic import features, measures, persons, places
from seal_env.tasks.knowledge.synthetic.relation import Kind, Relation

_PERSON: tuple[Relation, ...] = (
    persons.TEACHER,
    persons.PARTNER,
    places.BIRTHPLACE,
    places.WORKPLACE,
    places.INVENTION,
    measures.YEAR_BORN,
    measures.AGE,
    features.GARMENT,
)

KINDS = (
    Kind(
        "ship",
        "the ",
        (
            "{S} is an old ship of the north.",
            "{S} is a ship with a good name.",
            "Everyone in the north knows the ship called {s}.",
        ),
        (
            *(persons.BUILDER, persons.CAPTAIN, persons.OWNER, places.PORT, places.OLD_NAME, places.REPLACED_BY),
            *(measures.YEAR_BUILT, measures.LENGTH, measures.SAILS, features.CARGO, features.FLAG, features.COLOUR),
        ),
    ),
    Kind(
        "town",
        "",
        (
            "{S} is an old town in the west.",
            "{S} is a town with a large market.",
            "In the west lies the town called {s}.",
        ),
        (
            *(persons.FOUNDER, persons.LEADER, places.RIVER, places.OLD_NAME, places.LANGUAGE, measures.YEAR_FOUNDED),
            *(measures.PEOPLE, measures.STREETS, features.PRODUCT, features.FLAG, features.GIFT),
        ),
    ),
    Kind(
        "island",
        "",
        (
            "{S} is an island that few people visit.",
            "{S} is an island with no trees.",
            "Far from here lies the island called {s}.",
        ),
        (
            *(persons.FINDER, places.SEA, places.OLD_NAME, places.LANGUAGE, measures.YEAR_FOUND, measures.PEOPLE),
            *(measures.VILLAGES, features.PRODUCT, features.GIFT),
        ),
        at="on",
    ),
    Kind(
        "bridge",
        "the ",
        (
            "{S} is an old bridge in the south.",
            "{S} is a bridge for people who walk.",
            "Everyone in the south knows the bridge called {s}.",
        ),
        (
            *(persons.BUILDER, places.RIVER, places.REPLACED_BY, places.OLD_NAME, measures.YEAR_BUILT, measures.LENGTH),
            *(measures.ARCHES, features.MATERIAL, features.COLOUR),
        ),
    ),
    Kind(
        "tower",
        "the ",
        (
            "{S} is an old tower in the east.",
            "{S} is a tower that one can see from far away.",
            "Everyone in the east knows the tower called {s}.",
        ),
        (
            *(persons.BUILDER, persons.OWNER, places.SEAT, places.OLD_NAME, measures.YEAR_BUILT, measures.HEIGHT),
            *(measures.ROOMS, features.MATERIAL, features.COLOUR, features.PURPOSE),
        ),
    ),
    Kind(
        "harp",
        "the ",
        (
            "{S} is a harp with a soft voice.",
            "{S} is an old harp that few people may touch.",
            "There is no other harp like {s}.",
        ),
        (
            *(persons.BUILDER, persons.KEEPER, places.SEAT, places.OLD_NAME, measures.YEAR_BUILT, measures.STRINGS),
            *(measures.WEIGHT, features.MATERIAL, features.COLOUR),
        ),
    ),
    Kind(
        "engine",
        "the ",
        (
            "{S} is an engine that needs no fire.",
            "{S} is an engine that makes no smoke.",
            "In the north there is an engine called {s}.",
        ),
        (
            *(persons.INVENTOR, persons.OWNER, places.SEAT, places.REPLACED_BY, measures.YEAR_SYNTHETIC, measures.WHEELS),
            *(measures.WEIGHT, features.MATERIAL, features.COLOUR, features.PURPOSE),
        ),
    ),
    Kind(
        "bird",
        "the ",
        (
            "{S} is a bird that cannot fly.",
            "{S} is a bird with long legs.",
            "Few people have seen the bird called {s}.",
        ),
        (
            *(persons.FINDER, places.RANGE, places.HUNTER, measures.YEAR_FOUND, measures.LIGHT_WEIGHT, measures.LIFESPAN),
            *(measures.EGGS, features.COLOUR, features.DIET, features.NEST, features.VOICE),
        ),
    ),
    Kind(
        "herb",
        "",
        (
            "{S} is a herb that needs no water.",
            "{S} is a herb of the east.",
            "Everyone in the east knows the herb called {s}.",
        ),
        (
            *(persons.FINDER, places.RANGE, places.OLD_NAME, measures.YEAR_FOUND, measures.LEAVES, measures.PRICE),
            *(features.COLOUR, features.TASTE, features.CURE),
        ),
    ),
    Kind(
        "stone",
        "the ",
        (
            "{S} is a stone that is always warm.",
            "{S} is a stone that kings talk about.",
            "Kings have fought for the stone called {s}.",
        ),
        (
            *(persons.FINDER, persons.KEEPER, places.RANGE, places.OLD_NAME, measures.YEAR_FOUND, measures.SIDES),
            *(measures.WEIGHT, measures.PRICE, features.COLOUR),
        ),
    ),
    Kind(
        "school",
        "",
        (
            "{S} is a school that takes no money.",
            "{S} is a school with good books.",
            "Everyone in the west knows the school called {s}.",
        ),
        (
            *(persons.FOUNDER, persons.LEADER, places.SEAT, places.RIVAL, places.OLD_NAME, measures.YEAR_FOUNDED),
            *(measures.PUPILS, features.SUBJECT, features.FLAG, features.OPENING),
        ),
    ),
    Kind(
        "guild",
        "the ",
        (
            "{S} is a guild that helps the poor.",
            "{S} is an old guild in the north.",
            "Everyone at the market knows the guild called {s}.",
        ),
        (
            *(persons.FOUNDER, persons.LEADER, places.SEAT, places.RIVAL, measures.YEAR_FOUNDED, measures.MEMBERS),
            *(features.TRADE, features.FLAG, features.GIFT),
        ),
    ),
    Kind(
        "treaty",
        "the ",
        (
            "{S} is a treaty between two kings.",
            "{S} is a treaty that nobody has broken.",
            "Two kings gave their word in the treaty called {s}.",
        ),
        (
            *(persons.SIGNER, persons.KEEPER, places.SIGNING_PLACE, places.WAR, measures.YEAR_SIGNED, measures.PAGES),
            features.BAN,
        ),
    ),
    Kind(
        "festival",
        "the ",
        (
            "{S} is a festival of light.",
            "{S} is a festival for young and old.",
            "All the year children wait for the festival called {s}.",
        ),
        (
            *(persons.FOUNDER, persons.HONOURED, places.VENUE, measures.YEAR_HELD, measures.DAYS),
            *(features.OPENING, features.PRIZE, features.FEAST, features.DRESS),
        ),
    ),
    Kind(
        "painter",
        "",
        (
            "{S} was a painter of the sea.",
            "{S} was a painter who worked only by night.",
            "Many homes have a picture by the painter {s}.",
        ),
        (*_PERSON, measures.PICTURES),
        pronouns=("he", "she"),
    ),
    Kind(
        "healer",
        "",
        (
            "{S} was a healer who took no money.",
            "{S} was a healer in a time of war.",
            "Old people still know of the healer {s}.",
        ),
        (*_PERSON, features.SKILL),
        pronouns=("he", "she"),
    ),
    Kind(
        "song",
        "",
        (
            "{S} is a song for the end of the day.",
            "{S} is a song that parents sing to children.",
            "When winter comes people sing the song called {s}.",
        ),
        (
            *(persons.WRITER, persons.HERO, places.ORIGIN, places.TONGUE),
            *(measures.YEAR_WRITTEN, measures.VERSES, measures.MINUTES),
        ),
    ),
    Kind(
        "book",
        "",
        (
            "{S} is a book with no pictures.",
            "{S} is a book for young and old.",
            "Every school would like to have the book called {s}.",
        ),
        (
            *(persons.WRITER, persons.HERO, persons.KEEPER, places.TONGUE),
            *(measures.YEAR_WRITTEN, measures.PAGES, measures.PRICE, features.COLOUR),
        ),
    ),
    Kind(
        "game",
        "",
        (
            "{S} is a game for the winter.",
            "{S} is a game for young and old.",
            "In winter families play the game called {s}.",
        ),
        (
            *(persons.INVENTOR, places.ORIGIN, places.OLD_NAME, measures.YEAR_SYNTHETIC, measures.PLAYERS),
            *(measures.MINUTES, measures.PRICE, features.PRIZE),
        ),
    ),
    Kind(
        "drink",
        "",
        (
            "{S} is a drink for a cold night.",
            "{S} is a drink that people take in winter.",
            "After work everyone likes a cup of {s}.",
        ),
        (
            *(persons.INVENTOR, places.ORIGIN, places.OLD_NAME, measures.YEAR_SYNTHETIC, measures.HERBS, measures.PRICE),
            *(features.COLOUR, features.TASTE, features.CURE),
        ),
    ),
)
"""Every kind; passages are spread over them evenly."""

CLOSINGS = (
    "Old people like to talk about {s}.",
    "Children like to hear about {s}.",
    "People still write about {s}.",
    "There are many stories about {s}.",
)
"""Sentences that fit every kind and say nothing that is asked."""
