"""Every setting there is, with its variable, its bounds, its default and one line of why.

Refuses to read anything: the environment is read by `config.env`, nothing here looks outside.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from msgspec import Struct

from config.form import (
    choices,
    counts,
    dollars,
    fraction,
    hidden,
    listed,
    located,
    named,
    networks,
    numbers,
    one_of,
    switch,
    text,
    web_address,
    whole,
)
from config.secret import Secret
from config.variable import Variable

Environment = Literal["development", "production"]
Transport = Literal["direct", "httpx"]
Mode = Literal["off", "observe", "enforce"]
OnLoss = Literal["share", "strict"]
Content = Literal["clear", "sealed"]
Durability = Literal["default", "strict"]
Unwritable = Literal["refuse", "continue"]
Level = Literal["debug", "info", "warn", "error"]
PromptCache = Literal["off", "5m", "1h"]
Thinking = Literal["off", "allowed"]
Algorithm = Literal["HS256", "EdDSA", "ES256", "RS256"]

MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}"
ROLE_NAME = r"[A-Z][A-Z0-9_]{0,31}"
GROUP_NAME = r"[^,\x00-\x1f\x7f]{1,256}"
SITE = r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?/?"
HOST_NAME = r"(?:\*\.)?[a-z0-9.:_-]{1,253}"
TOOL_NAME = r"[A-Za-z0-9_-]{1,128}"
PRINTABLE = r"[!-~]{1,1024}"
SIGNED_BY = r"whsec_(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
ANYTHING = r"[^\x00]{1,32000}"

PROVIDER = "anthropic"
"""The provider whose API the simulator speaks, and whose key and address have settings here."""

ROLES: Mapping[str, int] = MappingProxyType(
    {"CFO": 100, "CXO_TEAM": 100, "AUDIT_HEAD": 50, "AUDITOR": 30, "AUDITEE": 20, "GUEST": 10}
)
"""Requests per window of the roles that have a number of their own."""

SYSTEM_PROMPT = (
    "You are a helpful assistant. Answer briefly and truthfully, use the tools you are given "
    "where they help, and say so when you do not know."
)


class Model(Struct, frozen=True, kw_only=True):
    """The model and one turn with it."""

    name: Annotated[
        str,
        Variable(
            "AGENT_MODEL",
            "Model that is asked unless a request names another.",
            text("a model's name", MODEL_NAME),
        ),
    ] = "claude-sonnet-5-5"
    names: Annotated[
        tuple[str, ...],
        Variable(
            "AGENT_MODELS",
            "Models a request may name; AGENT_MODEL is always one of them.",
            listed("distinct model names between commas", MODEL_NAME),
        ),
    ] = ("claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5-5")
    fallbacks: Annotated[
        tuple[str, ...],
        Variable(
            "AGENT_MODEL_FALLBACKS",
            "Models of AGENT_MODELS that are asked, in this order, where the one asked for cannot answer.",
            listed("distinct model names between commas", MODEL_NAME),
        ),
    ] = ()
    provider: Annotated[
        str,
        Variable(
            "AGENT_MODEL_PROVIDER",
            "Whose API is asked: a name under which a package offers it (entry points `parley.models`).",
            text("the name of an installed provider", r"[A-Za-z][A-Za-z0-9_.-]{0,63}"),
        ),
    ] = PROVIDER
    prices: Annotated[
        str | None,
        Variable(
            "AGENT_MODEL_PRICES",
            "File of prices in the form of service/agent/prices.toml, for models that have none there, or "
            "other ones.",
            text("a path", r"[^\x00-\x1f]{1,4096}"),
        ),
    ] = None
    breaker: Annotated[
        bool,
        Variable(
            "AGENT_MODEL_BREAKER",
            "Whether a model that keeps failing is left alone, and retries are a tenth of calls at most.",
            switch(),
        ),
    ] = True
    connect_timeout_ms: Annotated[
        int,
        Variable(
            "AGENT_MODEL_CONNECT_TIMEOUT_MS",
            "Longest time until the model's API is connected to, in milliseconds.",
            whole(10, 600_000),
        ),
    ] = 5_000
    first_event_timeout_ms: Annotated[
        int,
        Variable(
            "AGENT_MODEL_FIRST_EVENT_TIMEOUT_MS",
            "Longest silence before the first event of an answer, in milliseconds; pings are none.",
            whole(10, 3_600_000),
        ),
    ] = 30_000
    event_timeout_ms: Annotated[
        int,
        Variable(
            "AGENT_MODEL_EVENT_TIMEOUT_MS",
            "Longest silence between two events of an answer, in milliseconds; pings are none.",
            whole(10, 3_600_000),
        ),
    ] = 30_000
    transport: Annotated[
        Transport,
        Variable(
            "AGENT_MODEL_TRANSPORT",
            "How the model's API is asked: `direct` is faster, `httpx` is the SDK's own default.",
            one_of(*get_args(Transport)),
        ),
    ] = "direct"
    max_tokens: Annotated[
        int,
        Variable(
            "AGENT_MAX_TOKENS",
            "Default and ceiling of one model call's answer, in tokens.",
            whole(1, 1_000_000),
        ),
    ] = 4096
    system_prompt: Annotated[
        str,
        Variable(
            "AGENT_SYSTEM_PROMPT",
            "What the model is told before every conversation.",
            text("1 to 32000 characters", ANYTHING),
        ),
    ] = SYSTEM_PROMPT
    trace_context: Annotated[
        bool,
        Variable(
            "AGENT_MODEL_TRACE_CONTEXT",
            "Whether the model's API is told which trace asks it: for a gateway of your own.",
            switch(),
        ),
    ] = False
    prompt_cache: Annotated[
        PromptCache,
        Variable(
            "AGENT_PROMPT_CACHE",
            "How long the model's API keeps prompts, so that the next turn reads them for less; off: not.",
            one_of(*get_args(PromptCache)),
        ),
    ] = "5m"
    count_tokens_above: Annotated[
        int,
        Variable(
            "AGENT_COUNT_TOKENS_ABOVE",
            "Tokens above which, by a guess, the model's API counts a prompt before it is weighed; 0: never.",
            whole(0, 10_000_000),
        ),
    ] = 50_000
    thinking: Annotated[
        Thinking,
        Variable(
            "AGENT_THINKING",
            "Whether a request may ask to be shown what the model thinks.",
            one_of(*get_args(Thinking)),
        ),
    ] = "allowed"
    turn_timeout_ms: Annotated[
        int,
        Variable(
            "AGENT_TURN_TIMEOUT_MS", "Longest time of a whole turn, in milliseconds.", whole(100, 3_600_000)
        ),
    ] = 120_000
    approval_timeout_ms: Annotated[
        int,
        Variable(
            "AGENT_APPROVAL_TIMEOUT_MS",
            "Longest wait for somebody's approval of a tool's call, in milliseconds; silence is a denial.",
            whole(10, 3_600_000),
        ),
    ] = 60_000
    context_tokens: Annotated[
        int,
        Variable(
            "AGENT_CONTEXT_TOKENS",
            "Most tokens of a prompt and its answer, where a model takes more; earlier turns give way.",
            whole(1_000, 10_000_000),
        ),
    ] = 200_000
    max_tool_rounds: Annotated[
        int,
        Variable("AGENT_MAX_TOOL_ROUNDS", "Times the model may call tools within one turn.", whole(1, 100)),
    ] = 8
    simulator: Annotated[
        bool | None,
        Variable(
            "AGENT_SIMULATOR",
            "Ask the built-in simulator; unset: when there is neither an API key nor another address.",
            switch(),
        ),
    ] = None
    api_key: Annotated[
        Secret | None,
        Variable(
            "ANTHROPIC_API_KEY",
            "Key of the model's API.",
            hidden("1 to 1024 printable characters without blanks", PRINTABLE),
        ),
    ] = None
    base_url: Annotated[
        str | None,
        Variable("ANTHROPIC_BASE_URL", "Where the model's API is, if not at its vendor.", web_address()),
    ] = None

    @property
    def simulated(self) -> bool:
        """Whether the simulator answers: as `simulator` says, else where nothing else is named to ask."""
        if self.provider != PROVIDER:
            return False
        if self.simulator is None:
            return self.api_key is None and self.base_url is None
        return self.simulator


class Budgets(Struct, frozen=True, kw_only=True):
    """Money that may be spent.

    Kept as integer micro-dollars; None is no budget.
    """

    user_day: Annotated[
        int | None,
        Variable("AGENT_BUDGET_USER_DAY_USD", "What one user may spend in a day.", dollars(1_000_000)),
    ] = None
    user_month: Annotated[
        int | None,
        Variable("AGENT_BUDGET_USER_MONTH_USD", "What one user may spend in a month.", dollars(1_000_000)),
    ] = None
    role_day: Annotated[
        int | None,
        Variable("AGENT_BUDGET_ROLE_DAY_USD", "What one role may spend in a day.", dollars(1_000_000)),
    ] = None
    role_month: Annotated[
        int | None,
        Variable("AGENT_BUDGET_ROLE_MONTH_USD", "What one role may spend in a month.", dollars(1_000_000)),
    ] = None
    total_day: Annotated[
        int | None, Variable("AGENT_BUDGET_TOTAL_DAY_USD", "What all may spend in a day.", dollars(1_000_000))
    ] = None
    total_month: Annotated[
        int | None,
        Variable("AGENT_BUDGET_TOTAL_MONTH_USD", "What all may spend in a month.", dollars(1_000_000)),
    ] = None


class Limits(Struct, frozen=True, kw_only=True):
    """How often a caller may ask."""

    requests: Annotated[
        int,
        Variable(
            "AGENT_RATE_LIMIT_REQUESTS",
            "Requests per window of a role without a number of its own.",
            whole(1, 1000),
        ),
    ] = 20
    window_ms: Annotated[
        int, Variable("AGENT_RATE_LIMIT_WINDOW_MS", "The window, in milliseconds.", whole(100, 86_400_000))
    ] = 60_000
    roles: Annotated[
        Mapping[str, int],
        Variable(
            "AGENT_RATE_LIMIT_ROLES",
            "Requests per window by role; replaces the numbers of the roles it names.",
            counts(ROLES, ROLE_NAME, 1, 1000),
        ),
    ] = ROLES
    mode: Annotated[
        Mode,
        Variable(
            "AGENT_RATE_LIMIT_MODE",
            "Whether limits refuse, only record, or do nothing.",
            one_of(*get_args(Mode)),
        ),
    ] = "enforce"
    store: Annotated[
        str,
        Variable(
            "AGENT_RATE_LIMIT_STORE",
            "Where the counts are kept.",
            located("memory:// or a redis:// URL", r"memory://|rediss?://[!-~]+"),
        ),
    ] = "memory://"
    on_loss: Annotated[
        OnLoss,
        Variable(
            "AGENT_RATE_LIMIT_ON_LOSS",
            "What is admitted while a shared store is away.",
            one_of(*get_args(OnLoss)),
        ),
    ] = "share"
    replicas: Annotated[
        int,
        Variable(
            "AGENT_REPLICAS", "Processes that share the limits when their store is away.", whole(1, 1000)
        ),
    ] = 1
    address: Annotated[
        int | None,
        Variable(
            "AGENT_RATE_LIMIT_ADDRESS",
            "Requests per window from one address, before anybody is known; unset: no limit.",
            whole(1, 1000),
        ),
    ] = None
    tenant: Annotated[
        int | None,
        Variable(
            "AGENT_RATE_LIMIT_TENANT",
            "Requests per window of all users of one tenant; unset: no limit.",
            whole(1, 1000),
        ),
    ] = None
    models: Annotated[
        Mapping[str, int] | None,
        Variable(
            "AGENT_RATE_LIMIT_MODELS",
            "Requests per window of one user to the models it names.",
            counts({}, MODEL_NAME, 1, 1000),
        ),
    ] = None
    role_models: Annotated[
        Mapping[str, tuple[str, ...]] | None,
        Variable(
            "AGENT_ROLE_MODELS",
            "The only models of AGENT_MODELS that the roles it names may ask.",
            choices("roles with their models, as GUEST=small,CFO=small|large", ROLE_NAME, MODEL_NAME),
        ),
    ] = None
    tools: Annotated[
        Mapping[str, int] | None,
        Variable(
            "AGENT_RATE_LIMIT_TOOLS",
            "Calls per window of the tools it names, for one user.",
            counts({}, TOOL_NAME, 1, 1000),
        ),
    ] = None
    turn_micros: Annotated[
        int | None,
        Variable(
            "AGENT_TURN_BUDGET_USD",
            "What one turn may cost: no further call of the model that might cost more; unset: no limit.",
            dollars(1_000_000),
        ),
    ] = None
    concurrency: Annotated[
        int,
        Variable("AGENT_RATE_LIMIT_CONCURRENCY", "Turns of one user at the same time.", whole(1, 1000)),
    ] = 100
    tokens_per_minute: Annotated[
        int | None,
        Variable(
            "AGENT_TOKENS_PER_MINUTE",
            "Tokens one user may use in any minute, a fifth of them at once; unset: no limit.",
            whole(5, 1_000_000_000),
        ),
    ] = None
    budgets: Budgets = Budgets()


class Tools(Struct, frozen=True, kw_only=True):
    """What the model may do besides talking."""

    names: Annotated[
        tuple[str, ...],
        Variable(
            "AGENT_TOOLS",
            "Tools that are on, by the names of their entry points; none: no tool at all.",
            listed("distinct names of entry points between commas", r"[A-Za-z][A-Za-z0-9_.-]{0,63}"),
        ),
    ] = ("calculate", "current_time", "audit_search", "usage_report")
    roles: Annotated[
        Mapping[str, tuple[str, ...]] | None,
        Variable(
            "AGENT_TOOL_ROLES",
            "The only roles whose model may use the tools it names, as far as a tool is for them.",
            choices(
                "tools with their roles, as send_mail=CFO|CXO_TEAM,look_up=AUDITOR", TOOL_NAME, ROLE_NAME
            ),
        ),
    ] = None
    calls: Annotated[
        int,
        Variable("AGENT_MAX_TOOL_CALLS", "Calls of tools within one turn, over all rounds.", whole(1, 1_000)),
    ] = 32


class Streams(Struct, frozen=True, kw_only=True):
    """Answers on their way to a client."""

    keepalive_ms: Annotated[
        int,
        Variable(
            "AGENT_STREAM_KEEPALIVE_MS",
            "Silence after which a stream says that it is alive, in milliseconds.",
            whole(100, 3_600_000),
        ),
    ] = 15_000
    resume_ms: Annotated[
        int,
        Variable(
            "AGENT_STREAM_RESUME_MS",
            "How long a stream goes on, and is kept, for a client that lost it, in milliseconds; 0: not "
            "at all.",
            whole(0, 3_600_000),
        ),
    ] = 0
    stall_ms: Annotated[
        int,
        Variable(
            "AGENT_CLIENT_STALL_MS",
            "Time in which a client that takes nothing of its answer is dropped, in milliseconds.",
            whole(100, 3_600_000),
        ),
    ] = 30_000


class Audit(Struct, frozen=True, kw_only=True):
    """The audit trail."""

    enabled: Annotated[
        bool, Variable("AGENT_AUDIT_LOGGING_ENABLED", "Whether every turn leaves an audit row.", switch())
    ] = True
    content: Annotated[
        Content,
        Variable("AGENT_AUDIT_CONTENT", "How the text of a query is kept.", one_of(*get_args(Content))),
    ] = "clear"
    durability: Annotated[
        Durability,
        Variable(
            "AGENT_AUDIT_DURABILITY",
            "Whether an outcome is on disk before it is told.",
            one_of(*get_args(Durability)),
        ),
    ] = "default"
    unwritable: Annotated[
        Unwritable,
        Variable(
            "AGENT_AUDIT_UNWRITABLE",
            "What happens to queries that cannot be recorded.",
            one_of(*get_args(Unwritable)),
        ),
    ] = "refuse"
    signing_key: Annotated[
        Secret | None,
        Variable(
            "AGENT_AUDIT_SIGNING_KEY",
            "Ed25519 private key that signs checkpoints; unset: derived from AGENT_SECRET_KEY.",
            hidden("a private key: PEM, or 32 bytes as hex or base64", ANYTHING),
        ),
    ] = None
    journal_dir: Annotated[
        str,
        Variable(
            "AGENT_JOURNAL_DIR",
            "Folder of the write-ahead journal, on a local disk that lasts.",
            text("a path", r"[^\x00-\x1f]{1,4096}"),
        ),
    ] = "var/journal"
    checkpoint_file: Annotated[
        str,
        Variable(
            "AGENT_AUDIT_CHECKPOINT_LOG",
            "File that signed checkpoints are appended to, one JSON object a line.",
            text("a path", r"[^\x00-\x1f]{1,4096}"),
        ),
    ] = "var/checkpoints.jsonl"
    checkpoint_webhook: Annotated[
        str | None,
        Variable(
            "AGENT_AUDIT_CHECKPOINT_WEBHOOK", "Where signed checkpoints are posted to as JSON.", web_address()
        ),
    ] = None
    retention_days: Annotated[
        int | None,
        Variable(
            "AGENT_AUDIT_RETENTION_DAYS",
            "Days after which events are removed, leaving their hashes; unset: never.",
            whole(1, 36_500),
        ),
    ] = None
    verify_daily: Annotated[
        bool,
        Variable(
            "AGENT_AUDIT_VERIFY_DAILY",
            "Whether the service verifies its whole log itself, once a day (UTC).",
            switch(),
        ),
    ] = True


class Alerts(Struct, frozen=True, kw_only=True):
    """What somebody has to look at, told without a stack."""

    webhook: Annotated[
        str | None,
        Variable(
            "AGENT_ALERT_WEBHOOK",
            "Where alerts are posted to, in the form of Alertmanager's webhooks.",
            web_address(),
        ),
    ] = None
    secret: Annotated[
        Secret | None,
        Variable(
            "AGENT_ALERT_WEBHOOK_SECRET",
            "What they are signed by, as Standard Webhooks are; unset: they are not.",
            hidden("whsec_ and 24 to 64 bytes in base64", SIGNED_BY),
        ),
    ] = None
    plain: Annotated[
        bool,
        Variable(
            "AGENT_ALERT_WEBHOOK_PLAIN",
            "Whether alerts may go to another machine over http, which anybody between can read.",
            switch(),
        ),
    ] = False


class Logs(Struct, frozen=True, kw_only=True):
    """Log lines on stdout."""

    structured: Annotated[
        bool,
        Variable("AGENT_STRUCTURED_LOGGING_ENABLED", "JSON lines; off: plain text for a terminal.", switch()),
    ] = True
    level: Annotated[
        Level, Variable("LOG_LEVEL", "Least level that is written.", one_of(*get_args(Level)))
    ] = "info"
    sample_rate: Annotated[
        float,
        Variable(
            "AGENT_LOG_SAMPLE_RATE",
            "Part of the completed turns that is written, by trace id.",
            fraction(0, 1),
        ),
    ] = 1.0
    query: Annotated[
        bool,
        Variable("AGENT_LOG_QUERY", "Whether lines carry the first 100 characters of the query.", switch()),
    ] = True


class FetchUrl(Struct, frozen=True, kw_only=True):
    """The tool fetch_url."""

    hosts: Annotated[
        tuple[str, ...],
        Variable(
            "AGENT_FETCH_URL_HOSTS",
            "The only hosts pages are fetched from, *.example.org for all below one; unset: any public one.",
            listed("distinct host names between commas, in lower case", HOST_NAME),
        ),
    ] = ()
    ports: Annotated[
        frozenset[int],
        Variable("AGENT_FETCH_URL_PORTS", "The only ports that pages are fetched from.", numbers(1, 65535)),
    ] = frozenset({80, 443})


class Jwt(Struct, frozen=True, kw_only=True):
    """Tokens that others issue."""

    algorithm: Annotated[
        Algorithm,
        Variable("AGENT_JWT_ALGORITHM", "The only algorithm a token may have.", one_of(*get_args(Algorithm))),
    ] = "HS256"
    secret: Annotated[
        Secret | None,
        Variable(
            "AGENT_JWT_SECRET",
            "Shared secret of HS256.",
            hidden("32 to 32000 characters", r"[^\x00]{32,32000}"),
        ),
    ] = None
    public_key: Annotated[
        str | None,
        Variable("AGENT_JWT_PUBLIC_KEY", "Public key of the issuer, PEM.", text("a public key", ANYTHING)),
    ] = None
    jwks_url: Annotated[
        str | None, Variable("AGENT_JWT_JWKS_URL", "Where the issuer's keys are.", web_address())
    ] = None
    issuer: Annotated[
        str,
        Variable(
            "AGENT_JWT_ISSUER",
            "Required `iss` of a token.",
            text("1 to 1024 printable characters", PRINTABLE),
        ),
    ] = "parley"
    audience: Annotated[
        str,
        Variable(
            "AGENT_JWT_AUDIENCE",
            "Required `aud` of a token.",
            text("1 to 1024 printable characters", PRINTABLE),
        ),
    ] = "parley"


class Oidc(Struct, frozen=True, kw_only=True):
    """Signing in to the console by OpenID Connect."""

    issuer: Annotated[
        str | None,
        Variable(
            "AGENT_OIDC_ISSUER",
            "The provider that people sign in at: its issuer, to the letter; unset: none.",
            web_address(),
        ),
    ] = None
    client_id: Annotated[
        str | None,
        Variable(
            "AGENT_OIDC_CLIENT_ID",
            "What the provider calls this service.",
            text("1 to 1024 printable characters without blanks", PRINTABLE),
        ),
    ] = None
    client_secret: Annotated[
        Secret | None,
        Variable(
            "AGENT_OIDC_CLIENT_SECRET",
            "By which the provider knows this service; unset for a public client.",
            hidden("1 to 1024 printable characters without blanks", PRINTABLE),
        ),
    ] = None
    scopes: Annotated[
        str,
        Variable(
            "AGENT_OIDC_SCOPES",
            "What the provider is asked for.",
            text("words between blanks, openid among them", r"(?:[!-~]{1,128} )*openid(?: [!-~]{1,128})*"),
        ),
    ] = "openid profile"
    user_claim: Annotated[
        str,
        Variable(
            "AGENT_OIDC_USER_CLAIM",
            "The claim that is the user's name here; `email` only where the provider says it is verified.",
            text("1 to 1024 printable characters without blanks", PRINTABLE),
        ),
    ] = "sub"
    role_claim: Annotated[
        str,
        Variable(
            "AGENT_OIDC_ROLE_CLAIM",
            "The claim that tells the role, or groups; within an object by dots: realm_access.roles.",
            text("1 to 1024 printable characters without blanks", PRINTABLE),
        ),
    ] = "role"
    tenant_claim: Annotated[
        str | None,
        Variable(
            "AGENT_OIDC_TENANT_CLAIM",
            "The claim that tells the tenant; whoever has none is not let in. Unset: there are no tenants.",
            text("1 to 1024 printable characters without blanks", PRINTABLE),
        ),
    ] = None
    roles: Annotated[
        Mapping[str, str] | None,
        Variable(
            "AGENT_OIDC_ROLES",
            "Which value of it is which role; of several, the first here. Unset: it is the role itself.",
            named("roles by value, as auditors=AUDITOR,staff=AUDITEE", GROUP_NAME, ROLE_NAME),
        ),
    ] = None


class Settings(Struct, frozen=True, kw_only=True):
    """The service."""

    environment: Annotated[
        Environment,
        Variable(
            "AGENT_ENVIRONMENT",
            "In production nothing is made up and .env is not read.",
            one_of(*get_args(Environment)),
        ),
    ] = "development"
    settings_file: Annotated[
        str | None,
        Variable(
            "AGENT_SETTINGS_FILE",
            "File of NAME=value lines, read at the start and on SIGHUP; the environment wins over it.",
            text("a path", r"[^\x00-\x1f]{1,4096}"),
        ),
    ] = None
    host: Annotated[
        str,
        Variable(
            "AGENT_HOST",
            "Address to listen on.",
            text("a host name or an address", r"[A-Za-z0-9.:_%-]{1,255}"),
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Variable("AGENT_PORT", "Port to listen on; 0 takes any free one.", whole(0, 65535))
    ] = 3005
    secret_key: Annotated[
        Secret | None,
        Variable(
            "AGENT_SECRET_KEY",
            "Root of all keys the service derives; required in production.",
            hidden("at least 32 characters", r"[^\x00]{32,32000}"),
        ),
    ] = None
    secret_key_previous: Annotated[
        Secret | None,
        Variable(
            "AGENT_SECRET_KEY_PREVIOUS",
            "The root before the last rotation: what it sealed opens, API keys and sessions of it hold.",
            hidden("at least 32 characters", r"[^\x00]{32,32000}"),
        ),
    ] = None
    auth_stale_ms: Annotated[
        int,
        Variable(
            "AGENT_AUTH_STALE_MS",
            "While the database is away, how long a credential counts after it was last looked up, in "
            "milliseconds; 0: not at all.",
            whole(0, 86_400_000),
        ),
    ] = 3_600_000
    auth_failures: Annotated[
        int,
        Variable(
            "AGENT_AUTH_FAILURES",
            "How many credentials from one address may be wrong in a minute before it has to wait, in each "
            "process; 0: any number.",
            whole(0, 1_000_000),
        ),
    ] = 300
    public_url: Annotated[
        str | None,
        Variable(
            "AGENT_PUBLIC_URL",
            "Where browsers find this service; a provider of OpenID Connect sends people back there.",
            text("an http:// or https:// URL without a path", SITE),
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Variable(
            "AGENT_TRUSTED_PROXIES",
            "Proxies whose word about the caller's address counts.",
            networks(),
        ),
    ] = ()
    database_url: Annotated[
        str,
        Variable(
            "DATABASE_URL",
            "Where audit rows and conversations are kept.",
            located(
                "sqlite:/// and a file's path, or postgresql://user:password@host:port/database",
                r"sqlite:///(?!:memory:)[^?#\x00-\x1f]{1,4096}|postgres(ql)?://[!-~]{1,4096}",
            ),
        ),
    ] = "sqlite:///var/parley.db"
    shutdown_grace_ms: Annotated[
        int,
        Variable(
            "AGENT_SHUTDOWN_GRACE_MS",
            "Time running turns have to end at a stop, in milliseconds.",
            whole(0, 600_000),
        ),
    ] = 10_000
    streaming_enabled: Annotated[
        bool, Variable("AGENT_STREAMING_ENABLED", "Whether answers may be streamed.", switch())
    ] = True
    sinks: Annotated[
        tuple[str, ...],
        Variable(
            "AGENT_SINKS",
            "Who is told of every turn.",
            listed("distinct names of sinks between commas", r"[A-Za-z][A-Za-z0-9_.-]{0,63}"),
        ),
    ] = ("audit", "logs", "metrics", "alerts")
    telemetry_content: Annotated[
        bool, Variable("AGENT_TELEMETRY_CONTENT", "Whether the text of messages is exported.", switch())
    ] = False
    jaeger_url: Annotated[
        str | None,
        Variable(
            "AGENT_JAEGER_URL",
            "Where `parley trace` asks for traces: the address of Jaeger's page.",
            web_address(),
        ),
    ] = None
    trace_url: Annotated[
        str | None,
        Variable(
            "AGENT_TRACE_URL",
            "Link to a trace for people, with {traceId} where its id belongs; unset: of AGENT_JAEGER_URL.",
            text("an http:// or https:// URL with {traceId} in it", r"https?://[!-~]+\{traceId\}[!-~]*"),
        ),
    ] = None
    shutdown_delay_ms: Annotated[
        int,
        Variable(
            "AGENT_SHUTDOWN_DELAY_MS",
            "Part of the grace in which requests are still taken, though /health/ready says no: for proxies "
            "to see it, in milliseconds.",
            whole(0, 600_000),
        ),
    ] = 0
    attachments: Annotated[
        int,
        Variable(
            "AGENT_ATTACHMENTS",
            "Images and PDFs that may come with one question; 0: none.",
            whole(0, 20),
        ),
    ] = 5
    max_body_bytes: Annotated[
        int,
        Variable(
            "AGENT_MAX_BODY_BYTES",
            "Largest body of a question; files in it are a third larger than by themselves.",
            whole(1 << 20, 32 << 20),
        ),
    ] = 1 << 20
    max_turns: Annotated[
        int,
        Variable(
            "AGENT_MAX_TURNS",
            "Turns of one process at the same time; as many more wait for a second at most.",
            whole(1, 100_000),
        ),
    ] = 256
    max_connections: Annotated[
        int,
        Variable("AGENT_MAX_CONNECTIONS", "Connections of one process at the same time.", whole(8, 100_000)),
    ] = 2_000
    mcp_servers: Annotated[
        str | None,
        Variable(
            "AGENT_MCP_SERVERS",
            "File that names MCP servers whose tools the model may call, as other hosts have it.",
            text("a path", r"[^\x00-\x1f]{1,4096}"),
        ),
    ] = None
    model: Model = Model()
    limits: Limits = Limits()
    tools: Tools = Tools()
    streams: Streams = Streams()
    audit: Audit = Audit()
    logs: Logs = Logs()
    alerts: Alerts = Alerts()
    fetch_url: FetchUrl = FetchUrl()
    jwt: Jwt = Jwt()
    oidc: Oidc = Oidc()
