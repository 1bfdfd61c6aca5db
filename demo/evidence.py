"""Keep what people read after an incident: audit events, signed receipts, and the statements that PostgreSQL logged."""

from pathlib import Path
from typing import Final

from rolevend.audit.receipt_files import new_private_key, public_key_set, read_signing_key
from testbed.kubeconfig import write_private

STATEMENTS_LOGGED: Final = {
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_filename": "postgresql.log",
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
"""The settings of docs/how-to/trace-a-role.md."""


class Evidence:
    """The files of one stage. `folder` is new."""

    def __init__(self, folder: Path, postgres: Path) -> None:
        """`postgres` is the folder of the server's state."""
        self._receipt_key = folder / "receipt.key"
        self.audit = folder / "audit"
        """A folder with the audit file of each process."""
        self.receipt_keys = folder / "receipt.jwks"
        self.logs = postgres / "data" / "log"
        self.audit.mkdir(parents=True)
        write_private(self._receipt_key, new_private_key().encode())
        self.receipt_keys.write_text(public_key_set([read_signing_key(self._receipt_key)]))

    @property
    def statements(self) -> Path:
        """The jsonlog of PostgreSQL."""
        return self.logs / "postgresql.json"

    def settings(self, process: str) -> dict[str, str]:
        """Return the settings with which a process writes its audit file, and signs receipts."""
        return {"AUDIT_FILE": str(self.audit / f"{process}.ndjson"), "RECEIPT_KEY_FILE": str(self._receipt_key)}
