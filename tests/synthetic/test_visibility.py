"""Self-occlusion: by the rendered mesh, and by capsules in its place."""

import torch

from meshrec.body import joint_index
from meshrec.geometry import CAMERA_TO_Y_UP, Camera
from meshrec.render import rasterize
from meshrec.synthetic.batches import synthetic_batch
from meshrec.synthetic.detector_noise import EXACT
from meshrec.synthetic.people import SyntheticPeople
from meshrec.synthetic.random_cameras import ViewMix
from meshrec.synthetic.visibility import behind_limbs, behind_surface


def test_landmarks_behind_the_body_are_hidden(body):
    turns = torch.stack([CAMERA_TO_Y_UP, torch.diag(torch.tensor([-1.0, -1, 1]))])
    vertices = body(global_orient=turns).vertices + torch.tensor([0.0, 0, 3])  # facing the camera, and away from it
    camera = Camera(90.0, size=(64, 64))
    screen = camera.project(vertices)
    points = body.joints_from(vertices, "mediapipe33")
    pixels = camera.project(points)[..., :2]
    face_id = rasterize(vertices, body.faces, camera).face_id
    hidden = behind_surface(pixels, points[..., 2], face_id, body.faces, screen[..., 2])
    at = lambda name: joint_index(name, "mediapipe33")  # noqa: E731
    assert not hidden[0, [at("nose"), at("left_eye"), at("left_knee"), at("left_wrist")]].any()
    assert hidden[1, [at("nose"), at("left_eye"), at("mouth_left")]].all()


def test_capsules_hide_what_the_body_hides(body):
    views = ViewMix(truncated=0, occluded=0)
    source = SyntheticPeople(body, seed=3, split="held_out", resolution=64, views=views)
    _, drawn = synthetic_batch(source, range(96), noise=EXACT)
    joints, landmarks = (body.joints_from(source.draw(range(96)).vertices, s) for s in ("union55", "mediapipe33"))
    ours = behind_limbs(landmarks, joints)
    assert (ours == drawn.hidden).float().mean() > 0.88
    assert abs(ours.float().mean() - drawn.hidden.float().mean()) < 0.03
