"""Libraries that export telemetry of model calls, each in an environment of its own under `.compat/otel`.

They want different versions of the same packages, so they cannot share one. The versions are those that were
tried; what a library needs beyond its own packages comes with them.
"""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

from tests.compat.programs import FETCHED, FetchError

ENVIRONMENTS = FETCHED / "otel"
_EXPORTER = "opentelemetry-exporter-otlp-proto-http==1.45.2"
_OPENAI, _ANTHROPIC = "openai==3.52.0", "anthropic==2.11.0"
NEEDS: dict[str, tuple[str, ...]] = {
    "opentelemetry": (_OPENAI, _EXPORTER, "opentelemetry-instrumentation-openai-v2==2.4b0"),
    "genai": (_OPENAI, _EXPORTER, "opentelemetry-instrumentation-genai-openai==1.3b0"),
    "openinference": (
        *(_OPENAI, _ANTHROPIC, _EXPORTER),
        "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-anthropic==3.1.0",
    ),
    "openlit": (
        "openai==2.54.0",
        "anthropic==0.125.0",
        _EXPORTER,
        "opentelemetry-instrumentation==0.66b2",
        *("requests", "schedule", "xmltodict", "pydantic", "pyyaml"),
    ),
    "traceloop": (_OPENAI, _ANTHROPIC, "traceloop-sdk==0.45.6"),
    "openllmetry": (
        *(_OPENAI, _ANTHROPIC, _EXPORTER),
        "opentelemetry-instrumentation-openai==0.62.4",
        "opentelemetry-instrumentation-anthropic==0.62.4",
    ),
    "pydantic_ai": (_EXPORTER, "pydantic-ai-slim[openai,anthropic]==2.68.0"),
}
_ALONE = {"openlit": "openlit==1.45.0"}
"""Installed without what it asks for: dozens of instrumentations of web frameworks, of other versions."""
_FOLDERS = {"opentelemetry": "otel", "pydantic_ai": "pydantic-ai"}


def python(name: str) -> Path:
    """The interpreter of a library's environment; it may not be there."""
    return ENVIRONMENTS / _FOLDERS.get(name, name) / "bin" / "python"


def fetch() -> None:
    """Make the environments that are not there. Raises FetchError."""
    for name, packages in NEEDS.items():
        stamp = python(name).parents[1] / "needs"
        wanted = "\n".join((*packages, _ALONE.get(name, "")))
        if stamp.exists() and stamp.read_text() == wanted:
            continue
        venv.create(python(name).parents[1], with_pip=True)
        _install(name, *packages)
        if name in _ALONE:
            _install(name, "--no-deps", _ALONE[name])
        stamp.write_text(wanted)


def _install(name: str, *packages: str) -> None:
    command = (str(python(name)), "-m", "pip", "install", "-q", *packages)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchError(f"{' '.join(packages)} cannot be installed:\n{done.stderr[-2000:]}")


def run(name: str, model_url: str, model: str, telemetry_url: str) -> None:
    """Run one library's program (`exporters.py`): it calls `model_url` and exports to `telemetry_url`."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": telemetry_url,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "TRACELOOP_TELEMETRY": "false",
    }
    program = Path(__file__).with_name("exporters.py")
    kept = {variable: value for variable, value in os.environ.items() if not variable.startswith("OTEL_")}
    done = subprocess.run(
        (str(python(name)), str(program), name, model_url, model),
        env=kept | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
