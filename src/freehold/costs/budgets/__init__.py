"""Budgets: what may still be spent, as a double-entry book; no call is sent that could pass a hard limit.

A call's way: `worst` bounds what it can cost; `BudgetBook.hold` puts that aside in every budget it is on,
or says why not (`answers`); the call is made; `settle` posts what it really cost and frees the rest.

    windows   from when to when a budget counts            pure
    scopes    whom a budget is for, and whom a call is by  pure
    rules     a budget, as configured                      pure
    worst     the dearest that a call can become           pure
    accounts  balances; every change has two sides         pure
    answers   what the book says, and events               pure
    lending   one account's money for another              pure
    book      the owner of all accounts; one thread, no waiting
    queue     calls that wait for others to give back
    postings  what is written of holds, and read again     pure
    journal   the files that it is written to
    views     a budget as people see it                    pure

The state after a start is what the receipts say was spent, and what the postings say beyond it (`postings`).
Reading receipts and telling people belong to `app`.
"""
