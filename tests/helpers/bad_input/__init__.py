"""The table of broken input, with a file per kind of input. tests/test_bad_input.py runs it."""
