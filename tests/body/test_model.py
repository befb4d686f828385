"""The body layer against smplx, finite differences and closed forms."""

import contextlib
import copy
import io
import pickle

import numpy as np
import pytest
import torch

from meshrec.benchmarks.random_body import random_arrays
from meshrec.body import BodyModel, joint_set, load_body
from meshrec.body.files import body_from_arrays
from meshrec.errors import InputError
from meshrec.geometry import axis_angle_to_matrix, random_rotations


def make_body(dtype=torch.float32, **kwargs) -> BodyModel:
    return BodyModel(body_from_arrays(random_arrays(**kwargs), "test body"), dtype)


def random_pose(batch: int, seed: int = 0, dtype=torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    return {
        "betas": normal(batch, 10),
        "body_pose": normal(batch, 69) * 0.7,
        "global_orient": normal(batch, 3),
        "transl": normal(batch, 3),
    }


@pytest.fixture(scope="module")
def smplx_model():
    smplx = pytest.importorskip("smplx", reason="compares with smplx.SMPL")
    from smplx.utils import Struct

    arrays = random_arrays(vertices=6890, influences=24)
    with contextlib.redirect_stdout(io.StringIO()):
        return smplx.SMPL("", data_struct=Struct(**arrays)), arrays


@pytest.mark.parametrize("batch", [1, 5])
def test_equals_smplx(smplx_model, batch):
    theirs, arrays = smplx_model
    pose = random_pose(batch)
    expected = theirs(**pose)
    for ours in (load_body(body_from_arrays(arrays, "arrays")), load_body(theirs)):
        out = ours(**pose)
        assert torch.allclose(out.vertices, expected.vertices, atol=1e-5)
        assert torch.allclose(out.joints, expected.joints[:, :24], atol=1e-5)


def test_gradients_against_finite_differences():
    body = make_body(torch.float64, vertices=8, betas=3)
    pose = random_pose(2, dtype=torch.float64)
    inputs = [pose["betas"][:, :3], pose["body_pose"], pose["global_orient"], pose["transl"]]
    inputs = [value.clone().requires_grad_() for value in inputs]

    def outputs(*arguments: torch.Tensor):
        out = body(*arguments)
        return out.vertices, out.joints, out.rotations, out.translations

    assert torch.autograd.gradcheck(outputs, inputs)


def test_gradient_at_the_rest_pose_is_finite():
    body = make_body(torch.float64, vertices=8)
    pose = torch.zeros(1, 69, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: body(body_pose=p).vertices, [pose])


def test_matrices_and_axis_angle_agree():
    body, pose = make_body(), random_pose(3)
    expected = body(**pose).vertices
    rotations = axis_angle_to_matrix(pose["body_pose"].view(3, 23, 3))
    root = axis_angle_to_matrix(pose["global_orient"])
    for given in (root, root[:, None]):
        out = body(betas=pose["betas"], body_pose=rotations, global_orient=given, transl=pose["transl"])
        assert torch.allclose(out.vertices, expected, atol=1e-5)
    out = body(betas=pose["betas"], body_pose=pose["body_pose"].view(3, 23, 3),
               global_orient=pose["global_orient"][:, None], transl=pose["transl"])  # fmt: skip
    assert torch.allclose(out.vertices, expected, atol=1e-6)


def test_nothing_given_is_the_template():
    body = make_body()
    out = body()
    assert torch.allclose(out.vertices[0], body.v_template, atol=1e-6)
    assert out.joints.shape == (1, 24, 3)


def test_each_argument_broadcasts():
    body, pose = make_body(), random_pose(4)
    for name in pose:
        single = {key: value[:1] if key == name else value for key, value in pose.items()}
        repeated = {key: value[:1].repeat(4, 1) if key == name else value for key, value in pose.items()}
        assert torch.allclose(body(**single).vertices, body(**repeated).vertices, atol=1e-6)


def test_fewer_betas_count_as_zeros():
    body, betas = make_body(), random_pose(2)["betas"]
    padded = torch.cat([betas[:, :4], torch.zeros(2, 6)], 1)
    assert torch.allclose(body(betas=betas[:, :4]).vertices, body(betas=padded).vertices, atol=1e-6)


def test_rigid_motion_of_the_root():
    """Turning and moving the root turns and moves everything about the pelvis."""
    body, pose = make_body(torch.float64), random_pose(1, dtype=torch.float64)
    turn = random_rotations(1, torch.Generator().manual_seed(1), torch.float64)
    still = body(betas=pose["betas"], body_pose=pose["body_pose"])
    moved = body(betas=pose["betas"], body_pose=pose["body_pose"], global_orient=turn, transl=pose["transl"])
    pelvis = still.joints[:, :1]
    expected = (still.vertices - pelvis) @ turn.transpose(1, 2) + pelvis + pose["transl"][:, None]
    assert torch.allclose(moved.vertices, expected, atol=1e-10)


def test_outputs_carry_rest_points_to_posed_ones():
    body, pose = make_body(torch.float64, posedirs=False), random_pose(2, dtype=torch.float64)
    out = body(**pose)
    vertices, joints = body.rest(pose["betas"])
    moved = out.rotations @ joints[..., None] + out.translations[..., None]
    assert torch.allclose(moved[..., 0], out.joints, atol=1e-10)
    per_joint = torch.einsum("bjrc,bvc->bvjr", out.rotations, vertices) + out.translations[:, None]
    blended = (body.weights[None, :, :, None] * per_joint).sum(2)
    assert torch.allclose(blended, out.vertices, atol=1e-10)


def test_the_dense_path_of_other_devices_agrees(monkeypatch):
    """The kernels serve CPUs only; elsewhere plain tensor code must give the same vertices and gradients."""
    from meshrec.body import blending, kinematics, skinning

    body, pose = make_body(torch.float64), random_pose(3, dtype=torch.float64)
    betas = pose["betas"].clone().requires_grad_()
    body_pose = pose["body_pose"].clone().requires_grad_()

    def run():
        out = body(betas, body_pose, pose["global_orient"], pose["transl"]).vertices
        weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
        return out, *torch.autograd.grad((out * weight).sum(), [betas, body_pose])

    expected = run()

    for module in (blending, kinematics, skinning):
        monkeypatch.setattr(module, "has_kernels", lambda tensor: False)
    for ours, theirs in zip(run(), expected):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_threads_change_nothing():
    body, pose = make_body(vertices=500), random_pose(7)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = body(**pose).vertices
        torch.set_num_threads(3)
        assert torch.equal(body(**pose).vertices, alone)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compile_and_export(dtype):
    body, pose = make_body(dtype), random_pose(2, dtype=dtype)
    expected = body(**pose).vertices
    program = torch.export.export(body, (), pose)
    assert torch.allclose(program.module()(**pose).vertices, expected, atol=1e-6)
    compiled = torch.compile(body, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(**pose).vertices, expected, atol=1e-6)


def any_batch(pose: dict[str, torch.Tensor]) -> dict[str, dict[int, torch.export.Dim]]:
    """Shapes of arguments whose batch is open in an exported program."""
    batch = torch.export.Dim("batch")
    return {name: {0: batch} for name in pose}


def test_an_exported_program_is_of_torchs_own_operations_and_takes_any_batch(tmp_path):
    body, pose, other = make_body(), random_pose(2), random_pose(5, seed=1)
    program = torch.export.export(body, (), pose, dynamic_shapes=any_batch(pose))
    assert not [node for node in program.graph.nodes if "meshrec" in str(node.target)]
    torch.export.save(program, tmp_path / "body.pt2")
    loaded = torch.export.load(tmp_path / "body.pt2").module()
    for ours, expected in zip(vars(loaded(**other)).values(), vars(body(**other)).values()):
        assert torch.allclose(ours, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, and warns of each check that it keeps as it came out
def test_a_trace_computes_and_does_not_remember(tmp_path):
    body, pose, other = make_body(), random_pose(2), random_pose(5, seed=1)

    def vertices_and_joints(*arguments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = body(*arguments)
        return out.vertices, out.joints

    torch.jit.trace(vertices_and_joints, tuple(pose.values())).save(str(tmp_path / "body.pt"))
    vertices, joints = torch.jit.load(str(tmp_path / "body.pt"))(*other.values())
    expected = body(**other)
    assert torch.allclose(vertices, expected.vertices, atol=1e-6)
    assert torch.allclose(joints, expected.joints, atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # of the exporter's own
def test_onnx_export_takes_any_batch(tmp_path):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="exports to ONNX and runs it")
    import onnxruntime

    body, pose, other = make_body(), random_pose(2), random_pose(5, seed=1)
    shapes = any_batch(pose)
    program = torch.onnx.export(body, (), kwargs=pose, dynamo=True, dynamic_shapes=shapes, verbose=False)
    program.save(tmp_path / "body.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "body.onnx")
    found = session.run(None, {name: value.numpy() for name, value in other.items()})
    for ours, expected in zip(found, vars(body(**other)).values(), strict=True):
        assert np.allclose(ours, expected.numpy(), atol=1e-5)


def test_a_body_of_float64_stays_float64():
    body, pose = make_body(torch.float64), random_pose(2, dtype=torch.float64)
    regressor = body.with_regressor("h36m17", np.eye(40)[:17])
    outputs = [*vars(body(**pose)).values(), *vars(body()).values(), *body.rest(pose["betas"]), *body.rest()]
    outputs.append(regressor.joints_from(outputs[0], "h36m17"))
    assert {value.dtype for value in outputs} == {torch.float64}
    single = {name: value.float() for name, value in pose.items()}
    difference = (make_body()(**single).vertices - outputs[0]).abs().max()
    assert 0 < difference < 1e-5  # the same bodies, more precisely


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_of_nobody(dtype):
    body = make_body(dtype).with_regressor("h36m17", np.eye(40)[:17])
    pose = {name: value.requires_grad_() for name, value in random_pose(0, dtype=dtype).items()}
    out = body(**pose)
    assert [len(value) for value in vars(out).values()] == [0] * 4
    assert body.joints_from(out.vertices, "h36m17").shape == (0, 17, 3)
    out.vertices.sum().backward()
    assert pose["betas"].grad.shape == (0, 10)
    assert body(betas=pose["betas"]).vertices.shape == body(pose["betas"], torch.zeros(1, 69).to(dtype)).vertices.shape
    assert body.rest(pose["betas"])[0].shape == (0, 40, 3)


def test_autocast_leaves_the_body_in_full_precision():
    body, pose = make_body(), random_pose(2)
    expected = body(**pose).vertices
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(body(**pose).vertices, expected)
        assert {value.dtype for value in body.rest(pose["betas"])} == {torch.float32}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("argument", ["betas", "body_pose", "global_orient", "transl"])
def test_what_is_not_finite_is_named(argument, value):
    body, pose = make_body(), random_pose(3)
    pose[argument][1, -1] = value  # of the pose a joint that moves no other
    with pytest.raises(ValueError, match=f"{argument} should be finite, but row 1 has"):
        body(**pose)
    body(**{argument: torch.full_like(pose[argument][:1], 1e-30)})
    with pytest.raises(ValueError, match=f"{argument} should be finite, but row 0 has"):
        body(**{argument: pose[argument][1:2]})


def test_large_values_are_not_taken_for_infinite_ones():
    assert make_body()(transl=torch.full((40, 3), 1e37)).joints.isfinite().all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("argument", ["betas", "body_pose", "global_orient", "transl"])
def test_what_is_not_finite_in_training_spoils_its_own_body_alone(argument, value):
    body, pose = make_body(), random_pose(3)
    expected = body(**pose).vertices
    pose[argument][1, 0] = value
    estimates = {name: given.requires_grad_() * 1 for name, given in pose.items()}
    found = body(**estimates).vertices
    assert torch.allclose(found[[0, 2]], expected[[0, 2]], atol=1e-6)
    assert not found[1].isfinite().all(-1).any()


@pytest.mark.parametrize(
    "given, error, message",
    [
        ({"betas": torch.zeros(2, 10).double()}, TypeError, "betas should be float32 on cpu, .*, not float64"),
        ({"body_pose": torch.zeros(2, 69).half()}, TypeError, "body_pose should be float32 .*, not float16"),
        ({"global_orient": torch.zeros(2, 3).bfloat16()}, TypeError, "global_orient should be .*, not bfloat16"),
        ({"transl": torch.zeros(2, 3).double()}, TypeError, r"use transl\.to\(body\.v_template\)"),
        ({"betas": torch.zeros(1, 10, dtype=torch.int64)}, TypeError, "not int64 on cpu"),
        ({"betas": torch.zeros(1, 10, device="meta")}, TypeError, "not float32 on meta"),
        ({"betas": np.zeros((1, 10), np.float32)}, TypeError, "betas should be a tensor, not ndarray"),
        ({"transl": [[0.0, 0, 0]]}, TypeError, "transl should be a tensor, not list"),
        ({"betas": torch.tensor(1.0)}, ValueError, "betas should have a batch dimension"),
        ({"transl": torch.zeros(2, 4)}, ValueError, r"transl should be \(B, 3\), not \(2, 4\)"),
        ({"transl": torch.zeros(3)}, ValueError, r"transl should be \(B, 3\), not \(3,\)"),
        (
            {"betas": torch.zeros(2, 10), "transl": torch.zeros(3, 3)},
            ValueError,
            "transl has a batch of 3, but betas one of 2",
        ),
        (
            {"body_pose": torch.zeros(0, 69), "transl": torch.zeros(3, 3)},
            ValueError,
            "transl has a batch of 3, but body_pose one of 0",
        ),
    ],
)
def test_arguments_of_the_wrong_kind_are_named(given, error, message):
    with pytest.raises(error, match=message):
        make_body()(**given)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_bodies_are_not_computed_in_half_precision(dtype):
    body = make_body().to(dtype)
    for call in (body, body.rest):
        with pytest.raises(TypeError, match=f"float32 or float64, not {dtype}".replace("torch.", "")):
            call()


@pytest.mark.parametrize(
    "argument, shape",
    [("betas", (2, 11)), ("body_pose", (2, 72)), ("body_pose", (2, 24, 3)), ("global_orient", (2, 4))],
)
def test_wrong_shapes_are_named(argument, shape):
    with pytest.raises(ValueError, match=argument):
        make_body()(**{argument: torch.zeros(shape)})


@pytest.mark.parametrize("shape", [(40, 3), (2, 39, 3), (2, 40, 2)])
def test_joints_are_taken_from_this_bodys_vertices(shape):
    body = make_body().with_regressor("h36m17", np.eye(40)[:17])
    with pytest.raises(ValueError, match=r"vertices should be \(B, 40, 3\)"):
        body.joints_from(torch.zeros(shape), "h36m17")


@pytest.mark.parametrize("vertices, kind", [(torch.zeros(1, 40, 3).long(), "int64"), (np.zeros((1, 40, 3)), "ndarray")])
def test_joints_are_taken_from_floating_tensors(vertices, kind):
    with pytest.raises(TypeError, match=f"vertices should be a tensor of floating numbers, not {kind}"):
        make_body().joints_from(vertices, "smpl24")


def test_part_labels_are_the_files_or_the_strongest_joints():
    body = make_body()
    assert np.array_equal(body.part_labels, body.data.weights.argmax(1))
    shipped = load_body("neutral")
    assert np.array_equal(shipped.part_labels, shipped.data.part_labels)
    hand = shipped.part_labels == shipped.joint_names.index("left_hand")
    assert shipped.data.v_template[hand, 0].min() > 0.5


def test_own_regressor_defines_a_set():
    rows = np.zeros((17, 40))
    rows[np.arange(17), np.arange(17)] = 1
    body = make_body().with_regressor("h36m17", rows)
    vertices = body(**random_pose(2)).vertices
    assert torch.allclose(body.joints_from(vertices, "h36m17"), vertices[:, :17])


def test_own_landmarks_serve_every_set_but_smpls():
    names = [name for name in joint_set("coco17") if name not in joint_set("smpl24")]
    before = make_body().with_regressor(names, np.eye(40)[: len(names)])
    after = before.with_regressor(("left_hip", "nose"), np.eye(40)[20:22]).with_regressor(["nose"], np.eye(40)[30:31])
    assert np.array_equal(after.joint_regressor("smpl24"), before.joint_regressor("smpl24"))
    found = dict(zip(joint_set("coco17"), after.joint_regressor("coco17").argmax(1)))
    assert (found["left_hip"], found["nose"], found[names[1]]) == (20, 30, 1)


def with_own_rows(body: BodyModel) -> BodyModel:
    """The body with H36M's joints at its first vertices and the nose at the 20th."""
    return body.with_regressor("h36m17", np.eye(40)[:17]).with_regressor(("nose",), np.eye(40)[20:21])


@pytest.mark.parametrize(
    "derive",
    [
        lambda body: body.truncated(4),
        lambda body: body.truncated(10),
        lambda body: body.to("cpu").double(),
        lambda body: load_body(body, dtype=torch.float64),
        lambda body: load_body(body, num_betas=3),
        copy.copy,
        copy.deepcopy,
        lambda body: pickle.loads(pickle.dumps(body)),
        lambda body: body.with_regressor("lsp14", np.eye(40)[:14]).truncated(2),
    ],
)
def test_own_regressors_survive(derive):
    derived = derive(with_own_rows(make_body()))
    vertices = torch.randn(2, 40, 3).to(derived.v_template)
    assert torch.equal(derived.joints_from(vertices, "h36m17"), vertices[:, :17])
    assert np.array_equal(derived.regressors["nose",], np.eye(40)[20:21])


def test_bodies_are_not_changed_by_what_is_made_of_them():
    body, pose = make_body(), random_pose(2)
    rows = np.eye(40)[:17]
    before = body(**pose).vertices
    own = body.with_regressor("h36m17", rows)
    with pytest.raises(InputError, match="no landmarks"):
        body.joint_regressor("h36m17")
    own.joints_from(before, "h36m17")
    other = own.with_regressor("h36m17", np.eye(40)[1:18])  # also after its rows were cached
    assert torch.equal(other.joints_from(before, "h36m17"), before[:, 1:18])
    rows[:] = np.nan
    own.joint_regressor("h36m17")[:] = np.nan
    assert torch.equal(own.joints_from(before, "h36m17"), before[:, :17])
    copy.copy(body).double()
    own.truncated(3).double()
    assert (body.num_betas, own.num_betas, body.v_template.dtype) == (10, 10, torch.float32)
    assert torch.equal(body(**pose).vertices, before)


def test_a_truncated_body_is_the_one_loaded_with_fewer_betas():
    data = body_from_arrays(random_arrays(betas=20), "test body")
    body, pose = load_body(data), random_pose(2)
    short, loaded = body.truncated(10), load_body(data, num_betas=10)
    assert short.num_betas == 10 and short.hash == loaded.hash != body.hash and short.truncated(11) is short
    assert short._basis.data_ptr() == body._basis.data_ptr() and short.weights is body.weights
    for ours, expected in zip(vars(short(**pose)).values(), vars(loaded(**pose)).values()):
        assert torch.equal(ours, expected)
    assert torch.equal(short.rest(pose["betas"])[1], loaded.rest(pose["betas"])[1])
    with pytest.raises(ValueError, match="betas"):
        short(betas=torch.zeros(1, 11))
    with pytest.raises(ValueError, match="cannot be 0"):
        body.truncated(0)
    program = torch.export.export(short, (), pose)
    assert torch.allclose(program.module()(**pose).vertices, short(**pose).vertices, atol=1e-6)


@pytest.mark.parametrize(
    "joints, rows, message",
    [
        ("h36m17", np.eye(40)[:16], "17 x 40"),
        (("nose",), np.eye(41)[:1], "1 x 40"),
        ("h36m17", 2 * np.eye(40)[:17], "sum to one"),
        ("h36m17", np.full((17, 40), np.nan), "finite"),
        ("h36m17", np.full((17, 40), "a"), "numbers"),
        ("h36m", np.eye(40)[:17], "unknown joint set"),
    ],
)
def test_rows_that_do_not_fit_are_wrong_arguments(joints, rows, message):
    with pytest.raises(ValueError, match=message):
        make_body().with_regressor(joints, rows)


def test_the_fields_own_regressors_are_read_from_files(tmp_path):
    rows = np.eye(40)
    np.save(tmp_path / "h36m.npy", rows[:17])
    np.save(tmp_path / "extra.npy", rows[20:29])
    data = body_from_arrays(random_arrays(), "test body")
    body = load_body(data, h36m_regressor=tmp_path / "h36m.npy", extra_regressor=tmp_path / "extra.npy")
    assert np.array_equal(body.joint_regressor("h36m17"), rows[:17])
    lsp = body.joint_regressor("lsp14")
    assert np.array_equal(lsp[2], rows[20]) and np.array_equal(lsp[13], rows[23])  # right hip, head top
    np.save(tmp_path / "short.npy", rows[:16])
    with pytest.raises(InputError, match=r"short\.npy: .* 17 x 40"):
        load_body(data, h36m_regressor=tmp_path / "short.npy")
    np.save(tmp_path / "number.npy", np.float32(1))
    with pytest.raises(InputError, match=r"number\.npy: not a readable .* of shape \(\)"):
        load_body(data, extra_regressor=tmp_path / "number.npy")


def test_a_body_without_landmarks_says_so():
    with pytest.raises(InputError, match="nose"):
        make_body().joints_from(torch.zeros(1, 40, 3), "coco17")


def test_without_gradients_the_result_is_the_same():
    """Then the kernels are called straight, also with leaves that would otherwise collect gradients."""
    body, pose = make_body(), random_pose(3)
    with_gradients = body(**{name: value.clone().requires_grad_() for name, value in pose.items()}).vertices
    with torch.no_grad():
        leaves = {name: value.clone().requires_grad_() for name, value in pose.items()}
        assert torch.equal(body(**leaves).vertices, with_gradients)
