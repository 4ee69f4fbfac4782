//! What was recorded, as files that `docs/evidence-histories.md` describes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::WARM_UP;
use crate::reading::{Block, Recorded};
use crate::statements::ALL;

/// A Monday, 00:00 UTC: when the first block of the warm-up is said to have begun.
const START_S: i64 = 1_772_409_600;
/// What a block of a second is said to have lasted.
const BLOCK_S: i64 = 600;
/// Executions of a block below which its mean says nothing about load.
const CALLS_MIN: f64 = 5.0;

/// Writes a file for each statement. Gives their number.
pub(crate) fn write(recorded: &BTreeMap<String, Recorded>, directory: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(directory)?;
    let distances: BTreeMap<&str, Vec<Option<f64>>> =
        recorded.iter().map(|(name, recorded)| (name.as_str(), distances(&recorded.blocks))).collect();
    for (name, recorded) in recorded {
        let mut text = head(name, recorded);
        for (number, block) in recorded.blocks.iter().enumerate() {
            let Some(block) = block else { continue };
            let others = distances.iter().filter(|(other, _)| **other != name.as_str());
            let others = others.filter_map(|(_, values)| values.get(number).copied().flatten()).collect();
            row(&mut text, START_S + (WARM_UP + number) as i64 * BLOCK_S, block, others);
        }
        std::fs::write(directory.join(format!("postgresql-17-{name}.csv")), text)?;
    }
    Ok(recorded.len())
}

fn head(name: &str, recorded: &Recorded) -> String {
    let number: Option<usize> = name.strip_prefix('s').and_then(|number| number.parse().ok());
    let statement = number.and_then(|number| ALL.get(number.checked_sub(1)?));
    let mixture = if statement.is_some_and(|statement| statement.mixture) { "yes" } else { "no" };
    let sql = recorded.sql.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "# dbintel history 1\n# name: {sql}\n# block_minutes: 10\n# mixture: {mixture}\n\
         start,calls,total_ms,sum_sq,blocks,rows,control,control_statements,sampled,waiting\n"
    )
}

fn row(text: &mut String, start_s: i64, block: &Block, others: Vec<f64>) {
    let Block { calls, total_ms, sum_sq, touched, rows, sampled, waiting } = block;
    let statements = others.len();
    let control = median(others).map_or_else(String::new, |control| format!("{control:.3}"));
    // Writing into a text does not fail.
    let _ = writeln!(
        text,
        "{start_s},{calls},{total_ms:.3},{sum_sq:.4e},{touched},{rows},{control},{statements},{sampled},{waiting}"
    );
}

/// How far each block's time per call is from the statement's usual one, the median of all blocks, as a logarithm.
fn distances(blocks: &[Option<Block>]) -> Vec<Option<f64>> {
    let logarithm = |block: &Option<Block>| {
        let block = block.as_ref().filter(|block| block.calls >= CALLS_MIN && block.total_ms > 0.0)?;
        Some((block.total_ms / block.calls).ln())
    };
    let logarithms: Vec<Option<f64>> = blocks.iter().map(logarithm).collect();
    let Some(usual) = median(logarithms.iter().copied().flatten().collect()) else { return logarithms };
    logarithms.into_iter().map(|value| Some(value? - usual)).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}
