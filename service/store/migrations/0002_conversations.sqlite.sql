-- Conversations and the turns in them that were answered; hiding one empties it and keeps its id taken.
-- Times are microseconds since 1970 (UTC); messages is JSON text in the Messages API's form.

CREATE TABLE conversation (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    hidden_at INTEGER
);

CREATE INDEX conversation_user_id ON conversation (user_id, updated_at, id) WHERE hidden_at IS NULL;

CREATE TABLE conversation_turn (
    turn_id TEXT NOT NULL PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversation (id),
    -- One more than the last turn this one knew of: an order that needs no common clock.
    position INTEGER NOT NULL,
    model TEXT NOT NULL,
    messages TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    answered_at INTEGER NOT NULL
);

CREATE INDEX conversation_turn_conversation_id ON conversation_turn (conversation_id, position, turn_id);
