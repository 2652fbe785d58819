"""Closed classes of English words: what says nothing by itself, what denies, and what makes another thing of a name."""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


LIGHT: Final = words(
    """
    a an the it its this that these those he she they his her hers him them their theirs there here which who whom
    whose what when where how why is are was were be been being am has have had having do does did done will would
    can could may might shall should must of in on at to for from by with as about into onto upon around
    approximately roughly circa so such also just very mr mrs ms dr sir because since while during
    through per i we you our your my me us and
    """
)
"""Words that say nothing by themselves."""

SHARED: Final = words("a an as am at do had has he her his in is it me on or per so they to was we will")
"""Those that other languages write as well."""

EDGES: Final = LIGHT - words("and since during through while per us i")
"""Words that may be left out at either end of a gold answer."""

ARTICLES: Final = words("a an the")
RELATIVES: Final = words("which who that whose where when while because since as although though")
"""Words that begin a clause."""

PREPOSITIONS: Final = words("in on at by as after before during since until from for with without under between through")

DENIALS: Final = words(
    """
    not no nor never neither none nobody nothing nowhere without unless dont doesnt didnt isnt wasnt arent werent
    hasnt havent hadnt wont wouldnt cant cannot couldnt shouldnt aint nt unlike but
    """
)
"""Words that deny what follows them."""

FALSITY: Final = words(
    """
    incorrect incorrectly wrong wrongly false falsely untrue mistaken mistakenly deny denies denied unknown unclear
    unsure hardly scarcely barely versus vs contrary opposite myth supposedly allegedly maybe perhaps possibly
    guess unlikely impossible disproved refuted rejected excluding except nope doubt doubts doubtful doubted debunked
    disputed questionable reportedly purportedly conceivably arguably rumoured rumored speculated
    suspected alleged supposed purported lie refuse refuses excluded exception apart aside contrast
    probably presumably apparently seemingly
    """
)
"""Words that deny, or leave open, what stands beside them."""

DENIAL_PAIRS: Final = frozenset(
    {
        *(("instead", "of"), ("rather", "than"), ("other", "than"), ("far", "from"), ("ruled", "out"), ("so", "called")),
        *(("most", "likely"), ("very", "likely"), ("attributed", "to"), ("credited", "to")),
        *(("to", "say"), ("i", "mean"), ("to", "some"), ("some", "say"), ("opposed", "to")),
    }
)
EXCEPTIONS: Final = words("save bar besides")
"""Words that except what follows them, behind one that means all."""

ALL: Final = words("all everyone everybody anyone anybody everything anything everywhere anywhere")
OTHERS: Final = words(
    "some many most several others people historians scholars experts critics legend tradition locals they"
)
"""Whose opinion leaves open what they think."""

OPINIONS: Final = words(
    """
    think thinks thought believe believes believed say says said claim claims claimed hold holds held credit credits
    credited attribute attributes attributed suspect suspects assume assumes assumed consider considers considered
    suppose suggest suggests suggested name names argue argues argued guess
    """
)
"""What they do, and what is done to what they think it is."""

HEDGES: Final = words("could might may would should")
"""Words that leave open what stands behind them."""

CONCESSIONS: Final = words("though although whereas while albeit")
"""Words that begin a clause about something else than what stands before it."""

CONDITIONS: Final = words("if whether")
VERDICTS: Final = words("right true correct really sure quite exactly")
"""Words that a denial makes a denial of everything before it: "Paris, not really"."""

CHOICES: Final = words("or versus vs alternatively otherwise plus then ie aka alias")
"""Words between alternatives."""

ADDITIONS: Final = frozenset(
    {
        *(("as", "well"), ("along", "with"), ("together", "with"), ("in", "addition")),
        *(("and", "also"), ("also", "known"), ("also", "called")),
    }
)
"""Words that add to what stands before them."""

COMPARERS: Final = words(
    """
    before after until till under over above below beneath less more fewer least most greater within outside
    inside near number beside behind between past off up down plus against
    """
)
"""Words that make another time, place or amount of the one behind them."""

POSITIONS: Final = words("by around about through with during since from to into onto")
"""Prepositions of places and times that are others than any of the rest."""

DEGREES: Final = words("more most less least better best worse worst further farther")
"""Comparatives and superlatives that are formed irregularly."""

RANKS: Final = words("under behind beside against before after near beyond")
"""Words between people and the one by whom they are told."""

DISTANCES: Final = words(
    "away far across distance up down off along out over way ways walk drive ride journey view visible seen"
)
MEASURES: Final = words(
    "meter kilometer mile yard foot hour minute day league miles leagues hours minutes days metres meters kilometres "
    "kilometers yards feet"
)
"""Words before "from" that tell how far from a place another is."""

WAYS: Final = words(
    "road roads route path track way halfway next close closer nearer nearest adjacent opposite similar comparable "
    "equivalent identical parallel line railway highway street trail ferry gateway similarly"
)
"""Words before "to" that tell of another place than the one behind it."""

SURROUNDINGS: Final = words(
    "sight view reach vicinity outskirts suburbs edge border borders neighbourhood neighborhood environs hinterland gates "
    "upstream downstream ahead proximity shadow"
)
"""Words before "of" that do so."""

LIMITS: Final = frozenset(
    {
        ("up", "to"),
        ("close", "to"),
        ("as", "many"),
        ("many", "as"),
        ("late", "as"),
        ("early", "as"),
        ("much", "as"),
        ("few", "as"),
        ("excess", "of"),
        ("short", "of"),
    }
)
"""Words that do so in pairs: "up to 5", "as many as 5"."""

CHANGERS: Final = words(
    """
    almost nearly virtually practically beyond lacking
    half quarter double twice triple thrice non anti ex former formerly vice deputy pseudo pre post semi sub fake
    early late mid next previous other others another north south east west northern southern eastern western
    northeastern northwestern southeastern southwestern upper lower greater new old little inner outer central
    grand saint san santa st fort port mount minus negative
    """
)
"""Words that make something else of the name or number behind them."""

PLACES: Final = words(
    """
    where country city town state place river lake island region continent province county mountain capital village
    nation area
    """
)
"""Words of questions whose answers are places."""

HEADS: Final = {
    "institution": ("university", "college", "institute", "school", "academy"),
    "company": ("company", "corporation", "incorporated", "limited"),
}
"""What may stand behind a name, by the word for it in the question."""

COUNTED: Final = words("people persons individuals things items pieces total altogether")
"""What is counted, in general."""

FRAMES: Final = words(
    "answer answers correct correctly clearly definitely certainly exactly precisely indeed only merely surely obviously "
    "both"
)
"""Words with which an answer is given, and that say nothing of it."""

KIN: Final = words(
    """
    father mother parent parents son sons daughter daughters child children brother brothers sister sisters wife widow
    husband uncle aunt cousin nephew niece grandson granddaughter grandfather grandmother friend friends enemy enemies
    rival rivals ally allies pupil pupils student students teacher follower followers successor successors predecessor
    heir heirs ancestor descendant descendants assistant assistants servant servants colleague colleagues
    """
)
"""What one person is to another."""

PASSIVE: Final = words("is are was were be been being got")
"""Words that, with "by" behind them, turn who does something into whom it is done to."""

COUNTERPARTS: Final = (
    (words("mr"), words("mrs ms miss")),
    (words("mrs ms miss"), words("mr")),
    (words("he his him"), words("she her hers")),
    (words("she her hers"), words("he his him")),
)
"""Words that say nothing by themselves, and those that mean somebody else."""

YES: Final = words("yes yeah yep")
NO: Final = words("no nope")
"""Answers to questions that ask whether."""
