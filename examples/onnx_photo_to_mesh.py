"""One person's mesh from a photo and keypoints, with onnxruntime, numpy and Pillow alone: no torch, no meshrec.

    meshrec export-onnx keypoints keypoints.onnx && meshrec export-onnx body body.onnx   # once, where meshrec is
    python onnx_photo_to_mesh.py dancer.jpg dancer_keypoints.json                        # anywhere else

It writes mesh.obj and overlay.png. It does not find people: keypoints are given, 33 rows of x, y and confidence in the
order of MediaPipe, photo pixels. It does not fit the body to them either, which meshrec does after the network.
"""

import json
import sys
import numpy as np
import onnxruntime
from PIL import Image, ImageDraw

def load(path):
    session = onnxruntime.InferenceSession(path)
    about = session.get_modelmeta().custom_metadata_map
    return session, {key.removeprefix("meshrec."): value for key, value in about.items()}

def looking_along(ray):
    """The rotation that brings a ray to the z axis and keeps the x axis level."""
    z = ray / np.linalg.norm(ray)
    x = np.array([z[2], 0, -z[0]]) / np.hypot(z[0], z[2])
    return np.stack([x, np.cross(z, x), z])

photo = Image.open(sys.argv[1]).convert("RGB")
points = np.array(json.load(open(sys.argv[2])), float)
network, about = load("keypoints.onnx")
body, of_body = load("body.onnx")
assert json.loads(about["body"])["hash"] == json.loads(of_body["body"])["hash"], "the files are of different bodies"
assert len(points) == len(json.loads(about["joints"])), f"keypoints should be those of {about['joint_set']}"

# The photo's camera: 55 degrees of view along the diagonal. The crop: a square around the keypoints inside the photo.
size = np.array(photo.size)
focal, center = np.hypot(*size) / 2 / np.tan(np.radians(55 / 2)), (size - 1) / 2
points[((points[:, :2] < -0.5) | (points[:, :2] > size - 0.5)).any(1), 2] = 0
seen = points[points[:, 2] > 0, :2]
middle, half = (seen.min(0) + seen.max(0)) / 2, float(about["margin"]) * np.ptp(seen, axis=0).max() / 2

# The network sees the crop through a camera that looks at its middle.
ray = np.append((middle - center) / focal, 1)
turn, crop_focal = looking_along(ray), focal / half * np.linalg.norm(ray) ** 1.5
rays = np.c_[(points[:, :2] - center) / focal, np.ones(len(points))] @ turn.T
keypoints = np.c_[crop_focal * rays[:, :2] / rays[:, 2:], points[:, 2]] * (points[:, 2:] > 0)
inputs = {"keypoints": keypoints[None].astype(np.float32), "focal": np.array([crop_focal], np.float32)}
rotations, betas, place = network.run(["rotations", "betas", "translation"], inputs)

# Back to the photo's camera, which turns about its own centre while a body turns about its pelvis.
pelvis = body.run(["joints"], {"betas": betas, "rotations": rotations, "translation": 0 * place})[0][0, 0]
rotations[:, 0] = turn.T @ rotations[:, 0]
place = (pelvis + place) @ turn - pelvis
vertices = body.run(["vertices"], {"betas": betas, "rotations": rotations, "translation": place.astype(np.float32)})[0][0]

with open("mesh.obj", "w") as file:  # y up and z towards the viewer, as 3D programs want it
    file.writelines(f"v {x:.5f} {-y:.5f} {-z:.5f}\n" for x, y, z in vertices)
    file.writelines(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in json.loads(of_body["faces"]))
ImageDraw.Draw(photo).point([tuple(p) for p in focal * vertices[:, :2] / vertices[:, 2:] + center], fill=(255, 0, 0))
photo.save("overlay.png")
