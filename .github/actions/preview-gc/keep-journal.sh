#!/usr/bin/env bash
# Copies the journals to a folder for an artifact, without what was backed up of
# namespaces and Workers: everybody who can read the repository can read its
# artifacts. In a public repository it also leaves out which resources the Workers
# use, because that names resources that no rule matches.
set -euo pipefail

private=$(gh api "repos/$GITHUB_REPOSITORY" --jq .private || echo false)
mkdir -p "$KEPT"
for file in "$PREVIEW_GC_JOURNAL"/*; do
  [ -f "$file" ] || continue
  case "$file" in
    *.jsonl)
      # A line that a crash left unfinished ends the journal, as it does for a reader.
      while IFS= read -r line; do
        jq -c 'walk(if type == "object" then del(.held) else . end)' <<< "$line" || break
      done < "$file" | tr -d '\r' > "$KEPT/$(basename "$file")"
      ;;
    */reads.json)
      if [ "$private" = true ]; then cp "$file" "$KEPT/"; fi
      ;;
  esac
done
echo "the artifact has the journals without backups: what was backed up can be restored only from the machine that did it"
