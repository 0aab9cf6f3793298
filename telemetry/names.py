"""Every name this service emits, with unit and reason. A name that is not here is not emitted.

GenAI names are OpenTelemetry's (semantic-conventions-genai); the Python constants for them are marked
deprecated, so they are spelled out. `parley.*` is ours.
"""

SCOPE = "parley"
"""Instrumentation scope of spans, metrics and log records."""

AGENT = "parley"
"""`gen_ai.agent.name`; the only agent there is."""

PROVIDER = "anthropic"
"""`gen_ai.provider.name`, unless the model is a plug-in's, which has its own."""

# spans
TURN_SPAN = "invoke_agent parley"
MODEL_SPAN = "chat {model}"
COUNT_SPAN = "count_tokens {model}"  # a large prompt, before it is weighed
TOOL_SPAN = "execute_tool {tool}"

# attributes of OpenTelemetry
OPERATION = "gen_ai.operation.name"
AGENT_NAME = "gen_ai.agent.name"
PROVIDER_NAME = "gen_ai.provider.name"
CONVERSATION_ID = "gen_ai.conversation.id"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds
INPUT_TOKENS = "gen_ai.usage.input_tokens"  # cached ones included
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - input | output
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
INPUT_MESSAGES = "gen_ai.input.messages"  # only with AGENT_TELEMETRY_CONTENT
ERROR_TYPE = "error.type"  # our code; absent on success
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
MCP_METHOD = "mcp.method.name"  # on execute_tool, where the tool is one of an MCP server
MCP_PROTOCOL = "mcp.protocol.version"
NETWORK_TRANSPORT = "network.transport"  # pipe | tcp; of an MCP server
USER_ROLES = "user.roles"  # string[]
USER_PSEUDONYM = "enduser.pseudo.id"  # never a name or an address

# attributes of ours
TURN_ID = "parley.turn.id"
TURN_OUTCOME = "parley.turn.outcome"
HISTORY_TURNS = "parley.history.turns"  # earlier turns of the conversation that the model is told
HISTORY_DROPPED = "parley.history.dropped"  # those it is not, having no room for them
HISTORY_TOKENS = "parley.history.tokens"  # of those it is
TOOLS_CALLED = "parley.tools.called"  # string[], distinct, first-called order
TOOL_OUTCOME = "parley.tool.outcome"  # finished | failed | denied
TOOL_SOURCE = "parley.tool.source"  # built_in, the package of a plug-in, or the name of an MCP server
TOOL_EFFECTS = "parley.tool.effects"  # bool; whether it changes anything outside of the turn
TOOL_ARGUMENTS_COMMITMENT = "parley.tool.arguments_commitment"  # hex; as in the audit's row
TOOL_RESULT_LENGTH = "parley.tool.result_length"  # characters of what the model was told
APPROVAL_DECISION = "parley.approval.decision"  # approve | deny | expired | unasked
APPROVAL_BY = "parley.approval.decided_by"  # a pseudonym
APPROVAL_ROLE = "parley.approval.role"  # of whoever decided
APPROVAL_WAIT = "parley.approval.wait_ms"
COST = "parley.cost.usd_micros"  # int, millionths of a US dollar
COUNTED_TOKENS = "parley.prompt.counted_tokens"  # int, by the model's API; absent where it did not
COST_SAVED = "parley.cost.saved_usd_micros"  # int; by the provider's cache, below zero where it cost more
PRICED_AS = "parley.cost.priced_as"  # the model whose price was used
ATTEMPTS = "parley.model.attempts"  # requests to the model's API within one call
ATTEMPT_EVENT = "parley.model.attempt"  # a span event: one of them that failed
ATTEMPT_STATUS = "http.response.status_code"  # OpenTelemetry's; on the event, where an answer began
ATTEMPT_REQUEST_ID = "parley.model.request_id"  # the provider's own
ATTEMPT_WAIT = "parley.model.wait_ms"  # after it, before the next
USAGE_SOURCE = "parley.usage.source"  # reported | estimated | none
AUDIT_ID = "parley.audit.id"
AUTH_STALE = "parley.auth.stale"  # true where the caller was let in without a look, the database being away
ERROR_CATEGORY = "parley.error.category"
ERROR_CODE = "parley.error.code"
ERROR_FAULT = "parley.error.fault"
IDEMPOTENCY_REPLAYED = "parley.idempotency.replayed"  # bool; on SERVER only, where no turn ran
LIMIT_DECISION = "parley.rate_limit.decision"
LIMIT_POLICY = "parley.rate_limit.policy"
LIMIT_LIMIT = "parley.rate_limit.limit"
LIMIT_REMAINING = "parley.rate_limit.remaining"
LIMIT_RETRY_AFTER = "parley.rate_limit.retry_after_ms"
LIMIT_STORE = "parley.rate_limit.store"

# metrics of OpenTelemetry
MODEL_DURATION = "gen_ai.client.operation.duration"  # s
MODEL_TOKENS = "gen_ai.client.token.usage"  # {token}
MODEL_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"  # s
TURN_DURATION = "gen_ai.invoke_agent.duration"  # s
TOOL_DURATION = "gen_ai.execute_tool.duration"  # s

# metrics of ours; attribute keys are the words in braces
TURNS = "parley.turns"  # {outcome}
TURNS_ACTIVE = "parley.turns.active"  # turns that were admitted and have not ended
ERRORS = "parley.errors"  # {category, fault}; turns that ended with an error
RATE_LIMIT_DECISIONS = "parley.rate_limit.decisions"  # {decision, policy, role}
RATE_LIMIT_DEGRADED = "parley.rate_limit.degraded"  # 1 while the shared store of limits is away, else 0
RATE_LIMIT_SWITCHES = "parley.rate_limit.switches"  # times it went away or came back
TOKENS = "parley.tokens"  # {direction, model}
COST_TOTAL = "parley.cost"  # {model, role}, unit {USD}
COST_UNCACHED = "parley.cost.uncached"  # {model}, unit {USD}; the same without the provider's cache
AUDIT_BEGUN = "parley.audit.begun"  # rows owed
AUDIT_COMMITTED = "parley.audit.committed"  # rows in the database
AUDIT_JOURNALED = "parley.audit.journaled"  # rows that wait for the database
AUDIT_QUARANTINED = "parley.audit.quarantined"  # rows the database refused for good, put aside
AUDIT_BALANCE = "parley.audit.balance"  # begun - committed - journaled - quarantined: 0
AUDIT_OLDEST_AGE = "parley.audit.oldest_age"  # s, of the oldest row that waits
AUDIT_CHECKPOINT_AGE = "parley.audit.checkpoint_age"  # s, of the log's newest checkpoint
AUDIT_VERIFICATIONS = (
    "parley.audit.verifications"  # {result}: valid | invalid; of the whole log, by the service
)
AUDIT_ROWS = "parley.audit.rows"  # events in the log
AUDIT_BYTES = "parley.audit.bytes"  # By, of the journal
DISK_FREE = "parley.disk.free"  # By, where the journal is
TOOL_CALLS = "parley.tool.calls"  # {tool, outcome}; a tool that the model made up is `other`
MODEL_RETRIES = "parley.model.retries"  # {model}; attempts after the first of a call
MODEL_SHUT = "parley.model.shut"  # {model}; 1 while its breaker is open, else 0
MCP_UP = "parley.mcp.up"  # {server}; 1 while an MCP server is connected to, else 0
BUDGET_USED = "parley.budget.used"  # {budget}; part of 1 that is spent of the fullest
BUDGET_REFUSALS = "parley.budget.refusals"  # {budget}
BUDGET_DRIFT = "parley.budget.drift"  # micro-dollars that the ledger is off the events: 0
WORKERS_ENDED = "parley.workers.ended"  # without being told to; whoever takes the place counts it
APPROVALS = "parley.approvals"  # {decision}; tool calls that needed somebody's yes
FEEDBACK = "parley.feedback"  # {rating}; what callers said of their turns, each time
LOG_LINES = "parley.log.lines"  # {type}
SINK_FAILURES = "parley.sink.failures"  # {sink}; a sink raised, or dropped what it was told

OTHER = "other"
"""Label of a role, model or tool outside the tables, so that no caller can make series."""

SECONDS_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TURN_BUCKETS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
TOKEN_BUCKETS = tuple(4.0**power for power in range(14))

# log lines
COMPLETED = "agent_query_completed"
FAILED = "agent_query_failed"
ERROR = "agent_query_error"
REFUSED = "agent_query_refused"
RATE_LIMITED = "rate_limit_exceeded"
DENIED = "access_denied"
SERVICE_STARTED = "service_started"
SERVICE_STOPPED = "service_stopped"
SINK_FAILED = "sink_failed"
REQUEST_FAILED = "request_failed"  # an error outside any turn
MODEL_UNPRICED = "model_unpriced"
TOOL_UNKNOWN = "tool_unknown"  # AGENT_TOOL_ROLES names one that is not there
KEYS_UNFETCHED = "signing_keys_unfetched"  # of the tokens' issuer
SETTLE_FAILED = "settle_failed"  # a conversation or an idempotency key was not written
JOURNAL_STRANGE = "journal_strange"  # what a dead writer left could not all be read
JOURNAL_UNSAFE = "journal_unsafe"  # it lies where it may not last, or cannot be written
AUDIT_CHECKPOINT = "audit_checkpoint"  # a signed note over the log, to be kept elsewhere
AUDIT_INVALID = "audit_invalid"  # the log is not what was signed
CHECKPOINT_UNTOLD = "checkpoint_untold"  # a place that checkpoints are told to did not take one
JOURNAL_MENDED = "journal_mended"  # it can be written again
LIMITS_DEGRADED = "limits_degraded"  # the shared store is away: each process decides by its share
LIMITS_RESTORED = "limits_restored"
BUDGET_THRESHOLD = "budget_threshold"  # 50, 80 or 100 % of a budget is spent
BREAKER_OPENED = "model_breaker_opened"  # a model fails too often and is left alone for a moment
BREAKER_CLOSED = "model_breaker_closed"  # it answers again
MCP_CONNECTED = "mcp_connected"  # an MCP server is there, with so many tools
MCP_LOST = "mcp_lost"  # it is not, and why; its tools fail until it is back
MCP_TOOLS_CHANGED = "mcp_tools_changed"  # it describes its tools otherwise than before
MCP_TOOLS_REFUSED = "mcp_tools_refused"  # some cannot be offered to a model, and why
MCP_SAID = "mcp_said"  # DEBUG: what its program wrote to stderr
SETTINGS_CHANGED = "settings_changed"  # read again while the service runs: what was taken over
SETTINGS_REFUSED = "settings_refused"  # something was wrong with them: the old ones hold on
WORKER_ENDED = "worker_ended"  # without being told to: another takes its place
ALERT_FIRING = "alert_firing"  # a spike of errors, and where to read what to do
ALERT_RESOLVED = "alert_resolved"
APPROVAL_DECIDED = "approval_decided"  # by whom, or by nobody in time, and what
FEEDBACK_GIVEN = "feedback_given"  # what a caller said of a turn; `traceId` is the turn's
SIGN_IN_FAILED = "sign_in_failed"  # the provider of OpenID Connect could not be used, and why
SESSION_BEGUN = "session_begun"
SESSIONS_ENDED = "sessions_ended"  # whose, how many, and by whom
KEY_MADE = "key_made"  # its id, never the key
KEY_REVOKED = "key_revoked"
ADDRESS_HELD_OFF = "address_held_off"  # too many wrong credentials came from one address
TOKENS_REVOKED = "tokens_revoked"  # whose, how many sessions were known, and by whom
FOREIGN = "log"  # a library's own line

LOG_TYPES = (
    COMPLETED, FAILED, ERROR, REFUSED, RATE_LIMITED, DENIED,
    SERVICE_STARTED, SERVICE_STOPPED, SINK_FAILED, REQUEST_FAILED, MODEL_UNPRICED, SETTLE_FAILED,
    TOOL_UNKNOWN,
    KEYS_UNFETCHED, JOURNAL_STRANGE, JOURNAL_UNSAFE, JOURNAL_MENDED, AUDIT_CHECKPOINT,
    AUDIT_INVALID, CHECKPOINT_UNTOLD, LIMITS_DEGRADED, LIMITS_RESTORED, BUDGET_THRESHOLD,
    MCP_CONNECTED, MCP_LOST, MCP_TOOLS_CHANGED, MCP_TOOLS_REFUSED, MCP_SAID,
    BREAKER_OPENED, BREAKER_CLOSED, SETTINGS_CHANGED, SETTINGS_REFUSED, WORKER_ENDED,
    ALERT_FIRING, ALERT_RESOLVED, APPROVAL_DECIDED, FEEDBACK_GIVEN,
    SIGN_IN_FAILED, SESSION_BEGUN, SESSIONS_ENDED, KEY_MADE, KEY_REVOKED,
    TOKENS_REVOKED, ADDRESS_HELD_OFF, FOREIGN,
)  # fmt: skip
