"""What every step of a release has to know."""

import hashlib
import os
import pathlib
import re
import subprocess
import sys

NAME = "preview-gc"
ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"

# Each target with what npm calls it: the values of `process.platform` and
# `process.arch`.
TARGETS = {
    "x86_64-unknown-linux-musl": ("linux", "x64"),
    "aarch64-unknown-linux-musl": ("linux", "arm64"),
    "x86_64-apple-darwin": ("darwin", "x64"),
    "aarch64-apple-darwin": ("darwin", "arm64"),
    "x86_64-pc-windows-msvc": ("win32", "x64"),
    "aarch64-pc-windows-msvc": ("win32", "arm64"),
}


def fail(message):
    """Ends with an error message."""
    sys.exit(f"error: {message}")


def field(name):
    """Returns a field of the package in Cargo.toml, or None if it has none."""
    text = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(rf'^{name} = "(.*)"$', text, re.MULTILINE)
    return found and found.group(1)


def version():
    """Returns the version of the program."""
    return field("version")


def is_windows(target):
    return "windows" in target


def program_name(target):
    """Returns the file name of the program."""
    return f"{NAME}.exe" if is_windows(target) else NAME


def archive_name(target):
    """Returns the file name of an archive. `cargo binstall`, the installers, the
    formula and the action expect this name."""
    return f"{NAME}-{target}.zip" if is_windows(target) else f"{NAME}-{target}.tar.gz"


def release_time():
    """Returns the time of every packed file, in seconds: the same commit always
    gives the same bytes."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct"))


def git(*arguments):
    """Returns what git prints."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def digest(path):
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fill(template, values):
    """Fills the `@NAME@` of a template in; a name without a value is an error."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z][A-Z0-9_]*)@", lambda found: values[found.group(1)], text)


def write(path, text):
    """Writes a text file, with the same line ends on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
