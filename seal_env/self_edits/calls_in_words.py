"""Signs that a plain text is no text to learn: calls in no form that is read, made-up tags, and turns of a chat.

A text is searched as it is and as it reads without HTML entities, escapes, full-width letters and invisible characters.
What English says too is a sign only where it stands as code does: a tool's name in lower case as a label, in brackets, in
backquotes, beside "tool" or "function". What is left out: calls in sentences that name no tool ("I train the model now.").
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import get_args
from urllib.parse import unquote

from seal_env.self_edits.parse_calls import holds_a_call
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.tools.text.implications import IMPLICATIONS
from seal_env.tools.text.relations import RELATIONS
from seal_env.tools.text.rewrite import REWRITE
from seal_env.tools.text.self_qa import SELF_QA
from seal_env.types import Strategy

_TOOLS = (IMPLICATIONS, REWRITE, SELF_QA, RELATIONS, TRAINING, FINETUNE)
_NAMES = "|".join(tool.name for tool in _TOOLS)
_NO_ENGLISH = f"{FINETUNE.name}|{SELF_QA.name}"
_RARELY_ENGLISH = f"{IMPLICATIONS.name}|{REWRITE.name}|{_NO_ENGLISH}"
_FIELDS = [name for tool in _TOOLS for name in tool.arguments.model_fields]
_ARGUMENTS = "|".join(_FIELDS)
_IDENTIFIERS = "|".join(name for name in (*(tool.name for tool in _TOOLS), *_FIELDS, *get_args(Strategy)) if "_" in name)
_CALL = r"(?i:(?:call|invok|us|run|execut|trigger|issu)(?:ning|ing|es|ed|e|s)?+)"
_HTML = (
    "[abipqus]|em|hr|br|[uod]l|li|d[td]|t[rdh]|h[1-6]|div|pre|su[bp]|code|span|table|thead|tbody|caption|strong|blockquote"
    "|html|head|body|title|section|article|main|nav|header|footer|img|font|small|big|mark|center|cite|kbd|abbr|figure|label"
)

# No quantifier here can give back what it took, so that a match takes time in proportion to the line.
NAMES_A_TOOL = re.compile(
    rf"""\b(?:functions|default_api|tools)\.(?:{_NAMES})\b
    |\b(?:{_NAMES})(?:\.call)?+\((?:\s*+\w++\s*+[=:]|\s*+[\[{{"'*])
    |\b(?:{_NAMES})(?:[ ]*+[:=])?+\s*+[\[{{]\s*+["'{{]
    |\b(?:{_NAMES})\{{
    |["'](?:{_ARGUMENTS})["']\s*+:
    |\b(?:{_ARGUMENTS})\s*+[:=]\s*+[\[{{]\s*+["'{{]
    |</?(?:{_NAMES}|{_ARGUMENTS})\b[^<>\n]*+>
    |<(?:tool|function|invoke|parameter|argument)[\w ]*+[ =>]
    |<\w++>\s*+(?:functions\.)?+(?:{_NAMES})\s*+[(<]
    |\[/?+(?:END_)?+TOOL_\w*+\]
    |^[^\w\n]*+(?:(?:tool|function|action|command|api|method)(?:[ _](?:call|name|use))?+|name|call)
        [* ]*+[:=][* ]*+[\"'`*]*+(?:functions\.)?+(?:{_NAMES})\b[\"'`*()]*+[ \t]*+$
    |^[ \t]*+\[(?:{_NAMES})\][ \t]*+$
    |^[ \t]*+(?:[-*][ ]++)?+(?:\w++[ ]*+=[ ]*+)?+[`*\[]*+(?:functions\.)?+(?:{FINETUNE.name}|{SELF_QA.name})
        [`*.:;(){{}}\] ]*+[ \t]*+$""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
"""Calls of these tools in no form that is read: tags made up, YAML, a name on its own line, arguments in pieces of JSON."""

AS_CODE = re.compile(
    rf"""\b(?:{_IDENTIFIERS}|self-qa|(?:tool|function)_(?:calls?|use|name|input))\b
    |`(?:\w++\.)?+(?:{_NAMES})(?:`|\()
    |["'«](?:{_NAMES})["'»][ ]*+[:=,\])]|[:=,\[(][ ]*+["'«](?:{_NAMES})["'»]
    |\b\w++\.(?:{_NAMES})\(|\b(?:{_NAMES})\((?!e?+s?+\)|[ ])
    |\bprint\([^\n]{{0,40}}?\b(?:{_NAMES})\(
    |\b(?:{_NAMES})(?:[ ]--?+[a-z]|\.py\b)
    |\((?:{_NAMES})(?:\)|[ ]++["'(\[])
    |\|[ ]*+[`*]*+(?:{_NAMES})[`*]*+[ ]*+\|
    |[\[{{«](?:(?:{_CALL}|tool|function)[ :]++(?:the[ ])?+(?:(?:tool|function|call)[ :]++)?+)?+(?:{_NAMES})[ ]*+[:=(|}}»]
    |[\[{{«](?:{_CALL}|tool|function)[ :]++(?:the[ ])?+(?:(?:tool|function|call)[ :]++)?+(?:{_NAMES})\b
    |<[^<>=\n]*+=[ ]*+["']?+(?:{_NAMES})\b
    |\b(?:function|tool|name|action|command)[ ]?+=[ ]?+(?:{_NAMES})\b
    |(?:^[^\w\n]*+|[.:;>\])][ ]*+)(?:{_NO_ENGLISH})\b
    |(?<![A-Za-z0-9])(?:{_NO_ENGLISH})(?=[^\w\s(-]|_|[ \t]*+$)
    |^[ \t]*+(?:{_NAMES})[ ]*+(?:=>|->|[;|="“])
    |^[^\w\n#>"'*(•\-]++[ ]*+(?:{_NAMES})\b
    |^[ \t]*+(?:[-*•]|[0-9]++[.)])?+[ ]*+[*_]*+(?:{_NAMES}|{_ARGUMENTS})[*_]*+:
    |^[ \t]*+(?:from[ ]\w++[ ]import|import|def|await|return|async[ ]def)\b[^\n]*?\b(?:{_NAMES})\b
    |^[ \t]*+(?:Action|Call)\b[ \d]*+:[^\n]*?\b(?:{_NAMES})(?:\[|$)
    |(?:^|[.:;,][ ])(?i:calls?|call(?:ing)|invok(?:e|ing)|execut(?:e|ing)|run(?:ning)?)[ ](?:{_RARELY_ENGLISH})\b
    |\b(?:I|[Ww]e|[Ll]et[ ](?:me|us))\b[^.\n]{{0,25}}?\b{_CALL}[ ](?:the[ ])?+[`*"'“]*+(?:{_RARELY_ENGLISH})\b
    |(?<!\b[Tt]he[ ])\b{_CALL}[ ](?:the[ ])?+(?:(?:tool|function|command)[ ])?+[`*"'“]*+(?:{_NO_ENGLISH})\b
    |\b{_CALL}[ ](?:the[ ])?+(?:tool|function)s?+[ :]++[`*"'“]*+(?:{_NAMES})\b
    |\b{_CALL}[ ](?:the[ ])?+[`*"'“]*+(?:{_NAMES})[`*"'”]*+[ ](?:tool|function)\b
    |\b(?i:tool|function)[ _](?:call|use|name)s?+[ ]*+:[ ]*+[`*"']*+(?:{_NAMES})\b""",
    re.VERBOSE | re.MULTILINE,
)
"""The tools' names as they are written, in lower case, where they stand as in code or as what the writer calls."""

MARKS_OF_A_CHAT = re.compile(
    rf"""<[|\uff5c][^\s<>|\uff5c]{{1,60}}+[|\uff5c]>
    |<(?:start|end)_of_\w++>
    |<unused[0-9]++>
    |</?[a-z]++(?:_[a-z0-9]++)++[ ]*+/?+>
    |^[ \t]*+</?(?!(?:{_HTML})\b)[a-z]\w*+>[ \t]*+$
    |\A<(?!(?:{_HTML})\b)[a-z]\w*+>
    |\A<s>(?=\S)|</s>(?![ ][a-z])
    |<(?:pad|unk|eos|bos|mask|sep|cls|sop|eop|0x[0-9A-F]{{2}})>|\[g?(?:PAD|UNK|EOS|BOS|MASK|SEP|CLS)\]
    |\b(?:im_(?:start|end|sep)|eot_id|(?:start|end)_header_id|(?:start|end)_of_turn|endoftext)\b
    |\u2581|[a-z.,]\u0120[A-Za-z]
    |(?-i:\[/?(?:ACTION|CALL|FUNCTION|FUNC_CALL|TOOL)\])
    |\[\[[ ]*+\#\#|\#\#[ ]*+\]\]
    |\[/?+INST\]
    |</?(?:analysis|reflection|thoughts|plan|internal|inner_monologue|reasoning_\w++)>
    |<[ ]*+/?+[ ]*+think(?:ing)?+[ ]*+/?+>|\[/?+think(?:ing)?+\]
    |^(?-i:assistant|model|user|system)[ \t]*+$
    |^(?:GPT4[ ]Correct[ ])?+(?:Human|User|Assistant)[ ]?+:
    |^\#++[ ](?:Instruction|Response|Input|Output|Human|User|Assistant|System)s?+[ ]?+(?::|$)
    |^[^\w\n]*+Final[ ]Answer[* ]*+:
    |<(?:[/|\uff5c]?+(?:think|tool|func|invoke|parameter|seed:|minimax:)\w*+)\Z|\bfunctions\.\Z|\[/?+TOOL\w*+\Z""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
"""Special tokens of chat templates and turns of a chat, where a model went on with another one; tags in no known form."""

THOUGHT_IN_WORDS = re.compile(
    r"[^\w\n]*+(?:Thinking|Reasoning|Thoughts?|Chain[ -]of[ -][Tt]hought|Thought[ ][Pp]rocess)[*_: ]*+(?:\n|\b)"
)
ANSWER_IN_WORDS = re.compile(r"^[^\w\n]*+(?:Answer|Response|Output|Final[ ]\w++)(?:[*_ ]*+:|[*_ ]*+$)", re.MULTILINE)
"""Headings of a thought, with which a text begins, and of the answer after it."""

_CODE_POINT = re.compile(r"\\(?:u\{?+|x)((?<=x)[0-9a-fA-F]{2}|(?<=[u{])[0-9a-fA-F]{4})\}?+")
_BACKSLASH = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>/-])")


def sign_of_no_text(text: str) -> str:
    """The first sign that a text is no text to learn; empty if there is none."""
    as_read = _as_read(text)
    for each in (text, as_read) if as_read != text else (text,):
        found = NAMES_A_TOOL.search(each) or AS_CODE.search(each) or MARKS_OF_A_CHAT.search(each)
        if found:
            return found[0].strip()
    thought = THOUGHT_IN_WORDS.match(text)
    if thought and ANSWER_IN_WORDS.search(text, thought.end()):
        return thought[0].strip()
    return as_read.strip() if as_read != text and holds_a_call(as_read) else ""


def _as_read(text: str) -> str:
    """The text without entities and escapes, in the compatible form of Unicode, without invisible characters."""
    text = _CODE_POINT.sub(lambda found: chr(int(found[1], 16)), unquote(html.unescape(html.unescape(text))))
    return "".join(each for each in unicodedata.normalize("NFKC", _BACKSLASH.sub(r"\1", text)) if not _is_invisible(each))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf"
