"""The table of broken input, by what is broken. tests/test_bad_input.py runs it."""
