//! Any text as a value with a unit or a form of its own. What is checked: no panic, and a value that was understood is
//! written in a way that is understood as the same value.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use dbintel_config::values::{
    Address, ByteSize, ComponentId, Duration, Endpoint, HttpUrl, MemoryLimit, Percentage,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    reads_back::<Address>(text);
    reads_back::<ByteSize>(text);
    reads_back::<ComponentId>(text);
    reads_back::<Duration>(text);
    reads_back::<Endpoint>(text);
    reads_back::<HttpUrl>(text);
    reads_back::<MemoryLimit>(text);
    reads_back::<Percentage>(text);
});

fn reads_back<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    let again = written.parse::<T>().ok();
    assert_eq!(again.as_ref(), Some(&value), "{text:?} was written as {written:?}");
}
