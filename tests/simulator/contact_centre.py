# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a contact centre without HTTP: clients, tokens, providers, queues, request ids."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
import uuid
from collections import deque

CLIENT_ID = "simulated-client"
CLIENT_SECRET = "s&m+l% a=\"t'e\\d€/"  # each of these characters needs escaping somewhere
SCOPES = (
    "interactions:write",
    "stats",
    "users:read",
    "users:write",
    "agents-availability:read",
    "interaction-content:read",
    "interaction-content:delete",
    "globalpci",
    "admin:read",
    "admin:write",
)
SWITCHES = {
    "unknown_id": 200,
    "success_body": "empty",
    "token_lifetime": 7200,
    "rate_limit": None,
    "window": 60,
    "retry_after": None,
    "too_large": 413,
}
CHOICES = {"unknown_id": (200, 400, 404), "success_body": ("empty", "json"), "too_large": (413, 417)}
NUMBERS = ("token_lifetime", "rate_limit", "window")
NOTIFICATIONS = ("AssignToAgent", "Release")
ANY = object()


class RequestError(Exception):
    """A call that gets an error status and has no effect."""

    def __init__(self, status, message="", retry_after=None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class TokenError(Exception):
    """An error of the token endpoint, with a code of RFC 6749, section 5.2."""

    def __init__(self, error):
        super().__init__(error)
        self.error = error
        self.status = 401 if error == "invalid_client" else 400


class Interaction:
    """A dispatched interaction. ``ended`` is None while it is live."""

    __slots__ = ("agents", "ended", "external_id", "guid", "provider", "route", "start")

    def __init__(self, external_id, provider, route, start):
        self.guid = str(uuid.uuid4())
        self.external_id = external_id
        self.provider = provider
        self.route = route
        self.start = start
        self.ended = None
        self.agents = []  # (guid of the channel, agent id, time), oldest first

    def as_item(self, now):
        """Return the interaction as an item of the Insights Stats API."""
        end = self.ended or now
        duration = max(0, int(end - self.start))
        return {
            "status": "Ongoing" if self.ended is None else "Ended",
            "medium": "Object",
            "mediumManager": self.provider or "",
            "guid": self.guid,
            "conversationGuid": self.guid,
            "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.start)),
            "duration": duration,
            "direction": "Inbound",
            "serviceName": self.route or "",
            "connectTo": self.route or "",
            "connectFrom": "",
            "interactionPlanMapping": {
                "addressName": self.route or "",
                "mappingName": self.route or "",
                "interactionPlanName": self.route or "",
                "reportingGroup": "",
            },
            "channels": [
                self._as_channel(self.guid, self.start, end, {"id": "", "role": "Customer", "touchpoint": ""}),
                *(
                    self._as_channel(guid, since, end, {"id": agent_id, "role": "Agent", "touchpoint": "Simulated"})
                    for guid, agent_id, since in self.agents
                ),
            ],
        }

    def _as_channel(self, guid, since, end, party):
        return {
            "guid": guid,
            "offset": max(0, int(since - self.start)),
            "duration": max(0, int(end - since)),
            "endReason": None if self.ended is None else "Released",
            "integrationType": "Interactions API",
            "party": party,
            "events": [],
        }


class ContactCentre:
    """
    One VCC account.

    ``clock`` is a function that returns the time in seconds since the epoch. Tests may change the switches at any time:

    - ``unknown_id``: 200 ignores the release of an unknown external id, 400 and 404 are the status of the whole call
    - ``success_body``: "empty" or "json"
    - ``token_lifetime``: seconds
    - ``rate_limit``: the number of calls in any ``window`` seconds, without those of the token endpoint; None for no limit.
      A call beyond it gets 429, with ``retry_after`` as the value of the header; None for no header
    - ``too_large``: the status of a request that is too large, 413 or 417
    """

    def __init__(self, clock=time.time, **switches):
        self.lock = threading.RLock()
        self.clock = clock
        self._clients = {}
        self._switches = {**SWITCHES, **switches}
        self.add_client(CLIENT_ID, CLIENT_SECRET)
        self.reset()

    def reset(self):
        """Forget everything but the clients, and reset the switches."""
        with self.lock:
            self._tokens = {}
            self._providers = {}  # name -> (endpoint or None, headers)
            self._interactions = {}  # guid -> Interaction, live and ended
            self._live = {}  # guid -> Interaction
            self._queues = {}  # (provider, external id) -> deque of guids, oldest first
            self._request_ids = set()
            self._poisoned = set()
            self._effects = []
            self._ignored = []
            self._recent = deque()
            self.behave(**self._switches)

    def behave(self, **switches):
        """Set switches. Raise ValueError, and set none, if a name or value is invalid."""
        for name, value in switches.items():
            if name not in SWITCHES:
                raise ValueError(f"no such switch: {name}")
            if name in CHOICES and value not in CHOICES[name]:
                raise ValueError(f"{name} is one of {', '.join(map(str, CHOICES[name]))}")
            if name in NUMBERS and not (isinstance(value, (int, float)) or value is SWITCHES[name]):
                raise ValueError(f"{name} is a number")
        with self.lock:
            for name, value in switches.items():
                setattr(self, name, value)

    # Control by tests

    def add_client(self, client_id, client_secret, scopes=SCOPES):
        """Let a client request tokens with these scopes."""
        with self.lock:
            self._clients[client_id] = (client_secret, frozenset(scopes))

    def issue_token(self, scopes=("interactions:write",)):
        """Return a new valid token."""
        token = f"simulated-token-{secrets.token_hex(16)}"
        with self.lock:
            self._tokens[token] = (frozenset(scopes), self.clock() + self.token_lifetime)
        return token

    def expire_tokens(self):
        """Invalidate all tokens."""
        with self.lock:
            self._tokens.clear()

    def register(self, name, endpoint=None, headers=None):
        """
        Register a provider with the endpoint and headers for its notifications.

        VCC accepts only https, which the contract checks; tests may also use http. Raise ValueError for other URLs.
        """
        if endpoint is not None and not str(endpoint).startswith(("https://", "http://")):
            raise ValueError("endpoint must be an http or https URL")
        with self.lock:
            self._providers[name] = (endpoint, dict(headers or {}))

    def dispatch(self, *external_ids, provider=None, route="Simulated route"):
        """Put live interactions in the queue, and register their provider if necessary."""
        with self.lock:
            if provider is not None:
                self._providers.setdefault(provider, (None, {}))
            for external_id in external_ids:
                self._add(external_id, provider, route)

    def assign(self, external_id, provider=None, agent_id="agent-1"):
        """Assign to an agent the interaction that the next release would end. Raise ValueError if there is none."""
        with self.lock:
            guids = self._queues.get((provider, external_id))
            if not guids:
                raise ValueError(f"not live: {external_id}")
            self._live[guids[0]].agents.append((str(uuid.uuid4()), agent_id, self.clock()))

    def notification(
        self, external_id, notification="AssignToAgent", agent="Simulated Agent", agent_id="agent-1", guid=None
    ):
        """
        Return the endpoint, the headers and the body of a notification about the latest dispatch of an external id.

        Raise ValueError if there is no such interaction, or its provider has no endpoint.

        :param guid: the id of the notification; by default a new one
        """
        if notification not in NOTIFICATIONS:
            raise ValueError(f"notification is one of {', '.join(NOTIFICATIONS)}")
        with self.lock:
            providers = (each.provider for each in self._interactions.values() if each.external_id == external_id)
            last = deque(providers, maxlen=1)
            endpoint, headers = self._providers.get(last[0] if last else None, (None, {}))
        if not endpoint:
            raise ValueError(f"no endpoint for {external_id}")
        params = {"AccountName": "Simulated account", "Agent": agent, "AgentId": agent_id}
        item = {"notification": notification, "objectid": external_id, "notificationid": guid or str(uuid.uuid4())}
        return endpoint, dict(headers), [{**item, "params": params}]

    def poison(self, *external_ids):
        """Return 400 to every call that contains one of these."""
        with self.lock:
            self._poisoned.update(external_ids)

    def live(self, provider=ANY):
        """Return the live external ids, the oldest first; with ``provider``, only those of it (None: those without one)."""
        with self.lock:
            return [
                interaction.external_id
                for interaction in self._live.values()
                if interaction.external_id is not None and provider in (ANY, interaction.provider)
            ]

    @property
    def effects(self):
        """Return every processed Interaction object, in order."""
        with self.lock:
            return [dict(effect) for effect in self._effects]

    @property
    def ignored(self):
        """Return every Interaction object that was ignored because of its request id, in order."""
        with self.lock:
            return [dict(effect) for effect in self._ignored]

    # The API

    def grant(self, credentials, scope):
        """
        Return a new token and its lifetime in seconds. Raise TokenError.

        :param credentials: pairs of client id and secret, of which one must be valid
        :param scope: names, with a space between them
        """
        with self.lock:
            for client_id, client_secret in credentials:
                secret, allowed = self._clients.get(client_id, (None, ()))
                if secret == client_secret:
                    break
            else:
                raise TokenError("invalid_client")
            scopes = set(scope.split())
            if not scopes or not scopes <= allowed:
                raise TokenError("invalid_scope")
            return self.issue_token(scopes), self.token_lifetime

    def admit(self):
        """Count a call for the fair-use limit. Raise RequestError with 429 beyond it."""
        with self.lock:
            if self.rate_limit is None:
                return
            now = self.clock()
            while self._recent and self._recent[0] <= now - self.window:
                self._recent.popleft()
            if len(self._recent) >= self.rate_limit:
                raise RequestError(429, retry_after=self.retry_after)
            self._recent.append(now)

    def authorise(self, token, scope):
        """Raise RequestError with 401 for an invalid token, with 403 for a token without the scope."""
        with self.lock:
            scopes, end = self._tokens.get(token, ((), 0))
            if end <= self.clock():
                raise RequestError(401)
            if scope not in scopes:
                raise RequestError(403)

    def invoke(self, invocation):
        """
        Process all of an Invocation or nothing.

        Raise RequestError with 400 for an unregistered provider or a poisoned external id, and with ``unknown_id`` for the
        release of an unknown id.
        """
        provider = invocation.get("provider")
        with self.lock:
            if provider is not None and provider not in self._providers:
                raise RequestError(400, "The provider is not registered")
            effects, ignored, request_ids = self._plan(provider, invocation["requests"])
            self._ignored += ignored
            self._request_ids |= request_ids
            for effect, route in effects:
                self._effects.append(effect)
                if effect["action"] == "dispatch":
                    self._add(effect["external_id"], provider, route)
                elif effect["found"]:
                    self._end(effect["external_id"], provider)

    def ongoing(self, page, limit):
        """Return a page of the live interactions as the Insights Stats API does."""
        with self.lock:
            now = self.clock()
            total = len(self._live)
            first, last = min((page - 1) * limit, total), min(page * limit, total)
            items = [interaction.as_item(now) for interaction in itertools.islice(self._live.values(), first, last)]
            return {
                "meta": {"page": page, "count": len(items), "pageCount": -(-total // limit), "totalCount": total},
                "items": items,
            }

    def interaction(self, guid):
        """Return an interaction, live or ended. Raise RequestError with 404 if there is none."""
        with self.lock:
            if guid not in self._interactions:
                raise RequestError(404, "There is no such interaction")
            return self._interactions[guid].as_item(self.clock())

    # Queues

    def _plan(self, provider, requests):
        """Return the effects of Interaction objects with their routes, the ignored objects, and the request ids."""
        effects, ignored, request_ids = [], [], set()
        change = {}  # key of a queue -> change of its length
        for request in requests:
            external_id, request_id = request.get("externalid"), request.get("requestid")
            if external_id in self._poisoned:
                raise RequestError(400, "An interaction cannot be processed")
            effect = {
                "action": request.get("action", "dispatch"),
                "external_id": external_id,
                "provider": provider,
                "request_id": request_id,
                "found": False,
            }
            if request_id is not None:
                if request_id in request_ids or request_id in self._request_ids:
                    ignored.append(effect)
                    continue
                request_ids.add(request_id)
            key = (provider, external_id)
            if effect["action"] == "dispatch":
                change[key] = change.get(key, 0) + 1
            elif len(self._queues.get(key, ())) + change.get(key, 0) > 0:
                effect["found"] = True
                change[key] = change.get(key, 0) - 1
            elif self.unknown_id != 200:
                raise RequestError(self.unknown_id, "There is no such interaction")
            effects.append((effect, request.get("route")))
        return effects, ignored, request_ids

    def _add(self, external_id, provider, route):
        interaction = Interaction(external_id, provider, route, self.clock())
        self._interactions[interaction.guid] = self._live[interaction.guid] = interaction
        if external_id is not None:
            self._queues.setdefault((provider, external_id), deque()).append(interaction.guid)

    def _end(self, external_id, provider):
        key = (provider, external_id)
        guid = self._queues[key].popleft()
        if not self._queues[key]:
            del self._queues[key]
        self._live.pop(guid).ended = self.clock()
