"""Read the specification of a chart."""

from __future__ import annotations

from typing import Any


def rows_of(spec: dict[str, Any], part: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the rows that a specification, or one of its parts, draws."""
    return list(spec["datasets"][(part or spec)["data"]["name"]])
