"""English words that rules of grammar have to know: small words by class, common verbs with their irregular forms, units."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


ARTICLES: Final = words("a an the")
POSSESSIVES: Final = words("his her its their my our your whose")
DETERMINERS: Final = ARTICLES | words(
    """this that these those each every some any no another both all either neither such several many few much most more
    less half"""
)
PREPOSITIONS: Final = words(
    """of in on at by for with from to into onto upon about against between among amongst during before after since until
    till through throughout over under above below across along around near behind beyond within without toward towards
    via per despite except like as than inside outside off out beside besides concerning regarding following including
    amid opposite alongside up down round past plus versus"""
)
CONJUNCTIONS: Final = words("and or but nor yet")
SUBORDINATORS: Final = words(
    """that which who whom when while where because although though if unless whereas whether how why what wherein whereby"""
)
SUBJECT_PRONOUNS: Final = words(
    "he she it they we you i one someone somebody everyone everybody nobody anyone anybody there nothing"
)
OBJECT_PRONOUNS: Final = words("him her it them us me himself herself itself themselves ourselves others")
REFERRING: Final = words("he she it they this these that those")
"""Pronouns that stand for something that was named before."""

BE: Final = words("be is are was were been being am")
HAVE: Final = words("have has had having")
DO: Final = words("do does did")
MODALS: Final = words("will would can could may might must shall should cannot")
ADVERBS: Final = words(
    """not also then now often soon later still always never already just only even ever once again together today here
    there first very quite too almost approximately roughly nearly mostly usually sometimes perhaps instead thus
    therefore hence however moreover furthermore afterwards thereafter meanwhile indeed rather away back far well abroad
    ago further otherwise elsewhere twice somewhat altogether so alone ahead forward forwards likewise"""
)
NOT_ADVERBS: Final = words(
    """family only early daily friendly likely lonely lovely monthly yearly weekly elderly holy ugly july italy assembly
    supply reply anomaly monopoly ally bully belly rally fly apply rely comply multiply imply butterfly homily lily
    sicily"""
)

ADJECTIVES: Final = words(
    """old new young good bad great small large big little long short high low early late own other same different first
    second third last next main major minor important famous modern ancient common rare public private local national
    international political military royal natural human social economic full empty free open closed rich poor strong
    weak hard soft light dark bright dull pale deep wide narrow thick thin heavy hot cold warm cool dry wet raw sweet
    sour bitter salty fresh salted dried red blue green yellow black white grey gray brown pink purple orange golden
    silver wooden true false real whole single double triple foreign general special certain various several similar
    former current present recent previous original primary secondary traditional popular successful able ready sure
    likely responsible independent separate available possible impossible necessary final total complete formal official
    legal medical physical chemical religious civil central northern southern eastern western left right top bottom
    inner outer upper lower best worst better worse largest smallest highest only lowest oldest youngest greatest
    longest earliest latest quiet loud close clean clear broken alive dead fair safe simple smooth"""
)
ADJECTIVE_ENDINGS: Final = ("ous", "ful", "ive", "able", "ible", "less", "ish", "ical", "ian", "ary", "ic", "al", "ese")
NOUNS_LIKE_ADJECTIVES: Final = words(
    """festival rival trial proposal animal hospital metal capital material signal journal arrival survival approval
    mineral meal deal goal coal canal manual musical individual cathedral ritual criminal total goal initiative
    perspective objective detective archive native executive representative alternative library dictionary secretary
    salary diary boundary anniversary contrary summary january february territory music magic republic traffic topic
    clinic fabric critic mechanic logic comic arctic attic vehicle table cable fish dish wish librarian musician
    politician physician historian guardian table bible missionary"""
)

NUMBER_WORDS: Final = words(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion
    dozen"""
)
MONTHS: Final = words("january february march april may june july august september october november december")
DAYS: Final = words("monday tuesday wednesday thursday friday saturday sunday")
TIME_NOUNS: Final = words(
    """year years month months week weeks day days hour hours minute minutes second seconds century centuries decade
    decades morning evening night afternoon spring summer autumn winter age era period time season moment date reign
    lifetime"""
)
UNITS: Final = words(
    """year years month months week weeks day days hour hours minute minutes second seconds century centuries decade
    decades metre metres meter meters kilometre kilometres kilometer kilometers mile miles foot feet inch inches yard
    yards km m cm mm gram grams kilogram kilograms kg pound pounds ton tons tonne tonnes litre litres liter liters
    gallon gallons hectare hectares acre acres degree degrees percent per watt watts volt volts dollar dollars euro
    euros coin coins cent cents pence shillings franc francs yen knots barrels bushels kelvin"""
)
LENGTH_OF_TIME: Final = words(
    """year years month months week weeks day days hour hours minute minutes second seconds decades centuries"""
)
APPROXIMATE: Final = words(
    """about approximately roughly nearly almost around just under over only exactly circa some estimated up to at least
    most more less fewer than"""
)
PLACE_PREPOSITIONS: Final = words("in at near on from to into across throughout inside outside within beside")
MOTIONS: Final = words(
    """go come move travel return sail send take bring lead flee arrive extend stretch run march walk fly ship migrate
    emigrate immigrate transfer relocate spread flow drive retreat withdraw escape carry transport deliver visit
    originate begin start"""
)
"""Verbs after which "to" and "from" say where."""
PLACE_NOUNS: Final = words(
    """town city village island country valley river sea lake hill hills mountain mountains region province state kingdom
    empire port street square district county capital continent ocean coast desert forest field fields north south east
    west northeast northwest southeast southwest area world bay harbour harbor garden house palace castle church school
    university building park station museum hospital room market land border borough suburb parish territory colony
    republic"""
)
ATTRIBUTES: Final = words(
    """colour color size shape name title height length width weight depth age price cost value language religion taste
    smell voice material population number speed temperature nationality date year sex gender origin type kind sort
    style genre"""
)
PERSON_NOUNS: Final = words(
    """man woman king queen prince princess emperor empress president minister pope bishop saint hero heroine captain chief
    scientist artist musician physicist chemist mathematician historian novelist scholar architect engineer general
    admiral soldier poet monk nun priest knight lord lady duke earl count husband wife son daughter father mother
    brother sister uncle aunt friend enemy rival partner pupil student teacher doctor nurse judge guard smith guest
    person people child children boy girl champion boss apprentice ceo chairman governor mayor senator director
    professor actor actress author player"""
)
PERSON_TITLES: Final = words(
    """mr mrs ms miss dr sir st saint lord lady king queen prince princess emperor empress president pope bishop archbishop
    cardinal general colonel major captain lieutenant sergeant admiral professor prof judge justice senator governor
    mayor chancellor duke earl count countess baron rev reverend father sultan tsar caliph sheikh premier ambassador"""
)
GROUP_NOUNS: Final = words(
    """company corporation committee council court church university college school institute museum party union league
    army navy police government parliament congress senate ministry department agency bank press network channel team
    club band orchestra society association federation group family dynasty empire republic states kingdom nation army
    corps act treaty law code war battle revolution game games cup bowl series show album song film book bible times
    post journal magazine street avenue road river lake sea ocean mountain mountains island islands park bridge tower
    hall house palace castle station airport valley bay city county province region district town desert forest coast
    theory theorem equation award prize program project plan bill system model directive regulation rules oil gas steel
    motors airlines records studios pictures entertainment media holdings agreement conference association bureau board
    foundation fund trust inc ltd corp co century age era period day"""
)
HUMAN_VERBS: Final = words(
    """write invent found build lead own discover teach marry paint say argue order design compose create direct establish
    start begin make lay draw sign keep find tell think believe claim propose suggest note publish study learn win play
    lose sing act work live die kill marry visit travel move settle rule govern command sail honour honor help love hate
    wear speak want ask explain describe prove develop introduce declare announce sell buy purchase acquire launch
    publish conquer defeat appoint elect crown translate edit produce"""
)
NO_PASSIVE: Final = words(
    """be have become seem appear remain cost weigh last lack resemble suit fit go come get stay happen begin start end
    stand live die include say form marry contain belong consist mean need want like walk fall rise sit lie arrive
    depart take"""
)

_REGULAR = """
accept access accompany accomplish account accuse achieve acknowledge acquire act add address adjust admire admit adopt
advance advise affect afford agree aid aim allow alter amend amount analyse analyze announce annoy answer anticipate
appeal appear apply appoint appreciate approach approve argue arrange arrest arrive ask assassinate assert assess assign
assist associate assume assure attach attack attain attempt attend attract attribute author avoid award ban base bathe
battle begin behave believe belong benefit blame block board boast boil borrow bother bounce bow brake breathe broaden
brush burn bury calculate call campaign cancel capture care carry carve cause cease celebrate censure challenge change
characterize charge chase check cheer choose circulate cite claim clarify classify clean clear climb close coin
collaborate collapse collect colonize combine command commemorate comment commission commit communicate compare compete
compile complain complete complicate comply compose comprise compute conceive concentrate concern conclude condemn conduct
confer confess confine confirm confront confuse connect conquer conserve consider consist constitute construct consult
consume contain contend contest continue contract contrast contribute control convert convey convince cook cool cooperate
coordinate copy correct correspond count couple cover crash create criticize cross crown cry culminate cultivate cure
damage dance date deal debate decide declare decline decorate decrease dedicate defeat defend define defrock delay
delegate deliver demand demonstrate deny depart depend depict deploy derive describe deserve design designate desire
destroy detect determine develop devise devote die differ digest direct disappear disband discontinue discover discuss
disguise dismiss display dispute dissolve distinguish distribute disturb divide divorce dominate donate double drag drain
dress drop earn ease echo edit educate elect eliminate embrace emerge emit emphasize employ enable enact encounter
encourage end endorse endure enforce engage enhance enjoy enlarge enrich enroll enslave ensure enter entertain equip erect
escape establish estimate evaluate evolve examine exceed exchange execute exercise exert exhibit exist expand expect expel
experience explain exploit explore export expose express extend extract face facilitate fail fascinate favor favour fear
feature fill film finance finish fire fit fix float flourish flow focus fold follow force form formulate found frame fuel
fulfil fulfill function fund gain gather generate govern grant greet guarantee guard guess guide halt hand handle happen
harm headline heal heat help hesitate hire honor honour hope host house hunt identify ignore illustrate imagine impact
implement imply import impose impress imprison improve include incorporate increase indicate induce influence inform
inhabit inherit initiate injure inspire install institute instruct insult integrate intend interact interest interpret
introduce invade invent invest investigate invite involve isolate issue join judge jump justify kick kill kiss knock label
lack land last laugh launch learn lease legalize license lift like limit link list listen live load locate lock look love
lower maintain manage manufacture mark marry match matter measure meet melt mention merge migrate miss mix mobilize modify
monitor mount move multiply murder name need neglect negotiate nominate note notice number obey object oblige observe
obtain occupy occur offer open operate oppose orbit order organise organize orient originate outline overlap overlook own
pack paint park participate pass patent pause perform permit persuade petition pick place plan plant play point possess
post pour power practice practise praise pray precede predict prefer prepare prescribe present preserve press presume
prevail prevent price print proceed process proclaim produce prohibit project promise promote propose prosecute protect
protest prove provide publish pull punish purchase purify pursue push qualify question raid raise range rank rate reach
react realise realize rebuke recall receive recognise recognize recommend record recover recruit recycle reduce refer
refine reflect reform refuse regard register regulate reign reinforce reject relate relax release relocate rely remain
remark remember remind remove render renew rent repair repeat replace reply report represent reproduce request require
rescue resemble reserve reside resign resist resolve respond rest restore restrict result resume retain retire retreat
return reveal reverse review revise revive revolt reward risk rob rotate rule rush sail satisfy save schedule score scream
search secure select separate serve settle share shelter shift ship shock shop shout sign signal sit slow smell smoke
soften solve sound spell split sponsor spot stabilize staff stage star stare start starve state stay step stimulate stop
store strengthen stress stretch struggle study submit succeed suffer suggest suit supervise supply support suppose
suppress surprise surrender surround survive suspect suspend sustain switch symbolize talk target taste tax tend test
thank threaten tie touch tour trace trade train transfer transform translate transmit transport travel treat trigger trip
trust try turn undertake unify unite update urge use utilize vaccinate value vanish vary view violate visit vote wait walk
want warn wash waste watch weigh welcome wish wonder work worry worship wound yield
"""
_IRREGULAR = """
arise/arose/arisen awake/awoke/awoken bear/bore/borne beat/beat/beaten become/became/become begin/began/begun
bend/bent/bent bind/bound/bound bite/bit/bitten bleed/bled/bled blow/blew/blown break/broke/broken breed/bred/bred
bring/brought/brought broadcast/broadcast/broadcast build/built/built burst/burst/burst buy/bought/bought cast/cast/cast
catch/caught/caught choose/chose/chosen come/came/come cost/cost/cost creep/crept/crept cut/cut/cut deal/dealt/dealt
dig/dug/dug draw/drew/drawn drink/drank/drunk drive/drove/driven eat/ate/eaten fall/fell/fallen feed/fed/fed
feel/felt/felt fight/fought/fought find/found/found flee/fled/fled fly/flew/flown forbid/forbade/forbidden
forget/forgot/forgotten forgive/forgave/forgiven freeze/froze/frozen get/got/got give/gave/given go/went/gone
grow/grew/grown hang/hung/hung hear/heard/heard hide/hid/hidden hit/hit/hit hold/held/held hurt/hurt/hurt keep/kept/kept
know/knew/known lay/laid/laid lead/led/led leave/left/left lend/lent/lent let/let/let lie/lay/lain lose/lost/lost
make/made/made mean/meant/meant meet/met/met pay/paid/paid put/put/put quit/quit/quit read/read/read ride/rode/ridden
ring/rang/rung rise/rose/risen run/ran/run say/said/said see/saw/seen seek/sought/sought sell/sold/sold send/sent/sent
set/set/set shake/shook/shaken shine/shone/shone shoot/shot/shot show/showed/shown shrink/shrank/shrunk shut/shut/shut
sing/sang/sung sink/sank/sunk sit/sat/sat sleep/slept/slept speak/spoke/spoken spend/spent/spent split/split/split
spread/spread/spread spring/sprang/sprung stand/stood/stood steal/stole/stolen stick/stuck/stuck strike/struck/struck
strive/strove/striven swear/swore/sworn sweep/swept/swept swim/swam/swum swing/swung/swung take/took/taken
teach/taught/taught tear/tore/torn tell/told/told think/thought/thought throw/threw/thrown
understand/understood/understood undergo/underwent/undergone undertake/undertook/undertaken wake/woke/woken wear/wore/worn
weave/wove/woven win/won/won withdraw/withdrew/withdrawn write/wrote/written overcome/overcame/overcome
oversee/oversaw/overseen overthrow/overthrew/overthrown rebuild/rebuilt/rebuilt retell/retold/retold do/did/done
have/had/had be/was/been
"""
_DOUBLED = words(
    """admit ban commit compel confer control cram defer drag drop equip expel fit flip grab infer knit map occur omit
    permit pin plan plot prefer refer regret rob rub scan ship shop skip slip snap spot star stem step stop strip submit
    tap transfer transmit trap trim trip wrap rebel propel patrol excel begin run sit win cut set put hit let get shut
    swim dig spin quit bet wed beg hug nod jog"""
)
AMBIGUOUS_NOUNS: Final = words(
    """list name place face hand form state order number house work use report result study view need time land water fire
    cause charge change claim control cover deal demand design effect end force guard help hope host issue judge light
    limit link market measure note offer park part plan plant play point post power present press price print process
    project promise purchase question range rank rate record release rest return review risk rule sail score search
    share ship sign sound stage star start stop store stress support surprise target tax test tie tour trade train
    transfer transport travel treat trip trust turn value visit vote walk watch wish wonder wound yield mark match
    matter object mind model address advance appeal attack attempt award base battle benefit block board campaign care
    challenge command comment concern conduct contact contest contract contrast copy count couple crash cross damage
    dance date debate decline decrease defeat delay desire display dispute double dress drop drink echo estimate
    exchange exercise experience export express fall favor favour fear feature feed fight figure file film finance flow
    focus fold function fund gain grant guide harm head heat hunt impact import increase influence interest lack lead
    lift load lock look love map march master meet mix move murder own pack paint parent pass patent pause permit phase
    pick practice protest pull push raid reach reform regard request rescue reserve respect reward ride rise run rush
    sale set shape shift shock shop show sit sleep smell smoke split sport spread spring staff stand step strike
    struggle supply switch talk taste thank threat touch trace track wait wash waste wave weight win author coin star
    bow well mean means figure people rival cook captain head top long present close open clear clean cool dry slow
    lower live like found left saw ring cost account estimate bear felt bound last second fit back spot burn cut hit
    hold hurt let put read shut beat"""
)
"""Verbs that are as often nouns or adjectives: they need a hint to be verbs."""


def _past(base: str) -> str:
    if base.endswith("e"):
        return f"{base}d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return f"{base[:-1]}ied"
    return f"{base}{base[-1]}ed" if base in _DOUBLED else f"{base}ed"


def _ing(base: str) -> str:
    if base.endswith("ie"):
        return f"{base[:-2]}ying"
    if base.endswith("e") and not base.endswith(("ee", "ye", "oe")) and base != "be":
        return f"{base[:-1]}ing"
    return f"{base}{base[-1]}ing" if base in _DOUBLED else f"{base}ing"


def third_person(base: str) -> str:
    """The form with he, she, it: "carries"."""
    special = {"be": "is", "have": "has", "do": "does", "go": "goes"}
    if base in special:
        return special[base]
    if base.endswith("y") and base[-2] not in "aeiou":
        return f"{base[:-1]}ies"
    return f"{base}es" if base.endswith(("s", "x", "z", "ch", "sh")) else f"{base}s"


_TABLE: dict[str, tuple[str, str]] = {
    base: (past, part) for base, past, part in (line.split("/") for line in _IRREGULAR.split())
}
VERBS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {base: (_past(base), _past(base)) for base in _REGULAR.split() if base not in _TABLE} | _TABLE
)
"""Base form -> (simple past, past participle)."""


def _forms() -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for base, (past, part) in VERBS.items():
        for form, kind in (
            *((base, "base"), (third_person(base), "s"), (past, "past"), (part, "part"), (_ing(base), "ing")),
        ):
            found.setdefault(form, []).append((base, kind))
    found["born"] = [("bear", "part")]
    return {form: tuple(kinds) for form, kinds in found.items()}


VERB_FORMS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(_forms())
"""Form -> every (base form, kind) that it can be; kinds are base, s, past, part and ing."""
