//! Any text as an expression in a plan. What is checked is in `dbintel_plan::invariants`: masking is stable and keeps the
//! pieces, and literals after it, and values in places where the server writes none, come out nowhere.
#![no_main]

use dbintel_plan::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    invariants::check_literals(&String::from_utf8_lossy(bytes));
});
