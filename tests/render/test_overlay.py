"""Pictures for people to look at."""

import cv2
import numpy as np
import pytest
import torch

from meshrec.geometry import Camera, WeakPerspectiveCamera
from meshrec.render import numba_backend, rasterize
from meshrec.render.overlay import encode_png
from meshrec.render.screen import is_perspective, supersampled, to_screen


@pytest.mark.parametrize("opacity", [1.0, 0.6])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("camera", [Camera(70.0, size=(64, 48)), WeakPerspectiveCamera(0.8, size=(64, 48))])
def test_painting_agrees_with_the_differentiable_renderer(camera, samples, opacity):
    generator = torch.Generator().manual_seed(0)
    vertices = torch.rand(60, 3, generator=generator) * 2 + torch.tensor([-1.0, -1.0, 1.5])
    faces, colors = torch.arange(60).view(-1, 3), torch.rand(60, 3, generator=generator)
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    fine = supersampled(camera, samples)
    fragments = rasterize(vertices, faces, fine, backend="torch")
    behind = torch.from_numpy(photo).float() / 255
    want = fragments.picture(fragments.interpolate(colors), behind, shrink=samples)[0] * opacity + behind * (
        1 - opacity
    )
    canvas = photo.copy()
    numba_backend.paint(to_screen(vertices, fine), faces, is_perspective(camera), colors, canvas, samples, opacity)
    assert np.abs(canvas - want.numpy() * 255).max() < 0.51  # rounded to whole bytes
    assert not np.array_equal(canvas, photo)


@pytest.mark.parametrize("compression", [0, 1, 6])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (60, 90)])
def test_png_is_read_back_exactly(size, compression):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for given in (picture, picture[::-1, :, ::-1]):  # also views that are not contiguous
        read = cv2.imdecode(np.frombuffer(encode_png(given, compression), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read[..., ::-1], given)
