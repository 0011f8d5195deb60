"""Writes what needs the archives of all targets: installers, the Homebrew formula,
the schema and the checksums."""

import json

from archive import unpack
from project import NAME, TARGETS, archive_name, digest, fail, fill, version, write


def finish(archives, repository):
    """Writes the files beside the archives."""
    missing = [target for target in TARGETS if not (archives / archive_name(target)).exists()]
    if missing:
        fail(f"no archives for {', '.join(missing)}; a release has all of them")
    values = {
        "REPOSITORY": repository,
        "VERSION": version(),
        "URL": f"https://github.com/{repository}/releases/download/v{version()}",
    }
    for target in TARGETS:
        name = target.upper().replace("-", "_")
        values[f"SHA256_{name}"] = digest(archives / archive_name(target))
    write(archives / f"{NAME}-installer.sh", fill("installer.sh", values))
    write(archives / f"{NAME}-installer.ps1", fill("installer.ps1", values))
    write(archives / f"{NAME}.rb", fill("preview-gc.rb", values))
    schemas = {unpack(archives, target)["policies/preview-gc.schema.json"] for target in TARGETS}
    schemas = {json.dumps(json.loads(schema), indent=2) for schema in schemas}
    if len(schemas) != 1:
        fail("the programs of the targets print different schemas")
    write(archives / "preview-gc.schema.json", schemas.pop() + "\n")
    names = sorted(path.name for path in archives.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{digest(archives / name)}  {name}\n" for name in names]
    write(archives / "SHA256SUMS", "".join(lines))
