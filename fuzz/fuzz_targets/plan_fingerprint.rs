//! Any bytes as a plan of either engine: fingerprints depend on nothing that is a number, and on every relation and index.
#![no_main]

use dbintel_plan::invariants::fingerprints;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fingerprints::check(bytes);
});
