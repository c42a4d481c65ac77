"""What is left of what providers allow: read from the headers of their answers, and how long it lasts.

`headers` reads one answer, `burn` is a pace, `window` one window over time (all pure); `book` remembers every
window. Keeping them on disk is `app.limits`. Budgets that we set ourselves are `costs.budgets`.
"""
