-- The sealed audit: every event has a place in one log, a hash, and content apart that can be erased.
-- Rows of the earlier form wait in *_unsealed until the program has appended them; then these tables go.

DROP VIEW "AuditEvent";
DROP TABLE audit_event_tool;
DROP INDEX IF EXISTS audit_event_created_at;
DROP INDEX IF EXISTS audit_event_actor_id;
DROP INDEX IF EXISTS audit_event_trace_id;
DROP INDEX IF EXISTS audit_event_outcome;
DROP INDEX IF EXISTS audit_event_category;
DROP INDEX IF EXISTS audit_event_model;
DROP INDEX IF EXISTS audit_event_role;
DROP INDEX IF EXISTS audit_event_kind;
DROP INDEX IF EXISTS audit_event_entity_type;
DROP INDEX IF EXISTS audit_content_actor_id;
ALTER TABLE audit_content RENAME TO audit_content_unsealed;
ALTER TABLE audit_event RENAME TO audit_event_unsealed;
ALTER INDEX audit_content_pkey RENAME TO audit_content_unsealed_pkey;
ALTER INDEX audit_event_pkey RENAME TO audit_event_unsealed_pkey;

-- Names this log, in checkpoints and journals.
CREATE TABLE audit_log (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    log_id TEXT COLLATE "C" NOT NULL
);
INSERT INTO audit_log (one, log_id) VALUES (1, replace(gen_random_uuid()::text, '-', ''));

-- Who a random subject id stands for. Erasing deletes the row. The key seals content; none until it is needed.
CREATE TABLE audit_subject (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL UNIQUE,
    data_key BYTEA,
    key_id TEXT,
    created_at BIGINT NOT NULL
);

-- Whose content was erased lately, by a keyed digest of the name: rows still under way lose theirs as well.
CREATE TABLE audit_erased (
    user_digest BYTEA NOT NULL PRIMARY KEY,
    erased_at BIGINT NOT NULL
);

CREATE TABLE audit_hold (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    placed_at BIGINT NOT NULL
);

CREATE TABLE audit_event (
    log_index BIGINT NOT NULL PRIMARY KEY CHECK (log_index >= 0),
    id TEXT COLLATE "C" NOT NULL,
    entity_type TEXT COLLATE "C" NOT NULL,
    entity_id TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject_id TEXT COLLATE "C",
    role TEXT COLLATE "C",
    outcome TEXT COLLATE "C",
    category TEXT COLLATE "C",
    code TEXT COLLATE "C",
    model TEXT COLLATE "C",
    trace_id TEXT COLLATE "C",
    request_id TEXT COLLATE "C",
    input_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    cost_micros BIGINT NOT NULL DEFAULT 0,
    response_time_ms BIGINT,
    count INTEGER NOT NULL DEFAULT 1 CHECK (count > 0),
    -- One row that is no JSON object would break every query of the view.
    metadata TEXT NOT NULL CHECK (json_typeof(metadata::json) = 'object'),
    -- Up to the end of the year 9999, as on SQLite.
    created_at BIGINT NOT NULL CHECK (created_at BETWEEN 0 AND 253402300799999999),
    -- HMAC of the content under a salt that is erased with it.
    commitment BYTEA,
    -- Who journaled it, its number there, and the least number not closed then.
    writer TEXT COLLATE "C",
    writer_seq BIGINT,
    writer_low BIGINT,
    -- SHA-256 of the columns above, and of the chain up to here.
    leaf_hash BYTEA NOT NULL CHECK (length(leaf_hash) = 32),
    chain_hash BYTEA NOT NULL CHECK (length(chain_hash) = 32)
);

-- What was said: clear or sealed, with the commitment's salt. Erasing sets all to null and keeps the row.
CREATE TABLE audit_content (
    log_index BIGINT NOT NULL PRIMARY KEY,
    subject_id TEXT COLLATE "C",
    query TEXT,
    sealed BYTEA,
    salt BYTEA,
    -- Words of clear content.
    words TEXT[] COLLATE "C"
);

-- Derived from metadata.toolsCalled; goes with its event.
CREATE TABLE audit_event_tool (
    log_index BIGINT NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (log_index, tool)
);

-- Roots of whole subtrees of 256^level leaves, so that a proof reads little.
CREATE TABLE audit_tile (
    level INTEGER NOT NULL,
    number BIGINT NOT NULL,
    root BYTEA NOT NULL,
    PRIMARY KEY (level, number)
);

-- Signed notes (C2SP tlog-checkpoint).
CREATE TABLE audit_checkpoint (
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (size, created_at)
);

-- What retention left of a run of events: their leaf hashes, one after another.
CREATE TABLE audit_tombstone (
    first BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL,
    leaves BYTEA NOT NULL,
    removed_at BIGINT NOT NULL
);

-- Rows that the database refused for good, whole and sealed.
CREATE TABLE audit_quarantine (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    subject_id TEXT COLLATE "C",
    writer TEXT COLLATE "C",
    writer_seq BIGINT,
    reason TEXT NOT NULL,
    raw BYTEA,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX audit_event_id ON audit_event (id);
CREATE INDEX audit_event_created_at ON audit_event (created_at, log_index);
CREATE INDEX audit_event_subject_id ON audit_event (subject_id, created_at, log_index);
CREATE INDEX audit_event_trace_id ON audit_event (trace_id, created_at, log_index);
CREATE INDEX audit_event_outcome ON audit_event (outcome, created_at, log_index);
CREATE INDEX audit_event_category ON audit_event (category, created_at, log_index) WHERE category IS NOT NULL;
CREATE INDEX audit_event_model ON audit_event (model, created_at, log_index);
CREATE INDEX audit_event_role ON audit_event (role, created_at, log_index);
CREATE INDEX audit_event_kind ON audit_event (entity_type, created_at, log_index);
CREATE INDEX audit_event_tool_tool ON audit_event_tool (tool, created_at, log_index);
CREATE INDEX audit_content_subject_id ON audit_content (subject_id);
CREATE INDEX audit_content_words ON audit_content USING gin (words);

-- The same expression as the view's "createdAt", so that the contract's query sorts nothing.
CREATE INDEX audit_event_entity_type ON audit_event (
    entity_type, (parley_time(created_at) COLLATE "C")
);

-- Append only, whoever asks: a trigger is no wall against the owner, it stops mistakes and borrowed rights.
CREATE FUNCTION parley_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION parley_buried() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM audit_tombstone WHERE OLD.log_index BETWEEN first AND last) THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER audit_event_unchanged BEFORE UPDATE OR TRUNCATE ON audit_event
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();
CREATE TRIGGER audit_event_kept BEFORE DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION parley_buried();

CREATE TRIGGER audit_content_unchanged BEFORE UPDATE ON audit_content FOR EACH ROW
WHEN (
    NEW.query IS NOT NULL OR NEW.sealed IS NOT NULL OR NEW.salt IS NOT NULL OR NEW.words IS NOT NULL
    OR NEW.log_index IS DISTINCT FROM OLD.log_index OR NEW.subject_id IS DISTINCT FROM OLD.subject_id
)
EXECUTE FUNCTION parley_refuse();
CREATE TRIGGER audit_content_kept BEFORE DELETE ON audit_content FOR EACH ROW EXECUTE FUNCTION parley_buried();
CREATE TRIGGER audit_content_whole BEFORE TRUNCATE ON audit_content
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();

CREATE TRIGGER audit_tile_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tile
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();
CREATE TRIGGER audit_checkpoint_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();
CREATE TRIGGER audit_tombstone_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tombstone
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();

CREATE TRIGGER audit_quarantine_unchanged BEFORE UPDATE ON audit_quarantine FOR EACH ROW
WHEN (NEW.raw IS NOT NULL OR NEW.id IS DISTINCT FROM OLD.id)
EXECUTE FUNCTION parley_refuse();
CREATE TRIGGER audit_quarantine_kept BEFORE DELETE OR TRUNCATE ON audit_quarantine
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();

CREATE TRIGGER audit_log_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();

CREATE VIEW "AuditEvent" AS
SELECT
    event.id AS id,
    event.entity_type AS "entityType",
    event.entity_id AS "entityId",
    event.action AS action,
    COALESCE(subject.user_id, event.subject_id) AS "actorId",
    event.metadata::jsonb || CASE
        WHEN content.log_index IS NULL THEN '{"query": null}'::jsonb
        WHEN content.query IS NOT NULL THEN jsonb_build_object('query', content.query)
        WHEN content.sealed IS NOT NULL THEN '{"query": null, "content": "sealed"}'::jsonb
        ELSE '{"query": null, "content": "erased"}'::jsonb
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
    event.count AS count,
    event.log_index AS "logIndex"
FROM audit_event AS event
LEFT JOIN audit_subject AS subject ON subject.id = event.subject_id
LEFT JOIN audit_content AS content ON content.log_index = event.log_index;
