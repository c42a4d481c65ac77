"""What a call costs: rates from a compiled price table, integer nano-USD, and who says so.

`prices` is the arithmetic (pure), `matching` finds a model's prices in the table (pure), `snapshot` makes
and keeps the table, `book` is what the rest of the house asks. Usage comes from `dialects.usage`; receipts
and budgets live elsewhere.
"""
