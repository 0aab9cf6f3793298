-- Tenants: what an event's tenant is says its metadata, which is sealed; the column only repeats it, whoever writes.
-- A person's name is the user's within the tenant: tenant, unit separator, user; without a tenant the user's alone.

-- Looked for in the text first: one without a tenant is not taken apart. What is no JSON here names none.
CREATE FUNCTION parley_tenant(metadata TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF strpos(metadata, '"tenant"') = 0 THEN
        RETURN NULL;
    END IF;
    RETURN metadata::json->>'tenant';
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

-- The tenant of a person, and whether it is the one that a transaction asks for; see postgres/walls.py.
CREATE FUNCTION parley_tenant_of(person TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN strpos(person, chr(31)) > 0 THEN split_part(person, chr(31), 1) END
$$;
CREATE FUNCTION parley_within(tenant TEXT) RETURNS BOOLEAN LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('parley.tenant', true) = '=' || COALESCE(tenant, '')
$$;

-- The table is written anew once.
ALTER TABLE audit_event
ADD COLUMN tenant TEXT COLLATE "C" GENERATED ALWAYS AS (parley_tenant(metadata)) STORED;

-- Costs nothing where no event has one.
CREATE INDEX audit_event_tenant ON audit_event (tenant, created_at, log_index) WHERE tenant IS NOT NULL;

CREATE OR REPLACE VIEW "AuditEvent" AS
SELECT
    event.id AS id,
    event.entity_type AS "entityType",
    event.entity_id AS "entityId",
    event.action AS action,
    COALESCE(substr(subject.user_id, strpos(subject.user_id, chr(31)) + 1), event.subject_id) AS "actorId",
    event.metadata::jsonb || CASE
        WHEN content.log_index IS NULL THEN '{"query": null}'::jsonb
        WHEN content.query IS NOT NULL THEN jsonb_build_object('query', content.query)
        WHEN content.sealed IS NOT NULL THEN '{"query": null, "content": "sealed"}'::jsonb
        ELSE '{"query": null, "content": "erased"}'::jsonb
    END AS metadata,
    parley_time(event.created_at) COLLATE "C" AS "createdAt",
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
    event.cost_micros / 1000000.0::double precision AS cost,
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
    SELECT tenant || chr(31) || user_id FROM tenant_move WHERE tenant_move.user_id = audit_subject.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE audit_hold SET user_id = (
    SELECT tenant || chr(31) || user_id FROM tenant_move WHERE tenant_move.user_id = audit_hold.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE conversation SET user_id = (
    SELECT tenant || chr(31) || user_id FROM tenant_move WHERE tenant_move.user_id = conversation.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE feedback SET user_id = (
    SELECT tenant || chr(31) || user_id FROM tenant_move WHERE tenant_move.user_id = feedback.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
UPDATE approval SET user_id = (
    SELECT tenant || chr(31) || user_id FROM tenant_move WHERE tenant_move.user_id = approval.user_id
) WHERE user_id IN (SELECT user_id FROM tenant_move);
DROP TABLE tenant_move;
