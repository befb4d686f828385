"""Weights that others have published: read without running code, and converted to the networks of this package.

Each kind of checkpoint is a file here that recognises and converts it, and a row of
:data:`meshrec.models.published.importing.KINDS`.
"""

from meshrec.models.published.graph_cmr import read_graph
from meshrec.models.published.importing import ImportedCheckpoint, import_checkpoint
from meshrec.models.published.reading import read_weights
from meshrec.models.published.resnets import load_resnet

__all__ = ["ImportedCheckpoint", "import_checkpoint", "load_resnet", "read_graph", "read_weights"]
