"""Versions of stored documents: older ones are migrated in memory, newer ones are refused.

A document stores its version as `schema`, and the oldest release that can read it as
`needs_release`, so that an older release can say which one to install.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import DamagedArtefactError, InputError

Migration = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """Version of one kind of document and the steps that lead up to it.

    Attributes:
        name: Kind of document, for messages.
        version: Version this release writes, >= 1.
        needs_release: Oldest release that reads `version`.
        migrations: For every readable older version n, the step from n to n + 1.
    """

    name: str
    version: int
    needs_release: str
    migrations: Mapping[int, Migration] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = set(range(min(self.migrations, default=self.version), self.version))
        if self.version < 1 or set(self.migrations) != expected:
            raise ValueError(
                f"{self.name}: migrations must lead without a gap to version {self.version}, "
                f"got {sorted(self.migrations)}"
            )

    def stamp(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Copy of `document` with this version."""
        return {**document, "schema": self.version, "needs_release": self.needs_release}

    def migrate(self, document: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Copy of `document` at this version; the stored file is not changed.

        Raises:
            DamagedArtefactError: No version in the document.
            InputError: Written by a newer release, or older than any migration reaches.
        """
        version = document.get("schema")
        if not isinstance(version, int) or isinstance(version, bool) or version < 0:
            raise DamagedArtefactError(f"{where}: no schema version in this {self.name}")
        if version > self.version:
            raise InputError(
                f"{where}: {self.name} schema {version} is newer than {self.version}, which this "
                f"release reads; install release {document.get('needs_release', 'newer')} or later"
            )
        migrated = dict(document)
        for step in range(version, self.version):
            if step not in self.migrations:
                raise InputError(
                    f"{where}: {self.name} schema {version} is older than this release migrates "
                    f"(from {min(self.migrations, default=self.version)}); make it again"
                )
            migrated = {**self.migrations[step](migrated), "schema": step + 1}
        return self.stamp(migrated)
