-- One schema for SQLite and PostgreSQL: names of types that both know. Times are nanoseconds since the Unix epoch.

-- Collectors that use this store, and the servers each of them watches.
CREATE TABLE dbintel_instances (
    id TEXT NOT NULL,
    server TEXT NOT NULL,
    host TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (id, server)
);

-- What processors know of their server, a value for each key. The checksum is of key and value.
CREATE TABLE dbintel_baselines (
    server TEXT NOT NULL,
    key BYTEA NOT NULL,
    version BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    checksum BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (server, key)
);
CREATE INDEX dbintel_baselines_updated_at ON dbintel_baselines (updated_at);

-- What was seen at a time, for comparisons over weeks.
CREATE TABLE dbintel_observations (
    server TEXT NOT NULL,
    key BYTEA NOT NULL,
    at BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (server, key, at)
);
CREATE INDEX dbintel_observations_at ON dbintel_observations (at);

-- A finding is its document; the other columns are for looking it up. The revision grows with every change.
CREATE TABLE dbintel_findings (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    category TEXT NOT NULL,
    state TEXT NOT NULL,
    closed BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    checksum BIGINT NOT NULL
);
CREATE INDEX dbintel_findings_closed ON dbintel_findings (closed, updated_at);

-- Who decided what. Rows are only added; the revision is that of the finding after the decision.
CREATE TABLE dbintel_decisions (
    finding TEXT NOT NULL,
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at BIGINT NOT NULL,
    reason TEXT,
    PRIMARY KEY (finding, revision)
);
CREATE INDEX dbintel_decisions_decided_at ON dbintel_decisions (decided_at);

-- What came of the findings that were applied, longer than the findings themselves are kept.
CREATE TABLE dbintel_outcomes (
    finding TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    category TEXT NOT NULL,
    verdict TEXT NOT NULL,
    at BIGINT NOT NULL,
    ratio DOUBLE PRECISION,
    ratio_low DOUBLE PRECISION,
    ratio_high DOUBLE PRECISION
);
CREATE INDEX dbintel_outcomes_at ON dbintel_outcomes (at);
