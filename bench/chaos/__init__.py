"""
The crash and fault kit: starts a site of its own, breaks it on purpose, and checks what the site promises.

It shares no code with the product but what starts processes (the embedded PostgreSQL, the tie to their parent): what
it sends and signs, counts and compares is its own reading of the contract. docs/chaos.md says what is measured.
"""
