//! Any bytes as statement text. What is checked is in `dbintel_plan::sql::invariants`, which the tests of the
//! crate share: no panic, bounds, idempotence, nothing that looks like a literal or comment in the output, and no
//! leak of literals that are appended in every form and cut at every byte.
#![no_main]

use dbintel_plan::sql::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    invariants::check(&String::from_utf8_lossy(bytes));
});
