"""Judges programs: Python, engines, GPUs and their drivers, ports, keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.adapters.host.facts import GpuFact, HostFacts, PortFact
from freehold.adapters.host.findings import Finding

GIB = 1 << 30

USUAL_PORTS: Mapping[int, str] = {
    11434: "Ollama",
    8080: "llama-server",
    9931: "llama-server",
    8000: "vLLM",
    1234: "LM Studio",
    30000: "SGLang",
}
"""Where model servers listen when nobody told them otherwise."""

_SERVER_WORDS = (
    "llama",
    "ollama",
    "vllm",
    "lm-studio",
    "lmstudio",
    "lms",
    "sglang",
    "koboldcpp",
    "xllamacpp",
)


def python(facts: HostFacts) -> list[Finding]:
    seen = facts.python
    if seen is None:
        return []
    number = ".".join(str(part) for part in seen.version)
    missing = [name for name in ("uvloop", "httptools") if name not in seen.packages]
    if missing:
        return [
            Finding(
                level="fail",
                area="python",
                title=f"Python {number} lacks {' and '.join(missing)}",
                detail=f"{seen.executable}: the gateway cannot start without.",
                advice=f"Run `make up` again, or `pip install {' '.join(missing)}`.",
            )
        ]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(seen.packages.items()))
    return [Finding(level="ok", area="python", title=f"Python {number}", detail=packages)]


def engines(facts: HostFacts) -> list[Finding]:
    if "engines" in facts.blind:
        return []
    if not facts.engines:
        return [
            Finding(
                level="warn",
                area="engines",
                title="No engine is installed: only providers and servers that already run can answer",
                advice="Run `make up`, which brings an embedded llama.cpp, or install llama.cpp or Ollama.",
            )
        ]
    return [
        Finding(
            level="ok",
            area="engines",
            title=f"{each.name} {each.version}".rstrip(),
            detail="llama.cpp inside this environment" if each.path == "embedded" else each.path,
        )
        for each in facts.engines
    ]


def gpus(facts: HostFacts) -> list[Finding]:
    if "gpu" in facts.blind:
        return []
    found = [_card(card) for card in facts.gpus]
    found += [
        Finding(
            level="warn",
            area="gpu",
            title=f"{trouble.tool} does not work",
            detail=trouble.said,
            advice=_driver_advice(trouble.said),
        )
        for trouble in facts.gpu_troubles
    ]
    if not found:
        return [
            Finding(
                level="info",
                area="gpu",
                title="No GPU found: models run on the processor",
                advice="Models up to about 4 GB stay usable; ask a provider for the rest.",
            )
        ]
    return found


def _card(card: GpuFact) -> Finding:
    name = card.name if card.name.startswith(card.vendor) else f"{card.vendor} {card.name}"
    driver = f"driver {card.driver}" if card.driver else ""
    if not card.node_open:
        return Finding(
            level="warn",
            area="gpu",
            title=f"{name} may not be used by this user",
            detail=f"No permission to open {card.node}.",
            advice="Run `sudo usermod -aG render,video $USER`, then log in again.",
        )
    if card.memory_total is None:
        return Finding(level="ok", area="gpu", title=name, detail=driver)
    title = f"{name}, {card.memory_total / GIB:.0f} GiB"
    used = card.memory_used or 0
    detail = ", ".join(part for part in (driver, f"{used / GIB:.1f} GiB in use") if part)
    if used > 0.5 * card.memory_total:
        return Finding(
            level="info",
            area="gpu",
            title=f"{title}, more than half in use",
            detail=detail,
            advice="See who holds it (`nvidia-smi`, `fuser -v /dev/dri/render*`) before you load a model.",
        )
    return Finding(level="ok", area="gpu", title=title, detail=detail)


def _driver_advice(said: str) -> str:
    text = said.lower()
    if "mismatch" in text:
        return "The driver was updated while the old one is loaded: restart the machine."
    if "not on path" in text:
        return "Install the driver's tools; in a container, start it with its GPUs (`--gpus all`)."
    if "no answer" in text or "gpu is lost" in text:
        return "Look for `Xid` in `journalctl -k`; usually only a restart brings the card back."
    if "communicate" in text:
        return "The kernel module is not loaded: `sudo modprobe nvidia`; after a kernel update, rebuild it."
    return "Run the tool by hand; models run on the processor until it works."


def ports(facts: HostFacts) -> list[Finding]:
    if "ports" in facts.blind:
        return []
    ours = [held for held in facts.ports if held.port == facts.listen_port]
    found = [_our_port(facts, held) for held in ours[:1]]
    if not ours:
        found.append(Finding(level="ok", area="ports", title=f"{facts.listen_port} is free for Freehold"))
    named: set[tuple[int, int | None]] = set()
    for held in facts.ports:
        # A program that listens on IPv4 and IPv6 is one program.
        if held.port != facts.listen_port and (held.port, held.pid) not in named:
            named.add((held.port, held.pid))
            found.append(_usual_port(held))
    return found


def _our_port(facts: HostFacts, held: PortFact) -> Finding:
    if held.command and "freehold" in held.command:
        return Finding(level="ok", area="ports", title=f"Freehold runs on {held.port}", detail=_holder(held))
    other = facts.listen_port + 1
    return Finding(
        level="fail",
        area="ports",
        title=f"{held.port} is taken by another program",
        detail=_holder(held),
        advice=f"Stop it, or set `listen: {facts.listen_host}:{other}` in freehold.yaml.",
    )


def _usual_port(held: PortFact) -> Finding:
    usual = USUAL_PORTS.get(held.port, "a model server")
    words = (held.command or "").lower()
    if held.command and not any(word in words for word in _SERVER_WORDS):
        return Finding(
            level="info",
            area="ports",
            title=f"{held.port}, where {usual} usually listens, is held by something else",
            detail=_holder(held),
            advice="Nothing, unless you expected a model server there.",
        )
    return Finding(level="ok", area="ports", title=f"{held.port}: {usual} seems to run", detail=_holder(held))


def _holder(held: PortFact) -> str:
    if held.pid is None:
        return f"{held.address}, a process of another user (`sudo ss -ltnp` names it)"
    return f"{held.address}, process {held.pid}: {held.command or 'gone'}"


def keys(facts: HostFacts) -> list[Finding]:
    if "keys" in facts.blind:
        return []
    found = [
        Finding(
            level="warn",
            area="keys",
            title=f"{key.name} has white space or quotes in its value",
            detail="No provider's key has any; it will be refused.",
            advice=f"Set {key.name} again, without quotes inside the value.",
        )
        for key in facts.keys
        if key.malformed
    ]
    good = [key.name for key in facts.keys if not key.malformed]
    if good:
        found.append(
            Finding(level="ok", area="keys", title=f"{len(good)} in the environment", detail=", ".join(good))
        )
    if not found:
        found.append(
            Finding(
                level="info",
                area="keys",
                title="No provider's API key in the environment",
                advice="Local models need none. For a provider, export its key (such as OPENAI_API_KEY).",
            )
        )
    return found
