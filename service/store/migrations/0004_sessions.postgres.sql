-- Sessions that were ended before they expired; expires_at is microseconds since 1970 (UTC).

CREATE TABLE revoked_session (
    id TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX revoked_session_expires_at ON revoked_session (expires_at);
