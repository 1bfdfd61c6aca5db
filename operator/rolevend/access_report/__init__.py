"""`rolevend access`: who can read a table or a column now, who could in the past, and who could by the policies.

Pure: `target` (the table or column, and the filters), `answer` (the values), `live`, `audited`, `possible` (one for each question),
`person` (all that one person gets, and what is missing), `picture` and `example_values` (one table for one person), `strangers` (people
who stand for those that no object names), `names` (misspelled ones), `text` (table and JSON).
I/O: `reader` (reads a cluster as the caller may).
"""
