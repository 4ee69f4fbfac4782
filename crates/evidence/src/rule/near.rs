//! What the short blocks right beside the change show, which long ones cannot.
//!
//! What wanders slowly is the same on both sides of the change; a step is not. So the jump between the short blocks right
//! before and right after it locates the step, and stands out where no two neighbouring stretches of the day before were
//! nearly as far apart: a comparison with what the statement did at times at which nothing happened, which needs no model
//! of how it wanders.

use crate::arms::Jump;
use crate::measure::Measured;
use crate::verdict::Direction;

/// The jumps in short blocks, turned in the direction of the verdict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    pub(super) time: Jump,
    pub(super) work: Jump,
}

impl Near {
    pub(super) fn of(short: &Measured, direction: Direction) -> Option<Self> {
        let channels = short.channels.as_ref()?;
        let (time, work) = (channels.time.jump, channels.work.jump);
        let same = short.direction == direction;
        Some(if same { Self { time, work } } else { Self { time: time.mirrored(), work: work.mirrored() } })
    }
}
