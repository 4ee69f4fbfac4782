//! Tests by what they guarantee.

mod fingerprints;
mod kinds;
mod limits;
mod masking;
mod privacy;
mod properties;
mod summaries;

use super::{MaskLimits, Masked, mask};

fn masked(text: &str) -> Masked {
    mask(text, MaskLimits::default())
}
