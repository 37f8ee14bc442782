"""Mutated input files, read as the project reads them: `python -m tests.fuzz annotations --count 2000 --seed 0`.

Every case is a function of (kind, seed, number), so that a finding can be replayed by its number.
"""
