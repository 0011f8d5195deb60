#!/usr/bin/env bash
# Fetches the journals of earlier runs, so that this run recovers what was left
# in doubt and keeps what was restored. Only artifacts of this repository's own
# default branch count: anybody can upload one from a fork.
set -euo pipefail

mkdir -p "$PREVIEW_GC_JOURNAL"
list="repos/$GITHUB_REPOSITORY/actions/artifacts?name=$ARTIFACT&per_page=100"
if ! found=$(gh api "$list"); then
  echo "::error title=preview-gc::could not list the artifacts named $ARTIFACT: the job needs the permission actions: read"
  exit 3
fi
# The oldest first, so that what is newer replaces it. Runs for closed pull
# requests go side by side, so the last artifact alone may lack a journal.
runs=$(jq -r --arg branch "$DEFAULT_BRANCH" '
  [.artifacts[]
    | select(.expired | not)
    | select(.workflow_run.head_branch == $branch)
    | select(.workflow_run.head_repository_id == .workflow_run.repository_id)]
  | sort_by(.created_at) | .[-10:] | .[].workflow_run.id' <<< "$found")
for run in $runs; do
  folder=$(mktemp -d)
  if ! gh run download "$run" --repo "$GITHUB_REPOSITORY" --name "$ARTIFACT" --dir "$folder"; then
    echo "::error title=preview-gc::could not download the artifact $ARTIFACT of run $run; run the job again"
    exit 3
  fi
  cp -R "$folder/." "$PREVIEW_GC_JOURNAL/"
done
echo "fetched the journals of $(wc -w <<< "$runs" | tr -d ' ') earlier runs"
