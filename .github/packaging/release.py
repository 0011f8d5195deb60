#!/usr/bin/env python3
"""Makes the files of a release. Each command needs nothing but Python, cargo and
the files that the one before it made, so that it also runs outside of Actions.

    release.py check v0.1.0 --repository OWNER/NAME
    release.py build --target x86_64-unknown-linux-musl --out built
    release.py archive --target T --program P --repository OWNER/NAME --out dist
    release.py npm --archives dist --scope SCOPE --repository OWNER/NAME --out npm
    release.py image --archives dist --out image
    release.py finish --archives dist --repository OWNER/NAME
"""

import argparse
import pathlib
import sys

import archive
import build
import finish
import image
import npm
from project import TARGETS, fail, field, version


def check(arguments):
    """Refuses a tag that is not the version of Cargo.toml, and a Cargo.toml that
    does not name this repository, where `cargo binstall` looks for archives."""
    expected = f"v{version()}"
    if arguments.tag != expected:
        fail(f"the tag {arguments.tag} is not {expected}, the version in Cargo.toml; move the tag or change the version")
    address = f"https://github.com/{arguments.repository}"
    if field("repository") != address:
        fail(f'Cargo.toml does not say where the release is; write repository = "{address}"')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    target = {"required": True, "choices": sorted(TARGETS)}
    path = {"required": True, "type": pathlib.Path}

    command = commands.add_parser("check", help="compare a tag with the version")
    command.add_argument("tag")
    command.add_argument("--repository", required=True)
    command.set_defaults(run=check)

    command = commands.add_parser("build", help="build the program of one target")
    command.add_argument("--target", **target)
    command.add_argument("--out", **path)
    command.set_defaults(run=lambda it: build.build(it.target, it.out))

    command = commands.add_parser("archive", help="pack the program of one target with its documents")
    command.add_argument("--target", **target)
    command.add_argument("--program", **path)
    command.add_argument("--repository", required=True)
    command.add_argument("--out", **path)
    command.set_defaults(run=lambda it: archive.archive(it.target, it.program, it.repository, it.out))

    command = commands.add_parser("npm", help="pack the npm packages")
    command.add_argument("--archives", **path)
    command.add_argument("--scope", required=True)
    command.add_argument("--repository", required=True)
    command.add_argument("--out", **path)
    command.set_defaults(run=lambda it: npm.packages(it.archives, it.scope, it.repository, it.out))

    command = commands.add_parser("image", help="prepare the file systems of the container image")
    command.add_argument("--archives", **path)
    command.add_argument("--out", **path)
    command.set_defaults(run=lambda it: image.roots(it.archives, it.out))

    command = commands.add_parser("finish", help="write installers, formula, schema and checksums")
    command.add_argument("--archives", **path)
    command.add_argument("--repository", required=True)
    command.set_defaults(run=lambda it: finish.finish(it.archives, it.repository))

    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
