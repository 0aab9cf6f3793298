-- The audit record, its erasable content, and API keys.
-- Times are microseconds since 1970 (UTC), money is millionths of a US dollar, JSON is canonical text.

CREATE TABLE audit_event (
    id TEXT NOT NULL PRIMARY KEY,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    action TEXT NOT NULL,
    actor_id TEXT,
    role TEXT,
    outcome TEXT,
    category TEXT,
    code TEXT,
    model TEXT,
    trace_id TEXT,
    request_id TEXT,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_micros INTEGER NOT NULL DEFAULT 0,
    response_time_ms INTEGER,
    count INTEGER NOT NULL DEFAULT 1 CHECK (count > 0),
    -- One row that is no JSON object would break every query of the view.
    metadata TEXT NOT NULL CHECK (json_valid(metadata) AND json_type(metadata) = 'object'),
    -- Up to the end of the year 9999: strftime knows no later one.
    created_at INTEGER NOT NULL
        CHECK (typeof(created_at) = 'integer' AND created_at BETWEEN 0 AND 253402300799999999)
);

-- The query: the text the caller wrote. Erasing sets it to null and keeps the row.
CREATE TABLE audit_content (
    event_id TEXT NOT NULL PRIMARY KEY REFERENCES audit_event (id),
    actor_id TEXT,
    query TEXT
);

CREATE INDEX audit_event_created_at ON audit_event (created_at, id);
CREATE INDEX audit_event_actor_id ON audit_event (actor_id, created_at);
CREATE INDEX audit_event_trace_id ON audit_event (trace_id);
CREATE INDEX audit_event_outcome ON audit_event (outcome, created_at);
CREATE INDEX audit_event_category ON audit_event (category, created_at) WHERE category IS NOT NULL;
CREATE INDEX audit_content_actor_id ON audit_content (actor_id);

-- The same expression as the view's "createdAt", so that the contract's query sorts nothing.
CREATE INDEX audit_event_entity_type ON audit_event (
    entity_type,
    (strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%03dZ', created_at % 1000000 / 1000))
);

-- SQLite compares the names of tables without case, but audit_event and AuditEvent differ by the underscore.
CREATE VIEW "AuditEvent" AS
SELECT
    event.id AS id,
    event.entity_type AS "entityType",
    event.entity_id AS "entityId",
    event.action AS action,
    event.actor_id AS "actorId",
    CASE
        WHEN content.event_id IS NOT NULL AND content.query IS NULL
            THEN json_set(event.metadata, '$.query', NULL, '$.content', 'erased')
        ELSE json_set(event.metadata, '$.query', content.query)
    END AS metadata,
    strftime('%Y-%m-%dT%H:%M:%S', event.created_at / 1000000, 'unixepoch') || printf('.%03dZ', event.created_at % 1000000 / 1000) AS "createdAt",
    event.role AS role,
    event.outcome AS outcome,
    event.category AS category,
    event.code AS code,
    event.model AS model,
    event.trace_id AS "traceId",
    event.request_id AS "requestId",
    event.input_tokens AS "inputTokens",
    event.output_tokens AS "outputTokens",
    event.input_tokens + event.output_tokens AS "totalTokens",
    event.cost_micros / 1000000.0 AS cost,
    event.cost_micros AS "costMicros",
    event.response_time_ms AS "responseTime",
    event.count AS count
FROM audit_event AS event
LEFT JOIN audit_content AS content ON content.event_id = event.id;

CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    scopes TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
);

CREATE INDEX api_key_user_id ON api_key (user_id);
