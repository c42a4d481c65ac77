"""`freehold models`: the names that a client may ask for, and where each runs."""

from __future__ import annotations

import typer

from freehold.cli.control_client import find_running
from freehold.cli.options import HomeOption, JsonOption, UrlOption, chosen_home
from freehold.cli.output import print_json, print_table, say
from freehold.web.control import ModelView, PlaceView

app = typer.Typer(add_completion=False)


@app.command()
def models(url: UrlOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the models that can be asked for, and where each runs."""
    found = find_running(chosen_home(home), url).get("/api/v1/models", list[ModelView])
    if as_json:
        print_json(found)
    elif not found:
        say("No model can be asked for yet. `freehold doctor` says what was found on this machine.")
    else:
        print_table(["MODEL", "=KIND", "RUNS ON", "=STATE"], [_row(model) for model in found])


def _row(model: ModelView) -> tuple[str, str, str, str]:
    kind = "test model" if model.test_only else model.kind
    states = list(dict.fromkeys(place.state for place in model.places))
    return model.name, kind, ", then ".join(_place(model, place) for place in model.places), ", ".join(states)


def _place(model: ModelView, place: PlaceView) -> str:
    """Where it runs; the deployment's own name when the model has another one."""
    if model.kind == "alias":
        return place.deployment
    return f"server {place.server}" if place.server else f"provider {place.provider}"
