-- The audit is asked for one code too: an index that has its newest events first, of the few that have one.

CREATE INDEX audit_event_code ON audit_event (code, created_at) WHERE code IS NOT NULL;
