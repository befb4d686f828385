"""A sphere as a body, to check that code about meshes does not rely on the shape of people."""

import trimesh

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyData
from meshrec.body.files import body_from_arrays


def sphere_body() -> BodyData:
    """A body whose mesh is a sphere, with a topology of its own."""
    mesh = trimesh.creation.icosphere(5, radius=0.5)
    arrays = random_arrays(vertices=len(mesh.vertices))
    return body_from_arrays({**arrays, "v_template": mesh.vertices, "f": mesh.faces}, "sphere")
