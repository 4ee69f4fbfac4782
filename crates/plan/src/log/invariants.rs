//! What holds for any bytes taken for a log. The tests of this crate and the fuzz target share it.

use super::{AutoExplain, LinePrefix, LogFormat, Lost, auto_explain, record_end};

/// Bytes of a record, above which a reader of the tests gives it up.
const MAX_RECORD_BYTES: usize = 300;

/// Reads the bytes in every format, standard error with the first line as its prefix, whole and in pieces.
///
/// # Panics
/// If something does not hold.
pub fn check(bytes: &[u8]) {
    let (first, log) = bytes.iter().position(|byte| *byte == b'\n').map_or((bytes, bytes), |end| {
        let (first, log) = bytes.split_at(end);
        (first, log.get(1..).unwrap_or_default())
    });
    let mut formats = vec![LogFormat::Json, LogFormat::Csv];
    for setting in [&*String::from_utf8_lossy(first), "%m [%p] %q%u@%d/%Q "] {
        formats.extend(LinePrefix::parse(setting).map(LogFormat::Stderr));
    }
    for format in formats {
        let whole = records(&format, log, log.len().max(1), None);
        assert_eq!(whole, records(&format, log, 7, None), "{format:?}");
        records(&format, log, log.len().max(1), Some(Lost::Anywhere));
        records(&format, log, 7, Some(Lost::AtLine));
        for record in &whole {
            look(&format, record);
        }
    }
    if let Some(AutoExplain::Plan(plan)) = auto_explain(&String::from_utf8_lossy(bytes)) {
        crate::invariants::check(plan.json.as_bytes());
    }
}

fn look(format: &LogFormat, bytes: &[u8]) {
    let Some(record) = format.record(bytes) else { return };
    // Invalid bytes become three each.
    assert!(record.message.len() <= 3 * bytes.len());
    if let Some(AutoExplain::Plan(plan)) = auto_explain(&record.message) {
        assert!(plan.json.len() <= record.message.len() && plan.json.starts_with('{'));
    }
}

/// Every record, if `piece` bytes come at a time. What is given up and what is taken is all there is.
fn records(format: &LogFormat, log: &[u8], piece: usize, mut lost: Option<Lost>) -> Vec<Vec<u8>> {
    let (mut held, mut records, mut used) = (Vec::new(), Vec::new(), 0);
    let pieces = log.chunks(piece).count();
    for (number, chunk) in log.chunks(piece).enumerate() {
        let is_last = number + 1 == pieces;
        held.extend_from_slice(chunk);
        while !held.is_empty() {
            if let Some(place) = &mut lost {
                let (gone, found) = place.seek(format, &held);
                assert!(gone <= held.len());
                held.drain(..gone);
                used += gone;
                if !found {
                    break;
                }
                lost = None;
                continue;
            }
            let Some(end) = record_end(format, &held, is_last) else {
                // The same place is given up whatever the pieces: only when all has come.
                if is_last && held.len() > MAX_RECORD_BYTES {
                    lost = Some(Lost::within(format, &held));
                    used += held.len();
                    held.clear();
                }
                break;
            };
            assert!((1..=held.len()).contains(&end), "{end}");
            records.push(held.drain(..end).collect());
            used += end;
        }
    }
    assert_eq!(used + held.len(), log.len());
    records
}
