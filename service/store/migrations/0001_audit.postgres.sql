-- The audit record, its erasable content, and API keys.
-- Times are microseconds since 1970 (UTC), money is millionths of a US dollar, JSON is canonical text.

-- Text as ISO 8601, which to_char makes the same in every locale: it may be indexed, though to_char may not.
CREATE FUNCTION parley_time(microseconds BIGINT) RETURNS TEXT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_char(to_timestamp(microseconds / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
        || '.' || lpad((microseconds % 1000000 / 1000)::text, 3, '0') || 'Z'
$$;

CREATE TABLE audit_event (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
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
    input_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    cost_micros BIGINT NOT NULL DEFAULT 0,
    response_time_ms BIGINT,
    count INTEGER NOT NULL DEFAULT 1 CHECK (count > 0),
    -- Text, so that it can be hashed. One row that is no JSON object would break every query of the view.
    metadata TEXT NOT NULL CHECK (jsonb_typeof(metadata::jsonb) = 'object'),
    -- Up to the end of the year 9999, as on SQLite.
    created_at BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999999)
);

-- The query: the text the caller wrote. Erasing sets it to null and keeps the row.
CREATE TABLE audit_content (
    event_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES audit_event (id),
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
CREATE INDEX audit_event_entity_type ON audit_event (entity_type, (parley_time(created_at) COLLATE "C"));

CREATE VIEW "AuditEvent" AS
SELECT
    event.id AS id,
    event.entity_type AS "entityType",
    event.entity_id AS "entityId",
    event.action AS action,
    event.actor_id AS "actorId",
    event.metadata::jsonb || CASE
        WHEN content.event_id IS NOT NULL AND content.query IS NULL
            THEN '{"query": null, "content": "erased"}'::jsonb
        ELSE jsonb_build_object('query', content.query)
    END AS metadata,
    parley_time(event.created_at) COLLATE "C" AS "createdAt",
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
    event.cost_micros / 1000000.0::double precision AS cost,
    event.cost_micros AS "costMicros",
    event.response_time_ms AS "responseTime",
    event.count AS count
FROM audit_event AS event
LEFT JOIN audit_content AS content ON content.event_id = event.id;

CREATE TABLE api_key (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    scopes TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE INDEX api_key_user_id ON api_key (user_id);
