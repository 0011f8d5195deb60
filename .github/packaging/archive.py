"""Packs the program of one target with its documents."""

import gzip
import io
import os
import pathlib
import re
import stat
import subprocess
import tarfile
import tempfile
import time
import zipfile

from notices import notices
from project import NAME, ROOT, archive_name, is_windows, program_name, release_time, version

SHELLS = {
    "bash": "preview-gc.bash",
    "zsh": "_preview-gc",
    "fish": "preview-gc.fish",
    "powershell": "_preview-gc.ps1",
    "elvish": "preview-gc.elv",
}

DOCUMENTS = (
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    ".github/CHANGELOG.md",
    ".github/CODES.md",
    ".github/SECURITY.md",
)


def schema_url(repository):
    """Returns where the schema of this version is published."""
    return f"https://github.com/{repository}/releases/download/v{version()}/preview-gc.schema.json"


def policy(path, repository):
    """Returns a policy whose `#:schema` line works wherever the file is copied."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"\A#:schema .*", f"#:schema {schema_url(repository)}", text)


def run(program, *arguments):
    """Returns what the program prints. The help shows the values of variables, so
    it gets none but those that a process of Windows needs."""
    command = [str(program.resolve()), *arguments]
    environment = {name: value for name, value in os.environ.items() if name.upper() in ("SYSTEMROOT", "TEMP")}
    return subprocess.run(command, check=True, capture_output=True, env=environment).stdout


def contents(target, program, repository):
    """Returns the files of the archive, by path, with their mode."""
    files = {program_name(target): (program.read_bytes(), 0o755)}

    def add(name, content):
        content = content.encode("utf-8") if isinstance(content, str) else content
        files[name] = (content, 0o644)

    for document in DOCUMENTS:
        add(pathlib.PurePosixPath(document).name, (ROOT / document).read_bytes())
    add("THIRD-PARTY-NOTICES.txt", notices(target))
    for shell, name in SHELLS.items():
        add(f"completions/{name}", run(program, "completions", shell))
    with tempfile.TemporaryDirectory() as folder:
        run(program, "man", "--dir", folder)
        for page in pathlib.Path(folder).iterdir():
            # `preview-gc help X` says the same as the page of X.
            if not page.name.startswith(f"{NAME}-help"):
                add(f"man/{page.name}", page.read_bytes())
    for path in (ROOT / "policies").rglob("*.toml"):
        add(path.relative_to(ROOT).as_posix(), policy(path, repository))
    add("policies/preview-gc.schema.json", run(program, "check", "--schema"))
    return dict(sorted(files.items()))


def tar(files, folder):
    """Returns a compressed tar archive, the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), mode, release_time()
            out.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=release_time())


def zipped(files, folder):
    """Returns a zip archive, the same bytes for the same files."""
    packed = io.BytesIO()
    moment = time.gmtime(release_time())[:6]
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{name}", moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | mode) << 16
            out.writestr(entry, content)
    return packed.getvalue()


def archive(target, program, repository, out):
    """Writes the archive of one target."""
    files = contents(target, program, repository)
    pack = zipped if is_windows(target) else tar
    out.mkdir(parents=True, exist_ok=True)
    path = out / archive_name(target)
    path.write_bytes(pack(files, f"{NAME}-{target}"))
    print(f"{path}: {path.stat().st_size} bytes, {len(files)} files")


def unpack(archives, target):
    """Returns the files of an archive, by path below its folder."""
    path = archives / archive_name(target)
    folder = f"{NAME}-{target}/"
    if is_windows(target):
        with zipfile.ZipFile(path) as packed:
            return {name.removeprefix(folder): packed.read(name) for name in packed.namelist()}
    with tarfile.open(path) as packed:
        return {entry.name.removeprefix(folder): packed.extractfile(entry).read() for entry in packed.getmembers()}
