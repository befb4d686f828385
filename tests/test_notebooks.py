"""The notebooks run from start to end, in an empty folder beside copies of what they name."""

import json
import os
import shutil
from pathlib import Path

import pytest
from helpers.paths import CONFIGS, EXAMPLES, ROOT

NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs(path):
    cells = json.loads(path.read_text())["cells"]
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run(path: Path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    if path.name == "train_your_own.ipynb":
        pytest.importorskip("lightning", reason="needs lightning")
    import nbformat

    folder = tmp_path / "examples" / "notebooks"
    folder.mkdir(parents=True)
    shutil.copy(EXAMPLES / "dancer.jpg", tmp_path / "examples")
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = [output.output_type for output in outputs]
    assert kinds and "error" not in kinds
    assert not any("Warning" in output.get("text", "") or "warn(" in output.get("text", "") for output in outputs)
    made = [file.name for file in folder.rglob("*") if file.is_file()]
    assert ("person.glb" if path.name == "first_photo.ipynb" else "last.safetensors") in made
