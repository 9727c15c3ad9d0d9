#!/bin/sh
# Makes .venv and installs the four packages, editable, with everything pinned by constraints.txt.
# uv does it in seconds; where uv cannot be had, pip does the same in minutes.
set -eu
PYTHON="${PYTHON:-python3}"

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: $PYTHON is $("$PYTHON" --version 2>&1), expected Python 3.11 or newer;" \
        "set PYTHON=/path/to/python" >&2
    exit 2
}
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv

# pip separates several locations by spaces, uv by commas.
if [ -n "${PIP_FIND_LINKS:-}" ] && [ -z "${UV_FIND_LINKS:-}" ]; then
    UV_FIND_LINKS=$(echo "$PIP_FIND_LINKS" | tr ' ' ',')
    export UV_FIND_LINKS
fi
install() {
    "$@" --quiet -c constraints.txt -r tools/development.txt \
        -e 'packages/ttdata[annotate]' -e packages/ttmodels -e 'packages/ttflow[pose]' \
        -e packages/tttrain
}
pip=".venv/bin/python -m pip install --disable-pip-version-check"
# uv reads none of pip's settings: where it is there but finds nothing, pip still may.
if ! { $pip --quiet uv -c constraints.txt &&
    install .venv/bin/uv pip install --python .venv/bin/python; }; then
    echo "uv is not available or failed; installing with pip, which takes minutes" >&2
    install $pip
fi
touch .venv/.ready
