-- Sessions of the console that go on, until they are ended or run out; times are microseconds since 1970 (UTC).

CREATE TABLE session (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    -- By what it began: link or oidc.
    method TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE INDEX session_user_id ON session (user_id);
CREATE INDEX session_expires_at ON session (expires_at);
