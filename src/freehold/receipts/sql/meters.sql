-- name: newest
SELECT coalesce(max(seq), -1) FROM calls;

-- name: added
-- {first_byte} and {total} are sums of a condition for each bound of a histogram, made in `meters`.
SELECT deployment, outcome, cost_state, count(*), sum(cost_nanos), sum(total_us), sum(first_byte_us),
  sum(first_byte_us > 0), sum(fresh_in), sum(cache_read), sum(cache_write_5m), sum(cache_write_1h),
  sum(audio_in), sum(image_in), sum(visible_out), sum(reasoning), sum(audio_out), sum(image_out),
  {first_byte}, {total}
FROM calls
WHERE seq > :after AND seq <= :upto AND kind = 'call'
GROUP BY 1, 2, 3;

-- name: added_attempts
-- Of answers that were not given: from where the call was answered to where they were made.
SELECT c.deployment, a.deployment, c.cost_state, sum(a.cost_nanos), sum(a.fresh_in), sum(a.cache_read),
  sum(a.cache_write_5m), sum(a.cache_write_1h), sum(a.audio_in), sum(a.image_in), sum(a.visible_out),
  sum(a.reasoning), sum(a.audio_out), sum(a.image_out)
FROM attempts AS a JOIN calls AS c USING (seq)
WHERE a.seq > :after AND a.seq <= :upto AND c.kind = 'call'
GROUP BY 1, 2, 3;

-- name: kept
SELECT cached, count(*), sum(saved_nanos) FROM calls
WHERE seq > :after AND seq <= :upto AND kind = 'call' AND cached <> ''
GROUP BY 1;

-- name: paces
-- A call counts in the second in which it ended. A minute of calls is few rows at the end of the table.
SELECT server, count(*),
  sum(fresh_in + cache_read + cache_write_5m + cache_write_1h + audio_in + image_in),
  sum(visible_out + reasoning + audio_out + image_out)
FROM calls
WHERE seq > :after AND kind = 'call' AND server <> '' AND started_ms + total_us / 1000 > :since_ms
GROUP BY 1;

-- name: first_bytes
SELECT first_byte_us FROM calls
WHERE seq > :after AND server = :server AND first_byte_us > 0
ORDER BY seq DESC LIMIT :limit;
