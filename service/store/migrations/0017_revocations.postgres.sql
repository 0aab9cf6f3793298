-- Tokens and sessions ended by whose they are, whatever they are called; and when a key was last used, roughly.

CREATE TABLE revoked_subject (
    -- A keyed digest of the user's name, not the name.
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- What was issued before it holds no longer: microseconds since 1970 (UTC).
    before_at BIGINT NOT NULL
);

ALTER TABLE api_key ADD COLUMN last_used_at BIGINT;
