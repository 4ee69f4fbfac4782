//! Any bytes as a showplan. What is checked is in `dbintel_plan::invariants::showplan`, which the tests of the crate share:
//! no panic, bounds, budgets, well-formed and stable redaction, and that redaction does not change the plan.
#![no_main]

use dbintel_plan::invariants::showplan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    showplan::check(bytes);
});
