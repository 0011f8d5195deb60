#!/usr/bin/env bash
# Chooses the program that belongs to the action: a release if one is named, or if
# the action is at the commit of a release; else a build of the action's own source.
set -euo pipefail
. "$SCRIPTS/fail.sh"

# Returns the archive for this machine, or nothing if there is none.
archive() {
  case "$RUNNER_OS-$RUNNER_ARCH" in
    Linux-X64) echo preview-gc-x86_64-unknown-linux-musl.tar.gz ;;
    Linux-ARM64) echo preview-gc-aarch64-unknown-linux-musl.tar.gz ;;
    macOS-X64) echo preview-gc-x86_64-apple-darwin.tar.gz ;;
    macOS-ARM64) echo preview-gc-aarch64-apple-darwin.tar.gz ;;
    Windows-X64) echo preview-gc-x86_64-pc-windows-msvc.zip ;;
    Windows-ARM64) echo preview-gc-aarch64-pc-windows-msvc.zip ;;
  esac
}

commit() { # REF
  # The answer to a failed request is printed too, and is no commit.
  gh api "repos/$REPOSITORY/commits/$1" --jq .sha 2> /dev/null | grep -Ex '[0-9a-f]{40}' || true
}

# Returns the release that the action is at, or nothing. A tag of the same name
# somewhere else is not enough: the commits have to be the same.
own_release() {
  local version tag here
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$SOURCE/Cargo.toml" | head -n 1)
  tag="v$version"
  [ -n "$REF" ] || return 0
  here=$(commit "$REF")
  if [ -n "$here" ] && [ "$here" = "$(commit "$tag")" ] \
    && gh release view "$tag" --repo "$REPOSITORY" > /dev/null 2>&1; then
    echo "$tag"
  fi
}

archive=$(archive)
case "$VERSION" in
  source) tag="" ;;
  "") tag=$(if [ -n "$archive" ]; then own_release; fi) ;;
  *) tag=$VERSION ;;
esac
if [ -n "$tag" ] && [ -z "$archive" ]; then
  fail 2 "there is no released program for $RUNNER_OS-$RUNNER_ARCH; set version: source"
fi

folder="$RUNNER_TEMP/preview-gc-program"
program="$folder/preview-gc"
if [ "$RUNNER_OS" = Windows ]; then program="$program.exe"; fi
# What the program is built from names it in the cache.
source=$(cd "$SOURCE" && find Cargo.toml Cargo.lock src policies -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | git hash-object --stdin)
{
  echo "tag=$tag"
  echo "archive=$archive"
  echo "folder=$folder"
  echo "program=$program"
  echo "cache-key=preview-gc-$RUNNER_OS-$RUNNER_ARCH-$source"
} >> "$GITHUB_OUTPUT"
if [ -n "$tag" ]; then echo "uses $archive of $tag"; else echo "uses the source of the action"; fi
