"""Costs as files for other programs. `tables` writes rows as CSV or Parquet; `focus` makes the rows of the
FinOps Open Cost and Usage Specification (pure). Where the figures come from is `app.spending`.
"""
