"""Builds the program of a release."""

import os
import pathlib
import shutil
import subprocess

from project import NAME, ROOT, fail, git, program_name


def paths_of_this_machine():
    """Returns the folders whose names must not be in the program, with what the
    compiler writes in their place. The most specific comes last, because the last
    that matches counts."""
    home = pathlib.Path.home()
    cargo = pathlib.Path(os.environ.get("CARGO_HOME") or home / ".cargo")
    rustup = pathlib.Path(os.environ.get("RUSTUP_HOME") or home / ".rustup")
    return [(home, "/home"), (rustup, "/rustup"), (cargo, "/cargo"), (ROOT, "/preview-gc")]


def build(target, out):
    """Builds one target and copies the program to a folder."""
    environment = dict(os.environ)
    flags = [f"--remap-path-prefix={path}={name}" for path, name in paths_of_this_machine()]
    if "darwin" not in target:
        # The program needs no C library of the machine that it runs on.
        flags.append("-Ctarget-feature=+crt-static")
    environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(flags)
    # What ring compiles from C has paths as well.
    prefixes = [f"-ffile-prefix-map={path}={name}" for path, name in paths_of_this_machine()]
    if "windows" not in target:
        environment["CFLAGS"] = " ".join(prefixes)
    environment["PREVIEW_GC_COMMIT"] = git("rev-parse", "HEAD")
    environment["PREVIEW_GC_COMMIT_DATE"] = git("log", "-1", "--format=%cs")
    # `cargo auditable` stores the list of dependencies in the program, where
    # `cargo audit` finds it.
    command = ["cargo", "auditable", "build", "--release", "--locked", "--bin", NAME, "--target", target]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    folder = pathlib.Path(environment.get("CARGO_TARGET_DIR") or ROOT / "target")
    program = folder / target / "release" / program_name(target)
    refuse_paths(program)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, out / program.name)


def refuse_paths(program):
    """Refuses a program that names a folder of the machine that built it."""
    content = program.read_bytes()
    for path, _ in paths_of_this_machine():
        for separator in ("/", "\\"):
            name = str(path).replace("\\", separator).replace("/", separator)
            if len(path.parts) > 1 and (name + separator).encode() in content:
                fail(f"{program} names {path}, a folder of this machine")
