//! Any bytes as text of Transact-SQL: masking is stable, and a literal appended in any form does not come out.
#![no_main]

use dbintel_plan::invariants::showplan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    showplan::check_literals(&String::from_utf8_lossy(bytes));
});
