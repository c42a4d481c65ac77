-- {dimensions}, {table} and {where} are fixed expressions made in `sums`, never text from outside.
-- name: sums
SELECT {dimensions}, cost_state, sum(calls), sum(errors), sum(refused), sum(cancelled), sum(total_us),
  sum(cost_nanos), sum(audio_in), sum(audio_out), sum(cache_read), sum(cache_write_1h), sum(cache_write_5m),
  sum(fresh_in), sum(image_in), sum(image_out), sum(reasoning), sum(visible_out), sum(web_searches)
FROM {table}
WHERE hour >= :first_hour AND hour < :last_hour {where}
GROUP BY {numbers};

-- name: calls
-- Usage is that of the answer which was given.
SELECT seq, id, started_ms, project, agent, session, task, via_key, model, deployment, provider, server,
  outcome, cost_state, price_terms, cost_nanos, coalesce(other_nanos, 0), total_us,
  audio_in - coalesce(other_audio_in, 0), audio_out - coalesce(other_audio_out, 0), cache_read -
  coalesce(other_cache_read, 0), cache_write_1h - coalesce(other_cache_write_1h, 0), cache_write_5m -
  coalesce(other_cache_write_5m, 0), fresh_in - coalesce(other_fresh_in, 0), image_in -
  coalesce(other_image_in, 0), image_out - coalesce(other_image_out, 0), reasoning -
  coalesce(other_reasoning, 0), visible_out - coalesce(other_visible_out, 0), web_searches -
  coalesce(other_web_searches, 0)
FROM calls LEFT JOIN (
  SELECT seq AS of, sum(cost_nanos) AS other_nanos,
  sum(audio_in) AS other_audio_in, sum(audio_out) AS other_audio_out, sum(cache_read) AS other_cache_read,
  sum(cache_write_1h) AS other_cache_write_1h, sum(cache_write_5m) AS other_cache_write_5m, sum(fresh_in) AS
  other_fresh_in, sum(image_in) AS other_image_in, sum(image_out) AS other_image_out, sum(reasoning) AS
  other_reasoning, sum(visible_out) AS other_visible_out, sum(web_searches) AS other_web_searches
  FROM attempts GROUP BY seq
) ON of = seq
WHERE kind = 'call' AND started_ms >= :since_ms AND started_ms < :until_ms {where}
ORDER BY seq;

-- name: entries
SELECT coalesce(min(seq), 0), coalesce(max(seq) + 1, 0)
FROM calls
WHERE kind = 'call' AND started_ms >= :since_ms AND started_ms < :until_ms;

-- name: earliest
SELECT min(hour) FROM rollups;
