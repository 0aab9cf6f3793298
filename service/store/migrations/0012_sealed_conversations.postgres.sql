-- What is said in conversations is sealed under its user's data key, which stands in audit_subject: sealed_title
-- and sealed then, beside an empty title and empty messages. tokens is what a turn added, null where unknown.
-- A lease says in which conversation a turn runs, whichever process runs it; its id names nobody.

ALTER TABLE conversation ADD COLUMN sealed_title BYTEA;
ALTER TABLE conversation_turn ADD COLUMN sealed BYTEA;
ALTER TABLE conversation_turn ADD COLUMN tokens BIGINT;

CREATE INDEX conversation_clear ON conversation (id) WHERE title <> '';
CREATE INDEX conversation_turn_clear ON conversation_turn (turn_id) WHERE messages <> '';

CREATE TABLE conversation_lease (
    id TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX conversation_lease_holder ON conversation_lease (holder);
