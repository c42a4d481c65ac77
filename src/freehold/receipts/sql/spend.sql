-- What was paid to providers since a moment, by one dimension, cut into slices of time. {columns}, {table} are
-- fixed expressions in `spend`, never text from outside. A deployment without a provider is a server of ours.
-- name: calls_in_hours
SELECT coalesce(sum(calls), 0) FROM rollups WHERE hour >= :first_hour AND hour < :last_hour;

-- name: spent_in_hours
SELECT {columns}, min(hour) * 3600000, sum(cost_nanos)
FROM {table}
WHERE hour >= :first_hour AND hour < :last_hour AND cost_nanos <> 0
  AND (provider <> '' OR deployment = '')
GROUP BY {columns}, {slice};

-- name: spent_within_hours
-- Calls are in the order in which they ended, more or less: as many as the hours have, counted back from the
-- newest, so that nothing older is looked at. Of answers that were not given, those who made them were paid.
WITH recent AS MATERIALIZED (
  SELECT seq, project, agent, session, task, via_key, provider, deployment, started_ms, cost_nanos FROM calls
  WHERE started_ms >= :first_hour * 3600000 AND started_ms < :last_hour * 3600000
    AND kind IN ('call', 'unreadable')
  ORDER BY seq DESC LIMIT :calls
), other AS (
  SELECT recent.*, a.provider AS other_provider, a.deployment AS other_deployment, a.cost_nanos AS other_nanos
  FROM attempts AS a JOIN recent USING (seq)
)
SELECT {columns}, min(started_ms), sum(cost_nanos)
FROM (
  SELECT seq, project, agent, session, task, via_key, provider, deployment, started_ms, cost_nanos FROM recent
  UNION ALL
  SELECT seq, project, agent, session, task, via_key, provider, deployment, started_ms, -other_nanos FROM other
  UNION ALL
  SELECT seq, project, agent, session, task, via_key, other_provider, other_deployment, started_ms, other_nanos
  FROM other
)
WHERE started_ms >= :since_ms AND cost_nanos <> 0 AND (provider <> '' OR deployment = '')
GROUP BY {columns}, started_ms / :slice_ms;

-- name: cost_states
SELECT id, cost_state FROM calls WHERE id IN (SELECT value FROM json_each(:ids)) AND kind = 'call';
