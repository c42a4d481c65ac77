"""What the tiny model's vocabulary is learned from: common words and punctuation runs, most frequent first.

Only the token count of English and JSON prompts depends on this list, never an answer. It was written
for prompts as coding agents send them (instructions, tool schemas), where it yields about three to four
characters per token. Changing it changes the generated file.
"""

from __future__ import annotations

COMMON = """
the to a of and in is for that it you or be on this with not if are as use by when an from at can any will
do tool file your have user code all only one no more use model command which other so they then them there
what should must may might who how into out up over under before after about but than its their these those
was were been being has had does did done would could shall we our us he she his her i me my new first last
same each every some many most such own just also very even still yet again once here where why while because
until unless between through during without within against per via both either neither nor like well back
way make made get got give given go going gone come take taken see seen know known think want need let keep
put set run running ran call called calls calling ask asked answer answers say said tell told show shown find
found look work works working worked start started starts stop stopped stops end ends ended begin change
changed changes changing add added adds adding remove removed create created creates creating delete deleted
read reads reading write writes writing written edit edits editing edited open opened close closed send sent
receive received return returns returned returning value values name names named type types string strings
number numbers integer boolean true false null object objects array arrays list lists item items key keys
property properties description required optional default defaults example examples additional parameters
parameter argument arguments function functions method methods class classes module modules package packages
import imports export exports variable variables path paths directory directories folder folders line lines
text content contents message messages request requests response responses result results output outputs
input inputs error errors fail failed fails failure failures success successful warning warnings exception
check checks checked test tests tested testing task tasks agent agents assistant system prompt prompts
session sessions context conversation tools commands shell terminal bash git branch commit commits push pull
merge repository project projects change version versions release server servers client clients service
services host port address network local remote url http https api json xml html yaml markdown config
configuration option options setting settings flag flags mode modes state status process processes thread
memory disk cpu gpu machine computer data database table tables row rows column columns query queries search
searches searching match matches matching pattern patterns regex replace filter sort order index limit count
size length time times timeout date day days hour hours minute minutes second seconds milliseconds current
previous next following above below left right top bottom full empty single multiple several few less least
large small big little long short high low fast slow early late old good better best bad worse worst right
wrong correct incorrect valid invalid available unavailable possible impossible specific general common
different similar important relevant necessary useful helpful safe secure security private public internal
external main base root source target build builds building compile install installed package update updated
updates updating upgrade download upload load loaded loading save saved store stored cache cached token tokens
permission permissions allow allowed allows deny denied block blocked access user users person people team
developer developers engineer software program programs application applications app apps web page pages site
browser window screen view display image images picture video audio sound voice color style format formats
formatted document documents documentation comment comments note notes plan plans step steps instruction
instructions rule rules guide guideline policy issue issues bug bugs fix fixes fixed problem problems
solution solutions question questions reason reasons cause causes effect purpose goal goals idea ideas way
ways thing things part parts piece pieces side point points place places case cases kind kinds form forms
group groups set sets level levels area areas world country city weather hello please thanks thank sorry yes
ok okay sure always never often sometimes usually already soon now today tomorrow yesterday later instead
directly exactly explicitly immediately automatically currently previously recently actually really simply
clearly carefully briefly generally typically especially particularly however therefore otherwise although
though whether rather too enough almost maybe perhaps probably likely unlikely ever else another others
someone anyone everyone something anything nothing everything somewhere anywhere everywhere two three four
five six seven eight nine ten hundred thousand million half double total average maximum minimum zero
include includes included including exclude contain contains containing provide provides provided providing
support supports supported require requires requiring expect expects expected ensure avoid prefer follow
follows following consider decide choose chosen select selected specify specified describe described
describes explain explained explains mean means understand understood learn learned remember remembered
report reports reported review reviews reviewed verify verified confirm confirmed complete completed
completes continue continued wait waits waiting finish finished happen happens happened become becomes
appear appears seem seems remain remains stay move moved moves moving copy copied paste rename renamed match
turn turns turned try tries tried trying help helps pass passed passes passing skip skipped ignore ignored
handle handled handles handling manage manages track tracked trigger triggers triggered launch spawn spawned
execute executed executes execution background parallel concurrent sequential schedule scheduled cron daily
weekly interval delay sleep wake notify notification notifications event events log logs logging debug trace
monitor metrics health live alive dead kill killed signal exit code exits stdin stdout stderr pipe stream
streams streaming chunk chunks buffer byte bytes bit bits character characters word words sentence sentences
paragraph section sections header headers footer title titles subject body tag tags label labels link links
reference references citation id ids uuid hash digest key secret secrets password passwords credential
credentials environment env variable home user root sudo admin owner group member members shared share
workspace worktree repo origin upstream downstream main master feature fork clone checkout rebase stash diff
patch conflict resolve resolved staged unstaged tracked untracked modified clean dirty history log blame
python javascript typescript java rust go ruby shell script scripts node npm pip docker container containers
image kubernetes cloud cluster instance instances deploy deployment deployments production staging
development environment pipeline workflow workflows job jobs worker workers queue queues lock locks locked
unlock retry retries attempt attempts fallback backoff rate limits quota budget cost costs price prices
billing usage account accounts provider providers vendor engine engines inference generate generated
generates generating generation sample sampling temperature train training weight weights layer layers
attention embedding embeddings vector vectors semantic similarity score scores rank ranked ranking cluster
schema schemas enum const items additionalProperties minItems maxItems minimum maximum minLength maxLength
oneOf anyOf allOf format uri dateTime nullable deprecated draft http schema org json properties type
description string required object array boolean integer number properties default
abstract accept according account achieve action actions active activity actual adapt adjust advance
advice affect again agree ahead alert align alternative ambiguous amount analysis analyze answer appropriate
approach approve approval apply applied applies arbitrary architecture argue arrange aspect assert assign
assigned associate assume assumption attach attached attribute author authorize authorization avoid aware
balance basic basis behavior behaviour belong benefit beyond bound boundary break brief bring broad broken
broadcast brought bundle button call cancel cancelled cannot capability capable capacity capture careful
category central certain chain chance channel check child children choice circumstances claim clarify clause
cleanup clear click coding collaborate collect collection combine compare comparison compatible complex
component components compose comprehensive compute concept concern concise concrete condition conditions
conduct confidence configure connect connected connection consequence consistent constant constraint
constraints construct consume contact contract contrast contribute control convention convert copyright core
corner coverage critical cross custom cut cycle decision declare deep define defined defines definition
degree delegate deliver demand depend dependency dependencies depends deploy depth derive design desired
destination destructive detail detailed details detect determine device diagnose dialog dictionary difference
difficult dimension direct direction disable disabled discard discover discuss distinct distribute divide
document domain doubt draw drive drop dry due duplicate duration dynamic ease easy edge effective efficient
effort element elements eliminate embed emit emphasize enable enabled encode encounter encourage endpoint
engage enter entire entry entries equal error escape essential establish estimate evaluate evaluation evidence
evolve exact examine exceed excellent except exchange exclusive exist existing exists expand expensive
experience expert expire explicit explore expose express expression extend extension extent extract face fact
factor fair familiar favor fetch fetches field fields figure final finally findings fine flow focus force
forget forward foundation frame framework free frequency frequent fresh friendly fully fundamental further
future gain gap gather generic github global govern graph grep glob guarantee guess guidance half hand hard
hardware harness harmful helper hidden hierarchy highlight hint hold hook hooks human identify identifier
implement implementation implemented implicit imply improve improvement inbox independent indicate individual
inform information inherit initial initialize inject inline insert inside inspect instance integrate
integration intend intent intended interact interaction interactive interest interface interpret interrupt
introduce invoke invoked invocation involve isolate isolated isolation join judge jump justification justify
kernel keyboard keyword lack language languages latest launch lead leading leak library libraries lifecycle
limited linear lint linter literal locate location logic login loop maintain maintenance major malicious
manual manually map mapping mark marker measure mechanism media mention menu merely metadata middle migrate
migration minimal minor mismatch miss missing mistake mix modify module monitor mount native natural nature
navigate nested net neutral normal notebook notice notion numeric obey objective observe obtain obvious occur
offer offline offset operate operation operations operator opinion optimize ordinary organize orient original
outcome outdated outside overall overlap override overview overwrite pair panel parent parse parser partial
participate particular pause pending perform performance period permanent persist persistent phase phrase
physical pick plain platform plugin plugins popular portion position positive practice precise prefix preserve
press prevent primary principle print prior priority probe procedure proceed produce product professional
profile programming progress prohibit prompt proper properly propose protect protocol prove proxy publish
purpose quality quick quickly quiet quote quoted raise random range raw reach react ready real reasoning
rebuild recall recognize recommend recommended record recover recursive reduce redirect redundant refactor
refer reflect refresh refuse regard region register registry regular reject relate related relation relative
reliable rely remind reminder render repeat repeated replacement reply represent reproduce requirement
requirements research reserve reset resource resources respect respond rest restart restore restrict
restricted resume retain retrieve revert revise rewrite risk role roles rollback route routes routing safety
sandbox scale scan scenario scope scratch secondary seek segment self send sender sensitive separate sequence
series serious serve setup severity shape sign significant silent simple site situation skill skills slash
slot snapshot social solve sort span speak special specification speed split spread stable stack standard
statement static store strategy strict strong structure structured style subagent subscribe substitute suffix
suggest suggestion suit suitable summarize summary supply suppose surface surprise survey switch symbol sync
syntax tail task technical technique template temporary tend term terms theme theory threshold throw tie
tight timestamp toggle topic touch trade traffic transfer transform transition translate transport travel
treat tree true trust truth turn typical ultimate unable understanding undo unexpected unified unique unit
universal unknown unnecessary unrelated unsafe unsupported unused usable utility utilize validate validation
variant variety various verbose verification vertical visible visit visual volume vulnerable watch weak whole
wide widget width wildcard wish wrap wrapper wrapping writer yield zone
anthropic openai claude codex llama freehold gateway receipt receipts ledger supervisor
"""
"""English and coding words, roughly by how often agents' prompts use them."""

PUNCTUATION = """
. , " ": ", : {" "} "}, }} ": " ": {" "," - -- ( ) ). ), : ; ' ' 's 't 're 've 'll `` `. `, ` ``` /
// ./ ../ :// _ __ = == != => -> >= <= + += * ** # ## ### #### ? ! & && | || < > </ /> <> [ ] [] ["
"] "], {} {"}, }, }}, }}} ": [" (" ") ") (' ') "' $ $( ${ % @ @@ ~ ~/ ^ \\ \\n \\n\\n \\" … — – •
... ?" ." ," .", ("", "):": {}
"""
"""Runs of punctuation as JSON, Markdown and code use them."""

SPACES = (
    "\n",
    "\n\n",
    "  ",
    "   ",
    "    ",
    "       ",
    "        ",
    "           ",
    "            ",
    "\n  ",
    "\n    ",
    "\t",
)
"""White space as the splitter hands it over."""
