"""The screen of `freehold top`. Asks in a worker thread, so that a slow answer never freezes the keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, cast
from urllib.parse import quote

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Static

from freehold.cli.control_client import ControlClient
from freehold.cli.output import STATE_STYLES
from freehold.cli.top_view import (
    CALL_COLUMNS,
    SERVER_COLUMNS,
    SPEND_COLUMNS,
    Look,
    call_row,
    headline,
    look,
    memory_line,
    server_row,
    spend_rows,
)
from freehold.core.deaths import Certificate
from freehold.core.errors import FreeholdError
from freehold.web.control import ServerView

_SHOWN = 200
_PATIENCE_S = 120.0


class TopScreen(App[None]):
    """Servers above, calls under way and spend below; orders go to the server under the cursor."""

    TITLE = "Freehold"
    CSS = """
    #head { height: 1; background: $primary; color: $text; padding: 0 1; }
    #memory { height: 1; padding: 0 1; color: $text-muted; }
    #said { height: auto; max-height: 6; padding: 0 1; color: $warning; }
    #servers { height: 1fr; border: round $primary; }
    #below { height: 1fr; }
    #calls { width: 3fr; height: 1fr; border: round $secondary; }
    #spend { width: 2fr; height: 1fr; border: round $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "Quit"),
        ("s", "order('start')", "Start"),
        ("x", "order('stop')", "Stop"),
        ("r", "order('restart')", "Restart"),
        ("w", "why", "Why it died"),
    ]

    def __init__(self, client: ControlClient, every_s: float, first: Look) -> None:
        super().__init__()
        self._client = client
        self._every_s = every_s
        self._first = first
        self._rows: dict[str, tuple[tuple[str, ...], ...]] = {}

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="memory")
        with Vertical():
            yield DataTable[Text](id="servers", cursor_type="row")
            with Horizontal(id="below"):
                yield DataTable[Text](id="calls", cursor_type="none")
                yield DataTable[Text](id="spend", cursor_type="none")
        yield Static(id="said")
        yield Footer()

    def on_mount(self) -> None:
        for name, title, columns in (
            ("servers", "model servers", SERVER_COLUMNS),
            ("calls", "calls under way", CALL_COLUMNS),
            ("spend", "last 24 hours", SPEND_COLUMNS),
        ):
            table = self._table(name)
            table.border_title = title
            table.add_columns(*columns)
        self.show(self._first)
        self.set_interval(self._every_s, self.ask)

    @work(thread=True, exclusive=True, group="look")
    def ask(self) -> None:
        """Look again."""
        try:
            seen = look(self._client, time.time_ns() // 1_000_000)
        except FreeholdError as error:
            self.call_from_thread(self.say, str(error))
            return
        self.call_from_thread(self.show, seen)

    def show(self, seen: Look) -> None:
        """Draw one look; what did not change stays, with the cursor where it is."""
        self.query_one("#head", Static).update(Text(headline(seen)))
        self.query_one("#memory", Static).update(Text(memory_line(seen.machine)))
        self._fill("servers", [server_row(server) for server in seen.servers])
        self._fill("calls", [call_row(call, seen.at_ms) for call in seen.calls[:_SHOWN]])
        self._fill("spend", spend_rows(seen.spend)[:_SHOWN])

    def _fill(self, name: str, rows: Sequence[tuple[str, ...]]) -> None:
        wanted = tuple(rows)
        if self._rows.get(name) == wanted:
            return
        self._rows[name] = wanted
        table = self._table(name)
        cursor = table.cursor_row
        table.clear()
        for row in wanted:
            table.add_row(*(Text(cell, style=STATE_STYLES.get(cell, "")) for cell in row), key=row[0])
        if table.row_count:
            table.move_cursor(row=min(cursor, table.row_count - 1))

    def _table(self, name: str) -> DataTable[Text]:
        return cast("DataTable[Text]", self.query_one(f"#{name}", DataTable))

    def say(self, text: str) -> None:
        """A line for the person, until the next one."""
        self.query_one("#said", Static).update(Text(text))

    def _chosen(self) -> str | None:
        rows = self._rows.get("servers", ())
        at = self._table("servers").cursor_row
        return rows[at][0] if 0 <= at < len(rows) else None

    def action_order(self, action: str) -> None:
        """Start, stop or restart the server under the cursor."""
        name = self._chosen()
        if name is not None:
            self.say(f"{name}: {action} ...")
            self._order(name, action)

    @work(thread=True, group="order")
    def _order(self, name: str, action: str) -> None:
        path = f"/api/v1/servers/{quote(name, safe='')}/{action}"
        try:
            view = self._client.post(path, ServerView, _PATIENCE_S)
            said = f"{view.name}: {view.state}" + (f" ({view.detail})" if view.detail else "")
        except FreeholdError as error:
            said = str(error)
        self.call_from_thread(self.say, said)

    def action_why(self) -> None:
        """Say why the server under the cursor died last."""
        name = self._chosen()
        if name is not None:
            self._why(name)

    @work(thread=True, group="order")
    def _why(self, name: str) -> None:
        try:
            found = self._client.get(
                f"/api/v1/servers/{quote(name, safe='')}/deaths?limit=1", list[Certificate]
            )
            said = f"{found[0].sentence}\nNext: {found[0].next}" if found else f"{name} has never died."
        except FreeholdError as error:
            said = str(error)
        self.call_from_thread(self.say, said)
