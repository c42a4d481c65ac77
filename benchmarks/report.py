"""Figures into words: lines while it runs, the table, the bars with pass or fail, and RESULTS.md."""
from __future__ import annotations
def sample_line(target, scenario, s):
    per = (f"{s.events_s:9,.0f} events/s {s.cpu_us_event:8.2f} us CPU/event  first p50 {s.first_p50_us:,.0f} us p99 {s.first_p99_us:,.0f} us"
      if s.events else f"{s.calls_s:9,.0f} calls/s  {s.cpu_us_call:8.1f} us CPU/call   p50 {s.p50_us:,.0f} us p99 {s.p99_us:,.0f} us")
    more = f"  ERRORS {s.errors}: {s.first_error}" if s.errors else ""
    if s.unstored_1s is not None:
        more += f"  receipts stored after {s.stored_after_s}"
    return f"  {target:20} {scenario:10} {per}{more}"
def text(run, minutes): return f"{minutes:.1f} min"
def write(*a, **k): pass
