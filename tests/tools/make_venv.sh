#!/bin/sh
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Create the virtual environment .venv with the requirements in tests/requirements-dev.txt.
set -eu
cd "$(dirname "$0")/../.."

python=
for name in python3 python3.13 python3.12 python3.11 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "This needs Python 3.11 or later on PATH, for example Debian's package python3." >&2
    exit 1
fi

started=$(date +%s)
echo "Preparing .venv (ansible-core and the tools for tests) ..."

# venv needs ensurepip, which Debian packages separately.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! sh tests/tools/apt_install.sh "$package" >&2; then
        echo "$python cannot make virtual environments: install the package $package (apt-get install $package)." >&2
        exit 1
    fi
fi

rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip --disable-pip-version-check install --quiet -c tests/constraints.txt uv
.venv/bin/uv pip install --quiet --python .venv -c tests/constraints.txt -r tests/requirements-dev.txt

# Ansible, pytest and mypy require the collection in an ansible_collections tree.
mkdir -p .ansible/collections/ansible_collections/vonage
ln -sfn ../../../.. .ansible/collections/ansible_collections/vonage/vcc
echo "Prepared .venv in $(($(date +%s) - started)) s."
