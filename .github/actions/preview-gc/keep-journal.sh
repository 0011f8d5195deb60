#!/usr/bin/env bash
# Copies the journals to a folder for an artifact, without what was backed up of
# namespaces and Workers: everybody who can read the repository can read its
# artifacts.
set -euo pipefail

mkdir -p "$KEPT"
for file in "$PREVIEW_GC_JOURNAL"/*; do
  [ -f "$file" ] || continue
  case "$file" in
    *.jsonl)
      # A line that a crash left unfinished ends the journal, as it does for a reader.
      while IFS= read -r line; do
        jq -c 'walk(if type == "object" then del(.held) else . end)' <<< "$line" || break
      done < "$file" > "$KEPT/$(basename "$file")"
      ;;
    */reads.json) cp "$file" "$KEPT/" ;;
  esac
done
