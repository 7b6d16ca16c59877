# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document the connection options for all modules."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  region:
    description:
      - Region of the VCC account, which selects the hosts to call.
      - Required unless O(api_url) is set. With client credentials, O(auth_url) must be set too.
      - If not set, the environment variable E(VCC_REGION) is used.
    type: str
    choices: [emea, nam, apac]
  domain:
    description:
      - Domain of VCC's hosts. The default is the domain in Vonage's guides; V(cc.vonage.com) is the newer domain.
      - If not set, the environment variable E(VCC_DOMAIN) is used.
    type: str
    default: newvoicemedia.com
  api_url:
    description:
      - URL of the API gateway. It replaces the URL derived from O(region) and O(domain), for example for your own proxy.
      - It must begin with V(https://), unless its host is the loopback of the host that runs the task.
      - If not set, the environment variable E(VCC_API_URL) is used. This variable overrides O(region), even if the task sets O(region).
    type: str
  auth_url:
    description:
      - URL of the token endpoint, including its path. It replaces the URL derived from O(region) and O(domain).
      - Like O(api_url), it must begin with V(https://).
      - If not set, the environment variable E(VCC_AUTH_URL) is used. This variable overrides O(region), even if the task sets O(region).
    type: str
  account:
    description:
      - Your own name for the VCC account. It separates the journal entries and cached tokens of different accounts.
      - By default O(client_id) is that name. Set O(account) if you use more than one account with O(access_token) alone. Also set it if several API clients
        of one account must share their entries.
      - If not set, the environment variable E(VCC_ACCOUNT) is used.
    type: str
  client_id:
    description:
      - ID of the API client in VCC.
      - If not set, the environment variable E(VCC_CLIENT_ID) is used.
    type: str
  client_secret:
    description:
      - Secret of the API client in VCC. It may hold any character.
      - If not set, the environment variable E(VCC_CLIENT_SECRET) is used.
    type: str
  access_token:
    description:
      - An existing access token. It replaces a token obtained with O(client_id) and O(client_secret).
      - If VCC answers it with 401, the module gets a new token with the client credentials. Without client credentials the task fails.
      - If not set, the environment variable E(VCC_ACCESS_TOKEN) is used.
    type: str
  token_cache:
    description:
      - Path of a file, on the host that runs the task, that keeps tokens for other tasks and plays. Its mode is 0600, and a folder that the module
        creates for it has mode 0700.
      - The module refuses a file that is not a token cache of this collection, a file of another user, and a symbolic link.
      - The module locks a file of the same name with the extension C(.lock) while it requests a token. After 300 seconds of waiting for that lock, the task
        fails. If possible, the message names the process that holds the lock.
      - By default a token is discarded at the end of the task, or after the last item of a loop.
      - If not set, the environment variable E(VCC_TOKEN_CACHE) is used.
    type: path
  validate_certs:
    description:
      - Verify the certificates of VCC's hosts.
      - If not set, the environment variable E(VCC_VALIDATE_CERTS) is used.
    type: bool
    default: true
  ca_path:
    description:
      - Path of a file with the certificate authorities to trust, in PEM format, on the host that runs the task.
      - By default, the module trusts the authorities of the Python library C(requests), or of the environment variable E(REQUESTS_CA_BUNDLE).
      - If not set, the environment variable E(VCC_CA_PATH) is used.
    type: path
  timeout:
    description:
      - Seconds to wait for a connection, and for each part of an answer; 1 to 3600.
      - If not set, the environment variable E(VCC_TIMEOUT) is used.
    type: int
    default: 30
  retries:
    description:
      - Number of times to repeat a call, with the same body. The module repeats it after a status of 429, 500, 502, 503 or 504, a failed connection, or a
        timeout.
      - Before a retry, the module waits as long as VCC asks for with C(Retry-After). Otherwise the waits grow exponentially, with jitter.
      - A call always ends once its attempts and waits add up to (O(retries) + 1) x O(timeout) + 60 seconds.
      - If not set, the environment variable E(VCC_RETRIES) is used.
    type: int
    default: 5
  requests_per_minute:
    description:
      - Maximum number of requests per minute, over the whole task. If the task runs in Ansible's own process, the limit covers all items of a loop.
      - VCC limits the use of all its APIs together for each account.
      - If not set, the environment variable E(VCC_REQUESTS_PER_MINUTE) is used.
    type: int
requirements:
  - requests, the Python library, on the host that runs the task
notes:
  - The module uses the proxies of the environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY), except for the loopback.
  - It never follows redirects.
  - "It reads the environment variables on the host that runs the task: the controller for a plain task on localhost, the target otherwise."
  - An empty or null option counts as not set, and so does an empty environment variable. The exception is an empty C(journal) in a task, which disables the
    journal.
  - A path in an environment variable must be absolute.
"""
