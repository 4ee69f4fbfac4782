//! The history of a statement: closed blocks, packed, only those in which it ran.
//!
//! An hour takes 12 bytes and a short block 11, so that a week and half a day fit into what the allocator gives for 2,048
//! and 896: everything on a logarithmic scale ([`super::coding`]) but the calls of an hour, of which 65,536 are counted exactly
//! ([`coding::float_24`]). Of its place only the low 8 bits are kept, since no history reaches further back than they can tell apart.

use std::collections::VecDeque;
use std::ops::Range;

use dbintel_evidence::Block;

use super::coding;
use super::sums::Sums;
use crate::codec::{Damaged, Reader, Writer};

/// Hours that are kept of a statement: those of a week.
pub const HOURS_MAX: usize = 168;
/// How far back the kept hours reach at most: a statement that does not run every hour has more than a week.
pub(super) const HOURS_REACH: i64 = 192;
/// Short blocks that are kept of a statement: those of 13 hours, since an early verdict asks for 12 before a change.
pub const SHORTS_MAX: usize = 78;
/// How far back the kept short blocks reach at most: a day.
pub(super) const SHORTS_REACH: i64 = 144;
/// Short blocks that are kept after a change: those of a day, after which there is no early verdict.
pub const TRIAL_SHORTS_MAX: usize = 144;
/// Beyond this no block lies: as many as there are nanoseconds in half an hour.
const PLACE_MAX: i64 = 1 << 41;
/// How far back a place can be told from another one by its low bits.
const PLACES_TOLD_APART: i64 = 255;
const _: () = assert!(HOURS_REACH <= PLACES_TOLD_APART && SHORTS_REACH <= PLACES_TOLD_APART);
/// By how many blocks a history grows, so that a statement seen for a day does not have the room of a week.
const GROWTH: usize = 12;

/// One hour.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(Rust, packed)]
pub(super) struct Hour {
    place: u8,
    variation: u16,
    total_ms: u16,
    work: u16,
    rows: u16,
    calls: [u8; 3],
}

/// One short block.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(Rust, packed)]
pub(super) struct Short {
    place: u8,
    variation: u16,
    calls: u16,
    total_ms: u16,
    work: u16,
    rows: u16,
}

/// A block in few bytes.
pub(super) trait Packed: Copy {
    fn pack(place: u8, sums: &Sums) -> Self;
    fn place(&self) -> u8;
    fn sums(&self) -> Sums;
    /// Calls and milliseconds alone, which costs less.
    fn load(&self) -> (f64, f64);
    fn write(&self, out: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged>;
}

/// Closed blocks, the oldest first, and none in which nothing ran.
#[derive(Clone, Debug)]
pub(super) struct History<P> {
    /// A ring: at the end of an hour all statements forget their oldest block, and nothing is moved for it.
    blocks: VecDeque<P>,
    /// Place of the last one.
    last: i64,
}

/// A block that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Open {
    pub(super) place: i64,
    pub(super) sums: Sums,
}

// === impl History ===

impl<P> Default for History<P> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), last: 0 }
    }
}

impl<P: Packed> History<P> {
    /// Adds what was done in a block: a new last one, or one that is there already. What is older than all that is kept, or
    /// lies between two that are kept, is refused.
    pub(super) fn add(&mut self, place: i64, sums: &Sums, max: usize, reach: i64) -> bool {
        if sums.is_empty() {
            return true;
        }
        if self.is_behind_all(place, reach) {
            self.push(place, P::pack(place as u8, sums), max, reach);
            return true;
        }
        let last = self.last;
        let found = self.blocks.iter_mut().rev().find(|block| absolute(block.place(), last) == place);
        let Some(block) = found else { return false };
        let mut all = block.sums();
        all.add(sums);
        *block = P::pack(place as u8, &all);
        true
    }

    /// Adds blocks that were written, as they are: a code of a code would cost ten logarithms and powers a block, of which 10,000 statements
    /// have two and a half million.
    pub(super) fn take_over(&mut self, blocks: Vec<(i64, P)>, max: usize, reach: i64) {
        for (place, block) in blocks {
            if self.is_behind_all(place, reach) {
                self.push(place, block, max, reach);
            } else {
                self.add(place, &block.sums(), max, reach);
            }
        }
    }

    /// Whether a block at this place is a new last one.
    fn is_behind_all(&mut self, place: i64, reach: i64) -> bool {
        // A clock that was far ahead and has come back: what it dated is of no use.
        if place.saturating_add(2 * reach) < self.last {
            self.blocks.clear();
        }
        self.blocks.is_empty() || place > self.last
    }

    fn push(&mut self, place: i64, block: P, max: usize, reach: i64) {
        self.forget_before(place.saturating_sub(reach - 1));
        if self.blocks.len() >= max {
            self.blocks.drain(..=self.blocks.len() - max);
        }
        if self.blocks.len() == self.blocks.capacity() {
            self.blocks.reserve_exact(GROWTH.min(max - self.blocks.len()));
        }
        self.last = place;
        self.blocks.push_back(block);
    }

    /// Lets go of the blocks before this one.
    fn forget_before(&mut self, first: i64) {
        let last = self.last;
        let old = self.blocks.iter().take_while(|block| absolute(block.place(), last) < first).count();
        self.blocks.drain(..old);
    }

    /// Lets go of the blocks after this one. Says whether there were any.
    pub(super) fn forget_after(&mut self, last: i64) -> bool {
        let has_later = !self.blocks.is_empty() && self.last > last;
        if has_later {
            *self = self.part(|place| place <= last);
        }
        has_later
    }

    /// The blocks with their places, the oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, Sums)> + Clone + '_ {
        self.blocks.iter().map(|block| (absolute(block.place(), self.last), block.sums()))
    }

    /// Calls and time of the blocks with their places, the oldest first.
    pub(super) fn loads(&self) -> impl Iterator<Item = (i64, f64, f64)> + '_ {
        self.blocks.iter().map(|block| {
            let (calls, total_ms) = block.load();
            (absolute(block.place(), self.last), calls, total_ms)
        })
    }

    /// The places alone, which costs less.
    pub(super) fn places(&self) -> impl DoubleEndedIterator<Item = i64> + '_ {
        self.blocks.iter().map(|block| absolute(block.place(), self.last))
    }

    /// Puts the blocks from `first` on and before `end` into a list for the judge.
    pub(super) fn list(&self, first: i64, end: i64, into: &mut Vec<Block>) {
        into.clear();
        let last = self.last;
        let places = self.blocks.iter().map(|block| (absolute(block.place(), last), block));
        let within = places.filter(|(place, _)| (first..end).contains(place));
        into.extend(within.map(|(place, block)| block.sums().block(place)));
    }

    /// A copy of the blocks whose places are wanted, without spare room.
    pub(super) fn part(&self, wanted: impl Fn(i64) -> bool) -> Self {
        let kept = |block: &&P| wanted(absolute(block.place(), self.last));
        let mut blocks: VecDeque<P> = self.blocks.iter().filter(kept).copied().collect();
        blocks.shrink_to_fit();
        let last = blocks.back().map_or(0, |block| absolute(block.place(), self.last));
        Self { blocks, last }
    }

    /// Places of the first and the last block.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        let first = self.blocks.front()?;
        Some((absolute(first.place(), self.last), self.last))
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes beyond its own size.
    pub(super) fn heap_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<P>()
    }

    /// Adds the blocks of another history of the same statement.
    pub(super) fn merge(&mut self, other: &Self, max: usize, reach: i64) {
        let mut all: Vec<(i64, Sums)> = self.iter().chain(other.iter()).collect();
        all.sort_by_key(|(place, _)| *place);
        // The same block twice: a sudden end came between storing it under another id and removing it under the first.
        all.dedup();
        *self = Self { blocks: VecDeque::new(), last: 0 };
        for (place, sums) in all {
            self.add(place, &sums, max, reach);
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.write_blocks(0..self.blocks.len(), out);
    }

    /// Writes the blocks of these places. They are usually the last ones, so they are looked for from the end and little else is read; blocks
    /// are in the order of their places.
    pub(super) fn write_part(&self, out: &mut Writer, places: Range<i64>) {
        let before = |blocks: usize, place| {
            let is_after = |block: &&P| absolute(block.place(), self.last) >= place;
            blocks - self.blocks.range(..blocks).rev().take_while(is_after).count()
        };
        let end = before(self.blocks.len(), places.end);
        self.write_blocks(before(end, places.start)..end, out);
    }

    fn write_blocks(&self, blocks: Range<usize>, out: &mut Writer) {
        out.i64(self.last);
        out.length(blocks.len());
        self.blocks.range(blocks).for_each(|block| block.write(out));
    }

    /// Reads what [`Self::write`] wrote: blocks with their places. Blocks out of order are damage, as is one in which nothing ran.
    pub(super) fn read(from: &mut Reader<'_>, max: usize) -> Result<Vec<(i64, P)>, Damaged> {
        let (last, count) = (read_place(from)?, from.length()?);
        if count > max {
            return Err(Damaged);
        }
        let mut blocks = Vec::with_capacity(count);
        for _ in 0..count {
            let block = P::read(from)?;
            blocks.push((absolute(block.place(), last), block));
        }
        if blocks.is_sorted_by(|a, b| a.0 < b.0) { Ok(blocks) } else { Err(Damaged) }
    }
}

/// A place that can be one: no clock is further from 1970 than this.
pub(super) fn read_place(from: &mut Reader<'_>) -> Result<i64, Damaged> {
    let place = from.i64()?;
    if (-PLACE_MAX..PLACE_MAX).contains(&place) { Ok(place) } else { Err(Damaged) }
}

/// The whole place of a block that is not after `last` and not more than [`PLACES_TOLD_APART`] before it.
fn absolute(place: u8, last: i64) -> i64 {
    last - i64::from((last as u8).wrapping_sub(place))
}

/// A stored place has 16 bits.
fn read_low(from: &mut Reader<'_>) -> Result<u8, Damaged> {
    Ok(from.u16()? as u8)
}

// === impl Hour ===

impl Packed for Hour {
    fn pack(place: u8, sums: &Sums) -> Self {
        Self {
            place,
            variation: coding::variation(sums.variation()),
            total_ms: coding::sum(sums.total_ms),
            work: coding::sum(sums.work),
            rows: coding::sum(sums.rows),
            calls: coding::float_24(sums.calls),
        }
    }

    fn place(&self) -> u8 {
        self.place
    }

    fn sums(&self) -> Sums {
        let [total_ms, work, rows] = [self.total_ms, self.work, self.rows].map(coding::sum_of);
        let (calls, variation) = (coding::float_of(self.calls), coding::variation_of(self.variation));
        Sums::closed(calls, total_ms, work, rows, variation)
    }

    fn load(&self) -> (f64, f64) {
        (coding::float_of(self.calls), coding::sum_of(self.total_ms))
    }

    fn write(&self, out: &mut Writer) {
        out.u16s([self.place.into(), self.variation, self.work, self.rows]);
        out.f32(coding::float_of(self.calls) as f32);
        out.f32(coding::sum_of(self.total_ms) as f32);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (place, variation, work, rows) = (read_low(from)?, from.u16()?, from.u16()?, from.u16()?);
        let (calls, total_ms) = (from.f32()?, from.f32()?);
        let sound = calls.is_finite() && calls > 0.0 && total_ms.is_finite() && total_ms >= 0.0;
        let (calls, total_ms) = (coding::float_24(calls.into()), coding::sum(total_ms.into()));
        if sound { Ok(Self { place, variation, total_ms, work, rows, calls }) } else { Err(Damaged) }
    }
}

// === impl Short ===

impl Packed for Short {
    fn pack(place: u8, sums: &Sums) -> Self {
        Self {
            place,
            variation: coding::variation(sums.variation()),
            calls: coding::sum(sums.calls),
            total_ms: coding::sum(sums.total_ms),
            work: coding::sum(sums.work),
            rows: coding::sum(sums.rows),
        }
    }

    fn place(&self) -> u8 {
        self.place
    }

    fn sums(&self) -> Sums {
        let [calls, total_ms, work, rows] =
            [self.calls, self.total_ms, self.work, self.rows].map(coding::sum_of);
        Sums::closed(calls, total_ms, work, rows, coding::variation_of(self.variation))
    }

    fn load(&self) -> (f64, f64) {
        (coding::sum_of(self.calls), coding::sum_of(self.total_ms))
    }

    fn write(&self, out: &mut Writer) {
        out.u16s([self.place.into(), self.variation, self.calls, self.total_ms, self.work, self.rows]);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (place, variation, calls) = (read_low(from)?, from.u16()?, from.u16()?);
        let (total_ms, work, rows) = (from.u16()?, from.u16()?, from.u16()?);
        if calls == 0 { Err(Damaged) } else { Ok(Self { place, variation, calls, total_ms, work, rows }) }
    }
}

#[cfg(test)]
mod tests;
