"""Names of the SCIM calls in metrics. Imported also where SCIM is switched off."""

from typing import Final

SCIM: Final = "/scim/v2"
SCIM_CALLS: Final = ("scimDiscovery", "scimUsers", "scimGroups")
LONGEST_SCIM_BODY: Final = 1_048_576
"""A group with 10,000 members in one call."""
