-- The projection of the receipts log: made from the log alone, can be deleted and made again.
-- `seq` is the entry's index in the log. Times are UTC milliseconds, durations microseconds, money integer
-- nano-USD, tokens disjoint buckets. Integers above 2^50 (only a lying provider sends them) are capped here;
-- the log keeps what was said. Every entry has a row in `calls`; those of kind `call`,
-- and what cannot be read, are in the sums.
CREATE TABLE calls (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  project TEXT NOT NULL,
  agent TEXT NOT NULL,
  session TEXT NOT NULL,
  task TEXT NOT NULL,
  via_key TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  client_dialect TEXT NOT NULL,
  model_asked TEXT NOT NULL,
  model TEXT NOT NULL,
  deployment TEXT NOT NULL,
  provider TEXT NOT NULL,
  server TEXT NOT NULL,
  outcome TEXT NOT NULL,
  error TEXT NOT NULL,
  usage_state TEXT NOT NULL,
  cost_state TEXT NOT NULL,
  price_terms TEXT NOT NULL,
  cached TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  first_byte_us INTEGER NOT NULL,
  total_us INTEGER NOT NULL,
  status INTEGER NOT NULL,
  stream INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  request_bytes INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  cost_nanos INTEGER NOT NULL,
  saved_nanos INTEGER NOT NULL,
  fresh_in INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write_5m INTEGER NOT NULL,
  cache_write_1h INTEGER NOT NULL,
  audio_in INTEGER NOT NULL,
  image_in INTEGER NOT NULL,
  visible_out INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  audio_out INTEGER NOT NULL,
  image_out INTEGER NOT NULL,
  web_searches INTEGER NOT NULL
) STRICT;

-- Of attempts whose answers were paid for and not given to the client; the sums of `calls` have them in. In the
-- sums by hour they stand where they were made.
CREATE TABLE attempts (
  seq INTEGER NOT NULL,
  number INTEGER NOT NULL,
  model TEXT NOT NULL,
  deployment TEXT NOT NULL,
  provider TEXT NOT NULL,
  cost_nanos INTEGER NOT NULL,
  fresh_in INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write_5m INTEGER NOT NULL,
  cache_write_1h INTEGER NOT NULL,
  audio_in INTEGER NOT NULL,
  image_in INTEGER NOT NULL,
  visible_out INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  audio_out INTEGER NOT NULL,
  image_out INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  PRIMARY KEY (seq, number)
) STRICT, WITHOUT ROWID;

-- Sums by hour (`hour` = started_ms / 3,600,000), written in the transaction that writes the calls.
-- Sessions and tasks are without number, so they have a table of their own and the other stays small.
CREATE TABLE rollups (
  hour INTEGER NOT NULL,
  project TEXT NOT NULL,
  agent TEXT NOT NULL,
  via_key TEXT NOT NULL,
  model TEXT NOT NULL,
  deployment TEXT NOT NULL,
  provider TEXT NOT NULL,
  cost_state TEXT NOT NULL,
  calls INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  total_us INTEGER NOT NULL,
  cost_nanos INTEGER NOT NULL,
  fresh_in INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write_5m INTEGER NOT NULL,
  cache_write_1h INTEGER NOT NULL,
  audio_in INTEGER NOT NULL,
  image_in INTEGER NOT NULL,
  visible_out INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  audio_out INTEGER NOT NULL,
  image_out INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  PRIMARY KEY (hour, project, agent, via_key, model, deployment, provider, cost_state)
) STRICT, WITHOUT ROWID;

CREATE TABLE session_rollups (
  hour INTEGER NOT NULL,
  project TEXT NOT NULL,
  agent TEXT NOT NULL,
  session TEXT NOT NULL,
  task TEXT NOT NULL,
  via_key TEXT NOT NULL,
  model TEXT NOT NULL,
  deployment TEXT NOT NULL,
  provider TEXT NOT NULL,
  cost_state TEXT NOT NULL,
  calls INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  total_us INTEGER NOT NULL,
  cost_nanos INTEGER NOT NULL,
  fresh_in INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write_5m INTEGER NOT NULL,
  cache_write_1h INTEGER NOT NULL,
  audio_in INTEGER NOT NULL,
  image_in INTEGER NOT NULL,
  visible_out INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  audio_out INTEGER NOT NULL,
  image_out INTEGER NOT NULL,
  web_searches INTEGER NOT NULL,
  PRIMARY KEY (hour, project, agent, session, task, via_key, model, deployment, provider, cost_state)
) STRICT, WITHOUT ROWID;

-- How far the projection is: the next log index, and the leaf hash of the entry before it.
CREATE TABLE progress (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  position INTEGER NOT NULL,
  last_leaf BLOB NOT NULL,
  unreadable INTEGER NOT NULL
) STRICT;

INSERT INTO progress VALUES (1, 0, x'', 0);
