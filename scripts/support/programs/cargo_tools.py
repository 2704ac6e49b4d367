"""Test suites that are built with cargo, each in one fixed version, and kept in the cache."""

import os
import shutil
import subprocess
from pathlib import Path

from rig import Broken

VERSIONS = {"fsx": "0.3.2", "pjdfstest": "0.2.2"}


def cache():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spillway-dev"


def cargo_program(name):
    """The path of the suite's program; builds it where this machine has none yet."""
    version = VERSIONS[name]
    root = cache() / f"{name}-{version}"
    program = root / "bin" / name
    if program.exists():
        return program
    cargo = shutil.which("cargo") or shutil.which(Path.home() / ".cargo" / "bin" / "cargo")
    if cargo is None:
        raise Broken(f"there is no cargo to build {name} {version} with: install Rust")
    print(f"programs: building {name} {version}", flush=True)
    done = subprocess.run([cargo, "install", "--quiet", "--locked", "--version", version, "--root", root, name],
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Broken(f"{name} {version} can't be built with cargo")
    return program
