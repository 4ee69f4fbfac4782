use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use dbintel_model::{Exactness, Query};

use super::*;

mod contrib;
mod properties;
mod records;

use records::{batch, encoded, query_record, server};

/// Batches of these lines, and the reader for its counts.
fn read(lines: &[&[u8]]) -> (Vec<Batch>, Reader) {
    let (mut reader, mut batches) = (Reader::default(), Vec::new());
    let mut problems = Vec::new();
    for (line, number) in lines.iter().zip(1..) {
        if let Err(what) = reader.line(line, &mut |batch| batches.push(batch)) {
            problems.push((number, what));
        }
    }
    reader.finish(&mut |batch| batches.push(batch));
    for (line, what) in problems {
        reader.counts.problem(Path::new("lines"), line, what);
    }
    (batches, reader)
}

fn queries(batches: &[Batch]) -> Vec<&Query> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records
        .filter_map(|record| if let Record::Query(query) = record { Some(&**query) } else { None })
        .collect()
}

#[test]
fn a_reading_that_takes_several_lines_is_one_batch_again() {
    let server = server("db", 5432);
    // Two readings, each of more than a line of our exporter holds, and another server between them.
    let long = "x".repeat(4_000);
    let reading = |at: u64| batch(&server, at, (0..600).map(|id| query_record(id, at, &long)).collect());
    let other = batch(&records::server("other", 5432), 60, vec![query_record(7, 60, "select ?")]);
    let all = [reading(60), other, reading(120)];
    let lines: Vec<Vec<u8>> = all.iter().flat_map(|batch| encoded([batch])).collect();
    assert!(lines.len() > 5, "{} lines are too few for the test", lines.len());
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let (batches, reader) = read(&lines);
    assert_eq!(batches.iter().map(|batch| batch.records.len()).collect::<Vec<_>>(), [600, 1, 600]);
    assert!(Arc::ptr_eq(&batches[0].target, &batches[2].target));
    assert_eq!(batches[1].target.server.to_string(), "other:5432");
    assert_eq!(batches[2].server_clock, all[2].server_clock);
    let counts = reader.counts();
    assert_eq!((counts.servers, counts.used(), counts.problems), (2, 1_201, 0));
    assert_eq!(counts.first.zip(counts.last), all[0].server_clock.zip(all[2].server_clock));
    // One text for all of them.
    let texts: Vec<_> = queries(&batches).into_iter().map(|query| query.text.clone().unwrap()).collect();
    assert!(Arc::ptr_eq(&texts[0], &texts[599]) && Arc::ptr_eq(&texts[0], &texts[1_200]));
}

#[test]
fn a_reading_of_too_many_records_is_several_batches_of_one_time() {
    let server = server("db", 5432);
    let records = (0..crate::RECORDS_PER_BATCH_MAX as i64 + 1).map(|id| query_record(id, 60, "select ?"));
    let lines = encoded([&batch(&server, 60, records.collect())]);
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let (batches, _) = read(&lines);
    assert_eq!(
        batches.iter().map(|batch| batch.records.len()).collect::<Vec<_>>(),
        [crate::RECORDS_PER_BATCH_MAX, 1]
    );
    assert_eq!(batches[0].server_clock, batches[1].server_clock);
}

/// Whoever writes may put the parts of a request in any order, with any white space, and may write numbers as numbers.
#[test]
fn the_form_of_the_json_makes_no_difference() {
    let plain = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"server.address","value":{"stringValue":"db"}},{"key":"server.port","value":{"intValue":"5432"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"60000000000","observedTimeUnixNano":"61000000000","eventName":"dbintel.change","attributes":[{"key":"dbintel.change.kind","value":{"stringValue":"analyze"}},{"key":"dbintel.change.subject","value":{"stringValue":"public.\u0074"}},{"key":"postgresql.table.reltuples","value":{"intValue":"5"}}]}]}]}]}"#;
    let loose = r#" { "resourceLogs" : [ { "schemaUrl": "", "scopeLogs" : [ { "logRecords" : [ { "attributes" : [
        { "value" : { "stringValue" : "analyze" }, "key" : "dbintel.change.kind" },
        { "key" : "dbintel.change.subject", "value" : { "stringValue" : "public.t" } },
        { "key" : "list", "value" : { "arrayValue" : { "values" : [ { "intValue": 1 } ] } } },
        { "key" : "postgresql.table.reltuples", "value" : { "intValue" : 5 } } ],
        "body": {}, "flags": 0, "eventName" : "dbintel.change", "observedTimeUnixNano": 61000000000, "timeUnixNano" : 60000000000 } ],
        "scope" : {} } ], "resource" : { "attributes": [
        { "key" : "server.address", "value" : { "stringValue" : "db" } }, { "key":"server.port", "value":{"intValue":5432} } ] } } ] } "#;
    let alone = loose.trim().trim_start_matches("{ \"resourceLogs\" : [").trim_end_matches("] }");
    let named = plain.replace(r#""eventName":"dbintel.change","#, "").replace(
        r#""attributes":[{"key":"dbintel"#,
        r#""attributes":[{"key":"event.name","value":{"stringValue":"dbintel.change"}},{"key":"dbintel"#,
    );
    let (expected, reader) = read(&[plain.as_bytes()]);
    assert_eq!(reader.counts().used(), 1);
    let Record::Change(change) = &expected[0].records[0] else { panic!("{expected:?}") };
    assert_eq!(change.subject.as_deref(), Some("public.t"));
    assert_eq!(expected[0].target.server.to_string(), "db:5432");
    for other in [loose, alone] {
        let (batches, reader) = read(&[other.as_bytes()]);
        assert_eq!(reader.counts().problems, 0, "{:?}", reader.counts());
        assert_eq!(batches[0].records, expected[0].records, "{other}");
        assert_eq!(batches[0].target, expected[0].target);
        assert_eq!(
            (batches[0].observed_at, batches[0].server_clock),
            (expected[0].observed_at, expected[0].server_clock)
        );
    }
    let (batches, _) = read(&[named.as_bytes()]);
    let Record::Change(change) = &batches[0].records[0] else { panic!("{batches:?}") };
    assert_eq!(change.subject.as_deref(), Some("public.t"));
}

#[test]
fn a_damaged_line_is_told_with_its_place_and_the_rest_is_read() {
    let server = server("db", 5432);
    let line = |at: u64| {
        let batch =
            batch(&server, at, vec![query_record(1, at, "select ?"), query_record(2, at, "select ?")]);
        encoded([&batch]).remove(0)
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("week.json");
    let half = &line(120)[..line(120).len() - 300];
    let text = [&line(60)[..], half, b"\xff\x00 not json", b"", b"{}x", &line(180)].join(&b'\n');
    std::fs::write(&path, text).unwrap();
    let (mut reader, mut batches) = (Reader::default(), Vec::new());
    let missing = directory.path().join("missing.json");
    reader.read(&missing, &mut |batch| batches.push(batch));
    reader.read(&path, &mut |batch| batches.push(batch));
    reader.finish(&mut |batch| batches.push(batch));
    let counts = reader.counts();
    // Of the line that was cut, the first record is whole.
    assert_eq!(batches.iter().map(|batch| batch.records.len()).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!((counts.files, counts.lines, counts.problems), (1, 5, 4));
    let places: Vec<(PathBuf, u64)> =
        counts.first_problems.iter().map(|problem| (problem.file.clone(), problem.line)).collect();
    let expected = [(missing, 0), (path.clone(), 2), (path.clone(), 3), (path, 5)];
    assert_eq!(places, expected);
    let said = counts.first_problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(
        said[3].ends_with("week.json:5: no OTLP/JSON: the end of the line expected at byte 3"),
        "{said:?}"
    );
}

/// As OpenTelemetry contrib's `file` exporter writes them.
#[test]
fn a_damaged_frame_is_told_and_the_rest_is_read() {
    let server = server("db", 5432);
    let frame = |at: u64| {
        let line = encoded([&batch(&server, at, vec![query_record(1, at, "select ?")])]).remove(0);
        let body = zstd::encode_all(&line[..], 1).unwrap();
        [&u32::try_from(body.len()).unwrap().to_be_bytes(), body.as_slice()].concat()
    };
    // Behind its length it does not begin as a frame does.
    let mut damaged = frame(120);
    damaged[4] ^= 0x55;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("week.zst");
    std::fs::write(&path, [frame(60), damaged, frame(180)].concat()).unwrap();
    let (mut reader, mut batches) = (Reader::default(), Vec::new());
    reader.read(&path, &mut |batch| batches.push(batch));
    reader.finish(&mut |batch| batches.push(batch));
    let counts = reader.counts();
    assert_eq!((counts.lines, counts.problems, batches.len()), (2, 1, 2));
    let said = counts.first_problems[0].to_string();
    assert!(said.contains("week.zst:2: the frame cannot be decompressed: "), "{said}");
}

#[test]
fn problems_beyond_those_that_are_kept_are_counted() {
    let (_, reader) = read(&[b"x".as_slice(); crate::PROBLEMS_KEPT_MAX + 5]);
    let counts = reader.counts();
    assert_eq!(
        (counts.problems as usize, counts.first_problems.len()),
        (crate::PROBLEMS_KEPT_MAX + 5, crate::PROBLEMS_KEPT_MAX)
    );
}

#[test]
fn what_no_processor_needs_is_counted_by_what_it_is() {
    let metrics = br#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[
        {"name":"a","description":"","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}},
        {"name":"b","gauge":{"dataPoints":[{"asDouble":1.5,"attributes":[{"key":"dataPoints"}]}]}},
        {"name":"c","metadata":[],"histogram":{"dataPoints":[]}}]}]}]}"#;
    let spans = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"},{"name":"b"}]}]}]}"#;
    let logs = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"dbintel.gap"},{"eventName":"dbintel.gap"},{"body":{"stringValue":"a log"}},{"eventName":"db.server.query_plan"}]}]}]}"#;
    let (batches, reader) = read(&[metrics, spans, logs]);
    assert!(batches.is_empty());
    let counts = reader.counts();
    let unused: Vec<(&str, u64)> =
        counts.unused.iter().map(|(what, records)| (what.as_str(), *records)).collect();
    assert_eq!(
        unused,
        [
            ("db.server.query_plan", 1),
            ("dbintel.gap", 2),
            ("log records without a name", 1),
            ("metric points", 3),
            ("spans", 2)
        ]
    );
    assert_eq!(counts.problems, 0, "{counts:?}");
}

#[test]
fn names_of_events_are_few() {
    let mut lines = String::new();
    for number in 0..crate::EVENT_NAMES_MAX + 10 {
        let _ = writeln!(
            lines,
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"eventName":"e{number:04}"}}]}}]}}]}}"#
        );
    }
    let lines: Vec<&[u8]> = lines.lines().map(str::as_bytes).collect();
    let (_, reader) = read(&lines);
    let counts = reader.counts();
    assert_eq!(counts.unused.len(), crate::EVENT_NAMES_MAX + 1);
    assert_eq!(counts.unused["other"], 10);
}

#[test]
fn a_record_that_lacks_something_is_passed_over_and_counted() {
    let server = server("db", 5432);
    let line =
        String::from_utf8(encoded([&batch(&server, 60, vec![query_record(1, 60, "select ?")])]).remove(0))
            .unwrap();
    for (from, to, why) in [
        ("postgresql.calls", "calls", PassedOver::Incomplete("postgresql.calls")),
        ("postgresql.total_exec_time", "time", PassedOver::Incomplete("postgresql.total_exec_time")),
        ("postgresql.queryid", "id", PassedOver::Incomplete("postgresql.queryid")),
        ("postgresql.rolname", "role", PassedOver::Incomplete("postgresql.rolname")),
        ("db.namespace", "database", PassedOver::Incomplete("db.namespace")),
        (r#""postgresql"}"#, r#""mysql"}"#, PassedOver::OtherSystem),
        ("dbintel.interval.start", "start", PassedOver::NoInterval),
    ] {
        let changed = line.replacen(from, to, if to.contains("mysql") { 9 } else { 1 });
        assert_ne!(changed, line, "{from}");
        let (batches, reader) = read(&[changed.as_bytes()]);
        assert!(batches.is_empty(), "{from}");
        assert_eq!(reader.counts().passed_over.into_iter().collect::<Vec<_>>(), [(why, 1)], "{from}");
    }
}

#[test]
fn records_of_too_many_servers_are_passed_over() {
    let lines: Vec<Vec<u8>> = (0..crate::SOURCES_MAX + 2)
        .map(|port| {
            let server = server("db", u16::try_from(port + 1).unwrap());
            encoded([&batch(&server, 60, vec![query_record(1, 60, "select ?")])]).remove(0)
        })
        .collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let (batches, reader) = read(&lines);
    assert_eq!(batches.len(), crate::SOURCES_MAX);
    assert_eq!(reader.counts().passed_over[&PassedOver::TooManyServers], 2);
}

#[test]
fn an_interval_of_ours_says_what_it_is() {
    let server = server("db", 5432);
    let lines = encoded([&batch(&server, 60, vec![query_record(5, 60, "select ?")])]);
    let (batches, _) = read(&[&lines[0]]);
    let query = queries(&batches)[0];
    assert_eq!(query.exactness, Exactness::Exact);
    assert_eq!(query.interval.end.since(query.interval.start), Duration::from_secs(60));
    // Object ids of databases are not in the file: a number that stands for the name.
    assert_eq!(query.key.database_id, crate::contrib::number_of("orders"));
}
