-- What tools were called with, by event: a JSON list, sealed under the caller's key, with the salts of the commitments
-- that the event's metadata has. Goes with the person, or with the event.

CREATE TABLE audit_arguments (
    log_index BIGINT NOT NULL PRIMARY KEY,
    subject_id TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL
);

CREATE INDEX audit_arguments_subject_id ON audit_arguments (subject_id);

-- A rotation of keys seals it anew.
CREATE TRIGGER audit_arguments_unchanged BEFORE UPDATE ON audit_arguments FOR EACH ROW
WHEN (NEW.log_index IS DISTINCT FROM OLD.log_index OR NEW.subject_id IS DISTINCT FROM OLD.subject_id)
EXECUTE FUNCTION parley_refuse();
CREATE TRIGGER audit_arguments_whole BEFORE TRUNCATE ON audit_arguments
FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse();
