"""One module for each command of the ``meshrec`` command line: ``meshrec convert-body`` is ``convert_body.py``.

The module's docstring is the command's help: a sentence, an empty line, an example to copy. ``add_arguments`` declares
the arguments of the command; ``run`` calls one function of the rooms below and returns the exit code, None for 0. Large
libraries are imported inside ``run``, so that help and errors of the command line appear at once. ``options.py`` reads
options that several commands have in common.
"""
