"""Runs one `.tflite` file under LiteRT's own profiler and prints what it says: python profile_run.py FILE
RUNS.

The profiler is in LiteRT's C library only (`litert/c/litert_profiler.h`), hence the calls by hand; another
version of it may crash, hence the process of its own. Imports nothing of pocketface.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

import ai_edge_litert

LIBRARY = Path(ai_edge_litert.__file__).with_name("libLiteRt.so")
CPU = 1
WARMUP = 5
TYPE_BYTES = 256
"""More than the struct of a tensor's type and shape."""

Handle = ctypes.c_void_p
PROFILING = ctypes.create_string_buffer(b"enable_profiling = true")
"""Here for as long as the program: the library keeps the address only."""
NO_DELETER = ctypes.CFUNCTYPE(None, Handle)(lambda payload: None)


def main() -> None:
    """Profiles the file named on the command line."""
    file, runs = sys.argv[1], int(sys.argv[2])
    environment = made("LiteRtCreateEnvironment", ctypes.c_int(0), Handle())
    model = made("LiteRtCreateModelFromFile", environment, file.encode())
    compiled = made("LiteRtCreateCompiledModel", environment, model, options())
    signature = made("LiteRtGetModelSignature", model, ctypes.c_size_t(0))
    ports = []
    for side in ("Input", "Output"):
        buffers = allocate(environment, compiled, signature, side)
        ports += [ctypes.c_size_t(len(buffers)), buffers]
    profiler = made("LiteRtCompiledModelGetProfiler", compiled)
    for turn in range(WARMUP + runs):
        if turn == WARMUP:
            call("LiteRtStartProfiler", profiler)
        call("LiteRtRunCompiledModel", compiled, ctypes.c_size_t(0), *ports)
    call("LiteRtStopProfiler", profiler)
    summary = ctypes.c_char_p()
    call("LiteRtGetProfileSummary", profiler, compiled, ctypes.byref(summary))
    print((summary.value or b"").decode())


def call(function: str, *arguments: Any) -> None:
    """Calls LiteRT; any status but 0 is the end."""
    status = getattr(library, function)(*arguments)
    if status != 0:
        sys.exit(f"{function} ends with status {status}")


def made(function: str, *arguments: Any) -> ctypes.c_void_p:
    """The handle that a function of LiteRT leaves in its last argument."""
    handle = Handle()
    call(function, *arguments, ctypes.byref(handle))
    return handle


def options() -> ctypes.c_void_p:
    """To run on one thread of the CPU, with the profiler on."""
    wanted = made("LiteRtCreateOptions")
    call("LiteRtSetOptionsHardwareAccelerators", wanted, ctypes.c_int(CPU))
    profiling = made("LiteRtCreateOpaqueOptions", b"runtime_options_string", PROFILING, NO_DELETER)
    call("LiteRtAddOpaqueOptions", wanted, profiling)
    return wanted


def allocate(
    environment: ctypes.c_void_p, compiled: ctypes.c_void_p, signature: ctypes.c_void_p, side: str
) -> Any:
    """A tensor buffer for every input or output."""
    count = ctypes.c_size_t()
    call(f"LiteRtGetNumSignature{side}s", signature, ctypes.byref(count))
    buffers = (Handle * count.value)()
    for i in range(count.value):
        place = ctypes.c_size_t(i)
        tensor = made(f"LiteRtGetSignature{side}TensorByIndex", signature, place)
        kind = ctypes.create_string_buffer(TYPE_BYTES)
        call("LiteRtGetRankedTensorType", tensor, kind)
        needs = made(f"LiteRtGetCompiledModel{side}BufferRequirements", compiled, ctypes.c_size_t(0), place)
        buffers[i] = made("LiteRtCreateManagedTensorBufferFromRequirements", environment, kind, needs)
    return buffers


if __name__ == "__main__":
    library = ctypes.CDLL(str(LIBRARY))
    main()
