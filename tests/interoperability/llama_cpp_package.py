"""llama.cpp from its PyPI package, downloaded and built once, outside of the checkout: its library, and its server."""

import os
import subprocess
import sys
from pathlib import Path

from scratchlm.artifacts import atomic_directory

VERSION = "0.3.36"  # of llama-cpp-python, which holds llama.cpp's sources and its converter
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / f"scratchlm/llama-cpp-python-{VERSION}"
SOURCE, BUILD = CACHE / "source", CACHE / "build"
SERVER = BUILD / "bin/llama-server"
UNUSED = ("BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_APP", "BUILD_UI", "USE_PREBUILT_UI", "OPENSSL", "SUBPROCESS")
OPTIONS = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", *(f"-DLLAMA_{name}=OFF" for name in UNUSED)]
OPTIONS += ["-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG"]  # compiles in two thirds of the time of -O3


def build(target: str) -> None:
    """Download the package and compile `llama` (the library) or `llama-server`, which share what both need.

    Minutes at first, a second from then on; needs cmake and C++.
    """
    if not SOURCE.is_dir():
        _download()
    _run("cmake", "-S", SOURCE / "vendor/llama.cpp", "-B", BUILD, *OPTIONS)
    _run("cmake", "--build", BUILD, "--target", target, "--parallel", os.cpu_count() or 1)


def convert(model: Path, gguf: Path) -> None:
    """Run llama.cpp's converter on a model directory, without rounding the weights."""
    converter = SOURCE / "vendor/llama.cpp/convert_hf_to_gguf.py"
    _run(sys.executable, converter, model, "--outtype", "f32", "--outfile", gguf)


def run_python(script: str, *arguments: str) -> str:
    """What a script prints that may import `llama_cpp`."""
    paths = {"PYTHONPATH": str(SOURCE), "LLAMA_CPP_LIB_PATH": str(BUILD / "bin")}
    return _run(sys.executable, "-c", script, *arguments, **paths)


def _download() -> None:
    name = "llama-cpp-python"
    with atomic_directory(CACHE / "sdist") as partial:
        _run(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-binary",
            name,
            "-d",
            partial,
            f"{name}=={VERSION}",
        )
    [archive] = (CACHE / "sdist").iterdir()
    with atomic_directory(SOURCE) as partial:
        _run("tar", "--extract", "--file", archive, "--strip-components", 1, "--directory", partial)


def _run(*command: object, **environment: str) -> str:
    done = subprocess.run([str(part) for part in command], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout
