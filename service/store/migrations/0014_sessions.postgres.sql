-- Sessions of the console that go on, until they are ended or run out; times are microseconds since 1970 (UTC).

CREATE TABLE session (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    role TEXT NOT NULL,
    -- By what it began: link or oidc.
    method TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX session_user_id ON session (user_id);
CREATE INDEX session_expires_at ON session (expires_at);
