"""How able a model probably is, before it has answered anything here: from its size or its price.

Abilities are numbers on the logistic scale of `estimator.Prior`: 0 answers half of a usual mix of questions
well, 1.4 four fifths. The lines were fitted to the 70 models of the outcome data that the prior is trained on
(`benchmarks/router`); they miss by about half a unit, which `estimator.ABILITY_TRUST` leaves room for.
"""

from __future__ import annotations

from math import log

DEFAULT_ABILITY = 0.5
_LEAST, _MOST = -1.2, 2.0
_SIZE_BASE, _SIZE_SLOPE = -0.85, 0.36
_PRICE_BASE, _PRICE_SLOPE = 0.45, 0.24


def expected_ability(billions: float | None = None, output_usd_per_million: float | None = None) -> float:
    """From the parameters (all of them, in billions) when known, else from the price of output tokens."""
    if billions:
        ability = _SIZE_BASE + _SIZE_SLOPE * log(billions)
    elif output_usd_per_million:
        ability = _PRICE_BASE + _PRICE_SLOPE * log(output_usd_per_million)
    else:
        return DEFAULT_ABILITY
    return min(max(ability, _LEAST), _MOST)


def ability_of_chance(mean: float) -> float:
    """The ability that answers a usual question well with this chance (0..1)."""
    bounded = min(max(mean, 0.02), 0.98)
    return log(bounded / (1 - bounded))
