-- What each row costs the server, where the same is had for less: together a sixth of an insert.

-- A trace has few events: found by a hash, they are sorted in no time. A tree of random ids is all over the disk.
DROP INDEX IF EXISTS audit_event_trace_id;
CREATE INDEX audit_event_trace_id ON audit_event USING hash (trace_id);

-- The program reads each row's JSON whole before it hashes it; here it is enough that it looks like an object.
-- Rows that are there were held to more.
ALTER TABLE audit_event DROP CONSTRAINT IF EXISTS audit_event_metadata_check1;
ALTER TABLE audit_event DROP CONSTRAINT IF EXISTS audit_event_metadata_check;
ALTER TABLE audit_event ADD CONSTRAINT audit_event_metadata_check CHECK (metadata LIKE '{%}') NOT VALID;
