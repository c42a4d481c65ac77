"""What can be asked for: what the configuration says, what was found on this machine, and the test model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from freehold.adapters.providers.catalog import (
    build_catalog,
    configured_servers,
    found_servers,
    unlisted,
    with_listed,
)
from freehold.adapters.providers.discover import Discovery, FoundProvider
from freehold.core.catalog import Catalog
from freehold.core.config import Config
from freehold.core.config_file import LoadedConfig
from freehold.core.errors import ConfigError
from freehold.core.servers import ServerSpec
from freehold.testing.tiny_model import MODEL_NAME, model_path

_TEST_CONTEXT, _TEST_SLOTS = 32_768, 2


class Offers:
    """Owns the list of servers that there shall be, and makes catalogs of it."""

    def __init__(self, loaded: LoadedConfig, env: Mapping[str, str]) -> None:
        self.config = loaded.config
        folder = loaded.file.parent if loaded.file else Path.cwd()
        self.configured: Sequence[ServerSpec] = configured_servers(loaded.config, folder, env)
        self._others: list[ServerSpec] = []
        self._found = Discovery()

    @property
    def nothing_found(self) -> bool:
        """Neither a provider nor a model file was found."""
        return not self._found.providers and not self._found.files

    @property
    def count_found(self) -> int:
        return len(self._found.providers) + len(self._found.files)

    @property
    def specs(self) -> list[ServerSpec]:
        return [*self.configured, *self._others]

    def first_catalog(self, *, looking: bool) -> tuple[Catalog, ConfigError | None]:
        """The configuration's own. A candidate that is nowhere may still be found when somebody is looking:
        then the error is handed over. Raises ConfigError when nobody is."""
        try:
            return self.catalog(), None
        except ConfigError as error:
            if not looking:
                raise
            bare = msgspec.structs.replace(self.config, models={})
            return build_catalog(bare, self._found, self.specs), error

    def catalog(self) -> Catalog:
        """Of everything known now. Raises ConfigError for a candidate that is nowhere."""
        return build_catalog(self.config, self._found, self.specs)

    def catalog_of(self, config: Config, configured: Sequence[ServerSpec]) -> Catalog:
        """Of another configuration beside what was found. Raises ConfigError; changes nothing."""
        others = [spec for spec in self._others if spec.name not in config.servers]
        return build_catalog(config, self._found, [*configured, *others])

    def use(self, config: Config, configured: Sequence[ServerSpec]) -> None:
        """From now on this is the configuration."""
        self.config, self.configured = config, configured
        self._others = [spec for spec in self._others if spec.name not in config.servers]

    def found(self, found: Discovery) -> list[ServerSpec]:
        """Take in what was found; returns the servers to be added."""
        self._found = found
        new = found_servers(found.files, self._taken(found))
        self._others += new
        return new

    def test_model(self) -> ServerSpec | None:
        """Where nothing is configured, the built-in model can be asked too; None where something is."""
        if self.config.providers or self.config.servers:
            return None
        spec = ServerSpec(name=MODEL_NAME, model=str(model_path()), context=_TEST_CONTEXT, slots=_TEST_SLOTS)
        self._others.append(spec)
        return spec

    def to_be_listed(self) -> list[FoundProvider]:
        """Providers that are to be asked for their models."""
        return unlisted(self.config, self._found)

    def listed(self, answers: Sequence[FoundProvider]) -> None:
        """What they said."""
        self._found = with_listed(self._found, answers)

    def _taken(self, found: Discovery) -> list[str]:
        return [
            *(spec.name for spec in self.specs),
            *self.config.providers,
            *self.config.models,
            *(one.provider.name for one in found.providers),
        ]
