"""What is granted, and why: pure functions from policies, tags and attributes to an entitlement. No I/O, no framework.

`expression` is a row predicate as a value. Text becomes one in `predicate` (whose words are `vocabulary`), and `binding` gives it
a table's types, with `literal` for the values. `mask` orders the masks. `requirement` tests tags and attributes, `condition` is CEL on
who is `asking`. `statement` is what a policy says, `selection` what its selectors match, and `unknown` what they name in vain.
`postings` find tables by tags, names and columns, as a `bitmap`. With them `granting` compiles a policy and `guarding` a guardrail, each to
an `outcome` that is mended where tables change, and `index` holds all of them, whoever asks. `decision` switches grants on for one user,
and `refusal` says why others are off.
`combination` is how grants to the user and to the agent itself count, and `lowering` makes of both the `shape` that a driver builds.
"""
