-- Idempotency keys: claimed by the turn that runs, then kept with its answer until they expire.
-- The id is a digest of user and key, so that what a client put into its key is not kept.

CREATE TABLE idempotency_claim (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    body_digest TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    answer TEXT,
    expires_at INTEGER NOT NULL
);

CREATE INDEX idempotency_claim_expires_at ON idempotency_claim (expires_at);
