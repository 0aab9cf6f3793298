-- The sealed audit: every event has a place in one log, a hash, and content apart that can be erased.
-- Rows of the earlier form wait in *_unsealed until the program has appended them; then these tables go.

DROP VIEW "AuditEvent";
DROP TABLE audit_event_tool;
DROP INDEX audit_event_created_at;
DROP INDEX audit_event_actor_id;
DROP INDEX audit_event_trace_id;
DROP INDEX audit_event_outcome;
DROP INDEX audit_event_category;
DROP INDEX audit_event_model;
DROP INDEX audit_event_role;
DROP INDEX audit_event_kind;
DROP INDEX audit_event_entity_type;
DROP INDEX audit_content_actor_id;
ALTER TABLE audit_content RENAME TO audit_content_unsealed;
ALTER TABLE audit_event RENAME TO audit_event_unsealed;

-- Names this log, in checkpoints and journals.
CREATE TABLE audit_log (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    log_id TEXT NOT NULL
);
INSERT INTO audit_log (one, log_id) VALUES (1, lower(hex(randomblob(16))));

-- Who a random subject id stands for. Erasing deletes the row. The key seals content; none until it is needed.
CREATE TABLE audit_subject (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE,
    data_key BLOB,
    key_id TEXT,
    created_at INTEGER NOT NULL
);

-- Whose content was erased lately, by a keyed digest of the name: rows still under way lose theirs as well.
CREATE TABLE audit_erased (
    user_digest BLOB NOT NULL PRIMARY KEY,
    erased_at INTEGER NOT NULL
);

CREATE TABLE audit_hold (
    user_id TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    placed_at INTEGER NOT NULL
);

CREATE TABLE audit_event (
    log_index INTEGER NOT NULL PRIMARY KEY CHECK (log_index >= 0),
    id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    action TEXT NOT NULL,
    subject_id TEXT,
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
    metadata TEXT NOT NULL CHECK (metadata GLOB '{*' AND json_valid(metadata)),
    -- Up to the end of the year 9999: strftime knows no later one.
    created_at INTEGER NOT NULL
        CHECK (typeof(created_at) = 'integer' AND created_at BETWEEN 0 AND 253402300799999999),
    -- HMAC of the content under a salt that is erased with it.
    commitment BLOB,
    -- Who journaled it, its number there, and the least number not closed then.
    writer TEXT,
    writer_seq INTEGER,
    writer_low INTEGER,
    -- SHA-256 of the columns above, and of the chain up to here.
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    chain_hash BLOB NOT NULL CHECK (length(chain_hash) = 32)
);

-- What was said: clear or sealed, with the commitment's salt. Erasing sets all three to null and keeps the row.
CREATE TABLE audit_content (
    log_index INTEGER NOT NULL PRIMARY KEY,
    subject_id TEXT,
    query TEXT,
    sealed BLOB,
    salt BLOB
);

-- Words of clear content, by log_index; holds no text of its own. They come in their one form, between blanks:
-- to this tokenizer all that is not ASCII belongs to a word.
CREATE VIRTUAL TABLE audit_words USING fts5 (
    words, content = '', columnsize = 0, detail = none, tokenize = 'ascii'
);

-- Derived from metadata.toolsCalled; goes with its event.
CREATE TABLE audit_event_tool (
    log_index INTEGER NOT NULL,
    tool TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (log_index, tool)
) WITHOUT ROWID;

-- Roots of whole subtrees of 256^level leaves, so that a proof reads little.
CREATE TABLE audit_tile (
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    root BLOB NOT NULL,
    PRIMARY KEY (level, number)
) WITHOUT ROWID;

-- Signed notes (C2SP tlog-checkpoint).
CREATE TABLE audit_checkpoint (
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (size, created_at)
) WITHOUT ROWID;

-- What retention left of a run of events: their leaf hashes, one after another.
CREATE TABLE audit_tombstone (
    first INTEGER NOT NULL PRIMARY KEY,
    last INTEGER NOT NULL,
    leaves BLOB NOT NULL,
    removed_at INTEGER NOT NULL
);

-- Rows that the database refused for good, whole and sealed.
CREATE TABLE audit_quarantine (
    id TEXT NOT NULL PRIMARY KEY,
    subject_id TEXT,
    writer TEXT,
    writer_seq INTEGER,
    reason TEXT NOT NULL,
    raw BLOB,
    created_at INTEGER NOT NULL
);

-- Each index ends with log_index by itself: it is the rowid.
CREATE UNIQUE INDEX audit_event_id ON audit_event (id);
CREATE INDEX audit_event_created_at ON audit_event (created_at);
CREATE INDEX audit_event_subject_id ON audit_event (subject_id, created_at);
CREATE INDEX audit_event_trace_id ON audit_event (trace_id, created_at);
CREATE INDEX audit_event_outcome ON audit_event (outcome, created_at);
CREATE INDEX audit_event_category ON audit_event (category, created_at) WHERE category IS NOT NULL;
CREATE INDEX audit_event_model ON audit_event (model, created_at);
CREATE INDEX audit_event_role ON audit_event (role, created_at);
CREATE INDEX audit_event_kind ON audit_event (entity_type, created_at);
CREATE INDEX audit_event_tool_tool ON audit_event_tool (tool, created_at);
CREATE INDEX audit_content_subject_id ON audit_content (subject_id);

-- The same expression as the view's "createdAt", so that the contract's query sorts nothing.
CREATE INDEX audit_event_entity_type ON audit_event (
    entity_type,
    (strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%03dZ', created_at % 1000000 / 1000))
);

-- Append only, and only at the end. Triggers before an INSERT stop INSERT OR REPLACE too, which deletes unseen.
CREATE TRIGGER audit_event_once BEFORE INSERT ON audit_event
WHEN EXISTS (SELECT 1 FROM audit_event WHERE log_index >= NEW.log_index)
    OR EXISTS (SELECT 1 FROM audit_event WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
CREATE TRIGGER audit_event_unchanged BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
CREATE TRIGGER audit_event_kept BEFORE DELETE ON audit_event
WHEN NOT EXISTS (SELECT 1 FROM audit_tombstone WHERE OLD.log_index BETWEEN first AND last)
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;

CREATE TRIGGER audit_content_once BEFORE INSERT ON audit_content
WHEN EXISTS (SELECT 1 FROM audit_content WHERE log_index >= NEW.log_index)
BEGIN SELECT RAISE(ABORT, 'audit_content can only be erased'); END;
CREATE TRIGGER audit_content_unchanged BEFORE UPDATE ON audit_content
WHEN NEW.query IS NOT NULL OR NEW.sealed IS NOT NULL OR NEW.salt IS NOT NULL
    OR NEW.log_index IS NOT OLD.log_index OR NEW.subject_id IS NOT OLD.subject_id
BEGIN SELECT RAISE(ABORT, 'audit_content can only be erased'); END;
CREATE TRIGGER audit_content_kept BEFORE DELETE ON audit_content
WHEN NOT EXISTS (SELECT 1 FROM audit_tombstone WHERE OLD.log_index BETWEEN first AND last)
BEGIN SELECT RAISE(ABORT, 'audit_content can only be erased'); END;

CREATE TRIGGER audit_tile_once BEFORE INSERT ON audit_tile
WHEN EXISTS (SELECT 1 FROM audit_tile WHERE level = NEW.level AND number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'audit_tile is append-only'); END;
CREATE TRIGGER audit_tile_unchanged BEFORE UPDATE ON audit_tile
BEGIN SELECT RAISE(ABORT, 'audit_tile is append-only'); END;
CREATE TRIGGER audit_tile_kept BEFORE DELETE ON audit_tile
BEGIN SELECT RAISE(ABORT, 'audit_tile is append-only'); END;

CREATE TRIGGER audit_checkpoint_once BEFORE INSERT ON audit_checkpoint
WHEN EXISTS (SELECT 1 FROM audit_checkpoint WHERE size = NEW.size AND created_at = NEW.created_at)
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;
CREATE TRIGGER audit_checkpoint_unchanged BEFORE UPDATE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;
CREATE TRIGGER audit_checkpoint_kept BEFORE DELETE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;

CREATE TRIGGER audit_tombstone_once BEFORE INSERT ON audit_tombstone
WHEN EXISTS (SELECT 1 FROM audit_tombstone WHERE first = NEW.first)
BEGIN SELECT RAISE(ABORT, 'audit_tombstone is append-only'); END;
CREATE TRIGGER audit_tombstone_unchanged BEFORE UPDATE ON audit_tombstone
BEGIN SELECT RAISE(ABORT, 'audit_tombstone is append-only'); END;
CREATE TRIGGER audit_tombstone_kept BEFORE DELETE ON audit_tombstone
BEGIN SELECT RAISE(ABORT, 'audit_tombstone is append-only'); END;

CREATE TRIGGER audit_quarantine_once BEFORE INSERT ON audit_quarantine
WHEN EXISTS (SELECT 1 FROM audit_quarantine WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit_quarantine is append-only'); END;
CREATE TRIGGER audit_quarantine_unchanged BEFORE UPDATE ON audit_quarantine
WHEN NEW.raw IS NOT NULL OR NEW.id IS NOT OLD.id
BEGIN SELECT RAISE(ABORT, 'audit_quarantine can only be erased'); END;
CREATE TRIGGER audit_quarantine_kept BEFORE DELETE ON audit_quarantine
BEGIN SELECT RAISE(ABORT, 'audit_quarantine is append-only'); END;

CREATE TRIGGER audit_log_once BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log)
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_unchanged BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_kept BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;

-- SQLite compares the names of tables without case, but audit_event and AuditEvent differ by the underscore.
CREATE VIEW "AuditEvent" AS
SELECT
    event.id AS id,
    event.entity_type AS "entityType",
    event.entity_id AS "entityId",
    event.action AS action,
    COALESCE(subject.user_id, event.subject_id) AS "actorId",
    CASE
        WHEN content.log_index IS NULL THEN json_set(event.metadata, '$.query', NULL)
        WHEN content.query IS NOT NULL THEN json_set(event.metadata, '$.query', content.query)
        WHEN content.sealed IS NOT NULL THEN json_set(event.metadata, '$.query', NULL, '$.content', 'sealed')
        ELSE json_set(event.metadata, '$.query', NULL, '$.content', 'erased')
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
    event.count AS count,
    event.log_index AS "logIndex"
FROM audit_event AS event
LEFT JOIN audit_subject AS subject ON subject.id = event.subject_id
LEFT JOIN audit_content AS content ON content.log_index = event.log_index;
