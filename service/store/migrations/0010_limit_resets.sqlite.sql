-- Whose limits begin anew, for services that keep what they count in their own memory; at is microseconds since
-- 1970 (UTC). Rows go after an hour.

CREATE TABLE limit_reset (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    -- The tenant whose user it is; null for none.
    tenant TEXT,
    at INTEGER NOT NULL
);

CREATE INDEX limit_reset_at ON limit_reset (at);
