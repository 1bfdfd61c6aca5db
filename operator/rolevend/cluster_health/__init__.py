"""The state of one installation, as a person with their own rights can read it. `facts` reads; `findings` and `overview` are pure."""
