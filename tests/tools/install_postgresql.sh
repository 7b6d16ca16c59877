#!/bin/sh
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Install the PostgreSQL server and pgbouncer, which tests start for themselves, unless they are installed. If that fails, print which tests cannot run.
set -u
cd "$(dirname "$0")"

missing() {
    packages=
    ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || command -v initdb > /dev/null || packages=postgresql
    PATH="$PATH:/usr/sbin" command -v pgbouncer > /dev/null || packages="$packages pgbouncer"
    [ -n "$packages" ]
}

missing || exit 0

# The package also creates and starts a server of its own, unless a file says that it must not.
root=
[ "$(id -u)" = 0 ] || root='sudo -n'
folder=/etc/postgresql-common/createcluster.d
$root mkdir -p "$folder" 2> /dev/null && echo 'create_main_cluster = off' | $root tee "$folder/vcc-tests.conf" > /dev/null

# The variable holds names of packages.
# shellcheck disable=SC2086
sh apt_install.sh $packages
$root rm -f "$folder/vcc-tests.conf" 2> /dev/null

missing || exit 0
if [ "${CI:-}" = true ]; then
    echo "The PostgreSQL tests fail, because this machine does not have: $packages (apt-get install $packages)." >&2
else
    echo "The PostgreSQL tests are skipped, because this machine does not have: $packages (apt-get install $packages)." >&2
fi
exit 1
