"""
A local LivePerson in a process of its own: `python -m simulator`.

It is an independent reading of LivePerson's documentation and imports nothing of the rest of this project: a misreading
that both shared would pass every test.
"""
