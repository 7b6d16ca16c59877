#!/bin/sh
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Install packages of Debian or Ubuntu, as root or with a sudo that asks for no password; fail otherwise.
set -eu
root=
[ "$(id -u)" = 0 ] || root='sudo -n'
command -v apt-get > /dev/null
$root true 2> /dev/null
$root apt-get update -q
$root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
