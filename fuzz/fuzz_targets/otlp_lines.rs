//! Any bytes as lines of OTLP/JSON of our exporter or of another collector: no panic, at most one problem for each line, and records that
//! are all counted.
#![no_main]

use dbintel_replay::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut reader, mut records) = (Reader::default(), 0);
    let mut problems = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        problems += u64::from(reader.line(line, &mut |batch| records += batch.records.len() as u64).is_err());
    }
    reader.finish(&mut |batch| records += batch.records.len() as u64);
    let counts = reader.counts();
    assert!(problems <= counts.lines);
    assert_eq!(records, counts.used());
});
