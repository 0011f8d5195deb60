#!/usr/bin/env bash
# Downloads the program of a release and proves where it was built.
set -euo pipefail
. "$SCRIPTS/fail.sh"

download=$(mktemp -d)
mkdir -p "$FOLDER"
# A path of Windows has a colon, which tar takes for a host.
cd "$download"
if ! gh release download "$TAG" --repo "$REPOSITORY" --pattern "$ARCHIVE"; then
  fail 1 "could not download $ARCHIVE of release $TAG; see which releases the action's repository has, or set version: source"
fi
# Only the release workflow of this repository, for this tag, signs it.
if ! gh attestation verify "$ARCHIVE" --repo "$REPOSITORY" \
  --signer-workflow "$REPOSITORY/.github/workflows/release.yml" \
  --source-ref "refs/tags/$TAG"; then
  fail 1 "$ARCHIVE of release $TAG was not built by this repository's release workflow for that tag, and was not run"
fi
case "$ARCHIVE" in
  *.zip) unzip -oq "$ARCHIVE" ;;
  *) tar -xzf "$ARCHIVE" ;;
esac
cp preview-gc-*/preview-gc* "$FOLDER/"
