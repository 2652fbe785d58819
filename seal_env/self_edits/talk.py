"""Words to the user before and after a text: offers to help, questions for the passage, "Here are the statements:".

They are no part of the text. What is left out: everything that is not surely said to a user, such as headings; a sentence
is dropped only if all of it has one of the forms below, and only at the beginning of a reply and as its last lines.
"""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 400
"""Most characters of a line of talk; a longer line is text."""

_INTERJECTION = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|definitely|gladly|okay|ok|alright|great(?: question)?|got it"
    r"|understood|hmm+|no problem|hello|hi(?: there)?|hey|thank you|thanks|gerne|natürlich|bien sûr"
    r"|¡?claro(?: que sí)?|por supuesto|certo|конечно|当然(?:可以)?|好的) *[!.,—:\uff01\uff0c。-]*"
)
_HELP = r"(?:help|assist|support)\b"
_GIVE = r"(?:provide|share|paste|send|give|upload|specify|clarify|tell me|let me know)"
_GLAD = r"(?:happy|glad|delighted|pleased|love|like|ready|available|eager)"
_WHEN = r"(?:once|if|when|after|as soon as)"
_WHAT = r"(?:me|the|your|a|us|more|which|what|with)"
_WRONG = r"(?:confusion|delay|inconvenience|misunderstanding|mistake|error|oversight)"
_OFFERS = (
    rf"i(?:'d|'ll| would| will) (?:\w+ ){{0,3}}?{_GLAD} to (?:{_HELP}|do (?:that|this|so)\b|write\b|provide\b)",
    rf"i(?:'m| am) (?:\w+ )?(?:{_GLAD}|here) to {_HELP}",
    rf"(?:how|what) (?:can|may|could|should) i (?:{_HELP}|do for you)",
    rf"i can (?:\w+ly )?{_HELP} (?:you|with (?:that|this))",
    r"(?:what (?:would|do) you (?:like|want|need)|would you like|do you (?:want|need)) (?:me )?to\b",
    r"which (?:passage|text|one) (?:do|would|are|should) (?:you|i)\b",
    r"what(?:'s| is) the (?:passage|text)\?",
    rf"(?:please|kindly|(?:could|can|would) you(?: please)?|{_WHEN} you|i(?:'ll)? need you to) {_GIVE} {_WHAT}\b",
    rf"i(?:'ll| will| can) [^.!?]{{1,80}} {_WHEN} you (?:\w+ )?{_GIVE}\b",
    r"let me know (?:if|what|when|which|how)\b",
    r"feel free to\b",
    r"i hope (?:this|that|it|these) helps?\b",
    r"is there anything else\b",
    rf"(?:i apologi[sz]e|(?:i'm |i am )?sorry|(?:my )?apologies) for (?:the|any) {_WRONG}(?=[.,!])",
)
_BEGINNINGS = (
    (
        r"let(?:'s| me| us) (?:get started|begin|start|think(?: about)?\b|see what i can"
        r"|analy[sz]e|break (?:it|this) down|take a look|look at)\b"
    ),
    r"i(?:'ll| will) (?:now )?(?:begin|start|proceed|write|analy[sz]e|list|provide) (?:by|with|down|out|some|a list)\b",
    r"i(?:'ll| will) (?:now )?(?:write|analy[sz]e|list|provide|rewrite) the (?:texts?|passage|statements|implications)\b",
    r"(?:so,? )?the user (?:wants|is asking|asks|asked|needs) (?:me to|for (?:the |some )?implications)\b",
    (
        r"we (?:need|have|are asked) to (?:produce|write|generate|list|output)"
        r" (?:the |some |a list of )?(?:implications|statements)\b"
    ),
)
_ANNOUNCEMENTS = (
    r"(?:(?:based on|from|given) (?:the|this|your) (?:passage|text|article)[^,:]{0,60}, )?here (?:are|is|you go)\b",
    r"(?:here's|these are|below (?:are|is)|the following (?:\w+ ){0,4}(?:are|is|follow|can be))\b",
    r"i(?:'ll| will|'ve| have) (?:now )?(?:write|list|provide|rewrite|written|listed|provided|rewritten)\b",
    r"(?:hier (?:sind|ist)|voici|aquí (?:están|tienes|está)|aqui estão|ecco|вот)\b|以下[是为]",
)


def _any_of(*forms: str) -> str:
    return f"(?:{'|'.join(forms)})"


_TALK = rf"{_any_of(*_OFFERS)}[^.!?]*[.!?]* *"
_BEFORE = re.compile(
    rf"(?:{_INTERJECTION} *)?"
    rf"(?:{_TALK}|{_any_of(*_BEGINNINGS)}[^.!?:,]*[.!?:]+ *|{_any_of(*_ANNOUNCEMENTS)}[^!?]*[:\uff1a]\Z)"
    rf"|{_INTERJECTION} *\Z",
    re.IGNORECASE,
)
_REMARKS = (
    r"\((?:word|token|character) count:? ?\d+\)[.]?",
    (
        r"(?:\*{0,2}note:?\*{0,2} )?(?:these|the (?:above )?(?:texts|statements|implications)|i) (?:are |have )?(?:all )?"
        r"(?:based|derived|inferred|drawn|written)\b[^.]*(?:the passage|the text|above)[.]?"
    ),
    r"\W*end of (?:the )?(?:texts|statements|implications|list|response|output|answer)\W*",
)
_BEHIND = re.compile(rf"(?:(?:{_TALK})+|{_any_of(*_REMARKS)})\Z", re.IGNORECASE)
_NOTHING = re.compile(
    r"\W*(?:null|none|nil|n/a|nan|undefined|true|false|done|finished|completed?|yes|no|todo|tbd|redacted|placeholder"
    r"|(?:(?:http )?(?:error )?[45]\d\d:? )?(?:internal server error|bad gateway|service unavailable|gateway time-?out"
    r"|too many requests|not found|forbidden|unauthorized|bad request)|error(?:: .{1,300})?)\W*\Z",
    re.IGNORECASE,
)
_THINKING = re.compile(
    r"\W*(?:(?:my |the )?(?:thinking|thought|reasoning) process|chain of thought|inner monologue|scratchpad)\W*\Z",
    re.IGNORECASE,
)


def without_talk(text: str) -> str:
    """The text without the words to the user around it.

    Args:
        text: a reply.

    Returns:
        Empty if the reply is talk from end to end, begins with the heading of a thought, or says in a word or as a server's
        error that there is no text.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    if (len(lines) == 1 and _NOTHING.match(lines[0])) or (lines and _THINKING.match(lines[0])):
        return ""
    rest = ""
    while lines and not (rest := _after_talk(lines[0])):
        del lines[0]
    if not lines:
        return ""
    lines[0] = rest
    while len(lines) > 1 and len(lines[-1]) <= MAX_CHARACTERS and _BEHIND.match(_plain(lines[-1])):
        del lines[-1]
    return "\n".join(lines)


def _after_talk(line: str) -> str:
    """What is left of a line without the sentences of talk with which it begins."""
    if len(line) > MAX_CHARACTERS:
        return line
    plain, position = _plain(line), 0
    while position < len(plain) and (found := _BEFORE.match(plain, position)):
        position = found.end()
    return line[position:]


def _plain(line: str) -> str:
    return line.replace("\u2019", "'")
