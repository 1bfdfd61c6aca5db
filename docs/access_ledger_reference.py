"""The page docs/reference/access-ledger.md, from the fields of an entry and their place in an event of OCSF."""

import dataclasses
import inspect
from collections.abc import Iterator

from tables import code, docstrings, table

from rolevend.access_ledger.entry import LedgerEntry, json_name
from rolevend.access_ledger.ocsf import ACTIVITIES, CLASS_UID, PLACES, VERSION
from rolevend.access_ledger.unused import UnusedGrant, UnusedPolicyTable


def page() -> Iterator[str]:
    yield "# Access ledger"
    yield ""
    yield "`rolevend ledger -o json` prints one of these objects per line (NDJSON), `-o ocsf` one event of"
    yield f"[OCSF {VERSION}](https://schema.ocsf.io/{VERSION}/classes/datastore_activity), class Datastore Activity ({CLASS_UID}). A"
    yield "line is ASCII. How to use them: [see what agents read](../how-to/see-what-agents-read.md)."
    yield ""
    yield "## Entry"
    yield ""
    yield "A field without a value is left out. OCSF: the place in the event; other fields are in `unmapped` under their own name."
    yield ""
    meanings = docstrings(LedgerEntry)
    names = [each.name for each in dataclasses.fields(LedgerEntry)]
    rows = ((code(json_name(name)), meanings[name], code(PLACES[name]) if name in PLACES else "-") for name in names)
    yield from table(("Field", "Meaning", "OCSF"), rows)
    yield ""
    yield "## OCSF"
    yield ""
    yield "`activity_id` follows from the command; another command is `Other` (99), a text that could not be parsed `Unknown` (0)."
    yield ""
    yield from table(("Command", "Activity"), ((code(command), f"{name} ({number})") for command, (number, name) in ACTIVITIES.items()))
    yield ""
    yield "`status_id` is Failure with an error, Success with a duration, otherwise Unknown. `severity_id` is Informational. `table` is the"
    yield "first of several tables; all are in `unmapped.tables`."
    yield ""
    yield "## Unused grants"
    yield ""
    yield "With `--unused` a line has `unused`, with one of these values:"
    yield ""
    kinds = (("grant", UnusedGrant), ("policy", UnusedPolicyTable))
    yield from table(("`unused`", "Meaning"), ((code(name), inspect.cleandoc(kind.__doc__ or "")) for name, kind in kinds))
    yield ""
    yield "`certain` is false if the tables of a statement of these roles are not known."
