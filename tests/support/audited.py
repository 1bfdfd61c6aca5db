"""An operator that keeps audit events and receipts, for tests of what is on record."""

import json
from pathlib import Path

from rolevend.audit.event_files import verify
from rolevend.audit.receipt_files import VerifiedReceipts, new_private_key, public_key_set, read_signing_key
from rolevend.audit.receipt_files import verify as verify_receipts
from rolevend.identity.key_set import parse
from testbed.installation import OperatorProcess
from tests.support.site import Body, Site
from tests.support.tenancy import Asked


class AuditTrail:
    def __init__(self, site: Site, folder: Path) -> None:
        """The file of events has a folder of its own in `folder`, so that a test can put something else in its place."""
        self.site = site
        self.file = folder / "audit" / "audit.ndjson"
        self.file.parent.mkdir()
        self.key = folder / "receipt.key"
        """Of receipts."""
        self.key.write_text(new_private_key())
        self.settings = {"AUDIT_FILE": str(self.file), "RECEIPT_KEY_FILE": str(self.key)}
        self._operator: OperatorProcess | None = None

    def start(self, **settings: str) -> None:
        self.site.start_operator({**self.settings, **settings})
        self._operator = self.site.operator

    def running(self) -> "AuditTrail":
        """Start an operator again where another test had one of its own."""
        if self._operator is not self.site.operator or not self._operator.process.running:
            self.site.operator.stop()
            self.start()
        return self

    def killed_and_started(self) -> None:
        self.site.operator.kill()
        self.start()

    def all(self) -> list[Body]:
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_bytes().splitlines(keepends=True) if line.endswith(b"}\n")]

    def of(self, asked: Asked) -> list[Body]:
        """The events about one request, each once, whatever the number of times that it was written."""
        found: dict[str, Body] = {}
        for event in self.all():
            if event["data"].get("requestUid") == asked.uid:
                assert found.setdefault(event["id"], event)["data"]["platform"] == event["data"]["platform"]
        return list(found.values())

    def kinds(self, asked: Asked) -> list[str]:
        return [event["type"].removeprefix("dev.rolevend.") for event in self.of(asked)]

    def is_whole(self) -> bool:
        """The chain of its events, and the receipts in them."""
        found = verify([str(self.file)])
        assert found.problems == []
        assert self.receipts().problems == []
        return found.events > 0

    def receipts(self) -> VerifiedReceipts:
        return verify_receipts([str(self.file)], parse(public_key_set([read_signing_key(self.key)]).encode()))
