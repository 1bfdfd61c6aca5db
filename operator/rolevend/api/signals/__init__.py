"""Shared Signals: security event tokens (RFC 8417) that an identity provider pushes (RFC 8935) end the sessions of a user, or suspend them.

The effects are in UserAttributes that only signals write. They stop their user and describe nobody, so no object of a person, of a tool or
of SCIM is changed. It knows nothing of decisions and platforms: the operator and the API see these objects as they see all others.
"""
