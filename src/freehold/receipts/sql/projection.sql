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
