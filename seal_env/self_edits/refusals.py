"""Replies by which a model declines, so that they are not learned as if they were texts about a passage.

What is left out: everything that is not surely a refusal. A reply is one if it has at most MAX_LINES lines and its first
sentence says, in the first person, that the writer cannot or will not do what was requested: an inability followed by a
verb of service ("help with", "assist", "comply", "provide"), the words "as an AI", or that no tool or text is there. A text
that quotes such a sentence, or says in the first person that something else is impossible, is a text like any other.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LINES: Final = 4

_SORRY = r"(?:(?:i[ ]am|i'm)[ ](?:\w+[ ])?(?:sorry|afraid)|sorry|apologies|my[ ]apologies|i[ ]apologi[sz]e|unfortunately)"
_CANNOT = (
    r"i(?:[ ](?:can't|cannot|can[ ]not|won't(?:[ ]be[ ]able[ ]to)?|will[ ]not(?:[ ]be[ ]able[ ]to)?"
    r"|am[ ]unable[ ]to|am[ ]not[ ](?:able|allowed|permitted|going)[ ]to)"
    r"|'m[ ](?:unable|not[ ](?:able|allowed|permitted|going))[ ]to)(?:[ ]\w+ly)?"
)
_REQUEST = (
    r"(?:(?:with[ ])?(?:that|this|these|those|it|your|you|the|such|any)"
    r"|(?:content|information|texts?|statements?|implications)\b)"
)
_SERVE = (
    rf"(?:(?:assist|comply)\b|help(?:[.!]|$)|help[ ](?:with[ ]{_REQUEST}|you(?:[ ]with|[.!]|$))"
    rf"|(?:engage|continue|proceed)[ ]with[ ]{_REQUEST}"
    r"|(?:respond[ ]to|fulfil+|answer|provide|write|create|generate|produce|complete|process|perform|do|discuss|share"
    rf"|summari[sz]e|rewrite|support)[ ]{_REQUEST})"
)
_DECLINE = (
    r"(?:i[ ](?:must|have[ ]to|will[ ]have[ ]to|need[ ]to)[ ](?:\w+[ ])?(?:decline|refuse)"
    rf"|i[ ](?:\w+[ ])?(?:decline|refuse)(?:[.!]|$|[ ]to[ ]{_SERVE})"
    r"|i(?:'m|[ ]am)[ ]not[ ]comfortable[ ](?:with[ ](?:this|that)"
    r"|(?:writing|providing|creating|generating|producing|helping|discussing)[ ](?:with[ ])?(?:this|that|such|the|any)))"
)
_AS_AN_AI = (
    r"as[ ]an?[ ](?:ai|artificial[ ]intelligence|(?:large[ ])?language[ ]model)\b[^.\n]{0,80}?"
    rf"(?:{_CANNOT}|i[ ]don't|i[ ]do[ ]not)"
)
_NO_TOOLS = (
    r"none of the (?:provided|given|available) (?:functions|tools)\b"
    r"|(?:there are|i have|i see) no (?:\w+ )?(?:functions|tools) (?:available|provided|that i|i can)\b"
    r"|the (?:provided|given|available) (?:functions?|tools?) (?:do|does|is|are|can|could)(?: not\b|n't\b|not\b)"
    r"|i (?:don't|do not) (?:currently )?have (?:access to )?(?:(?:any|the|these|those|such|your) )?"
    r"(?:(?:ability|capability) to\b|(?:tools?|functions?)(?:[.!]|$| (?:available|needed|to|for)))"
)
_TEXT = r"(?:passage|text|document|article|content|input|file)s?"
_SEEMS = r"(?:(?:it (?:seems|looks|appears)|i (?:notice|see))(?: like| that| as if)? )?"
_NO_TEXT = (
    rf"{_SEEMS}you (?:haven't|have not|didn't|did not|forgot to) (?:yet |actually )?"
    r"(?:provided?|shared?|included?|attach(?:ed)?|pasted?|give|given|sent|send)\b"
    rf"|{_SEEMS}(?:there(?: is|'s| was)|i see|i have) no {_TEXT}"
    r"(?:[.!]|$| (?:provided|given|here|attached|included|in (?:your|this|the) (?:message|prompt|request)"
    r"|to (?:work|analy[sz]e|summari[sz]e|rewrite)))"
    rf"|{_SEEMS}the {_TEXT} (?:is|got|seems to be|appears to be) (?:missing|empty|cut off|incomplete)(?:[.!]|$)"
    r"|(?:this|that|your|the) request (?:violates|goes against) (?:my|our)\b"
    rf"|{_SEEMS}no {_TEXT} (?:was|is|has been) (?:provided|given|attached|included|shared)\b"
    rf"|i (?:can't|cannot|don't|do not) (?:see|find|have|have access to) (?:the|any|a|your) {_TEXT}"
    r"(?:[.!]|$| (?:you|in your|to))"
    rf"|(?:to do (?:so|this|that), )?i(?:'ll| will|'d| would)? need (?:to see )?(?:the|your|a) {_TEXT}\b"
)
_OTHER_LANGUAGES = (
    r"(?:(?:es[ ])?tut[ ]mir[ ]leid|entschuldigung)[,.]?[ ](?:aber[ ])?(?:ich[ ]kann|(?:dabei|damit|das)[ ]kann[ ]ich)"
    r"|(?:je[ ]suis[ ])?désolée?[ ,]+(?:mais[ ])?je[ ]ne[ ]peux[ ]pas"
    r"|lo[ ](?:siento|lamento)[ ,]+(?:pero[ ])?no[ ]puedo"
    r"|desculp[ea][ ,]+(?:mas[ ])?(?:eu[ ])?não[ ]posso|mi[ ]dispiace[ ,]+(?:ma[ ])?non[ ]posso"
    r"|извините[ ,]+(?:но[ ])?я[ ]не[ ]могу"
    r"|(?:很|非常|十分)?抱歉[,，]?\s?(?:但)?我(?:无法|無法|不能)|(?:对不起|對不起)[,，]?\s?(?:但)?我(?:无法|無法|不能)"
    r"|(?:عذرًا|عذرا|آسف|أعتذر)[،, ]+(?:لكن )?(?:لا|لن) (?:أستطيع|يمكنني)|申し訳(?:ありません|ございません)が|죄송하지만"
)
_FIRST_SENTENCE = re.compile(
    rf"(?:{_SORRY}[ ,.!—-]*(?:but[ ])?)?+(?:{_CANNOT}[ ]{_SERVE}|{_DECLINE}|{_NO_TOOLS}|{_NO_TEXT})"
    rf"|{_AS_AN_AI}|{_OTHER_LANGUAGES}"
)
_APOLOGY_ONLY = re.compile(rf"{_SORRY}[ ,.!—-]*(?:but[ ])?(?:that|this)(?:[ ]is|'s)[ ](?:not[ ])?something[ ]i")


def is_refusal(text: str) -> bool:
    """Whether a reply is nothing but a refusal."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not 0 < len(lines) <= MAX_LINES:
        return False
    first = " ".join(lines[0][:400].replace("’", "'").lower().split())
    return bool(_FIRST_SENTENCE.match(first) or _APOLOGY_ONLY.match(first))
