-- A batch is summed once, into a table in memory; both rollups are made from these few rows. Deaths, outcomes
-- and tools are no calls and in no sum.
-- name: batch_table
CREATE TEMP TABLE batch AS SELECT * FROM session_rollups WHERE false;

-- name: sum_batch
INSERT INTO temp.batch
SELECT started_ms / 3600000, project, agent, session, task, via_key, model, deployment, provider, cost_state,
  count(*), sum(outcome IN ('error', 'truncated')), sum(outcome = 'refused'), sum(outcome = 'cancelled'),
  sum(total_us), sum(cost_nanos), sum(fresh_in), sum(cache_read), sum(cache_write_5m),
  sum(cache_write_1h), sum(audio_in), sum(image_in), sum(visible_out), sum(reasoning), sum(audio_out),
  sum(image_out), sum(web_searches)
FROM calls WHERE seq >= :start AND seq < :stop AND kind IN ('call', 'unreadable')
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;

-- name: sum_attempts
-- What was paid for an answer that was not given goes from where the call was answered to where it was made.
INSERT INTO temp.batch
SELECT c.started_ms / 3600000, c.project, c.agent, c.session, c.task, c.via_key, c.model, c.deployment,
  c.provider, c.cost_state, 0, 0, 0, 0, 0, -sum(a.cost_nanos),
  -sum(a.fresh_in), -sum(a.cache_read), -sum(a.cache_write_5m), -sum(a.cache_write_1h), -sum(a.audio_in),
  -sum(a.image_in), -sum(a.visible_out), -sum(a.reasoning), -sum(a.audio_out), -sum(a.image_out),
  -sum(a.web_searches)
FROM attempts AS a JOIN calls AS c USING (seq)
WHERE a.seq >= :start AND a.seq < :stop AND c.kind = 'call'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
UNION ALL
SELECT c.started_ms / 3600000, c.project, c.agent, c.session, c.task, c.via_key, a.model, a.deployment,
  a.provider, c.cost_state, 0, 0, 0, 0, 0, sum(a.cost_nanos),
  sum(a.fresh_in), sum(a.cache_read), sum(a.cache_write_5m), sum(a.cache_write_1h), sum(a.audio_in),
  sum(a.image_in), sum(a.visible_out), sum(a.reasoning), sum(a.audio_out), sum(a.image_out),
  sum(a.web_searches)
FROM attempts AS a JOIN calls AS c USING (seq)
WHERE a.seq >= :start AND a.seq < :stop AND c.kind = 'call'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;

-- name: roll_up_sessions
INSERT INTO session_rollups SELECT * FROM temp.batch WHERE true
ON CONFLICT DO UPDATE SET
  calls = calls + excluded.calls, errors = errors + excluded.errors, refused = refused + excluded.refused,
  cancelled = cancelled + excluded.cancelled, total_us = total_us + excluded.total_us,
  cost_nanos = cost_nanos + excluded.cost_nanos, fresh_in = fresh_in + excluded.fresh_in,
  cache_read = cache_read + excluded.cache_read,
  cache_write_5m = cache_write_5m + excluded.cache_write_5m,
  cache_write_1h = cache_write_1h + excluded.cache_write_1h, audio_in = audio_in + excluded.audio_in,
  image_in = image_in + excluded.image_in, visible_out = visible_out + excluded.visible_out,
  reasoning = reasoning + excluded.reasoning, audio_out = audio_out + excluded.audio_out,
  image_out = image_out + excluded.image_out, web_searches = web_searches + excluded.web_searches;

-- name: roll_up
INSERT INTO rollups
SELECT hour, project, agent, via_key, model, deployment, provider, cost_state,
  sum(calls), sum(errors), sum(refused), sum(cancelled), sum(total_us), sum(cost_nanos), sum(fresh_in),
  sum(cache_read), sum(cache_write_5m), sum(cache_write_1h), sum(audio_in), sum(image_in),
  sum(visible_out), sum(reasoning), sum(audio_out), sum(image_out), sum(web_searches)
FROM temp.batch WHERE true
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
ON CONFLICT DO UPDATE SET
  calls = calls + excluded.calls, errors = errors + excluded.errors, refused = refused + excluded.refused,
  cancelled = cancelled + excluded.cancelled, total_us = total_us + excluded.total_us,
  cost_nanos = cost_nanos + excluded.cost_nanos, fresh_in = fresh_in + excluded.fresh_in,
  cache_read = cache_read + excluded.cache_read,
  cache_write_5m = cache_write_5m + excluded.cache_write_5m,
  cache_write_1h = cache_write_1h + excluded.cache_write_1h, audio_in = audio_in + excluded.audio_in,
  image_in = image_in + excluded.image_in, visible_out = visible_out + excluded.visible_out,
  reasoning = reasoning + excluded.reasoning, audio_out = audio_out + excluded.audio_out,
  image_out = image_out + excluded.image_out, web_searches = web_searches + excluded.web_searches;

-- name: forget_batch
DELETE FROM temp.batch;

-- name: progress
SELECT position, last_leaf, unreadable FROM progress;

-- name: advance
UPDATE progress SET position = :position, last_leaf = :last_leaf, unreadable = unreadable + :unreadable;

-- name: index_ids
CREATE INDEX IF NOT EXISTS calls_by_id ON calls (id);

-- name: index_deaths
CREATE INDEX IF NOT EXISTS deaths ON calls (server) WHERE kind = 'death';
