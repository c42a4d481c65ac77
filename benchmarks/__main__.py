"""`python -m benchmarks [NAME] [options]`: the gateway benchmark when nothing is named."""

from __future__ import annotations

import runpy
import sys

NAMES = ("gateway", "ledger", "memory", "servers", "deaths", "routing", "cache", "profile_gateway")


def main() -> None:
    name = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1] in NAMES else "gateway"
    runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
