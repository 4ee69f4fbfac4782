//! A history as text.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{COLUMNS, FIRST_LINE};
use crate::history::{Block, History};

/// The text of a file. Reading it gives the same history, as far as its first and last blocks are known.
#[must_use]
pub fn text(history: &History) -> String {
    let mut text = head(history);
    for (number, block) in history.blocks.iter().enumerate() {
        if let Some(block) = block {
            row(&mut text, history.start_of(number), block);
        }
    }
    text
}

fn head(history: &History) -> String {
    let truth = &history.truth;
    let mut lines = vec![
        FIRST_LINE.to_owned(),
        format!("# name: {}", one_line(&history.name)),
        format!("# block_minutes: {}", history.block_minutes),
        format!("# first: {}", time(history.start_s)),
        format!("# last: {}", time(history.start_of(history.blocks.len().saturating_sub(1)))),
        format!("# class: {}", one_line(&truth.class)),
        format!("# ratio: {}", truth.ratio),
        format!("# work_exponent: {}", truth.work_exponent),
        format!("# mixture: {}", if truth.mixture { "yes" } else { "no" }),
    ];
    let moment = time(history.start_of(history.flip));
    if history.flipped {
        lines.push(format!("# flip: {moment}"));
    } else {
        lines.push(format!("# without_flip_from: {moment}"));
    }
    if let Some(hours) = truth.mixture_shift_hours {
        lines.push(format!("# mixture_shift_hours: {hours}"));
    }
    if let Some(hours) = truth.time_shift_hours {
        lines.push(format!("# time_shift_hours: {hours}"));
    }
    lines.push(COLUMNS.join(","));
    lines.join("\n") + "\n"
}

fn row(text: &mut String, start_s: i64, block: &Block) {
    let cells = [
        block.sum_sq,
        block.touched,
        block.rows,
        block.min_ms,
        block.control.map(|control| control.log_ratio),
    ];
    let counts = [
        block.control.map(|control| control.statements),
        block.waits.map(|waits| waits.sampled),
        block.waits.map(|waits| waits.waiting),
    ];
    // Writing into a text does not fail.
    let _ = write!(text, "{},{},{}", time(start_s), block.calls, block.total_ms);
    for cell in cells {
        *text += &cell.map_or_else(|| ",".to_owned(), |cell| format!(",{cell}"));
    }
    for count in counts {
        *text += &count.map_or_else(|| ",".to_owned(), |count| format!(",{count}"));
    }
    text.push('\n');
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}
