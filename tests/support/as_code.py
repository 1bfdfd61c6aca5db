"""Files of policy as code: objects, people and a catalog in a folder, as a pull request brings them."""

from pathlib import Path
from typing import Any

import yaml

from rolevend.catalog import Catalog, Family
from rolevend.model import PlatformName
from tests.support.manifests import EVERY_ROW, MISSING, Body, changed, valid
from tests.support.policies import catalog, column, table

WAREHOUSE = PlatformName("warehouse")
CATALOGS: dict[PlatformName, Catalog] = {
    WAREHOUSE: catalog(
        table("claims.claims", column("id", Family.INTEGER), column("country"), column("amount", Family.NUMERIC)),
        table("claims.people", column("full_name"), column("birth_date", Family.DATE), column("country")),
    )
}


def analysts(*changes: tuple[str, Any], name: str = "analysts") -> Body:
    """A policy that is right in every way, on everything in `claims`, through any agent."""
    body = valid("AccessPolicy", name, "domain-claims")
    everything = (
        ("spec.users", {"matchAttributes": [{"key": "job", "operator": "In", "values": ["analyst"]}]}),
        ("spec.agents", MISSING),
        ("spec.tables", {"matchNames": [{"schema": "claims", "name": "*"}]}),
        ("spec.masks", []),
    )
    for path, value in (*everything, *changes):
        body = changed(body, path, value)
    return body


def offer(*changes: tuple[str, Any], name: str = "countries", **terms: Any) -> Body:
    """An offer of everything in `claims`, for analysts, by people; `terms` are fields of `spec.onRequest`."""
    usual = {"display": "Every country, for a review", "maxExpirationSeconds": 1800}
    return analysts(("spec.onRequest", usual | terms), *EVERY_ROW, *changes, name=name)


AUTOMATIC: Body = {"name": "small", "limits": {"perUserPerDay": 3}, "maxExpirationSeconds": 600}
"""A rule that approves everything, within a limit."""


def platform() -> Body:
    return valid("DataPlatform", WAREHOUSE)


def write(folder: Path, name: str, *bodies: Body | str) -> Path:
    """One file with these objects; a text stands as it is."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("---\n".join(body if isinstance(body, str) else yaml.safe_dump(body, sort_keys=False) for body in bodies))
    return path
