"""The environment becomes settings as a whole, or every reason why not is said."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Secret, Settings, SettingsError, load
from config.env import PLACES, SECRETS
from config.settings import ROLES

KEY = "k" * 32
CANARY = "canary-5f1c9a7e-0123456789-abcdef-xyz"
NAMES = [place.variable.name for place in PLACES]
PRODUCTION = {"AGENT_ENVIRONMENT": "production", "AGENT_SECRET_KEY": KEY, "ANTHROPIC_API_KEY": "sk"}


def read(**environ):
    return load(environ, dotenv=None)


def problems(environ, dotenv=None):
    with pytest.raises(SettingsError) as refused:
        load(environ, dotenv)
    assert str(refused.value) == "\n".join(refused.value.problems)
    assert all("\n" not in problem for problem in refused.value.problems)
    return refused.value.problems


def named(environ, dotenv=None):
    return [problem.partition(":")[0] for problem in problems(environ, dotenv)]


@pytest.fixture
def dotenv(tmp_path):
    def write(*lines):
        path = tmp_path / ".env"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def test_nothing_given_is_the_defaults():
    loaded = read()
    assert loaded.settings == Settings()
    assert loaded.origins == dict.fromkeys(NAMES, "default")
    assert loaded.exports == {}


def test_every_value_arrives_at_its_field():
    settings = read(
        AGENT_HOST="::1",
        AGENT_PORT="0",
        AGENT_SECRET_KEY=KEY,
        DATABASE_URL="sqlite:////tmp/x.db",
        AGENT_SHUTDOWN_GRACE_MS="0",
        AGENT_STREAMING_ENABLED="off",
        AGENT_SINKS="logs, jsonl",
        AGENT_TELEMETRY_CONTENT="yes",
        AGENT_RATE_LIMIT_REQUESTS="1000",
        AGENT_RATE_LIMIT_WINDOW_MS="100",
        AGENT_RATE_LIMIT_MODE="observe",
        AGENT_AUDIT_LOGGING_ENABLED="no",
        AGENT_STRUCTURED_LOGGING_ENABLED="0",
        LOG_LEVEL="WARN",
        AGENT_LOG_SAMPLE_RATE="0.25",
        AGENT_LOG_QUERY="False",
    ).settings
    assert (settings.host, settings.port, settings.secret_key) == ("::1", 0, Secret(KEY))
    assert (settings.database_url, settings.shutdown_grace_ms) == ("sqlite:////tmp/x.db", 0)
    assert (settings.streaming_enabled, settings.telemetry_content) == (False, True)
    assert settings.sinks == ("logs", "jsonl")
    assert (settings.limits.requests, settings.limits.window_ms, settings.limits.mode) == (
        1000,
        100,
        "observe",
    )
    assert (settings.audit.enabled, settings.logs.structured, settings.logs.query) == (False, False, False)
    assert (settings.logs.level, settings.logs.sample_rate) == ("warn", 0.25)


def test_every_value_of_the_model_arrives_at_its_field():
    model = read(
        AGENT_MODEL="a",
        AGENT_MODELS="b,a",
        AGENT_MODEL_TRANSPORT="httpx",
        AGENT_MAX_TOKENS="1",
        AGENT_SYSTEM_PROMPT="Say\nnothing.",
        AGENT_TURN_TIMEOUT_MS="100",
        AGENT_MAX_TOOL_ROUNDS="1",
        AGENT_SIMULATOR="on",
        ANTHROPIC_API_KEY="sk",
        ANTHROPIC_BASE_URL="http://127.0.0.1:1/x",
    ).settings.model
    assert (model.name, model.names, model.transport) == ("a", ("b", "a"), "httpx")
    assert (model.max_tokens, model.turn_timeout_ms, model.max_tool_rounds) == (1, 100, 1)
    assert (model.system_prompt, model.simulator) == ("Say\nnothing.", True)
    assert (model.api_key, model.base_url) == (Secret("sk"), "http://127.0.0.1:1/x")


def test_a_model_outside_the_list_joins_it():
    assert read(AGENT_MODEL="mine").settings.model.names == ("mine", *Settings().model.names)
    assert read(AGENT_MODELS="a,b").settings.model.names == ("claude-sonnet-5-5", "a", "b")


def test_roles_replace_the_numbers_they_name():
    roles = read(AGENT_RATE_LIMIT_ROLES="CFO=1,NEW_1=7").settings.limits.roles
    assert roles == {**ROLES, "CFO": 1, "NEW_1": 7}


def test_origins_say_where_each_value_came_from(tmp_path, dotenv):
    secret = tmp_path / "secret"
    secret.write_text(KEY)
    path = dotenv("AGENT_PORT=1", "AGENT_HOST=localhost", f"AGENT_SECRET_KEY_FILE={secret}")
    loaded = load({"AGENT_PORT": "2"}, path)
    assert (loaded.settings.port, loaded.settings.host) == (2, "localhost")
    assert loaded.settings.secret_key == Secret(KEY)
    changed = {name: origin for name, origin in loaded.origins.items() if origin != "default"}
    assert changed == {"AGENT_PORT": "env", "AGENT_HOST": ".env", "AGENT_SECRET_KEY": "file"}


def test_a_default_that_is_given_has_the_origin_of_its_giver():
    assert read(AGENT_PORT="3005").origins["AGENT_PORT"] == "env"


@pytest.mark.parametrize("name", [*NAMES, "AGENT_NO_SUCH_THING", *(f"{name}_FILE" for name in NAMES)])
def test_empty_is_unset(name):
    assert read(**{name: ""}) == read()


def test_all_problems_come_at_once():
    environ = {
        "AGENT_PORT": "65536",
        "AGENT_RATE_LIMIT_REQUESTS": "0",
        "AGENT_LOG_SAMPLE_RATE": "nan",
        "AGENT_SECRET_KEY": "short",
        "LOG_LEVEL": "verbose",
        "AGENT_REPLICAS": "2",
        "AGENT_NO_SUCH_THING": "1",
        "ANTHROPIC_BASE_URL": "h",
    }
    assert sorted(named(environ)) == sorted(environ)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AGENT_ENVIRONMENT", "prod"),
        ("AGENT_HOST", "http://h"),
        ("AGENT_HOST", "two words"),
        ("AGENT_PORT", "-1"),
        ("AGENT_PORT", "1000000000000"),
        ("AGENT_PORT", "3_005"),
        ("AGENT_PORT", "3005 "),
        ("AGENT_PORT", "3005.0"),
        ("AGENT_PORT", "\udcff"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite://x.db"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///x.db?mode=ro"),
        ("DATABASE_URL", "mysql://h/d"),
        ("AGENT_SINKS", "audit,,logs"),
        ("AGENT_SINKS", "audit,audit"),
        ("AGENT_SHUTDOWN_GRACE_MS", "inf"),
        ("AGENT_STREAMING_ENABLED", "maybe"),
        ("AGENT_MODEL", "a b"),
        ("AGENT_MODELS", "a,a"),
        ("AGENT_MODEL_TRANSPORT", "aiohttp"),
        ("AGENT_MAX_TOKENS", "0"),
        ("AGENT_SYSTEM_PROMPT", "x" * 32_001),
        ("AGENT_SYSTEM_PROMPT", "caf\udce9"),
        ("AGENT_TURN_TIMEOUT_MS", "99"),
        ("AGENT_MAX_TOOL_ROUNDS", "101"),
        ("AGENT_SIMULATOR", "auto"),
        ("ANTHROPIC_API_KEY", "sk key"),
        ("ANTHROPIC_API_KEY", "sk\n"),
        ("ANTHROPIC_API_KEY", "k\u00e4y"),
        ("ANTHROPIC_BASE_URL", "ftp://h"),
        ("AGENT_SECRET_KEY", "k" * 31),
        ("AGENT_RATE_LIMIT_REQUESTS", "1001"),
        ("AGENT_RATE_LIMIT_WINDOW_MS", "99"),
        ("AGENT_RATE_LIMIT_WINDOW_MS", "86400001"),
        ("AGENT_RATE_LIMIT_ROLES", "cfo=1"),
        ("AGENT_RATE_LIMIT_ROLES", "CFO=0"),
        ("AGENT_RATE_LIMIT_ROLES", "CFO=1001"),
        ("AGENT_RATE_LIMIT_ROLES", "1ST=1"),
        ("AGENT_RATE_LIMIT_ROLES", "A" * 33 + "=1"),
        ("AGENT_RATE_LIMIT_ROLES", "CFO=1,CFO=2"),
        ("AGENT_RATE_LIMIT_MODE", "enforced"),
        ("LOG_LEVEL", "warning"),
        ("AGENT_LOG_SAMPLE_RATE", "1.01"),
        ("AGENT_LOG_SAMPLE_RATE", "-0.1"),
        ("AGENT_LOG_QUERY", "2"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_by_name(name, text):
    (problem,) = problems({name: text})
    assert problem.startswith(f"{name}: expected ")


def test_a_problem_quotes_what_was_given_but_not_at_length():
    assert problems({"AGENT_PORT": "abc"}) == (
        "AGENT_PORT: expected a whole number from 0 to 65535, got 'abc'",
    )
    (problem,) = problems({"AGENT_PORT": "x" * 1000})
    assert problem.endswith("'...")
    assert len(problem) < 150


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AGENT_PROT", "AGENT_PORT"),
        ("AGENT_RATE_LIMIT_REQUEST", "AGENT_RATE_LIMIT_REQUESTS"),
        ("AGENT_SECRETKEY", "AGENT_SECRET_KEY"),
        ("AGENT_SECRET_KEYFILE", "AGENT_SECRET_KEY_FILE"),
        ("AGENT_BUDGET_USER_DAY", "AGENT_BUDGET_USER_DAY_USD"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(name, meant):
    assert problems({name: CANARY}) == (f"{name}: no such setting; did you mean {meant}?",)


def test_an_unknown_name_like_no_other_gets_none():
    assert problems({"AGENT_ZZZZZZ": "1"}) == ("AGENT_ZZZZZZ: no such setting",)


def test_names_of_others_are_none_of_ours():
    assert (
        read(HOME="/", OTEL_TRACES_EXPORTER="otlp", ANTHROPIC_LOG="debug", AGENTS="1", agent_port="x")
        == read()
    )


@pytest.mark.parametrize("name", ["AGENT_PORT_FILE", "LOG_LEVEL_FILE", "DATABASE_URL_FILE"])
def test_only_secrets_are_read_from_files(name):
    assert problems({name: "/x"}) == (f"{name}: no such setting; only secrets are read from files",)


def test_the_secrets_are_these():
    assert sorted(SECRETS) == [
        "AGENT_ALERT_WEBHOOK_SECRET",
        "AGENT_AUDIT_SIGNING_KEY",
        "AGENT_JWT_SECRET",
        "AGENT_OIDC_CLIENT_SECRET",
        "AGENT_SECRET_KEY",
        "AGENT_SECRET_KEY_PREVIOUS",
        "ANTHROPIC_API_KEY",
    ]


def test_a_secret_and_its_file_are_one_too_many(tmp_path):
    environ = {"AGENT_SECRET_KEY": KEY, "AGENT_SECRET_KEY_FILE": str(tmp_path)}
    assert problems(environ) == (
        "AGENT_SECRET_KEY: set twice, also by AGENT_SECRET_KEY_FILE; unset one of them",
    )


def test_a_secret_file_is_checked_like_its_secret(tmp_path):
    file = tmp_path / "secret"
    file.write_text("short\n")
    assert problems({"AGENT_SECRET_KEY_FILE": str(file)}) == (
        "AGENT_SECRET_KEY_FILE: expected at least 32 characters",
    )
    file.write_text("")
    assert problems({"AGENT_SECRET_KEY_FILE": str(file)}) == ("AGENT_SECRET_KEY_FILE: the file is empty",)
    assert named({"ANTHROPIC_API_KEY_FILE": str(tmp_path / "none")}) == ["ANTHROPIC_API_KEY_FILE"]


def test_dotenv_is_read_in_the_working_directory_by_default(dotenv, monkeypatch):
    path = dotenv("AGENT_PORT=7")
    monkeypatch.chdir(path.parent)
    assert load({}).settings.port == 7


def test_the_process_environment_is_read_by_default(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENT_PORT", "8")
    assert load().settings.port == 8


def test_dotenv_is_not_read_in_production(dotenv):
    path = dotenv("AGENT_PORT=x", "not a line")
    loaded = load(PRODUCTION, path)
    assert loaded.settings.port == 3005


def test_production_cannot_be_said_in_dotenv(dotenv):
    lines = [f"{name}={value}" for name, value in PRODUCTION.items()]
    (problem,) = problems({}, dotenv(*lines))
    assert problem.startswith("AGENT_ENVIRONMENT: production turns .env off")
    assert load({"AGENT_ENVIRONMENT": "development"}, dotenv(*lines)).settings.environment == "development"


def test_dotenv_is_checked_like_the_environment(dotenv):
    assert named({}, dotenv("AGENT_PORT=x", "AGENT_PROT=1", "OTHER=1")) == ["AGENT_PORT", "AGENT_PROT"]
    assert problems({"AGENT_HOST": "/"}, dotenv("A=1", f"'{CANARY}"))[0] == ".env: line 2 is not NAME=value"


def test_dotenv_does_not_interpolate(dotenv, monkeypatch):
    monkeypatch.setenv("HOME", "/home")
    assert load({}, dotenv("AGENT_SYSTEM_PROMPT=${HOME}")).settings.model.system_prompt == "${HOME}"


def test_variables_of_opentelemetry_in_dotenv_are_handed_on_unread(dotenv):
    path = dotenv("OTEL_A=1", f"OTEL_EXPORTER_OTLP_HEADERS=key={CANARY}", "OTHER=1")
    loaded = load({"OTEL_A": "2", "OTEL_B": "3"}, path)
    assert {name: value.reveal() for name, value in loaded.exports.items()} == {
        "OTEL_EXPORTER_OTLP_HEADERS": f"key={CANARY}"
    }
    assert CANARY not in repr(loaded)


def test_production_with_all_it_needs():
    assert load(PRODUCTION, None).settings.environment == "production"
    simulated = {"AGENT_ENVIRONMENT": "Production", "AGENT_SECRET_KEY": KEY, "AGENT_SIMULATOR": "true"}
    assert load(simulated, None).settings.model.simulated


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({}, ["AGENT_SECRET_KEY", "ANTHROPIC_API_KEY"]),
        ({"AGENT_SIMULATOR": "true"}, ["AGENT_SECRET_KEY"]),
        ({"AGENT_SIMULATOR": "false"}, ["AGENT_SECRET_KEY", "ANTHROPIC_API_KEY"]),
        ({"AGENT_SECRET_KEY": KEY}, ["ANTHROPIC_API_KEY"]),
        ({"ANTHROPIC_API_KEY": "sk"}, ["AGENT_SECRET_KEY"]),
        ({"AGENT_SECRET_KEY": "", "ANTHROPIC_API_KEY": "sk"}, ["AGENT_SECRET_KEY"]),
    ],
)
def test_production_names_what_is_missing(environ, missing):
    found = problems({"AGENT_ENVIRONMENT": "production", **environ})
    assert [problem.partition(": missing")[0] for problem in found] == missing


def test_what_is_wrong_is_not_missing_too():
    environ = {**PRODUCTION, "AGENT_SECRET_KEY": "short", "ANTHROPIC_API_KEY": "a b"}
    assert named(environ) == ["AGENT_SECRET_KEY", "ANTHROPIC_API_KEY"]
    assert named({"AGENT_ENVIRONMENT": "production", "AGENT_SECRET_KEY": KEY, "AGENT_SIMULATOR": "x"}) == [
        "AGENT_SIMULATOR"
    ]


def test_no_simulator_and_no_key_is_nobody_to_ask():
    assert named({"AGENT_SIMULATOR": "false"}) == ["ANTHROPIC_API_KEY"]
    assert not read(AGENT_SIMULATOR="false", ANTHROPIC_API_KEY="sk").settings.model.simulated


def test_every_value_about_tokens_arrives_at_its_field():
    jwt = read(
        AGENT_JWT_ALGORITHM="eddsa",
        AGENT_JWT_JWKS_URL="https://h/jwks",
        AGENT_JWT_ISSUER="https://issuer",
        AGENT_JWT_AUDIENCE="us",
    ).settings.jwt
    assert (jwt.algorithm, jwt.jwks_url) == ("EdDSA", "https://h/jwks")
    assert (jwt.issuer, jwt.audience) == ("https://issuer", "us")
    assert read(AGENT_JWT_SECRET=KEY).settings.jwt.secret == Secret(KEY)
    pem = "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"
    given = read(AGENT_JWT_ALGORITHM="ES256", AGENT_JWT_PUBLIC_KEY=pem).settings.jwt
    assert (given.algorithm, given.public_key) == ("ES256", pem)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_public_key_or_its_address_is_needed_and_no_secret(algorithm):
    given = {"AGENT_JWT_ALGORITHM": algorithm}
    assert problems(given) == (f"AGENT_JWT_PUBLIC_KEY: missing; {algorithm} needs it, or AGENT_JWT_JWKS_URL",)
    assert named(given | {"AGENT_JWT_SECRET": KEY}) == ["AGENT_JWT_PUBLIC_KEY", "AGENT_JWT_SECRET"]
    both = {"AGENT_JWT_PUBLIC_KEY": "x", "AGENT_JWT_JWKS_URL": "https://h"}
    assert named(given | both) == ["AGENT_JWT_PUBLIC_KEY"]
    assert named(given | both | {"AGENT_JWT_SECRET": KEY}) == ["AGENT_JWT_PUBLIC_KEY", "AGENT_JWT_SECRET"]


@pytest.mark.parametrize("secret", [{}, {"AGENT_JWT_SECRET": KEY}])
@pytest.mark.parametrize("algorithm", [{}, {"AGENT_JWT_ALGORITHM": "HS256"}])
@pytest.mark.parametrize(
    ("name", "text"), [("AGENT_JWT_PUBLIC_KEY", "x"), ("AGENT_JWT_JWKS_URL", "https://h")]
)
def test_a_shared_secret_and_a_public_key_are_not_the_same_thing(name, text, algorithm, secret):
    (said,) = problems({name: text} | algorithm | secret)
    assert said == f"{name}: HS256 has AGENT_JWT_SECRET; set AGENT_JWT_ALGORITHM to EdDSA, ES256 or RS256"


def test_an_algorithm_that_is_none_is_one_problem():
    assert named({"AGENT_JWT_ALGORITHM": "none", "AGENT_JWT_PUBLIC_KEY": "x"}) == ["AGENT_JWT_ALGORITHM"]


@pytest.mark.parametrize(
    ("url", "plain", "fits"),
    [
        ("https://alerts.example/hook", "false", True),
        ("http://127.0.0.1:9093/hook", "false", True),
        ("http://[::1]:9093/hook", "false", True),
        ("http://localhost/hook", "false", True),
        ("http://alerts.example/hook", "false", False),
        ("http://127.0.0.1.example/hook", "false", False),
        ("http://alerts.example/hook", "true", True),
    ],
)
def test_alerts_go_to_other_machines_over_https(url, plain, fits):
    environ = {"AGENT_ALERT_WEBHOOK": url, "AGENT_ALERT_WEBHOOK_PLAIN": plain}
    if fits:
        assert load(environ, None).settings.alerts.webhook == url
    else:
        assert named(environ) == ["AGENT_ALERT_WEBHOOK"]


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True),
        ("whsec_" + "A" * 84 + "AA==", True),
        ("whsec_" + "A" * 88, False),
        ("whsec_" + "A" * 28, False),
        ("whsec_" + "A" * 33, False),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", False),
    ],
    ids=["24 bytes", "64 bytes", "66 bytes", "21 bytes", "no base64", "no prefix"],
)
def test_the_alerts_secret_is_a_standard_webhooks_one(text, fits):
    environ = {"AGENT_ALERT_WEBHOOK_SECRET": text}
    if fits:
        assert load(environ, None).settings.alerts.secret == Secret(text)
    else:
        assert named(environ) == ["AGENT_ALERT_WEBHOOK_SECRET"]


REDIS = {"AGENT_RATE_LIMIT_STORE": "redis://h:6379/0"}
BUDGETS = [name for name in NAMES if name.startswith("AGENT_BUDGET_")]


@pytest.mark.parametrize("store", [{}, {"AGENT_RATE_LIMIT_STORE": "memory://"}])
def test_several_processes_need_a_store_they_share(store):
    (said,) = problems({"AGENT_REPLICAS": "2"} | store)
    assert said.startswith("AGENT_REPLICAS: several processes need an AGENT_RATE_LIMIT_STORE")
    assert load({"AGENT_REPLICAS": "2"} | REDIS, None).settings.limits.replicas == 2
    assert load({"AGENT_REPLICAS": "1"} | store, None).settings.limits.replicas == 1


@pytest.mark.parametrize("name", BUDGETS)
def test_a_budget_needs_the_audit_that_keeps_it(name):
    (said,) = problems({name: "1.50", "AGENT_AUDIT_LOGGING_ENABLED": "false"})
    assert said == f"{name}: a budget is kept by the audit; set AGENT_AUDIT_LOGGING_ENABLED=true"
    assert load({name: "1.50"}, None).origins[name] == "env"


LIMITED = [*BUDGETS, "AGENT_TOKENS_PER_MINUTE", "AGENT_RATE_LIMIT_REQUESTS", "AGENT_RATE_LIMIT_WINDOW_MS"]
LIMITED += [
    "AGENT_RATE_LIMIT_ADDRESS",
    "AGENT_RATE_LIMIT_TENANT",
    "AGENT_RATE_LIMIT_CONCURRENCY",
    "AGENT_REPLICAS",
]


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("text", ["0", "-1", "1000000000000", "1.5.0", "many"])
def test_a_limit_that_cannot_hold_is_refused_by_name(name, text):
    assert named({name: text} | REDIS) == [name]


@pytest.mark.parametrize(
    "name", ["AGENT_RATE_LIMIT_ROLES", "AGENT_RATE_LIMIT_MODELS", "AGENT_RATE_LIMIT_TOOLS"]
)
@pytest.mark.parametrize(
    "text", ["A=0", "A=-1", "A=1001", "A=1000000000000", "A", "A=", "=1", "A=1,A=2", "a b=1"]
)
def test_numbers_by_name_that_cannot_hold_are_refused_by_name(name, text):
    assert named({name: text}) == [name]


@pytest.mark.parametrize(
    "environ",
    [
        {"AGENT_SECRET_KEY": CANARY[:20]},
        {"AGENT_SECRET_KEY": CANARY + "\udcff"},
        {"ANTHROPIC_API_KEY": CANARY + " x"},
        {"AGENT_AUDIT_SIGNING_KEY": CANARY + "\x00"},
        {"AGENT_SECRET_KEY_PREVIOUS": CANARY[:20]},
        {"AGENT_JWT_SECRET": CANARY, "AGENT_JWT_ALGORITHM": "RS256"},
        {"AGENT_JWT_SECRET": CANARY[:20]},
        {"DATABASE_URL": f"postgresql://user:{CANARY}@h/d d"},
        {"DATABASE_URL": f"mysql://user:{CANARY}@h/d"},
        {"AGENT_RATE_LIMIT_STORE": f"redis://:{CANARY}@h h"},
        {"ANTHROPIC_BASE_URL": f"https://user:{CANARY}@h?x"},
        {"AGENT_JWT_JWKS_URL": f"https://user:{CANARY}@h"},
        {"AGENT_SECRET": CANARY},
        {"AGENT_SECRET_KEY": CANARY, "AGENT_SECRET_KEY_FILE": "/x"},
        {"AGENT_PORT": "x", "AGENT_SECRET_KEY": CANARY, "ANTHROPIC_API_KEY": CANARY},
    ],
)
def test_no_secret_stands_in_an_error(environ):
    with pytest.raises(SettingsError) as refused:
        load(environ, None)
    error = refused.value
    told = [str(error), repr(error), *traceback.format_exception(error)]
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not [text for text in told if CANARY[:20] in text]


def test_no_secret_of_a_file_stands_in_an_error(tmp_path):
    file = tmp_path / "secret"
    file.write_bytes(CANARY.encode() + b"\xff")
    assert CANARY not in str(problems({"AGENT_SECRET_KEY_FILE": str(file)}))


def test_no_secret_stands_in_what_was_loaded(dotenv):
    loaded = load({"AGENT_SECRET_KEY": CANARY}, dotenv(f"ANTHROPIC_API_KEY={CANARY}"))
    assert loaded.settings.secret_key == loaded.settings.model.api_key == Secret(CANARY)
    for told in (repr(loaded), str(loaded.settings), f"{loaded.settings.model}"):
        assert CANARY not in told


GARBAGE = st.one_of(
    st.text(st.characters(exclude_characters="\x00"), max_size=80),
    st.from_regex(r"-?[0-9._eE]{1,16}", fullmatch=True),
    st.from_regex(r"[A-Za-z]{1,8}://[\[\]:@/?#%a-z0-9.]{0,20}", fullmatch=True),
    st.from_regex(r"([A-Z_]{1,4}=[0-9]{0,5},?){1,4}", fullmatch=True),
    st.sampled_from(["nan", "inf", "1e9", "\udc80", "true", "production", "x" * 40_000, "\n", "\u0660", "."]),
)


def attempt(environ):
    try:
        return load(environ, None), ()
    except SettingsError as error:
        return None, error.problems


@given(st.sampled_from([*NAMES, *(f"{name}_FILE" for name in SECRETS)]), GARBAGE)
def test_garbage_is_refused_by_name_or_taken(name, text):
    loaded, said = attempt({name: text})
    needs = {
        "AGENT_ENVIRONMENT": {"AGENT_SECRET_KEY", "ANTHROPIC_API_KEY"},
        "AGENT_SIMULATOR": {"ANTHROPIC_API_KEY"},
        "AGENT_OIDC_ISSUER": {"AGENT_OIDC_CLIENT_ID", "AGENT_PUBLIC_URL"},
    }
    assert {problem.partition(":")[0] for problem in said} <= {name} | needs.get(name, set())
    if loaded:
        assert loaded.origins[name.removesuffix("_FILE")] == ("env" if text else "default")


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(NAMES), st.text(max_size=12).map("AGENT_".__add__)), GARBAGE, max_size=6
    )
)
def test_any_mixture_is_settings_or_their_error(environ):
    loaded, said = attempt(environ)
    assert bool(loaded) is not bool(said)
    assert all(problem.isprintable() for problem in said)
    if loaded:
        assert loaded.settings.model.name in loaded.settings.model.names


def test_a_named_file_is_read_in_production_too_and_stands_below_the_environment(tmp_path):
    file = tmp_path / "parley.env"
    file.write_text("AGENT_RATE_LIMIT_REQUESTS=7\nAGENT_PORT=4000\nOTEL_SERVICE_NAME=chat\n")
    environ = PRODUCTION | {"AGENT_SETTINGS_FILE": str(file), "AGENT_PORT": "5000"}
    loaded = load(environ, None)
    assert (loaded.settings.limits.requests, loaded.settings.port) == (7, 5000)
    assert (loaded.origins["AGENT_RATE_LIMIT_REQUESTS"], loaded.origins["AGENT_PORT"]) == ("file", "env")
    assert loaded.exports["OTEL_SERVICE_NAME"].reveal() == "chat"


def test_a_named_file_replaces_dotenv(tmp_path):
    (tmp_path / ".env").write_text("AGENT_PORT=4000\n")
    (tmp_path / "other").write_text("AGENT_RATE_LIMIT_REQUESTS=7\n")
    settings = load({"AGENT_SETTINGS_FILE": str(tmp_path / "other")}, tmp_path / ".env").settings
    assert (settings.port, settings.limits.requests) == (3005, 7)


@pytest.mark.parametrize("content", [None, b"no setting\n", b"\xff=1\n"])
def test_a_named_file_that_cannot_be_read_is_a_problem(tmp_path, content):
    file = tmp_path / "parley.env"
    if content is not None:
        file.write_bytes(content)
    assert named({"AGENT_SETTINGS_FILE": str(file)}) == ["AGENT_SETTINGS_FILE"]
    assert named({"AGENT_SETTINGS_FILE": str(tmp_path)}) == ["AGENT_SETTINGS_FILE"]
    assert named({"AGENT_SETTINGS_FILE": "a\x00b"}) == ["AGENT_SETTINGS_FILE"] * 2


def test_another_provider_has_neither_our_simulator_nor_our_key():
    production = {
        "AGENT_ENVIRONMENT": "production",
        "AGENT_SECRET_KEY": KEY,
        "AGENT_MODEL_PROVIDER": "openai",
    }
    model = load(production, None).settings.model
    assert (model.provider, model.simulated, model.api_key) == ("openai", False, None)
    with pytest.raises(SettingsError, match="AGENT_SIMULATOR: it speaks as anthropic only"):
        load(production | {"AGENT_SIMULATOR": "true"}, None)


def test_models_of_a_role_are_some_of_the_models():
    models = {"AGENT_MODEL": "a", "AGENT_MODELS": "b"}
    given = load(models | {"AGENT_ROLE_MODELS": "CFO=a|b,GUEST=b"}, None).settings.limits.role_models
    assert given == {"CFO": ("a", "b"), "GUEST": ("b",)}
    with pytest.raises(SettingsError, match="AGENT_ROLE_MODELS: c, d of GUEST is none of AGENT_MODELS"):
        load(models | {"AGENT_ROLE_MODELS": "CFO=a,GUEST=b|c|d"}, None)


OIDC = {
    "AGENT_OIDC_ISSUER": "https://provider.example",
    "AGENT_OIDC_CLIENT_ID": "parley",
    "AGENT_PUBLIC_URL": "https://parley.example",
}
SAFELY = "people sign in over https; http is for this machine alone"
IN_PRODUCTION = {"AGENT_ENVIRONMENT": "production", "AGENT_SECRET_KEY": KEY, "AGENT_SIMULATOR": "true"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"AGENT_OIDC_CLIENT_SECRET": "s"},
        {"AGENT_PUBLIC_URL": "http://parley.example"},
        {"AGENT_OIDC_ISSUER": "http://127.0.0.1:9"},
        IN_PRODUCTION,
        IN_PRODUCTION | {"AGENT_PUBLIC_URL": "http://127.0.0.1:3005"},
    ],
)
def test_a_provider_is_one_whole(changes):
    assert load(OIDC | changes, None).settings.oidc.client_id == "parley"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AGENT_OIDC_CLIENT_ID": ""}, "AGENT_OIDC_CLIENT_ID: missing; AGENT_OIDC_ISSUER needs it"),
        ({"AGENT_PUBLIC_URL": ""}, "AGENT_PUBLIC_URL: missing; AGENT_OIDC_ISSUER needs it"),
        (
            {"AGENT_OIDC_ISSUER": ""},
            "AGENT_OIDC_CLIENT_ID: set without AGENT_OIDC_ISSUER; set that, or unset this",
        ),
        ({"AGENT_OIDC_ISSUER": "http://provider.example"}, f"AGENT_OIDC_ISSUER: {SAFELY}"),
        (IN_PRODUCTION | {"AGENT_PUBLIC_URL": "http://parley.example"}, f"AGENT_PUBLIC_URL: {SAFELY}"),
        (
            {"AGENT_PUBLIC_URL": "https://h/console"},
            "AGENT_PUBLIC_URL: expected an http:// or https:// URL without a path, got 'https://h/console'",
        ),
        (
            {"AGENT_OIDC_SCOPES": "profile"},
            "AGENT_OIDC_SCOPES: expected words between blanks, openid among them, got 'profile'",
        ),
    ],
)
def test_half_a_provider_is_named(changes, said):
    assert problems(OIDC | changes) == (said,)
