-- Calls of tools that wait for somebody's yes, and what was decided; rows go a day after they ran out. What callers
-- said of their turns, for as long as their turns are kept. Times are microseconds since 1970 (UTC).

CREATE TABLE approval (
    turn_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    -- The turn's caller, and their tenant; null for none.
    user_id TEXT NOT NULL,
    tenant TEXT,
    tool TEXT NOT NULL,
    -- Roles, each between spaces, of which one has to decide; empty where the turn's caller decides.
    approvers TEXT NOT NULL,
    -- JSON, sealed under the caller's key; null once it is decided.
    arguments BLOB,
    trace_id TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    decided_at INTEGER,
    decision TEXT CHECK (decision IN ('approve', 'deny', 'expired')),
    -- A pseudonym, never a name.
    decided_by TEXT,
    role TEXT,
    PRIMARY KEY (turn_id, call_id),
    CHECK ((decided_at IS NULL) = (decision IS NULL))
);

CREATE INDEX approval_expires_at ON approval (expires_at);
CREATE INDEX approval_user_id ON approval (user_id);

CREATE TABLE feedback (
    turn_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    model TEXT,
    trace_id TEXT,
    rating TEXT NOT NULL CHECK (rating IN ('up', 'down')),
    -- Sealed under the caller's key; its salt opens the commitment that the audit has of it. Null for none.
    comment BLOB,
    salt BLOB,
    given_at INTEGER NOT NULL
);

CREATE INDEX feedback_user_id ON feedback (user_id);
CREATE INDEX feedback_given_at ON feedback (given_at);
