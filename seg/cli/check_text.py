"""What the checks print, line by line, in the words that administrators of large gateways know (docs/checks.md). Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from seg.cli.tables import plain
from seg.common.endpoint import endpoint_in_words
from seg.mail.causes import CauseKind

CERTIFICATE = "certificate"  # the web PKI check that a TLS check makes besides the policies
Document = dict[str, Any]
_SHOWN_AS = {"static": "tls"}  # as in the log's line of explanation


def tls_lines(document: Document) -> Iterator[str]:
    """``seg tlsverify``."""
    yield from _route_error(document)
    for host in document["hosts"]:
        yield from _refused(document, host)
        for tried in host["tried"]:
            yield from _connection(tried)
            if tried["tls"]:
                yield from _certificate(tried)
            yield from _tls_end(host, tried)
            yield _policies(document, host, tried)
    yield "TLS verification completed."


def dane_lines(document: Document) -> Iterator[str]:
    """``seg daneverify``."""
    domain = document["domain"]
    yield from _not_applied(document)
    yield from _route_error(document)
    hosts = document["hosts"]
    for host in hosts:
        if document["route"]["kind"] == "mx":
            yield f"{_secure(host['mx_secure'])} MX record({host['name']}) found for {domain}"
    if hosts and not any(host["mx_secure"] for host in hosts):
        yield "INSECURE MX records found. Hence the command will not proceed."
    else:
        for host in hosts:
            yield from _dane_host(domain, host)
    yield from _verdict("DANE", document)


def _dane_host(domain: str, host: Document) -> Iterator[str]:
    where = f"MX({host['name']}) in {domain}"
    for address in host["addresses"]:
        kind = "AAAA" if ":" in address else "A"
        yield f"{_secure(host['address_secure'])} {kind} record ({address}) found for {where}"
    if not host["usable"]:
        yield f"TLSA record for {where}: {plain(host['refusal'])}"
        return
    for tried in host["tried"]:
        connecting, connected, *checking = _connection(tried)
        yield from (connecting, connected)
        yield f"SECURE TLSA record found for {where}"
        yield from checking
        if tried["good"]:
            yield "Certificate verification successful"
            yield f"TLS connection succeeded {domain}."
        else:
            yield from _failure(tried)


def sts_lines(document: Document) -> Iterator[str]:
    """``seg stsverify``."""
    domain, look = document["domain"], document["mta_sts"]
    yield from _not_applied(document)
    yield from _record(domain, look)
    if look["fetch"] is not None:
        yield from _fetch(look["fetch"])
    if look["policy_error"]:
        yield f"The policy can't be used: {plain(look['policy_error'])}"
    if look["policy"] is not None:
        yield ""
        yield from (plain(line) for line in look["policy"]["text"].splitlines())
        yield ""
    yield _cached(look["cached"])
    yield from _route_error(document)
    for host in document["hosts"]:
        yield from _sts_host(document, host)
    if look["policy"] is not None and look["policy"]["mode"] != "enforce":
        yield f"The policy is in mode {look['policy']['mode']}: nothing of it is enforced."
    yield from _verdict("MTA-STS", document)


def _record(domain: str, look: Document) -> Iterator[str]:
    if look["records"]:
        yield ";; ANSWER SECTION:"
    for record in look["records"]:
        yield f'_mta-sts.{domain}. {look["ttl"]} IN TXT "{plain(record)}"'
    if look["dns_failed"]:
        yield f"The TXT record can't be looked up: {plain(look['record_error'])}"
    elif look["record_error"]:
        yield f"The TXT record can't be used: {plain(look['record_error'])}"
    elif look["id"]:
        yield f"MTA-STS record found for {domain}, id {look['id']}"
    else:
        yield f"No MTA-STS record found for {domain}"


def _fetch(fetch: Document) -> Iterator[str]:
    via = f" via proxy {plain(fetch['proxy'])}" if fetch["proxy"] else ""
    yield f"Fetching {fetch['url']}{via}"
    if fetch["peer"] and not fetch["proxy"]:
        yield f"Connected to {plain(fetch['peer'])}." if fetch["protocol"] else f"Trying {plain(fetch['peer'])}."
    if fetch["protocol"]:
        yield f"TLS connection established: protocol {fetch['protocol']}, cipher {fetch['cipher']}{_group(fetch)}."
    if fetch["certificate"] is not None:
        yield from _names("Policy host certificate", fetch["certificate"])
    if fetch["error"]:
        yield f"Failure encountered while fetching MTA-STS policy: {plain(fetch['error'])}"
    else:
        yield "The policy was fetched:"


def _cached(cached: Document | None) -> str:
    if cached is None:
        return "No policy is cached: nothing is enforced until one is fetched for a delivery."
    moments = [time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(cached[key])) for key in ("fetched", "expires")]
    return f"Cached policy: id {cached['id']}, mode {cached['mode']}, fetched {moments[0]}, expires {moments[1]}"


def _sts_host(document: Document, host: Document) -> Iterator[str]:
    name = host["name"]
    if "in_policy" in host:
        yield f"MX({name}) is {'listed in the policy' if host['in_policy'] else 'NOT listed in the policy'}"
    if not host["usable"]:
        yield f"MX({name}) would not be contacted: {plain(host['refusal'])}"
        return
    for tried in host["tried"]:
        yield from _connection(tried)
        observed = next((o for o in (tried["verdict"] or {}).get("observed", ()) if o["policy"] == "mta-sts"), None)
        if tried["good"] and (observed is None or observed["ok"]):
            yield from (["Certificate verification successful"] if tried["tls"] else [])
        elif tried["good"] and observed is not None:
            yield from (plain(text) for text in observed["mismatches"] or [observed["text"]])
        else:
            yield from _failure(tried)


def _not_applied(document: Document) -> Iterator[str]:
    """Why deliveries don't go by what is looked at here."""
    yield from (f"NOTE: {plain(reason)}. It is looked at all the same." for reason in document["not_applied"])


# --- what they share ---------------------------------------------------------------------------------


def _secure(secure: bool) -> str:
    return "SECURE" if secure else "INSECURE"


def _route_error(document: Document) -> Iterator[str]:
    error, domain = document["error"], document["domain"]
    if error is None:
        return
    if error.get("cause") == CauseKind.DNS_BOGUS:
        yield f"BOGUS MX record found for {domain}"
    yield f"No host to connect to for {domain}: {plain(error['text'])}"


def _refused(document: Document, host: Document) -> Iterator[str]:
    if not host["usable"]:
        yield f"{host['name']} would not be contacted for {document['domain']}: {plain(host['refusal'])}"


def _connection(tried: Document) -> Iterator[str]:
    yield f"Connecting to {endpoint_in_words(tried['address'], tried['port'], ' on port ')}."
    if not tried["interface"]:
        yield f"Connection failed: {plain(tried['error'])}"
        return
    yield f"Connected to {tried['address']} from interface {tried['interface']}."
    yield "Checking TLS connection."
    if tried["tls"]:
        yield _established(tried)
    else:
        yield f"TLS connection failed: {plain(_no_tls(tried))}"


def _no_tls(tried: Document) -> str:
    """Why a session has no TLS: none was to be had, or the server doesn't offer it and nothing demands it."""
    if tried["verdict"] is None:
        return str(tried["error"])
    return str(tried["verdict"]["summary"]) or (
        "not started" if tried["starttls_offered"] else "STARTTLS isn't offered"
    )


def _group(session: Document) -> str:
    return f", group {session['group']}" if session["group"] else ""


def _established(tried: Document) -> str:
    return f"TLS connection established: protocol {tried['protocol']}, cipher {tried['cipher']}{_group(tried)}."


def _certificate(tried: Document) -> Iterator[str]:
    certificate, verdict = tried["certificate"], tried["verdict"]
    yield "Verifying peer certificate."
    if certificate is not None:
        shown = certificate["names"][0] if certificate["names"] else certificate["subject"]
        yield f"Verifying certificate common name {plain(shown)}."
    checked = next((o for o in verdict["observed"] if o["policy"] == CERTIFICATE), None)
    if checked is not None and checked["ok"]:
        yield f"TLS certificate match {plain(checked.get('name') or checked['text'])}"
        yield "TLS certificate verified."
    elif verdict["by"] != "none":
        yield f"TLS certificate verified by {verdict['by']}."
    elif checked is not None:
        yield f"TLS certificate not verified: {plain(checked['text'])}"
        yield from (f"  {plain(line)}" for line in checked["mismatches"])
    if certificate is not None and (checked is None or not checked["ok"]):
        yield from (f"  {line}" for line in _names("Certificate", certificate))


def _names(what: str, certificate: Document) -> Iterator[str]:
    names = ", ".join(plain(name) for name in certificate["names"]) or "(none)"
    yield f"{what}: names {names}; issuer {plain(certificate['issuer'])}; valid until {certificate['not_after'][:10]}"


def _tls_end(host: Document, tried: Document) -> Iterator[str]:
    verdict = tried["verdict"]
    verified = verdict is not None and (
        verdict["by"] != "none" or any(o["policy"] == CERTIFICATE and o["ok"] for o in verdict["observed"])
    )
    if tried["good"] and tried["tls"] and verified:
        yield f"TLS connection to {tried['address']} succeeded."
        yield f"TLS successfully connected to {host['name']}."
        return
    if tried["verdict"] is not None and tried["verdict"]["mismatches"]:
        yield "The session does not satisfy the destination's policies:"
    yield from _failure(tried)
    yield f"TLS connection to {tried['address']} failed."


def _failure(tried: Document) -> Iterator[str]:
    """Why a session wouldn't do; a connection that came to none has had its line."""
    verdict = tried["verdict"]
    if verdict is None:
        return
    yield f"Verification failed: {plain(verdict['summary'] or _no_tls(tried))}"
    yield from (f"  {plain(line)}" for line in dict.fromkeys(verdict["mismatches"]))


def _policies(document: Document, host: Document, tried: Document) -> str:
    opinions = [opinion for opinion in host["opinions"] if opinion["provider"] != CERTIFICATE]
    said = " ".join(f"{_SHOWN_AS.get(o['provider'], o['provider'])}={plain(o['text'])}" for o in opinions)
    reason = tried["verdict"]["reason"] if tried["verdict"] is not None else f"not reached: {tried['error']}"
    given_up = ""
    if tried["given_up"]:
        failed = " and ".join(tried["given_up"]["policies"])
        given_up = f", {failed} failed and was given up (fall-through): {plain(tried['given_up']['summary'])}"
    return f"TLS policy for {document['domain']} via {host['name']}: {said} -> {plain(reason)}{given_up}"


def _verdict(what: str, document: Document) -> Iterator[str]:
    words = {
        "pass": f"{what} SUCCESS for",
        "fail": f"{what} FAILED for",
        "unknown": f"{what} COULD NOT BE VERIFIED for",
        "none": f"NO {what} for",
    }
    yield f"{words[document['result']]} {document['domain']}"
