-- What tools were called with, by event: a JSON list, sealed under the caller's key, with the salts of the commitments
-- that the event's metadata has. Goes with the person, or with the event.

CREATE TABLE audit_arguments (
    log_index INTEGER NOT NULL PRIMARY KEY,
    subject_id TEXT NOT NULL,
    sealed BLOB NOT NULL
);

CREATE INDEX audit_arguments_subject_id ON audit_arguments (subject_id);

-- Nobody replaces what is there (INSERT OR REPLACE is an insert); a rotation of keys seals it anew.
CREATE TRIGGER audit_arguments_once BEFORE INSERT ON audit_arguments
WHEN EXISTS (SELECT 1 FROM audit_arguments WHERE log_index >= NEW.log_index)
BEGIN SELECT RAISE(ABORT, 'audit_arguments can only be erased'); END;
CREATE TRIGGER audit_arguments_unchanged BEFORE UPDATE ON audit_arguments
WHEN NEW.log_index IS NOT OLD.log_index OR NEW.subject_id IS NOT OLD.subject_id
BEGIN SELECT RAISE(ABORT, 'audit_arguments can only be erased'); END;
