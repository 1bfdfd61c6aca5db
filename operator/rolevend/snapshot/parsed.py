"""The objects of one kind that an informer holds, each parsed once for each version."""

from typing import Generic, TypeVar

from rolevend.errors import InvalidInput
from rolevend.kinds import Resource, parse
from rolevend.kube.client import Body
from rolevend.kube.informer import Informer

R = TypeVar("R", bound=Resource)
_Key = tuple[str, str]


class ParsedObjects(Generic[R]):
    """A refresh costs only the changes since the last one."""

    def __init__(self, kind: type[R], informer: Informer) -> None:
        self.kind = kind
        self.informer = informer
        self.granting: dict[_Key, R] = {}
        """The readable objects that are not being deleted. Use them for objects that grant."""
        self.readable: dict[_Key, R] = {}
        """All readable objects. Restrictions hold until the object is gone, even if a finalizer keeps it."""
        self.unreadable: dict[_Key, tuple[Body, InvalidInput]] = {}
        """The objects that another version of the schema accepted."""
        self._versions: dict[_Key, tuple[str, str]] = {}
        self._changed = informer.changed_keys()
        self._due: list[_Key] = []
        """Of those that changed, in the order in which they are parsed, from the end."""

    def refresh(self, at_most: int) -> bool:
        """Parse at most so many of the objects that changed, and forget those that are gone. Returns True if none is left. An object that
        stays keeps its place in the order."""
        for _ in range(at_most):
            if not self._due:
                self._due = sorted(self._changed, reverse=True)
                self._changed.clear()
            if not self._due:
                return True
            self._follow(self._due.pop())
        return not self._due and not self._changed

    def _follow(self, key: _Key) -> None:
        raw = self.informer.objects.get(key)
        if raw is None:
            self._forget(key)
        elif self._versions.get(key) != _version(raw):
            self._parse(key, raw)
        elif key in self.readable:
            _forget_managers(raw)  # it was listed again

    def _forget(self, key: _Key) -> None:
        for known in (self.granting, self.readable, self.unreadable, self._versions):
            known.pop(key, None)

    def _parse(self, key: _Key, raw: Body) -> None:
        try:
            resource = parse(self.kind, raw)
        except InvalidInput as error:
            self._forget(key)
            self.unreadable[key] = raw, error
        else:
            self.unreadable.pop(key, None)
            self.readable[key] = resource
            if resource.metadata.deletion_timestamp is None:
                self.granting[key] = resource
            else:
                self.granting.pop(key, None)
            _forget_managers(raw)
        self._versions[key] = _version(raw)


def _forget_managers(raw: Body) -> None:
    """Remove what is larger than the rest of the object, and not needed after it was parsed."""
    raw["metadata"].pop("managedFields", None)


def _version(raw: Body) -> tuple[str, str]:
    metadata = raw["metadata"]
    return metadata["uid"], metadata["resourceVersion"]
