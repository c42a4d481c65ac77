-- name: calls_in_order
SELECT * FROM calls WHERE seq >= :start AND seq < :stop ORDER BY seq;

-- name: attempts_in_order
SELECT * FROM attempts WHERE seq >= :start AND seq < :stop ORDER BY seq, number;

-- name: find_call
SELECT seq FROM calls WHERE id = :id ORDER BY seq LIMIT 1;

-- name: sums_of_calls
SELECT count(*), sum(cost_nanos), sum(total_us), sum(fresh_in), sum(cache_read), sum(cache_write_5m),
  sum(cache_write_1h), sum(audio_in), sum(image_in), sum(visible_out), sum(reasoning), sum(audio_out),
  sum(image_out), sum(web_searches), sum(outcome IN ('error', 'truncated')), sum(outcome = 'refused'),
  sum(outcome = 'cancelled')
FROM calls WHERE kind IN ('call', 'unreadable');

-- name: sums_of_rollups
SELECT sum(calls), sum(cost_nanos), sum(total_us), sum(fresh_in), sum(cache_read), sum(cache_write_5m),
  sum(cache_write_1h), sum(audio_in), sum(image_in), sum(visible_out), sum(reasoning), sum(audio_out),
  sum(image_out), sum(web_searches), sum(errors), sum(refused), sum(cancelled)
FROM {table};

-- name: costs
-- {name} and {table} are fixed expressions in `query`, never text from outside.
SELECT {name}, cost_state, sum(calls), sum(errors), sum(refused), sum(cancelled), sum(cost_nanos),
  sum(fresh_in + audio_in + image_in), sum(cache_read), sum(cache_write_5m + cache_write_1h),
  sum(visible_out + audio_out + image_out), sum(reasoning)
FROM {table}
WHERE hour >= :first_hour AND hour < :last_hour
GROUP BY 1, 2;
