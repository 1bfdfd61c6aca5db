"""SCIM 2.0 (RFC 7643, 7644): an identity provider pushes users and groups, which become UserAttributes.

Imported only where SCIM is switched on, because scim2-models costs most of a second. It knows nothing of decisions and platforms: the
operator and the API see the objects as they see those that people write.
"""
