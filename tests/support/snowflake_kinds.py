"""What the types that tests name in PostgreSQL's words are on Snowflake, and which cases of masks there are none of there."""

KINDS = {
    "text": "VARCHAR(16777216)",
    "character varying(20)": "VARCHAR(20)",
    "smallint": "NUMBER(5,0)",
    "integer": "NUMBER(38,0)",
    "bigint": "NUMBER(38,0)",
    "numeric": "NUMBER(38,8)",
    "numeric(8,2)": "NUMBER(8,2)",
    "double precision": "FLOAT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP_NTZ(9)",
    "timestamp without time zone": "TIMESTAMP_NTZ(9)",
    "timestamptz": "TIMESTAMP_TZ(9)",
    "timestamp with time zone": "TIMESTAMP_TZ(9)",
    "jsonb": "VARIANT",
    "point": "VARIANT",
}
"""There is no type with padding, no range, no UUID, and no float of four bytes; a number has 38 digits and is one."""
BEYOND = {
    "not a number",
    "infinity has no step",
    "minus infinity has no step",
    "a long number",
    "a small number",
    "nullify of an odd type",
}
"""Names of `mask_cases.CASES` whose value no column there can have, or is written otherwise."""
OTHERWISE: dict[str, object] = {
    "nearly the largest double": None,
    "a constant beyond an integer": -2147483649,
    "a constant of more places than its column": None,
    "a constant of more digits than its column": None,
}
"""A FLOAT of 10^22 or more has no step there, `integer` has 38 digits, and a NUMBER shows no constant but one of its own."""
