-- {dimensions}, {table} and {where} are fixed expressions made in `sums`, never text from outside.
-- name: sums
SELECT {dimensions}, cost_state, sum(calls), sum(errors), sum(refused), sum(cancelled), sum(total_us),
  sum(cost_nanos), sum(audio_in), sum(audio_out), sum(cache_read), sum(cache_write_1h), sum(cache_write_5m),
  sum(fresh_in), sum(image_in), sum(image_out), sum(reasoning), sum(visible_out), sum(web_searches)
FROM {table}
WHERE hour >= :first_hour AND hour < :last_hour {where}
GROUP BY {numbers};

-- name: calls
SELECT seq, id, started_ms, project, agent, session, task, via_key, model, deployment, provider, server,
  outcome, cost_state, cost_nanos, total_us, audio_in, audio_out, cache_read, cache_write_1h, cache_write_5m, fresh_in,
  image_in, image_out, reasoning, visible_out, web_searches
FROM calls
WHERE kind = 'call' AND started_ms >= :since_ms AND started_ms < :until_ms {where}
ORDER BY seq;

-- name: entries
SELECT coalesce(min(seq), 0), coalesce(max(seq) + 1, 0)
FROM calls
WHERE kind = 'call' AND started_ms >= :since_ms AND started_ms < :until_ms;

-- name: earliest
SELECT min(hour) FROM rollups;
