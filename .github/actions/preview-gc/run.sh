#!/usr/bin/env bash
# Runs preview-gc with the inputs of the action, which are in the environment.
set -euo pipefail
. "$SCRIPTS/fail.sh"

# A variable that a workflow sets to nothing counts as not set.
for name in CLOUDFLARE_API_TOKEN CLOUDFLARE_DNS_API_TOKEN CLOUDFLARE_ACCOUNT_ID \
  CLOUDFLARE_ZONE_ID NEON_API_KEY NEON_PROJECT_ID GITHUB_TOKEN PREVIEW_GC_NOTIFY_URL; do
  [ -n "${!name:-}" ] || unset "$name"
done

arguments=("$INPUT_COMMAND")
option() { # NAME VALUE
  if [ -n "$2" ]; then arguments+=("$1=$2"); fi
}
flag() { # NAME VALUE
  case "$2" in
    true) arguments+=("$1") ;;
    false | "") ;;
    *) fail 2 "the input for $1 must be true or false, not: $2" ;;
  esac
}
option --policies "${INPUT_POLICIES:-}"
option --pr "${INPUT_PR:-}"
option --format "${INPUT_FORMAT:-}"
flag --dry-run "${INPUT_DRY_RUN:-}"
flag --approved "${INPUT_APPROVED:-}"
flag --report "${INPUT_REPORT:-}"
flag --yes "${INPUT_DELETE:-}"

# Arguments stand on any number of lines, and quotes keep spaces together.
if ! split=$(printf '%s\n' "${INPUT_ARGS:-}" | xargs -n 1 printf '%s\n' 2>&1); then
  fail 2 "could not read the input args: a quote is not closed"
fi
while IFS= read -r argument; do
  if [ -n "$argument" ]; then arguments+=("$argument"); fi
done <<< "$split"

# The program takes the place of this shell, so that a cancelled job reaches it.
exec "$PROGRAM" "${arguments[@]}"
