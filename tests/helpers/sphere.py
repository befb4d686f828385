"""A body that is none: what code about meshes may not take for granted."""

import trimesh

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyData
from meshrec.body.files import body_from_arrays


def sphere_body() -> BodyData:
    """A closed mesh that has nothing of the open body."""
    mesh = trimesh.creation.icosphere(5, radius=0.5)
    arrays = random_arrays(vertices=len(mesh.vertices))
    return body_from_arrays({**arrays, "v_template": mesh.vertices, "f": mesh.faces}, "sphere")
