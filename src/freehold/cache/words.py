"""Words of English that `guard` knows something about. Data only; written for this project.

Whatever is not here counts as a word that must stand in both questions.
"""

from __future__ import annotations

import re


def _groups(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines() if line]


_STOP = """
a an the this that these those my your his her its our their me i you he she it we they us them is are was
were be been being am do does did done doing have has had having will would shall should can could may
might must please kindly just really actually basically simply exactly so very also some any there here of
and or hey hi hello thanks thank ok okay well now then one someone somebody people person anyone everyone
something thing things kind sort let lets want need like know wonder wondering curious about tell give
show explain describe help question answer quick quickly briefly short shortly concise get got go going if
whether as which what whats how when where who why whose whom way ways possible possibly happen happens
happened occur occurs occurred take takes took calculate compute determine
"""
STOP = frozenset(_STOP.split())
"""Words that carry no fact. Those with a fact in them (question words, ways of asking) are read before."""

_NEGATIONS = """
not no never none neither nor nothing nobody nowhere without except excluding cannot unless lacking lack
avoid avoiding stop prevent preventing rather instead only but other else
"""
NEGATIONS = frozenset(_NEGATIONS.split())

_NUMBERS = """
zero=0 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 twelve=12 thirteen=13
fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18 nineteen=19 twenty=20 thirty=30 forty=40
fifty=50 sixty=60 seventy=70 eighty=80 ninety=90 hundred=100 thousand=1000 million=1000000
billion=1000000000 dozen=12 half=0.5
"""
NUMBERS = {word: value for word, _, value in (pair.partition("=") for pair in _NUMBERS.split())}
"""`one` is no number: it stands for anything ("which one")."""

_UNITS = """
km kilometer kilometers kilometre kilometres kms
m meter meters metre metres
cm centimeter centimeters centimetre centimetres
mm millimeter millimeters millimetre millimetres
mi mile miles
ft foot feet
inch inches
yd yard yards
kg kilo kilos kilogram kilograms kgs
g gram grams gramme grammes
mg milligram milligrams
lb lbs pound pounds
oz ounce ounces
l liter liters litre litres
ml milliliter milliliters millilitre millilitres
gal gallon gallons
c celsius centigrade °c
f fahrenheit °f
k kelvin
% percent pct
s sec secs second seconds
ms millisecond milliseconds
min mins minute minutes
h hr hrs hour hours
d day days
wk week weeks
mo month months
y year years yr yrs
b byte bytes
kb kilobyte kilobytes
mb megabyte megabytes
gb gigabyte gigabytes
tb terabyte terabytes
usd $ dollar dollars
eur € euro euros
gbp £ sterling
w watt watts
kw kilowatt kilowatts
v volt volts
hz hertz
mph
kmh km/h kph
"""
UNITS = {form: group[0] for group in _groups(_UNITS) for form in group}
"""Spellings of units, behind a number or as words of their own, by the first of their line."""

_SAME = """
create make build generate produce construct built made constructed
remove delete erase drop
fix repair solve resolve
start begin launch
buy purchase bought purchased
change modify alter edit
reset recover restore
find locate
large big huge
largest biggest
smallest tiniest
small little tiny
fast quick rapid speedy
difference distinction differ different compare comparison versus vs distinguish
advantage benefit pro upside
disadvantage drawback con downside
error mistake bug
summary summarize summarise overview recap
example sample instance
picture image photo photograph
movie film
car automobile
doctor physician
job occupation profession
cancel terminate
connect link
install setup
configure set
verify check validate confirm
combine merge join
split divide separate
shop store
show display
cause reason lead
invent inventor
write author wrote written writer
found founder establish founded
discover discoverer
paint painter painted
transform convert conversion turn turned
translate translation
population inhabitant
work function operate
use utilize utilise employ
improve enhance
lower reduce decrease
raise increase
sign symptom
cure treat treatment remedy
city town
country nation
company firm
list array
dict dictionary
phone telephone
child kid children
baby infant
rule regulation
learn study
cook prepare
refund reimbursement reimburse
password passcode
address location
document doc
sign-up register registration
email mail
video clip
"""
SAME = {form: group[0] for group in _groups(_SAME) for form in group}
"""Words that mean the same wherever it matters, by the first of their line."""

_OPPOSITES = """
increase/decrease raise/lower rise/fall up/down left/right top/bottom first/last begin/end start/stop
open/close enable/disable allow/deny allow/block add/remove insert/remove insert/delete add/subtract
multiply/divide encode/decode encrypt/decrypt compress/decompress zip/unzip import/export upload/download
push/pull push/pop read/write input/output send/receive buy/sell lend/borrow win/lose minimum/maximum
min/max smallest/largest shortest/longest lowest/highest least/most fewer/more less/more worst/best
cheapest/expensive cheap/expensive oldest/newest old/new old/young youngest/oldest slow/fast
slowest/fastest cold/hot cool/warm heat/cool freeze/melt ascending/descending asc/desc forward/backward
forwards/backwards horizontal/vertical row/column rows/columns before/after above/below over/under
inside/outside internal/external public/private local/remote true/false even/odd positive/negative
plus/minus profit/loss gain/lose mother/father son/daughter brother/sister husband/wife king/queen
male/female man/woman men/women boy/girl morning/evening day/night summer/winter spring/autumn north/south
east/west northern/southern eastern/western sunrise/sunset birth/death born/died alive/dead marry/divorce
hire/fire join/leave enter/exit arrive/depart arrival/departure lock/unlock pack/unpack mount/unmount
attach/detach subscribe/unsubscribe follow/unfollow install/uninstall do/undo upgrade/downgrade acid/base
advantage/disadvantage pro/con strength/weakness source/target sender/receiver client/server
frontend/backend singular/plural active/passive past/future past/present yesterday/tomorrow today/tomorrow
today/yesterday early/late earlier/later easy/hard easy/difficult safe/dangerous legal/illegal
healthy/unhealthy sunny/rainy wet/dry thick/thin wide/narrow deep/shallow heavy/light dark/light hard/soft
rich/poor strong/weak full/empty parent/child prefix/suffix uppercase/lowercase sync/async
synchronous/asynchronous serial/parallel head/tail front/back next/previous inner/outer static/dynamic
mutable/immutable synonym/antonym hypo/hyper hypothermia/hyperthermia inflation/deflation credit/debit
asset/liability revenue/expense gross/net lunch/dinner breakfast/dinner include/exclude with/without
same/different accept/reject approve/reject agree/disagree like/dislike love/hate convert/revert
commit/revert sign-in/sign-out sign-up/sign-in monthly/yearly weekly/monthly daily/weekly annual/monthly
winner/loser victory/defeat
"""
OPPOSITES = tuple(frozenset(pair.split("/")) for pair in _OPPOSITES.split())

_SOFT = """
best good better great easy easiest simple simplest correct correctly proper properly right main important
common typical usual normal basic general various several many much more most often usually make use find
work try start keep put bring hold come look see say ask think feel seem become turn provide offer include
contain consist involve require mean cause lead result affect effect handle deal manage perform carry
achieve accomplish do reach apply method approach technique process procedure step steps instructions
guide tutorial tip tips advice idea ideas suggestion suggestions recommend recommendation option options
choice choices trick reason reasons causes purpose point detail details information info fact facts
overview introduction intro brief short list example examples type types form forms part parts currently
today nowadays current actually typically generally roughly approximately around possible available able
allowed supposed
"""
SOFT = frozenset(_SOFT.split())
"""Where a model judges meaning, these may stand in one question only."""

_MEASURES = {
    "q-height": "how tall|how high|height",
    "q-size": "how big|how large|size",
    "q-speed": "how fast|speed|velocity",
    "q-depth": "how deep|depth",
    "q-weight": r"how heavy|weight|how much (?:does|do|did) (?=.*\bweigh)|weigh",
    "q-far": "how far|distance",
    "q-often": "how often|how frequently|frequency",
    "q-warm": "how hot|how cold|how warm|at what temperature|temperature",
    "q-long": "how long|length|duration|period",
    "q-old": "how old|at what age|what age|age",
    "q-cost": "how much money|how expensive|how costly|cost|costs|price|prices|expense|expenses",
    "q-many": "the number of|what amount of|amount of|count of|how many|how much|population",
    "q-mean": "what is the meaning of|meaning|mean|means|definition|define|signify",
}
PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])"), f" {word} ")
    for pattern, word in (
        (r"log ?in|sign ?in|log-in|sign-in|log into|sign into", "sign-in"),
        (r"log ?out|sign ?out|log-out|sign-out|log off", "sign-out"),
        (r"sign ?up|sign-up", "sign-up"),
        (r"set ?up|set-up", "install"),
        (r"get rid of", "remove"),
        (r"turn (?:it |them )?off|switch (?:it |them )?off|shut (?:it |them )?off|shut down", "disable"),
        (r"turn (?:it |them )?on|switch (?:it |them )?on", "enable"),
        (r"upper ?case|upper-case|capital letters|all caps", "uppercase"),
        (r"lower ?case|lower-case|small letters", "lowercase"),
        (r"back ?up|back-up", "backup"),
        (r"e-mail", "email"),
        (r"into", "to"),
        (r"(?:can|could|would|will) you (?:please )?(?:tell|give|show|explain|help)(?: me)?", ""),
        (r"(?:i (?:would|'d) like|i want|i need|allowed|able|going|trying|want|need|have) to", ""),
        (r"how much (?:is|are)(?= -?\d)", ""),
        (r"which person|what person|whom|who", "q-who"),
        (r"how come|for what reason|what is the reason|what are the reasons|the reason", "q-why"),
        (r"what (?:is|are) the causes? of|what causes|what caused|what makes|what made|why", "q-why"),
        *((pattern, word) for word, pattern in _MEASURES.items()),
        (r"what time(?! is it)", "q-when"),
        (r"what time", "q-time"),
        (r"^(?:list|name|enumerate|state) (?:all )?(?:of )?the", "which"),
        (r"how (?:do|does|did)(?= .*\bdiffer\b)", ""),
        (r"(?:in |on )?(?:what|which) (?:year|date|day)|when (?=is|are|was|were|did|do|does|will)", "q-when"),
        (r"(?:in|at) (?:what|which) place|where", "q-where"),
        (
            r"how (?:do|can|could|would|should|might|to|does|did|must|is|are) "
            r"(?:i|we|you|one|someone|people)?|"
            r"(?:what (?:is|are) )?(?:the |a |some )?(?:best |right |correct |proper |easiest |simplest )?"
            r"(?:way|ways|steps|method|procedure|instructions|guide) (?:to|of|for)|"
            r"is there (?:a|any) way to|in (?:what|which) way|"
            r"what do i (?:have|need)(?: to do)? to|what should i do to|"
            r"how (?:i|we|you) (?:can|could|should)|how",
            "q-how",
        ),
        (r"(?:can|could|may|might) (?:i|we|you)|is it possible to", "q-can"),
    )
)
"""Ways of asking, each as one word. The order counts."""
