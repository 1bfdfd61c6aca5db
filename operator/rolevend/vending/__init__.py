"""The use cases: decide a request, vend it, end it, sweep. What they need of the world they state as Protocols; `app` fills them.

`terms` says who may ask for what, and `proof` how it is shown for whom; `directory` knows who is registered and gives the `verdict`;
`vend` follows one role from a request to its end; `expiry` is the clock; `sweep` looks from the platform's side. `audit` says what
happened, and `evidence` what a decision read and gave.
"""
