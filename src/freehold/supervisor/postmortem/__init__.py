"""Why a model server died: evidence in, certificate out. Pure; collecting the evidence is `adapters.host`'s.

Each cause has a rule that looks for its own evidence and answers with a `Finding` (weight, sentence, next
step, proof). `verdict` takes the heaviest one and lowers it where others contradict. From 90 % on a cause is
proven: rules give that much only for evidence that nobody can talk away (a kernel counter and the signal that
fits it, a kernel line with the pid, a sender seen, our own order written down before the signal, the engine's
own words with the exit that follows from them). What evidence cannot tell stays `unknown`.

`scene` puts the facts in order, `kernel_lines` and `markers` read texts, `clues` lists evidence for people,
and `causes_*` hold the rules.
"""

from freehold.supervisor.postmortem.verdict import certify

__all__ = ["certify"]
