# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of every module says about where to call and as whom."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  region:
    description:
      - Region of the VCC account, which decides on the hosts that are called.
      - Required unless O(api_url) is set, and O(auth_url) too where client credentials are used.
      - If not set, the environment variable E(VCC_REGION) is used.
    type: str
    choices: [emea, nam, apac]
  domain:
    description:
      - Domain of VCC's hosts. The default is that of Vonage's guides; V(cc.vonage.com) is the newer one.
      - If not set, the environment variable E(VCC_DOMAIN) is used.
    type: str
    default: newvoicemedia.com
  api_url:
    description:
      - URL of the API gateway, in place of the one that O(region) and O(domain) lead to; for a proxy of one's own, for example.
      - It has to begin with V(https://), unless its host is the loopback of the host that runs the task.
      - If not set, the environment variable E(VCC_API_URL) is used; it goes before O(region), even one that the task sets.
    type: str
  auth_url:
    description:
      - URL of the whole token endpoint, in place of the one that O(region) and O(domain) lead to. As with O(api_url), V(https://) is a must.
      - If not set, the environment variable E(VCC_AUTH_URL) is used; it goes before O(region), even one that the task sets.
    type: str
  account:
    description:
      - A name of your own for the VCC account. It keeps journal entries and cached tokens of different accounts apart.
      - By default O(client_id) is that name. Set it if O(access_token) is all you have and you work with more than one account, and if
        several API clients of one account are to share their entries.
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
      - A ready access token, to be used in place of one that O(client_id) and O(client_secret) would get.
      - If VCC answers it with 401 and there are client credentials too, they get a new one. Without them the task fails.
      - If not set, the environment variable E(VCC_ACCESS_TOKEN) is used.
    type: str
  token_cache:
    description:
      - Path of a file, on the host that runs the engine, in which tokens are kept for other tasks and plays to use. Its mode is 0600, and a
        folder that is made for it has mode 0700.
      - A file that is no token cache of this collection or belongs to another user is refused. So is a symbolic link.
      - A file beside it, with C(.lock) behind its name, is locked while a token is asked for. After 300 seconds of waiting for that lock, the task
        fails and names the process that holds it, where it can.
      - By default a token ends with the task, or with the last item of a loop.
      - If not set, the environment variable E(VCC_TOKEN_CACHE) is used.
    type: path
  validate_certs:
    description:
      - Whether the certificates of VCC's hosts have to be valid.
      - If not set, the environment variable E(VCC_VALIDATE_CERTS) is used.
    type: bool
    default: true
  ca_path:
    description:
      - Path of a file with the certificate authorities to trust, in PEM format, on the host that runs the engine.
      - By default those of the Python library C(requests), or of the environment variable E(REQUESTS_CA_BUNDLE).
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
      - How often a call is sent again, with the same body, after a status of 429, 500, 502, 503 or 504, a connection that fails or an answer
        that does not come in time.
      - The wait before it is the one that VCC asks for with C(Retry-After), or else it grows exponentially, with jitter.
      - One call is given up in any case once its attempts and waits add up to (O(retries) + 1) x O(timeout) + 60 seconds.
      - If not set, the environment variable E(VCC_RETRIES) is used.
    type: int
    default: 5
  requests_per_minute:
    description:
      - The most requests a minute, over the whole task. In a loop that the controller itself works off, over all its items.
      - VCC limits what an account may use of all its APIs together.
      - If not set, the environment variable E(VCC_REQUESTS_PER_MINUTE) is used.
    type: int
requirements:
  - requests, the Python library, on the host that runs the engine
notes:
  - The proxies of the environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY) are used, except for the loopback.
  - Redirects are never followed.
  - "The environment variables are read where the engine runs: on the controller for a plain task on localhost, on the target otherwise."
  - An option that is empty or null counts as not set, and so does an environment variable that is empty. Only an empty C(journal) in a
    task means no journal.
  - A path in an environment variable must be absolute.
"""
