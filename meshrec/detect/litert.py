"""TensorFlow Lite networks on the CPU, run by LiteRT (``ai-edge-litert``), with its XNNPACK kernels."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from meshrec.compiled.threads import require_own_threads
from meshrec.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class LiteNetwork:
    """A ``.tflite`` network with one input of batch size one.

    Threads may share it: an interpreter serves one thread at a time, so each call takes an idle one or makes another,
    which keeps the weights as float32 twice, in the largest network 105 MB.

    Args:
        source: A ``.tflite`` file, or the content of one.
        name: Name of the network in error messages. Default: the file's path.
        threads: Number of threads on which each interpreter runs. They give the same outputs as one, bit for bit. Two
            calls at the same time, on one thread each, take less time than two calls in turn on two threads.

    Raises:
        InputError: The file is missing, or is no network of this format.
        MissingDependency: ai-edge-litert is not installed.
    """

    def __init__(self, source: str | Path | bytes, name: str | None = None, threads: int = 1) -> None:
        require_own_threads()
        self._source = source if isinstance(source, bytes) else Path(source)
        self.name = name or ("the network" if isinstance(source, bytes) else str(source))
        self.threads = threads
        self._idle: SimpleQueue[Interpreter] = SimpleQueue()
        with without_chatter():  # LiteRT chats once a process, so that interpreters made later have nothing to say
            first = self._interpreter()
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in first.get_input_details()[0]["shape"][1:])
        self._idle.put(first)

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        """Run the network.

        Args:
            values: float32 array of shape :attr:`input_shape`, which has no batch axis.

        Returns:
            All outputs in the file's order, without the batch axis.
        """
        require_own_threads()
        try:
            interpreter = self._idle.get_nowait()
        except Empty:
            interpreter = self._interpreter()
        try:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values[None])
            interpreter.invoke()
            return [interpreter.get_tensor(output["index"])[0] for output in interpreter.get_output_details()]
        finally:
            self._idle.put(interpreter)

    def _interpreter(self) -> Interpreter:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as error:
            raise MissingDependency("finding people needs LiteRT: pip install ai-edge-litert.") from error
        if isinstance(self._source, Path) and not self._source.is_file():
            raise InputError(f"{self.name}: there is no such network file.")
        try:
            if isinstance(self._source, bytes):
                interpreter = Interpreter(model_content=self._source, num_threads=self.threads)
            else:
                interpreter = Interpreter(str(self._source), num_threads=self.threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise InputError(f"{self.name}: this is not a readable .tflite network ({reason}).") from None
        return interpreter


_redirect = threading.Lock()


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Drop the information lines that LiteRT writes to stderr when it first loads a network; everything else passes.

    Native code writes to file descriptor 2 past Python, so that is what is redirected, for the whole process: one
    thread at a time. What other threads write to stderr meanwhile is passed on at the end.
    """
    with _redirect, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            for line in caught:
                if not (line.startswith(b"INFO: ") and b"TensorFlow Lite" in line):
                    os.write(2, line)
