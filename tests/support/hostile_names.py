"""Names of schemas, tables, columns and attributes, as bad as they come."""

NAMES = [
    "Upper Case",
    'quo"ted',
    "it's",
    "select",
    "naïve ☃ 表",
    "back\\slash",
    "per%cent %s %(x)s",
    "semi;colon--",
    "{brace}",
    "$$dollar$$",
    "x" * 63,
    ":colon",
]
