"""A person with known parameters in front of a known camera, for tests of labels."""

import numpy as np
import torch

from meshrec.body import BodyModel, joint_set
from meshrec.data.sample import Sample, person_sample
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, axis_angle_to_matrix

JOINTS = joint_set("union55")
SIZE = (320, 240)
CAMERA = Camera((400.0, 440.0), (150.0, 130.0), SIZE)  # pixels are not square, the principal point is off the centre


def pose_towards_camera(generator: torch.Generator) -> torch.Tensor:
    """A random pose (24, 3, 3), upright in camera space."""
    pose = axis_angle_to_matrix(0.4 * torch.randn(24, 3, generator=generator))
    return torch.cat([CAMERA_TO_Y_UP @ pose[:1], pose[1:]])


def body_joints(body: BodyModel, sample: Sample) -> np.ndarray:
    """Joints (K, 3) of the body in the pose and shape of a sample, relative to the pelvis, metres."""
    pose = torch.from_numpy(sample.pose)[None]
    out = body(betas=torch.from_numpy(sample.betas)[None], global_orient=pose[:, 0], body_pose=pose[:, 1:])
    joints = body.joints_from(out.vertices, "union55")[0]
    return (joints - joints[JOINTS.index("pelvis")]).numpy()


def posed_sample(body: BodyModel, seed: int = 0, image: np.ndarray | None = None) -> Sample:
    """A sample with all labels, those of one body 3 m in front of :data:`CAMERA`."""
    generator = torch.Generator().manual_seed(seed)
    pose = pose_towards_camera(generator)
    betas = torch.randn(1, 10, generator=generator)
    out = body(betas=betas, global_orient=pose[None, :1], body_pose=pose[None, 1:])
    joints = (body.joints_from(out.vertices, "union55") - out.joints[:, :1])[0] + torch.tensor([0.1, -0.05, 3.0])
    pixels = CAMERA.project(joints)[:, :2].numpy()
    known = np.ones((len(JOINTS), 1), np.float32)
    return person_sample(
        name="known body",
        image=np.zeros((*SIZE[::-1], 3), np.uint8) if image is None else image,
        crop=(np.array([160.0, 118.0]), 260.0),
        joints=JOINTS,
        keypoints_2d=np.hstack([pixels, known]),
        joints_3d=np.hstack([joints.numpy(), known]),
        pose=pose.numpy(),
        betas=betas[0].numpy(),
        body=body.hash,
        camera=CAMERA,
        sequence="walk",
        time=1.5,
    )


def projected(sample: Sample) -> np.ndarray:
    """Projections (K, 2) of the 3D joints of a sample by its own camera, in crop coordinates."""
    joints = sample.joints_3d
    return joints[:, :2] / joints[:, 2:3] * sample.focal + sample.principal
