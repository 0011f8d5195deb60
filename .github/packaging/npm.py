"""Makes the npm packages: one for each platform with the program, and one that
depends on all of them, of which npm installs the one that fits. None runs a script
when it is installed."""

import json
import shutil
import subprocess

from archive import unpack
from project import NAME, TARGETS, TEMPLATES, archive_name, fill, program_name, version, write

ABOUT = "A garbage collector for the Neon branches and Cloudflare resources that pull requests leave behind"


def manifest(name, repository, more):
    fields = {
        "name": name,
        "version": version(),
        "description": ABOUT,
        "license": "MIT OR Apache-2.0",
        # npm compares it with the workflow that publishes.
        "repository": {"type": "git", "url": f"git+https://github.com/{repository}.git"},
        "publishConfig": {"access": "public"},
    }
    return json.dumps({**fields, **more}, indent=2) + "\n"


def platform_package(archives, target, scope, repository, out):
    """Writes the package with the program of one target. Returns its folder."""
    system, machine = TARGETS[target]
    name = f"@{scope}/{NAME}-{system}-{machine}"
    folder = out / f"{NAME}-{system}-{machine}"
    files = unpack(archives, target)
    program = program_name(target)
    more = {
        "os": [system],
        "cpu": [machine],
        "files": [program, "LICENSE-*", "THIRD-PARTY-NOTICES.txt"],
        "preferUnplugged": True,
    }
    write(folder / "package.json", manifest(name, repository, more))
    for file in (program, "LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt"):
        (folder / file).write_bytes(files[file])
    (folder / program).chmod(0o755)
    return folder


def main_package(scope, repository, platforms, out):
    """Writes the package with the launcher."""
    folder = out / NAME
    more = {
        "bin": {NAME: "preview-gc.js"},
        "files": ["preview-gc.js"],
        "engines": {"node": ">=18"},
        "optionalDependencies": {name: version() for name in platforms},
    }
    write(folder / "package.json", manifest(f"@{scope}/{NAME}", repository, more))
    shutil.copy(TEMPLATES / "preview-gc.js", folder / "preview-gc.js")
    write(folder / "README.md", fill("npm.md", {"PACKAGE": f"@{scope}/{NAME}"}))
    return folder


def packages(archives, scope, repository, out):
    """Packs the packages of all targets whose archives are there."""
    present = [target for target in TARGETS if (archives / archive_name(target)).exists()]
    out.mkdir(parents=True, exist_ok=True)
    folders = [platform_package(archives, target, scope, repository, out) for target in present]
    # All platforms are named, so that a package that is missing is seen.
    every = [f"@{scope}/{NAME}-{system}-{machine}" for system, machine in TARGETS.values()]
    folders.append(main_package(scope, repository, every, out))
    npm = shutil.which("npm")
    for folder in folders:
        subprocess.run([npm, "pack", "--silent", "--pack-destination", str(out.resolve())], cwd=folder, check=True)
        shutil.rmtree(folder)
