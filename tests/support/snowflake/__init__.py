"""A model of a Snowflake account, and not Snowflake: what the real `snowflake-connector-python` 5 talks to in tests.

What passes here was tried on a model. Whatever the model takes for granted about Snowflake is listed in ASSUMPTIONS.md, beside this
file, with its source; what it does not know it refuses with number 900001, and guesses nothing.

Parts, each with one thing to know: `wire` HTTP and its faults; `answering` paths and JSON; `login` and `sessions` keys, tokens, sessions;
`account` the clock and one statement at a time; `words`, `reader`, `grammar`, `creating`, `altering`, `granting` text into `statements`;
`catalog` names, owners, grants; `access` who may do what; `objects`, `roles`, `governing`, `show` the statements at work; `rewriting`,
`bodies`, `translating`, `queries`, `storing` rows over DuckDB, filtered and masked; `switches` to break each check on purpose.

What connector 5.2.0 sends, as recorded from it (JSON over HTTP/1.1, one connection kept alive):

``POST /session/v1/login-request?databaseName=&schemaName=&warehouse=W&roleName=R``
    at connect, with ``Authorization: Snowflake Token="None"``. `data` holds ACCOUNT_NAME, LOGIN_NAME as it was given, AUTHENTICATOR, TOKEN
    (the JWT: RS256, `iss` ACCOUNT.USER.SHA256:fingerprint, `sub` ACCOUNT.USER, 120 s), SESSION_PARAMETERS, SECONDARY_ROLES if asked for.
``POST /queries/v1/query-request?requestId=…&request_guid=…``
    at execute, with ``Authorization: Snowflake Token="…"``: sqlText, asyncExec, parameters.MULTI_STATEMENT_COUNT for `num_statements`, and
    bindings for ``paramstyle="qmark"`` (FIXED, TEXT, REAL, BOOLEAN, BINARY, DATE, TIMESTAMP_NTZ, and ANY for NULL). What ``pyformat`` binds
    is put into the text by the client. `executemany` asks with describeOnly first, and then once for each row.
The same again, with the same requestId and request_guid, and ``&retryCount=1&retryReason=503``
    after a 5xx or a lost connection (reason 0), 0.3 s later and more: so a requestId that comes again is answered from what the first did.
The same again, with the same requestId, a new request_guid and a new token
    after an answer with code 390112 and the next request.
``POST /session/token-request``
    after an answer with code 390112, with the master token: ``{"oldSessionToken": …, "requestType": "RENEW"}``.
``GET /queries/<id>/result``
    after code 333333 or 333334, for each of `resultIds` (of several statements at once) when `nextset` asks for it, and in
    `get_results_from_sfqid`.
``GET /monitoring/queries//<id>``
    in `get_query_status`, with two slashes.
``POST /queries/v1/abort-request``
    after the connection's `query_timeout`, or `cancel`.
``POST /session?delete=true``
    at close.
``POST /telemetry/send``
    at close, with gzip, unless the login's answer says CLIENT_TELEMETRY_ENABLED is false.

A 403 is no JSON to it: InternalError 000006. Codes 390111 and 390114 end the session. It takes results as JSON (`rowset` of texts), and
asks for a `length` of columns of BINARY and TEXT.
"""

from tests.support.snowflake.account import Account
from tests.support.snowflake.faults import Fault, Harm
from tests.support.snowflake.wire import Asked, KeyPair, StandIn

__all__ = ["Account", "Asked", "Fault", "Harm", "KeyPair", "StandIn"]
