# shellcheck shell=bash
# Ends a step as the program ends a run: with an annotation, a step summary and
# its exit code.

fail() { # CODE MESSAGE
  echo "::error title=preview-gc (exit code $1)::$2"
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    printf '\n### preview-gc ended with exit code %s\n\n```text\n%s\n```\n' "$1" "$2" >> "$GITHUB_STEP_SUMMARY"
  fi
  exit "$1"
}
