"""Prepares the file systems of the container image: the program, the certificates
of authorities, and a home of the user that it runs as."""

import pathlib
import shutil

from archive import unpack
from project import NAME, TEMPLATES, fail, program_name, write

# The names that container tools give to machines.
MACHINES = {"amd64": "x86_64-unknown-linux-musl", "arm64": "aarch64-unknown-linux-musl"}

CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")

USER = 65532


def roots(archives, out):
    """Writes one file system for each machine, and the Dockerfile beside them."""
    if not CERTIFICATES.exists():
        fail(f"{CERTIFICATES} is missing; install the package ca-certificates")
    for machine, target in MACHINES.items():
        root = out / machine
        files = unpack(archives, target)
        program = root / "usr/bin" / NAME
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_bytes(files[program_name(target)])
        program.chmod(0o755)
        for name in ("LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt"):
            path = root / "usr/share/doc" / NAME / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        certificates = root / CERTIFICATES.relative_to("/")
        certificates.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CERTIFICATES, certificates)
        write(root / "etc/passwd", f"{NAME}:x:{USER}:{USER}::/home/{NAME}:/sbin/nologin\n")
        write(root / "etc/group", f"{NAME}:x:{USER}:\n")
    # The image sets the owner of these.
    (out / "home").mkdir(exist_ok=True)
    (out / "work").mkdir(exist_ok=True)
    shutil.copy(TEMPLATES / "Dockerfile", out / "Dockerfile")
