"""Costs in the shape of FOCUS (FinOps Open Cost and Usage Specification), Cost and Usage, 1.3 and 1.4. Pure.

One row is one charge: a call, a subscription's fee for a month, or a day of an idle machine. What is meant by
the four costs:

    ListCost        the call at the price that the provider publishes
    ContractedCost  at the price that was billed or computed for it, such as the configuration's own
    BilledCost      cash: nothing for what a subscription pays for, or for a machine of our own
    EffectiveCost   what it really cost: its share of the subscription, its electricity and wear

A call has several prices (fresh input, cached input, output, ...), so no row has a unit price; columns that
FOCUS asks for only where there is one (SkuId, SkuPriceId, ListUnitPrice, ...) are left out. Tokens of each
kind are in `x_` columns. Within a month the effective costs of an account add up to what was billed for it.
A machine of our own is the exception: the bill for its electricity is not seen here. 1.4 has dropped
ProviderName and PublisherName.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.core.usage import Usage
from freehold.costs.exports.tables import Cell, Column
from freehold.costs.windows import Span

Version = Literal["1.3", "1.4"]

_BOTH = (
    Column("BilledCost", "money"),
    Column("BillingAccountId"),
    Column("BillingAccountName"),
    Column("BillingCurrency"),
    Column("BillingPeriodEnd", "time"),
    Column("BillingPeriodStart", "time"),
    Column("ChargeCategory"),
    Column("ChargeClass"),
    Column("ChargeDescription"),
    Column("ChargeFrequency"),
    Column("ChargePeriodEnd", "time"),
    Column("ChargePeriodStart", "time"),
    Column("ConsumedQuantity", "integer"),
    Column("ConsumedUnit"),
    Column("ContractedCost", "money"),
    Column("EffectiveCost", "money"),
    Column("HostProviderName"),
    Column("InvoiceIssuerName"),
    Column("ListCost", "money"),
    Column("PricingQuantity", "integer"),
    Column("PricingUnit"),
    Column("ResourceId"),
    Column("ResourceName"),
    Column("ResourceType"),
    Column("ServiceCategory"),
    Column("ServiceName"),
    Column("ServiceProviderName"),
    Column("ServiceSubcategory"),
    Column("SubAccountId"),
    Column("SubAccountName"),
    Column("Tags"),
)
_DROPPED = (Column("ProviderName"), Column("PublisherName"))
_OWN = (
    Column("x_Agent"),
    Column("x_CostState"),
    Column("x_Deployment"),
    Column("x_Key"),
    Column("x_Model"),
    Column("x_Outcome"),
    Column("x_PriceSnapshot"),
    Column("x_Receipt"),
    Column("x_Session"),
    Column("x_Task"),
    *(Column(f"x_Tokens_{name}", "integer") for name in Usage.__struct_fields__ if name != "web_searches"),
    Column("x_WebSearches", "integer"),
)

OURS = "own hardware"
"""The account, and the provider, of what runs in the house."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One row, in our words. Money is nano-USD, times are UTC milliseconds."""

    category: Literal["Usage", "Purchase"] = "Usage"
    month: Span
    period: Span
    description: str
    unit: Literal["Calls", "Months", "Days"] = "Calls"
    """What one of is charged."""
    provider: str = ""
    """Empty: our own hardware."""
    server: str = ""
    list_nanos: int = 0
    contracted_nanos: int = 0
    billed_nanos: int = 0
    effective_nanos: int = 0
    project: str = ""
    agent: str = ""
    session: str = ""
    task: str = ""
    key: str = ""
    model: str = ""
    deployment: str = ""
    outcome: str = ""
    cost_state: str = ""
    price_snapshot: str = ""
    receipt: str = ""
    usage: Usage | None = None
    """Of a call."""


def columns(version: Version) -> tuple[Column, ...]:
    """The columns of that version in their order, our own last."""
    return (*_BOTH, *(_DROPPED if version == "1.3" else ()), *_OWN)


def row(charge: Charge, version: Version) -> list[Cell]:
    """The cells of `columns(version)`. What is not known is null, never empty text (NullHandling)."""
    values = {**_costs(charge), **_time(charge), **_who(charge), **_own(charge)}
    cells = (values.get(column.name) for column in columns(version))
    return [None if cell == "" else cell for cell in cells]


def _costs(charge: Charge) -> dict[str, Cell]:
    usage = charge.usage
    tokens = None if usage is None else usage.input_total + usage.output_total
    return {
        "BilledCost": charge.billed_nanos,
        "BillingCurrency": "USD",
        "ChargeCategory": charge.category,
        "ChargeDescription": charge.description,
        "ChargeFrequency": "Recurring" if charge.category == "Purchase" else "Usage-Based",
        "ConsumedQuantity": tokens,
        "ConsumedUnit": None if tokens is None else "Tokens",
        "ContractedCost": charge.contracted_nanos,
        "EffectiveCost": charge.effective_nanos,
        "ListCost": charge.list_nanos,
        "PricingQuantity": 1,
        "PricingUnit": charge.unit,
    }


def _time(charge: Charge) -> dict[str, Cell]:
    return {
        "BillingPeriodEnd": charge.month.end_ms,
        "BillingPeriodStart": charge.month.start_ms,
        "ChargePeriodEnd": charge.period.end_ms,
        "ChargePeriodStart": charge.period.start_ms,
    }


def _who(charge: Charge) -> dict[str, Cell]:
    provider = charge.provider or OURS
    names = ("BillingAccountId", "BillingAccountName", "HostProviderName", "InvoiceIssuerName")
    return {
        **dict.fromkeys((*names, "ServiceProviderName", "ProviderName", "PublisherName"), provider),
        "ResourceId": charge.server,
        "ResourceName": charge.server,
        "ResourceType": "Model server" if charge.server else None,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": charge.model or charge.deployment or provider,
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": charge.project,
        "SubAccountName": charge.project,
        "Tags": _tags(charge),
    }


def _own(charge: Charge) -> dict[str, Cell]:
    return {
        "x_Agent": charge.agent,
        "x_CostState": charge.cost_state,
        "x_Deployment": charge.deployment,
        "x_Key": charge.key,
        "x_Model": charge.model,
        "x_Outcome": charge.outcome,
        "x_PriceSnapshot": charge.price_snapshot,
        "x_Receipt": charge.receipt,
        "x_Session": charge.session,
        "x_Task": charge.task,
        **_of_usage(charge.usage),
    }


def _of_usage(usage: Usage | None) -> dict[str, Cell]:
    if usage is None:
        return {}
    counts: dict[str, Cell] = {
        f"x_Tokens_{name}": getattr(usage, name) for name in Usage.__struct_fields__ if name != "web_searches"
    }
    return counts | {"x_WebSearches": usage.web_searches}


def _tags(charge: Charge) -> str:
    """KeyValueFormat: a JSON object."""
    tags = {"agent": charge.agent, "project": charge.project, "task": charge.task}
    return msgspec.json.encode({name: value for name, value in tags.items() if value}).decode()
