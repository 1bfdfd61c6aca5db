"""The kinds of objects that the stand-in knows, and where each lives."""

ACCOUNT_KINDS = ("ROLE", "USER", "DATABASE", "WAREHOUSE", "NETWORK POLICY", "INTEGRATION")
DATABASE_KINDS = ("SCHEMA", "DATABASE ROLE")
POLICY_KINDS = ("ROW ACCESS POLICY", "MASKING POLICY", "SESSION POLICY", "AUTHENTICATION POLICY")
RELATIONS = ("TABLE", "VIEW")
ROUTINES = ("FUNCTION", "PROCEDURE")
OTHER_KINDS = ("TAG", "TASK", "STAGE", "SEMANTIC VIEW", "CORTEX SEARCH SERVICE", "AGENT")
KINDS = tuple(
    sorted((*ACCOUNT_KINDS, *DATABASE_KINDS, *POLICY_KINDS, *RELATIONS, *ROUTINES, *OTHER_KINDS), key=lambda kind: -len(kind.split()))
)
PLURALS = {f"{kind[:-1]}IES" if kind.endswith("Y") else f"{kind}S": kind for kind in KINDS}
