"""The environment as settings: everything that is wrong at once, each problem with its variable.

Refuses to start on a guess: an unknown name, a value out of bounds, a missing secret each end the load.
"""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from config.form import Form
from config.secret import Secret
from config.settings import PROVIDER, Settings
from config.source import FILE, Given, Origin, Unreadable, gather, read_dotenv, read_named, read_secret
from config.variable import Place, build, walk

ENVIRONMENT: Final = "AGENT_ENVIRONMENT"
SETTINGS_FILE: Final = "AGENT_SETTINGS_FILE"
PREFIX: Final = "AGENT_"
FOREIGN: Final = "OTEL_"
DOTENV: Final = Path(".env")
SHARED: Final = "HS256"
"""The algorithm whose key is a secret that both sides know."""
ASYMMETRIC: Final = ("EdDSA", "ES256", "RS256")
PUBLIC_KEYS: Final = ("AGENT_JWT_PUBLIC_KEY", "AGENT_JWT_JWKS_URL")
ISSUER: Final = "AGENT_OIDC_ISSUER"
CLIENT_ID: Final = "AGENT_OIDC_CLIENT_ID"
CLIENT_SECRET: Final = "AGENT_OIDC_CLIENT_SECRET"  # noqa: S105 - a name
PUBLIC_URL: Final = "AGENT_PUBLIC_URL"
MEMORY: Final = "memory://"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
BUDGET: Final = "AGENT_BUDGET_"
LONGEST_QUOTE: Final = 60
LONGEST_NAME: Final = 80

PLACES: Final = tuple(walk(Settings()))
SECRETS: Final = tuple(place.variable.name for place in PLACES if place.variable.form.secret)
KNOWN: Final = frozenset({place.variable.name for place in PLACES} | {name + FILE for name in SECRETS})


class SettingsError(Exception):
    """The environment describes no valid settings; `problems` has one line for each reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Loaded(Struct, frozen=True, kw_only=True):
    """Settings, and for each variable where its value came from.

    `exports` are OpenTelemetry's own variables that stand in a file only: whoever starts OpenTelemetry
    puts them into the process's environment first. They are secrets because headers may hold keys.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    exports: Mapping[str, Secret]


class Reading(Struct, frozen=True, kw_only=True):
    """What was read for one variable: a value, or a problem, or neither where nothing was given."""

    name: str
    origin: Origin = "default"
    value: Any = None
    problem: str | None = None


def load(environ: Mapping[str, str] = os.environ, dotenv: Path | None = DOTENV) -> Loaded:
    """Read the environment, and AGENT_SETTINGS_FILE or, in development only, `.env` (the environment wins).

    `dotenv` is the file's path, None for none.

    Raises:
        SettingsError: at least one setting is wrong; it says all of them and shows no secret.
    """
    lines, origin, problems = _lines_of_a_file(environ, dotenv)
    given = gather(environ, lines, origin)
    readings = {place.variable.name: _read(place, given) for place in PLACES}
    problems += [reading.problem for reading in readings.values() if reading.problem]
    problems += [*_across(readings), *_unknown(given)]
    if problems:
        raise SettingsError(tuple(problems))
    return _loaded(given, readings)


def _loaded(given: Mapping[str, Given], readings: Mapping[str, Reading]) -> Loaded:
    values = {name: reading.value for name, reading in readings.items() if reading.origin != "default"}
    return Loaded(
        settings=_with_own_model(build(Settings(), values)),
        origins=MappingProxyType({name: reading.origin for name, reading in readings.items()}),
        exports=MappingProxyType(
            {
                name: Secret(one.text)
                for name, one in given.items()
                if name.startswith(FOREIGN) and one.origin != "env"
            }
        ),
    )


def _with_own_model(settings: Settings) -> Settings:
    model = settings.model
    if model.name in model.names:
        return settings
    return replace(settings, model=replace(model, names=(model.name, *model.names)))


def _lines_of_a_file(
    environ: Mapping[str, str], dotenv: Path | None
) -> tuple[dict[str, str], Origin, list[str]]:
    """The file that is named, anywhere; else `.env`, in development."""
    named = environ.get(SETTINGS_FILE)
    if not named:
        lines, problems = _development_lines(environ, dotenv)
        return lines, ".env", problems
    try:
        return read_named(Path(named)), "file", []
    except Unreadable as error:
        return {}, "file", [f"{SETTINGS_FILE}: {error}"]


def _development_lines(environ: Mapping[str, str], dotenv: Path | None) -> tuple[dict[str, str], list[str]]:
    # decided by the environment alone: a file cannot say whether it is to be read
    if dotenv is None or environ.get(ENVIRONMENT, "").lower() not in {"", "development"}:
        return {}, []
    try:
        return read_dotenv(dotenv), []
    except Unreadable as error:
        return {}, [f".env: {error}"]


def _read(place: Place, given: Mapping[str, Given]) -> Reading:
    name = place.variable.name
    direct, file = given.get(name), given.get(name + FILE) if name in SECRETS else None
    if direct and file:
        return _wrong(name, direct, f"set twice, also by {file.name}; unset one of them")
    if file:
        return _read_file(place, replace(file, origin="file"))
    return _read_text(place, direct, direct.text) if direct else Reading(name=name)


def _read_file(place: Place, file: Given) -> Reading:
    try:
        return _read_text(place, file, read_secret(file.text))
    except Unreadable as error:
        return _wrong(place.variable.name, file, str(error))


def _read_text(place: Place, given: Given, text: str) -> Reading:
    name, form = place.variable.name, place.variable.form
    try:
        text.encode()
        value = form.read(text)
    except ValueError:
        return _wrong(name, given, _expected(form, text))
    return Reading(name=name, origin=given.origin, value=value)


def _wrong(name: str, given: Given, reason: str) -> Reading:
    return Reading(name=name, origin=given.origin, problem=f"{given.name}: {reason}")


def _expected(form: Form[Any], text: str) -> str:
    got = f", got {_quote(text)}" if form.quoted else ""
    return f"expected {form.expected}{got}"


def _quote(text: str) -> str:
    return repr(text) if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]!r}..."


def _across(readings: Mapping[str, Reading]) -> Iterator[str]:
    environment = readings[ENVIRONMENT]
    production = environment.value == "production"
    if production and environment.origin == ".env":
        yield f"{ENVIRONMENT}: production turns .env off and cannot be said in it; set it outside"
    if production and _absent(readings["AGENT_SECRET_KEY"]):
        yield "AGENT_SECRET_KEY: missing; production needs at least 32 random characters"
    yield from _across_providers(readings, production=production)
    yield from _across_tokens(readings)
    yield from _across_limits(readings)
    yield from _across_models(readings)
    yield from _across_alerts(readings)
    yield from _across_sign_in(readings, production=production)


def _across_providers(readings: Mapping[str, Reading], *, production: bool) -> Iterator[str]:
    """A provider's plug-in reads its own key, and no simulator speaks for it."""
    simulator, provider = readings["AGENT_SIMULATOR"], readings["AGENT_MODEL_PROVIDER"]
    if provider.problem:
        return
    if (provider.value or PROVIDER) != PROVIDER:
        if simulator.value:
            yield f"AGENT_SIMULATOR: it speaks as {PROVIDER} only; unset it, or AGENT_MODEL_PROVIDER"
        return
    keyless = simulator.value is False or (production and not simulator.value and not simulator.problem)
    if keyless and _absent(readings["ANTHROPIC_API_KEY"]):
        yield "ANTHROPIC_API_KEY: missing; set it, or AGENT_SIMULATOR=true to do without"


def _across_limits(readings: Mapping[str, Reading]) -> Iterator[str]:
    replicas, store = readings["AGENT_REPLICAS"], readings["AGENT_RATE_LIMIT_STORE"]
    in_memory = _absent(store) or store.value == MEMORY
    if in_memory and not _absent(replicas) and replicas.value != 1:
        yield "AGENT_REPLICAS: several processes need an AGENT_RATE_LIMIT_STORE that they share, redis://..."
    audit = readings["AGENT_AUDIT_LOGGING_ENABLED"]
    if audit.value is False:
        for name in sorted(
            each for each in readings if each.startswith(BUDGET) and not _absent(readings[each])
        ):
            yield f"{name}: a budget is kept by the audit; set AGENT_AUDIT_LOGGING_ENABLED=true"


def _across_alerts(readings: Mapping[str, Reading]) -> Iterator[str]:
    webhook, plain = readings["AGENT_ALERT_WEBHOOK"], readings["AGENT_ALERT_WEBHOOK_PLAIN"]
    if _absent(webhook) or webhook.problem or plain.value:
        return
    parts = urlsplit(str(webhook.value))
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        yield "AGENT_ALERT_WEBHOOK: another machine is told over https; or set AGENT_ALERT_WEBHOOK_PLAIN=true"


def _across_models(readings: Mapping[str, Reading]) -> Iterator[str]:
    name, names = readings["AGENT_MODEL"], readings["AGENT_MODELS"]
    if name.problem or names.problem:
        return
    model = Settings().model
    allowed = {name.value or model.name, *(names.value or model.names)}
    for each in readings["AGENT_MODEL_FALLBACKS"].value or ():
        if each not in allowed:
            yield f"AGENT_MODEL_FALLBACKS: {each} is none of AGENT_MODELS"
    of_roles: Mapping[str, tuple[str, ...]] = readings["AGENT_ROLE_MODELS"].value or {}
    for role, models in of_roles.items():
        if unknown := [each for each in models if each not in allowed]:
            yield f"AGENT_ROLE_MODELS: {', '.join(unknown)} of {role} is none of AGENT_MODELS"


def _across_tokens(readings: Mapping[str, Reading]) -> Iterator[str]:
    algorithm, secret = readings["AGENT_JWT_ALGORITHM"], readings["AGENT_JWT_SECRET"]
    public = [name for name in PUBLIC_KEYS if not _absent(readings[name])]
    named = "" if algorithm.problem else algorithm.value or SHARED
    if len(public) > 1:
        yield f"{public[0]}: set beside {public[1]}; unset one of them"
    if named == SHARED and public:
        yield f"{public[0]}: {SHARED} has AGENT_JWT_SECRET; set AGENT_JWT_ALGORITHM to EdDSA, ES256 or RS256"
    if named in ASYMMETRIC and not public:
        yield f"{PUBLIC_KEYS[0]}: missing; {named} needs it, or {PUBLIC_KEYS[1]}"
    if named in ASYMMETRIC and not _absent(secret):
        yield f"AGENT_JWT_SECRET: {named} takes no secret; unset it"


def _across_sign_in(readings: Mapping[str, Reading], *, production: bool) -> Iterator[str]:
    """A provider is one whole: who it is, who we are to it, and where it sends people back to."""
    if _absent(readings[ISSUER]):
        for name in (each for each in (CLIENT_ID, CLIENT_SECRET) if readings[each].value):
            yield f"{name}: set without {ISSUER}; set that, or unset this"
        return
    yield from (
        f"{name}: missing; {ISSUER} needs it" for name in (CLIENT_ID, PUBLIC_URL) if _absent(readings[name])
    )
    for name in (ISSUER, PUBLIC_URL) if production else (ISSUER,):
        parts = urlsplit(str(readings[name].value or ""))
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            yield f"{name}: people sign in over https; http is for this machine alone"


def _absent(reading: Reading) -> bool:
    return reading.origin == "default"


def _unknown(given: Mapping[str, Given]) -> Iterator[str]:
    for name in sorted(set(given) - KNOWN):
        if name.removesuffix(FILE) in KNOWN:
            yield f"{name}: no such setting; only secrets are read from files"
        elif name.startswith(PREFIX):
            yield f"{ascii(name[:LONGEST_NAME])[1:-1]}: no such setting{_suggestion(name)}"


def _suggestion(name: str) -> str:
    close = get_close_matches(name[:LONGEST_NAME], KNOWN, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""
