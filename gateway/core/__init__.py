"""The vocabulary of the house: types, contracts, errors, time and units; no I/O, nothing else of ours."""
