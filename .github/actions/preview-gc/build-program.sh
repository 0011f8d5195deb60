#!/usr/bin/env bash
# Builds the program from the action's own source.
set -euo pipefail
. "$SCRIPTS/fail.sh"

if ! command -v cargo > /dev/null; then
  fail 1 "there is no cargo on this runner, and no released program was chosen; set version to a release"
fi
target="$RUNNER_TEMP/preview-gc-target"
cargo build --release --locked --bin preview-gc --manifest-path "$SOURCE/Cargo.toml" --target-dir "$target"
mkdir -p "$FOLDER"
cp "$target/release/preview-gc"* "$FOLDER/"
