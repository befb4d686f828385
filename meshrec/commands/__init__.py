"""One module for each command of the ``meshrec`` command line: ``meshrec convert-body`` is ``convert_body.py``.

The module's docstring is the command's help: a sentence, an empty line, an example to copy. ``add_arguments`` declares
what the command takes; ``run`` calls one function of the floors below and returns the exit code, None for 0. Large
libraries are imported inside ``run``, so that help and mistakes on the command line are answered at once. What several
commands read alike is in ``options.py``.
"""
