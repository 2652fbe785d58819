"""British spelling as American, so that "colour" and "color" are one word.

Rules for endings that are regular, and a list for words that are not; it is meant for dictionary forms in small letters.
Words to which a rule does not apply may be changed as well ("devour"), but to nothing that is another word.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import regex

_ENDINGS: Final = tuple(
    (regex.compile(pattern), american)
    for pattern, american in (
        (r"(?<=[a-z]{3})our(?=$|s$|ab|ed|er|ful|hood|ing|ism|ist|ite|less|ly|s)", "or"),
        (r"(?<=[a-z]{3})is(?=e$|es$|ed$|er$|ers$|ing$|ation$|ations$|able$)", "iz"),
        (r"(?<=[a-z]{3})ys(?=e$|es$|ed$|er$|ers$|ing$)", "yz"),
        (r"(?<=[a-z]{3})(?<!timb)(?<=[bcght])re(s?)$", r"er\1"),
        (r"(?<=[a-z]{2})ogue(s?)$", r"og\1"),
        (r"(?<=[aeiou][b-df-hj-np-tvwxz]{1,3}[aeiou])ll(?=ed$|ing$|ings$|er$|ers$|or$|ors$|ous$)", "l"),
    )
)
_BEGINNINGS: Final = tuple(
    (regex.compile(british), american)
    for british, american in (
        ("aesth", "esth"),
        ("aemi", "emi"),
        ("haem", "hem"),
        ("paed", "ped"),
        ("gynae", "gyne"),
        ("archae", "arche"),
        ("palae", "pale"),
        ("mediae", "medie"),
        ("oestr", "estr"),
        ("foet", "fet"),
        ("oedema", "edema"),
        ("oesoph", "esoph"),
        ("rrhoea", "rrhea"),
        ("manoeuv", "maneuv"),
        ("amoeb", "ameb"),
        ("caesi", "cesi"),
        ("sulph", "sulf"),
        ("aeroplane", "airplane"),
        ("sceptic", "skeptic"),
        ("moustach", "mustach"),
        ("aluminium", "aluminum"),
        ("jeweller", "jeweler"),
    )
)
_PAIRS: Final = """
    grey/gray greyish/grayish tyre/tire cheque/check plough/plow mould/mold mouldy/moldy pyjamas/pajamas pyjama/pajama
    kerb/curb storey/story programme/program gaol/jail draught/draft defence/defense offence/offense licence/license
    pretence/pretense practise/practice judgement/judgment acknowledgement/acknowledgment ageing/aging
    jewellery/jewelry woollen/woolen fulfil/fulfill fulfilment/fulfillment enrol/enroll enrolment/enrollment
    skilful/skillful wilful/willful distil/distill instalment/installment axe/ax cosy/cozy doughnut/donut
    whisky/whiskey yoghurt/yogurt artefact/artifact omelette/omelet carat/karat learnt/learned whilst/while
    amongst/among towards/toward afterwards/afterward
"""
_WORDS: Final = dict(pair.split("/") for pair in _PAIRS.split())


@lru_cache(maxsize=65536)
def american(word: str) -> str:
    """The American spelling of a word in small letters."""
    if word in _WORDS:
        return _WORDS[word]
    for pattern, ending in (*_ENDINGS, *_BEGINNINGS):
        word = pattern.sub(ending, word)
    return word
