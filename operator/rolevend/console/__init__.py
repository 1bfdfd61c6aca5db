"""The console: pages on which people see what agents do, answer requests, and end roles.

It reads the cluster with its own rights, and shows a person only what a SubjectAccessReview permits them. A change is sent with
the rights of the person, and of nobody else.
"""
