"""Collects the licences of everything that is linked into the program."""

import json
import pathlib
import subprocess

from project import NAME, ROOT

# The names of files that hold licences and notices.
NAMES = ("license", "licence", "copying", "notice", "unlicense")


def linked_packages(target):
    """Returns the packages that are linked into the program for a target."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    metadata = json.loads(answer)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        if any("proc-macro" in one["kind"] for one in packages[node]["targets"]):
            continue  # It runs in the compiler.
        found.add(node)
        # Neither what builds nor what tests is in the program.
        waiting.extend(
            dependency["pkg"]
            for dependency in nodes[node]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        )
    linked = (packages[one] for one in found)
    return sorted((one for one in linked if one["name"] != NAME), key=lambda one: (one["name"], one["version"]))


def texts(package):
    """Returns the licences that a package ships."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(NAMES))
    return [(path.name, path.read_text(encoding="utf-8", errors="replace").strip()) for path in files]


def notices(target):
    """Returns the notices as text. A licence that many packages share is written
    once."""
    users = {}
    lines = ["Third-party software in preview-gc, with its licences.", ""]
    for package in linked_packages(target):
        title = f"{package['name']} {package['version']}"
        lines.append(f"{title}: {package['license'] or 'see its files'}")
        for name, text in texts(package):
            users.setdefault(text, []).append(f"{title} ({name})")
    for text, titles in users.items():
        lines += ["", "=" * 80, "", *titles, "", text]
    return "\n".join(lines) + "\n"
