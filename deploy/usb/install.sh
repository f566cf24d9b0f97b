#!/bin/sh
# Installs orderkit from the folder of this script into .venv of the current folder. Needs no network.
# A Python of your own: PYTHON=/path/to/python3.13 sh install.sh
set -eu
stick=$(cd "$(dirname "$0")" && pwd)
"${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-index --find-links "$stick" orderkit
echo "Installed. Is this laptop ready?   .venv/bin/orderkit check-in"
echo "The lessons, in JupyterLab:        .venv/bin/orderkit lab"
