//! Any bytes as a log of PostgreSQL, of which the first line is taken for `log_line_prefix`. What is checked is in
//! `dbintel_plan::log::invariants`, which the tests of the crate share: no panic, the same records in whatever pieces the
//! bytes come, every byte accounted for, and a plan that is no longer than its record.
#![no_main]

use dbintel_plan::log::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    invariants::check(bytes);
});
