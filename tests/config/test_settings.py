"""The page of settings agrees with itself and with the contract."""

from typing import get_args, get_type_hints

import msgspec
import pytest

from config.secret import Secret
from config.settings import Settings
from config.variable import build, walk

PLACES = list(walk(Settings()))
NAMES = [place.variable.name for place in PLACES]

CONTRACT = frozenset(
    {
        "AGENT_ENVIRONMENT", "AGENT_HOST", "AGENT_PORT", "AGENT_MODEL", "AGENT_MODELS",
        "AGENT_MODEL_TRANSPORT", "AGENT_MAX_TOKENS", "AGENT_SYSTEM_PROMPT", "AGENT_TURN_TIMEOUT_MS",
        "AGENT_SHUTDOWN_GRACE_MS", "AGENT_MAX_TOOL_ROUNDS", "AGENT_SIMULATOR",
        "AGENT_RATE_LIMIT_REQUESTS", "AGENT_RATE_LIMIT_WINDOW_MS", "AGENT_RATE_LIMIT_ROLES",
        "AGENT_RATE_LIMIT_MODE", "AGENT_RATE_LIMIT_STORE", "AGENT_RATE_LIMIT_ON_LOSS",
        "AGENT_REPLICAS", "AGENT_TOKENS_PER_MINUTE", "AGENT_BUDGET_USER_DAY_USD",
        "AGENT_BUDGET_USER_MONTH_USD", "AGENT_BUDGET_ROLE_DAY_USD", "AGENT_BUDGET_ROLE_MONTH_USD",
        "AGENT_BUDGET_TOTAL_DAY_USD", "AGENT_BUDGET_TOTAL_MONTH_USD", "AGENT_STREAMING_ENABLED",
        "AGENT_AUDIT_LOGGING_ENABLED", "AGENT_AUDIT_CONTENT", "AGENT_AUDIT_DURABILITY",
        "AGENT_AUDIT_UNWRITABLE", "AGENT_AUDIT_SIGNING_KEY", "AGENT_JOURNAL_DIR",
        "AGENT_STRUCTURED_LOGGING_ENABLED", "AGENT_LOG_SAMPLE_RATE", "AGENT_LOG_QUERY",
        "AGENT_SINKS", "AGENT_TELEMETRY_CONTENT", "AGENT_JWT_ALGORITHM", "AGENT_JWT_SECRET",
        "AGENT_JWT_PUBLIC_KEY", "AGENT_JWT_JWKS_URL", "AGENT_JWT_ISSUER", "AGENT_JWT_AUDIENCE",
        "AGENT_SECRET_KEY", "AGENT_TRUSTED_PROXIES", "AGENT_MCP_SERVERS", "LOG_LEVEL",
        "DATABASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL",
    }
)  # fmt: skip

FURTHER = frozenset(
    {
        "AGENT_AUDIT_CHECKPOINT_LOG", "AGENT_AUDIT_CHECKPOINT_WEBHOOK", "AGENT_AUDIT_RETENTION_DAYS",
        "AGENT_SECRET_KEY_PREVIOUS", "AGENT_SETTINGS_FILE", "AGENT_STREAM_KEEPALIVE_MS",
        "AGENT_STREAM_RESUME_MS", "AGENT_CLIENT_STALL_MS",
        "AGENT_RATE_LIMIT_ADDRESS", "AGENT_RATE_LIMIT_TENANT",
        "AGENT_RATE_LIMIT_MODELS", "AGENT_RATE_LIMIT_TOOLS", "AGENT_RATE_LIMIT_CONCURRENCY",
        "AGENT_MODEL_PROVIDER", "AGENT_MODEL_PRICES", "AGENT_ROLE_MODELS",
        "AGENT_ATTACHMENTS", "AGENT_MAX_BODY_BYTES",
        "AGENT_MODEL_FALLBACKS", "AGENT_MODEL_BREAKER", "AGENT_MODEL_CONNECT_TIMEOUT_MS",
        "AGENT_MODEL_FIRST_EVENT_TIMEOUT_MS", "AGENT_MODEL_EVENT_TIMEOUT_MS",
        "AGENT_AUTH_STALE_MS", "AGENT_AUTH_FAILURES",
        "AGENT_MAX_TURNS", "AGENT_MAX_CONNECTIONS", "AGENT_SHUTDOWN_DELAY_MS",
        "AGENT_ALERT_WEBHOOK", "AGENT_ALERT_WEBHOOK_SECRET", "AGENT_ALERT_WEBHOOK_PLAIN",
        "AGENT_APPROVAL_TIMEOUT_MS",
        "AGENT_AUDIT_VERIFY_DAILY", "AGENT_JAEGER_URL", "AGENT_TRACE_URL", "AGENT_MODEL_TRACE_CONTEXT",
        "AGENT_CONTEXT_TOKENS", "AGENT_PROMPT_CACHE", "AGENT_COUNT_TOKENS_ABOVE", "AGENT_THINKING",
        "AGENT_TOOLS", "AGENT_TOOL_ROLES", "AGENT_MAX_TOOL_CALLS", "AGENT_TURN_BUDGET_USD",
        "AGENT_FETCH_URL_HOSTS", "AGENT_FETCH_URL_PORTS",
        "AGENT_PUBLIC_URL", "AGENT_OIDC_ISSUER", "AGENT_OIDC_CLIENT_ID", "AGENT_OIDC_CLIENT_SECRET",
        "AGENT_OIDC_SCOPES", "AGENT_OIDC_USER_CLAIM", "AGENT_OIDC_ROLE_CLAIM", "AGENT_OIDC_ROLES",
        "AGENT_OIDC_TENANT_CLAIM",
    }
)  # fmt: skip
"""What came to the contract's, each for something that the contract promises without naming its setting."""


def test_the_page_has_the_names_of_the_contract_and_few_more():
    assert sorted(NAMES) == sorted(CONTRACT | FURTHER)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("AGENT_ENVIRONMENT", "development"),
        ("AGENT_HOST", "127.0.0.1"),
        ("AGENT_PORT", "3005"),
        ("AGENT_RATE_LIMIT_REQUESTS", "20"),
        ("AGENT_RATE_LIMIT_WINDOW_MS", "60000"),
        ("AGENT_RATE_LIMIT_ROLES", "CFO=100,CXO_TEAM=100,AUDIT_HEAD=50,AUDITOR=30,AUDITEE=20,GUEST=10"),
        ("AGENT_RATE_LIMIT_MODE", "enforce"),
        ("AGENT_RATE_LIMIT_STORE", "memory://"),
        ("AGENT_RATE_LIMIT_ON_LOSS", "share"),
        ("AGENT_REPLICAS", "1"),
        ("AGENT_STREAMING_ENABLED", "true"),
        ("AGENT_AUDIT_LOGGING_ENABLED", "true"),
        ("AGENT_AUDIT_CONTENT", "clear"),
        ("AGENT_AUDIT_DURABILITY", "default"),
        ("AGENT_AUDIT_UNWRITABLE", "refuse"),
        ("AGENT_JOURNAL_DIR", "var/journal"),
        ("AGENT_STRUCTURED_LOGGING_ENABLED", "true"),
        ("AGENT_LOG_SAMPLE_RATE", "1"),
        ("AGENT_LOG_QUERY", "true"),
        ("AGENT_TELEMETRY_CONTENT", "false"),
        ("AGENT_JWT_ALGORITHM", "HS256"),
        ("AGENT_JWT_ISSUER", "parley"),
        ("AGENT_JWT_AUDIENCE", "parley"),
        ("LOG_LEVEL", "info"),
        ("DATABASE_URL", "sqlite:///var/parley.db"),
    ],
)
def test_defaults_are_the_contracts(name, shown):
    place = PLACES[NAMES.index(name)]
    assert place.variable.form.show(place.value) == shown


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_a_default_is_of_its_own_form(place):
    form = place.variable.form
    if place.value not in (None, ()):
        assert form.read(form.show(place.value)) == place.value


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_every_setting_says_why(place):
    assert place.variable.why.endswith(".")
    assert place.variable.form.expected


def hints(group):
    for field, hint in get_type_hints(type(group)).items():
        value = getattr(group, field)
        yield from hints(value) if isinstance(value, msgspec.Struct) else [hint]


SAMPLES = [
    "1",
    "true",
    "x",
    "http://h",
    "openid",
    "http://h/{traceId}",
    "memory://",
    "sqlite:///x",
    "A=1",
    "a=A",
    "a" * 40,
    "whsec_" + "A" * 32,
    "10.0.0.1",
    "0.5",
    "100",
    "1100000",
]


@pytest.mark.parametrize(("place", "hint"), list(zip(PLACES, hints(Settings()), strict=True)), ids=NAMES)
def test_a_form_reads_the_type_its_field_promises(place, hint):
    words = [word for kind in (hint, *get_args(hint)) for word in get_args(kind) if isinstance(word, str)]
    read = []
    for sample in [*SAMPLES, *words]:
        try:
            read.append(place.variable.form.read(sample))
        except ValueError:
            continue
    assert read
    for value in read:
        plain = dict(value) if hasattr(value, "keys") else value
        assert msgspec.convert(plain, hint, strict=True) is not None


def test_everything_is_frozen():
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.port = 1
    with pytest.raises(AttributeError):
        settings.limits.budgets.user_day = 1
    with pytest.raises(TypeError):
        settings.limits.roles["CFO"] = 1


def test_build_changes_only_what_it_is_told():
    changed = build(Settings(), {"AGENT_PORT": 1, "AGENT_BUDGET_USER_DAY_USD": 5})
    assert (changed.port, changed.limits.budgets.user_day) == (1, 5)
    assert build(changed, {"AGENT_PORT": 3005, "AGENT_BUDGET_USER_DAY_USD": None}) == Settings()


@pytest.mark.parametrize(
    ("simulator", "key", "simulated"),
    [
        (None, None, True), (None, Secret("k"), False), (True, None, True),
        (True, Secret("k"), True), (False, None, False), (False, Secret("k"), False),
    ],
)  # fmt: skip
def test_who_answers(simulator, key, simulated):
    model = msgspec.structs.replace(Settings().model, simulator=simulator, api_key=key)
    assert model.simulated is simulated


def test_an_address_of_one_s_own_is_asked_without_a_key():
    model = msgspec.structs.replace(Settings().model, base_url="http://127.0.0.1:1")
    assert not model.simulated
    assert msgspec.structs.replace(model, simulator=True).simulated
