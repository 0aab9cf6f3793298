-- Tenants: what an event's tenant is says its metadata, which is sealed; the column only repeats it, whoever writes.
-- A person's name is the user's within the tenant: tenant, unit separator, user; without a tenant the user's alone.

-- Looked for in the text first: one without a tenant is not taken apart.
ALTER TABLE audit_event ADD COLUMN tenant TEXT GENERATED ALWAYS AS (
    CASE WHEN instr(metadata, '"tenant"') > 0 THEN json_extract(metadata, '$.tenant') END
) VIRTUAL;

-- Costs nothing where no event has one.
CREATE INDEX audit_event_tenant ON audit_event (tenant, created_at) WHERE tenant IS NOT NULL;

DROP VIEW "AuditEvent";
CREATE VIEW "AuditEvent" AS
SELECT
    event.id AS id,
    event.entity_type AS "entityType",
    event.entity_id AS "entityId",
    event.action AS action,
    COALESCE(substr(subject.user_id, instr(subject.user_id, char(31)) + 1), event.subject_id) AS "actorId",
    CASE
        WHEN content.log_index IS NULL THEN json_set(event.metadata, '$.query', NULL)
        WHEN content.query IS NOT NULL THEN json_set(event.metadata, '$.query', content.query)
        WHEN content.sealed IS NOT NULL THEN json_set(event.metadata, '$.query', NULL, '$.content', 'sealed')
        ELSE json_set(event.metadata, '$.query', NULL, '$.content', 'erased')
    END AS metadata,
    strftime('%Y-%m-%dT%H:%M:%S', event.created_at / 1000000, 'unixepoch') || printf('.%03dZ', event.created_at % 1000000 / 1000) AS "createdAt",
    event.role AS role,
    event.outcome AS outcome,
    event.category AS category,
    event.code AS code,
    event.model AS model,
    event.trace_id AS "traceId",
    event.request_id AS "requestId",
    event.input_tokens AS "inputTokens",
    event.output_tokens AS "outputTokens",
    event.input_tokens + event.output_tokens AS "totalTokens",
    event.cost_micros / 1000000.0 AS cost,
    event.cost_micros AS "costMicros",
    event.response_time_ms AS "responseTime",
    event.count AS count,
    event.log_index AS "logIndex",
    event.tenant AS tenant
FROM audit_event AS event
LEFT JOIN audit_subject AS subject ON subject.id = event.subject_id
LEFT JOIN audit_content AS content ON content.log_index = event.log_index;

-- Whoever asked within one tenant only is that tenant's person; of one in several, what was kept stays where it was.
CREATE TABLE tenant_move AS
SELECT subject.id AS id, subject.user_id AS user_id, MIN(event.tenant) AS tenant
FROM audit_event AS event JOIN audit_subject AS subject ON subject.id = event.subject_id
WHERE event.entity_type = 'AGENT_QUERY'
    AND event.subject_id IN (SELECT subject_id FROM audit_event WHERE tenant IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM api_key WHERE api_key.user_id = subject.user_id)
GROUP BY subject.id, subject.user_id
HAVING COUNT(*) = COUNT(event.tenant) AND MIN(event.tenant) = MAX(event.tenant);
UPDATE audit_subject SET user_id = (
    SELECT tenant || char(31) || user_id FROM tenant_move WHERE tenant_move.user_id = audit_subject.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE audit_hold SET user_id = (
    SELECT tenant || char(31) || user_id FROM tenant_move WHERE tenant_move.user_id = audit_hold.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE conversation SET user_id = (
    SELECT tenant || char(31) || user_id FROM tenant_move WHERE tenant_move.user_id = conversation.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE feedback SET user_id = (
    SELECT tenant || char(31) || user_id FROM tenant_move WHERE tenant_move.user_id = feedback.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE approval SET user_id = (
    SELECT tenant || char(31) || user_id FROM tenant_move WHERE tenant_move.user_id = approval.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
DROP TABLE tenant_move;
