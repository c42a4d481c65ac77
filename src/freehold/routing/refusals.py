"""Answers that are no answers: refusals, in the languages that models refuse in. Pure.

Only the beginnings of short answers are looked at: a long text that quotes a refusal is none. An apology
alone is none either ("I'm sorry to hear that"): it must say that what was asked cannot or will not be done.
"""

from __future__ import annotations

import re

LONGEST = 700
"""Characters; a longer answer has said something."""
_START = 200
_EN = (
    "help|assist|comply|do (?:that|this)|provid|fulfil|complet|discuss|creat|generat|engag|answer|support"
    "|writ|produc|shar|process|access|continue with"
)
_DE = "helfen|beantworten|nachkommen|unterstützen|erfüllen|bereitstellen|erstellen|weiterhelfen|behilflich"
_CANNOT = (
    # English
    r"\b(?:i|we)(?: am|['’]m| are|['’]re) (?:not able|unable|not allowed|not permitted) to (?:" + _EN + ")",
    r"\b(?:i|we) (?:can(?:no|['’])t|can not|won['’]t|will not|(?:have to|must) decline to|"
    r"am afraid i can['’]t|"
    r"(?:do not|don['’]t) feel comfortable) ?(?:" + _EN + ")",
    r"\bas an? (?:ai|artificial intelligence|large language model|language model)\b.{0,80}"
    r"\b(?:can(?:no|['’])t|unable|not able|do(?: no|n['’])t|am not|['’]m not)\b",
    r"\b(?:i|we) must (?:respectfully |politely )?(?:decline|refuse)\b",
    # German
    r"\b(?:ich (?:kann|darf|werde)|(?:kann|darf|werde) ich) (?:\w+ ){0,4}(?:nicht|keine\w*) ?"
    r"(?:\w+ ){0,3}(?:" + _DE + ")",
    # French
    r"\bje ne (?:peux|puis|suis) (?:malheureusement )?pas (?:en mesure de |capable de )?"
    r"(?:vous |t['’]|te )?(?:aider|fournir|répondre|assister|satisfaire|accéder|créer|traiter)",
    # Spanish, Portuguese
    r"\bno (?:puedo|me es posible) (?:\w+ )?(?:ayudar|proporcionar|cumplir|responder|generar|crear|asistir)",
    r"\bnão posso (?:\w+ )?(?:ajudar|fornecer|atender|responder|criar|gerar|cumprir)",
    # Italian, Dutch, Polish
    r"\bnon (?:posso|sono in grado di) (?:\w+ )?(?:aiutar|fornir|soddisfar|risponder|crear|assister)",
    r"\bik kan (?:\w+ ){0,4}(?:niet|geen) ?(?:\w+ ){0,3}(?:helpen|beantwoorden|voldoen|verstrekken|maken)",
    r"\bnie mog[ęe] (?:\w+ ){0,2}(?:pomóc|spełnić|odpowiedzieć|udzielić|dostarczyć|wykonać)",
    # Russian, Ukrainian
    r"\bя не (?:могу|в состоянии) (?:\w+ )?(?:помочь|выполнить|ответить|предоставить|создать)",
    r"\bя не можу (?:\w+ )?(?:допомогти|виконати|відповісти|надати)",
    # Turkish, Arabic
    r"\b(?:yardımcı olamam|yardım edemem|yerine getiremem|cevaplayamam)",
    r"لا (?:أستطيع|يمكنني|أقدر) (?:مساعدت|المساعدة|تقديم|الإجابة|توفير|تنفيذ)",
    # Chinese, Japanese, Korean
    r"我(?:们)?(?:暂时)?(?:无法|不能|無法|没办法)(?:为您|為您|向您)?"
    r"(?:回答|提供|帮助|幫助|协助|協助|满足|滿足|完成|处理|生成)",
    r"(?:お答え|お応え|お手伝い|対応|ご協力|回答|提供)(?:する)?(?:ことは|ことが)?"
    r"(?:でき(?:ません|かねます)|いたしかねます)",
    r"(?:도와\s?드릴|제공(?:할|해 드릴)|답변(?:할|드릴)|수행할|도움을 드릴) 수(?:가)? 없",
)
_REFUSAL = re.compile("|".join(_CANNOT), re.IGNORECASE)
_GOES_ON = re.compile(
    r"\b(?:but|however|here(?:['’]s| is| are)|instead|aber|stattdessen|mais|pero|però|maar|но)\b",
    re.IGNORECASE,
)
_ENOUGH = 200
"""Characters after a refusal that goes on with something useful."""


def refusal_in(text: str) -> str:
    """The words with which an answer refuses; empty when it does not.

    One that goes on to do something after all ("I can't access that page, but here is ...") is none, unless
    it stays short.
    """
    stripped = text.strip()
    if len(stripped) > LONGEST:
        return ""
    found = _REFUSAL.search(stripped, 0, _START)
    if found is None:
        return ""
    rest = stripped[found.end() :]
    if len(rest) > _ENOUGH and _GOES_ON.search(rest):
        return ""
    return found.group().strip()
