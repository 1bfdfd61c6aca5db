"""Requests for offers over HTTP: `routes` are the calls, `service` makes and reads AccessRequests, `missing` says what a denial lacks."""
