"""The API paths of rolevend's own kinds."""

from typing import Final

from rolevend.kinds import API_VERSION, Resource, VendedRole, kind_named
from rolevend.kube.client import ResourcePath as Path


def path_of(kind: type[Resource]) -> Path:
    return Path(f"/apis/{API_VERSION}", kind_named(kind.__name__).plural)


VENDED_ROLES: Final = path_of(VendedRole)
