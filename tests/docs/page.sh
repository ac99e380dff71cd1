# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# bash page.sh PAGE: runs the commands of a page, that is, the lines of each ```sh block, in one shell. It starts in the
# checkout and ends at the first command that fails. Use it only on a disposable machine, such as the root of tests/matrix
# bare.

set -euo pipefail
page=$(realpath "$1")
cd "$(dirname "$page")/.."

commands=$(mktemp)
sed -n '/^ *```sh$/,/^ *```$/ { /^ *```/d; s/^   //; p }' "$page" >"$commands"
[ -s "$commands" ] || { echo "$page has no commands" >&2 && exit 1; }

export PS4='
$ '
# In a root without sudo, commands already run as root.
command -v sudo >/dev/null || sudo() { "$@"; }
set -x
. "$commands"
{ set +x; } 2>/dev/null
printf '\nevery command of %s ran\n' "$1"
