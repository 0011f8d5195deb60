#!/usr/bin/env bash
# Fetches the journals of earlier runs, so that this run recovers what was left
# in doubt and keeps what was restored. Anybody can upload an artifact of this
# name from a fork, so only runs of workflows on the default branch count.
set -euo pipefail
. "$SCRIPTS/fail.sh"

repository="repos/$GITHUB_REPOSITORY"
# The event of a schedule does not name the default branch.
if ! branch=$(gh api "$repository" --jq .default_branch); then
  fail 3 "could not read the repository $GITHUB_REPOSITORY; run the job again"
fi
if ! found=$(gh api "$repository/actions/artifacts?name=$ARTIFACT&per_page=30"); then
  fail 3 "could not list the artifacts named $ARTIFACT; the job needs the permission actions: read"
fi

# Returns whether a run's workflow was that of the default branch. A run of
# pull_request_target has the pull request's branch as its head, and the workflow
# of the default branch.
is_ours() { # RUN
  local run
  run=$(gh api "$repository/actions/runs/$1") || return 2
  jq -e --arg branch "$branch" '
    .event == "pull_request_target"
    or (.head_branch == $branch and .head_repository.id == .repository.id)' <<< "$run" > /dev/null
}

mkdir -p "$PREVIEW_GC_JOURNAL"
# The newest first, until ten are ours: those that anybody uploads from a fork do
# not take the place of ours.
runs=$(jq -r '[.artifacts[] | select(.expired | not)]
  | sort_by(.created_at) | reverse | .[].workflow_run.id' <<< "$found" | tr -d '\r')
chosen=
count=0
for run in $runs; do
  if [ "$count" = 10 ]; then break; fi
  ours=0
  is_ours "$run" || ours=$?
  if [ "$ours" = 2 ]; then fail 3 "could not read which branch run $run was of; run the job again"; fi
  if [ "$ours" != 0 ]; then continue; fi
  chosen="$run $chosen"
  count=$((count + 1))
done
# The oldest first, so that what is newer replaces it. Runs for closed pull
# requests go side by side, so the last artifact alone may lack a journal.
for run in $chosen; do
  folder=$(mktemp -d)
  if ! gh run download "$run" --repo "$GITHUB_REPOSITORY" --name "$ARTIFACT" --dir "$folder"; then
    fail 3 "could not download the artifact $ARTIFACT of run $run; run the job again"
  fi
  cp -R "$folder/." "$PREVIEW_GC_JOURNAL/"
done
echo "fetched the journals of $count earlier runs"
