"""Where the objects of our own kinds are found."""

from typing import Final

from rolevend.kube.client import Resource as Path
from rolevend.resources import API_VERSION, Resource, VendedRole, kind_named


def path_of(kind: type[Resource]) -> Path:
    return Path(f"/apis/{API_VERSION}", kind_named(kind.__name__).plural)


VENDED_ROLES: Final = path_of(VendedRole)
