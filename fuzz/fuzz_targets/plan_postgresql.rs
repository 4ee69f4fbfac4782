//! Any bytes as a plan of PostgreSQL. What is checked is in `dbintel_plan::invariants`, which the tests of the crate
//! share: no panic, bounds, a sound tree, summaries, fingerprints, renderings and differences of whatever was read, and
//! redaction that writes valid JSON and is stable.
#![no_main]

use dbintel_plan::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    invariants::check(bytes);
});
