"""The core of a role's life: decide a request, record it, find what must end. Its needs are stated as Protocols; `app` fills them.

`terms` says who may ask for what, and `proof` how a user is proven; `directory` knows who is registered and gives the `verdict`;
`protocols` states what is needed of platforms and stores; `expiry` keeps the times to live; `sweep` compares a platform with the objects.
`audit` states what happened, and `evidence` what a decision read and gave.
"""
