-- What the questions of the audit need: for each filter an index that has the newest events first, and the
-- tools an event called, one row each.

DROP INDEX IF EXISTS audit_event_actor_id;
DROP INDEX IF EXISTS audit_event_trace_id;
DROP INDEX IF EXISTS audit_event_outcome;
DROP INDEX IF EXISTS audit_event_category;

CREATE INDEX audit_event_actor_id ON audit_event (actor_id, created_at, id);
CREATE INDEX audit_event_trace_id ON audit_event (trace_id, created_at, id);
CREATE INDEX audit_event_outcome ON audit_event (outcome, created_at, id);
CREATE INDEX audit_event_category ON audit_event (category, created_at, id) WHERE category IS NOT NULL;
CREATE INDEX audit_event_model ON audit_event (model, created_at, id);
CREATE INDEX audit_event_role ON audit_event (role, created_at, id);
CREATE INDEX audit_event_kind ON audit_event (entity_type, created_at, id);

-- Derived from metadata.toolsCalled; goes with its event. Starts empty: what was called before is not looked up.
CREATE TABLE audit_event_tool (
    event_id TEXT COLLATE "C" NOT NULL REFERENCES audit_event (id) ON DELETE CASCADE,
    tool TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (event_id, tool)
);

CREATE INDEX audit_event_tool_tool ON audit_event_tool (tool, created_at, event_id);
