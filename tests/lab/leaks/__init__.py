"""No secret that a test makes or uses may stand in what the service writes: logs, errors, metrics, journals.

`plugin` (part of tests/conftest.py) looks for all of them in everything, after every test; a hit fails the run and
names the test. `sources` says which secrets there are, `finder` finds them quickly.
"""
