#!/bin/sh
# Installs preview-gc @VERSION@ to ~/.local/bin, or to PREVIEW_GC_INSTALL_DIR.
set -eu

url=${PREVIEW_GC_DOWNLOAD_URL:-@URL@}
folder=${PREVIEW_GC_INSTALL_DIR:-$HOME/.local/bin}

fail() {
  echo "error: $1" >&2
  exit 1
}

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64 | Linux-amd64)
    target=x86_64-unknown-linux-musl
    sum=@SHA256_X86_64_UNKNOWN_LINUX_MUSL@ ;;
  Linux-aarch64 | Linux-arm64)
    target=aarch64-unknown-linux-musl
    sum=@SHA256_AARCH64_UNKNOWN_LINUX_MUSL@ ;;
  Darwin-x86_64)
    target=x86_64-apple-darwin
    sum=@SHA256_X86_64_APPLE_DARWIN@ ;;
  Darwin-arm64)
    target=aarch64-apple-darwin
    sum=@SHA256_AARCH64_APPLE_DARWIN@ ;;
  *) fail "there is no program for $(uname -s) on $(uname -m); build preview-gc from its source" ;;
esac

download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
archive=preview-gc-$target.tar.gz
curl --fail --silent --show-error --location --output "$download/$archive" "$url/$archive" \
  || fail "could not download $url/$archive"
if command -v sha256sum > /dev/null; then
  found=$(sha256sum "$download/$archive")
else
  found=$(shasum -a 256 "$download/$archive")
fi
[ "${found%% *}" = "$sum" ] || fail "$archive is not the file of this release; nothing was installed"
tar -xzf "$download/$archive" -C "$download"
mkdir -p "$folder"
mv "$download/preview-gc-$target/preview-gc" "$folder/preview-gc.new"
mv "$folder/preview-gc.new" "$folder/preview-gc"
echo "installed $("$folder/preview-gc" --version) to $folder"
case ":$PATH:" in
  *":$folder:"*) ;;
  *) echo "$folder is not in PATH; add it" ;;
esac
