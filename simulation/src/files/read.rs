//! A history from text.

use std::borrow::Cow;
use std::path::Path;

use jiff::Timestamp;

use super::{BLOCKS_MAX, COLUMNS, FIRST_LINE, Problem};
use crate::history::{Block, Control, History, Truth, Waits};

/// Class of a history that names none.
const RECORDED: &str = "recorded";
/// Length of a block where none is given.
const BLOCK_MINUTES: u32 = 10;

/// What is wrong, without the place.
type Read<T> = Result<T, String>;

/// The lines before the rows.
#[derive(Debug)]
struct Head {
    name: Option<String>,
    block_minutes: u32,
    first_s: Option<i64>,
    last_s: Option<i64>,
    flip_s: Option<i64>,
    without_flip_s: Option<i64>,
    truth: Truth,
}

/// Where in a row each of [`COLUMNS`] is.
#[derive(Debug, Default)]
struct Columns {
    places: [Option<usize>; COLUMNS.len()],
}

/// The rows as they come.
#[derive(Debug, Default)]
struct Rows {
    start_s: Option<i64>,
    blocks: Vec<Option<Block>>,
}

/// Reads a history. `file` is for what is said about it.
///
/// # Errors
///
/// If the text is not as documented.
pub fn parse(text: &str, file: &Path) -> Result<History, Problem> {
    let problem = |line: usize, what: String| Problem { file: file.to_owned(), line, what };
    let mut lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim_end()));
    if lines.next().is_none_or(|(_, line)| line != FIRST_LINE) {
        return Err(problem(1, format!("the first line must be \"{FIRST_LINE}\"")));
    }
    let mut head = Head::default();
    let mut columns = None;
    let mut rows = Rows::default();
    let mut last_line = 1;
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        last_line = number;
        let read = match (line.strip_prefix('#'), &columns) {
            (Some(entry), None) => head.read(entry),
            (Some(_), Some(_)) => {
                Err("what belongs to the head must be before the names of the columns".to_owned())
            }
            (None, None) => Columns::read(line).map(|read| columns = Some(read)),
            (None, Some(columns)) => rows.read(line, columns, &head),
        };
        read.map_err(|what| problem(number, what))?;
    }
    let name = file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    rows.end(head, name).map_err(|what| problem(last_line, what))
}

// === impl Head ===

impl Default for Head {
    fn default() -> Self {
        Self {
            name: None,
            block_minutes: BLOCK_MINUTES,
            first_s: None,
            last_s: None,
            flip_s: None,
            without_flip_s: None,
            truth: Truth::neutral(RECORDED),
        }
    }
}

impl Head {
    fn read(&mut self, entry: &str) -> Read<()> {
        let (key, value) = entry.split_once(':').ok_or("expected \"# key: value\"")?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "name" => self.name = Some(value.to_owned()),
            "block_minutes" => self.block_minutes = block_minutes(value)?,
            "first" => self.first_s = Some(time(value)?),
            "last" => self.last_s = Some(time(value)?),
            "flip" => self.flip_s = Some(time(value)?),
            "without_flip_from" => self.without_flip_s = Some(time(value)?),
            "class" => self.truth.class = Cow::Owned(value.to_owned()),
            "ratio" => self.truth.ratio = at_least(value, 1.0)?,
            "work_exponent" => self.truth.work_exponent = at_least(value, 0.0)?,
            "mixture" => self.truth.mixture = yes(value)?,
            "mixture_shift_hours" => self.truth.mixture_shift_hours = Some(number(value)?),
            "time_shift_hours" => self.truth.time_shift_hours = Some(number(value)?),
            _ => return Err(format!("unknown key \"{key}\"; see docs/evidence-histories.md")),
        }
        Ok(())
    }

    fn block_s(&self) -> i64 {
        i64::from(self.block_minutes) * 60
    }

    /// The first block that begins at the flip or after it, and whether there is a flip. Without either, all blocks are before.
    fn flip(&self, start_s: i64, blocks: usize) -> Read<(usize, bool)> {
        let (moment_s, flipped) = match (self.flip_s, self.without_flip_s) {
            (Some(_), Some(_)) => return Err("flip and without_flip_from exclude each other".to_owned()),
            (Some(moment_s), None) => (moment_s, true),
            (None, Some(moment_s)) => (moment_s, false),
            (None, None) => return Ok((blocks, false)),
        };
        let before = moment_s.checked_sub(start_s).ok_or("the moment of the flip is out of range")?;
        let index = before.div_euclid(self.block_s()) + i64::from(before.rem_euclid(self.block_s()) > 0);
        let index = usize::try_from(index).ok().filter(|index| *index <= blocks);
        Ok((index.ok_or("the moment of the flip is not within the rows")?, flipped))
    }
}

fn block_minutes(value: &str) -> Read<u32> {
    let minutes: Option<u32> = value.parse().ok().filter(|minutes| *minutes > 0 && 60 % minutes == 0);
    minutes.ok_or_else(|| format!("\"{value}\" is no divisor of 60"))
}

/// RFC 3339, or seconds since 1970.
fn time(value: &str) -> Read<i64> {
    // Whatever the year: sums and differences of such numbers fit.
    let in_range = |seconds: &i64| Timestamp::from_second(*seconds).is_ok();
    let seconds = value.parse().ok().or_else(|| value.parse::<Timestamp>().ok().map(Timestamp::as_second));
    seconds
        .filter(in_range)
        .ok_or_else(|| format!("\"{value}\" is no time: expected RFC 3339 or seconds since 1970"))
}

fn number(value: &str) -> Read<f64> {
    let number: Option<f64> = value.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("\"{value}\" is no number"))
}

fn at_least(value: &str, least: f64) -> Read<f64> {
    let number = number(value)?;
    if number < least { Err(format!("{value} is less than {least}")) } else { Ok(number) }
}

fn yes(value: &str) -> Read<bool> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("\"{value}\": expected yes or no")),
    }
}

// === impl Columns ===

impl Columns {
    fn read(line: &str) -> Read<Self> {
        let mut columns = Self::default();
        for (place, name) in line.split(',').map(str::trim).enumerate() {
            let mut known = COLUMNS.iter().zip(&mut columns.places);
            let column = known.find(|(known, _)| **known == name).map(|(_, column)| column);
            let column = column
                .ok_or_else(|| format!("unknown column \"{name}\"; there are {}", COLUMNS.join(", ")))?;
            if column.replace(place).is_some() {
                return Err(format!("column \"{name}\" is there twice"));
            }
        }
        match COLUMNS.iter().zip(&columns.places).take(3).find(|(_, place)| place.is_none()) {
            Some((name, _)) => Err(format!("column \"{name}\" is missing")),
            None => Ok(columns),
        }
    }

    /// Start and content of a row.
    fn row(&self, line: &str) -> Read<(i64, Block)> {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let named = self.places.iter().flatten().count();
        if cells.len() != named {
            return Err(format!("{} cells, but {named} columns", cells.len()));
        }
        let filled = self
            .places
            .map(|place| place.and_then(|place| cells.get(place).copied()).filter(|cell| !cell.is_empty()));
        let [start, calls, total_ms, sum_sq, touched, rows, min_ms, control, statements, sampled, waiting] =
            filled;
        let not_negative = |cell: Option<&str>| cell.map(|cell| at_least(cell, 0.0)).transpose();
        let block = Block {
            calls: count(calls.ok_or("calls is empty")?)?,
            total_ms: at_least(total_ms.ok_or("total_ms is empty")?, 0.0)?,
            sum_sq: not_negative(sum_sq)?,
            touched: not_negative(touched)?,
            rows: not_negative(rows)?,
            min_ms: not_negative(min_ms)?,
            control: pair(control, statements, "control and control_statements")?
                .map(|(control, statements)| {
                    Ok::<_, String>(Control { log_ratio: number(control)?, statements: count(statements)? })
                })
                .transpose()?,
            waits: pair(sampled, waiting, "sampled and waiting")?.map(waits).transpose()?,
        };
        Ok((time(start.ok_or("start is empty")?)?, block))
    }
}

/// Both or none.
fn pair<'a>(
    first: Option<&'a str>,
    second: Option<&'a str>,
    names: &str,
) -> Read<Option<(&'a str, &'a str)>> {
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        _ => Err(format!("{names} belong together: one of them is empty")),
    }
}

fn waits((sampled, waiting): (&str, &str)) -> Read<Waits> {
    let waits = Waits { sampled: count(sampled)?, waiting: count(waiting)? };
    if waits.waiting > waits.sampled {
        Err("more sessions waited than were sampled".to_owned())
    } else {
        Ok(waits)
    }
}

fn count<T: std::str::FromStr>(value: &str) -> Read<T> {
    value.parse().map_err(|_| format!("\"{value}\" is no count"))
}

// === impl Rows ===

impl Rows {
    fn read(&mut self, line: &str, columns: &Columns, head: &Head) -> Read<()> {
        let (start_s, block) = columns.row(line)?;
        let first_s = *self.start_s.get_or_insert(head.first_s.unwrap_or(start_s));
        let (index, rest) =
            ((start_s - first_s).div_euclid(head.block_s()), (start_s - first_s).rem_euclid(head.block_s()));
        if rest != 0 {
            return Err(format!(
                "start is not a multiple of {} minutes after the first one",
                head.block_minutes
            ));
        }
        self.fill_to(index)?;
        self.blocks.push(Some(block));
        Ok(())
    }

    /// Blocks up to before `index` that have no row are unknown.
    fn fill_to(&mut self, index: i64) -> Read<()> {
        let index = usize::try_from(index).ok().filter(|index| *index >= self.blocks.len());
        let index = index.ok_or("start is not after the start of the row before")?;
        if index >= BLOCKS_MAX {
            return Err(format!("more than {BLOCKS_MAX} blocks"));
        }
        self.blocks.resize(index, None);
        Ok(())
    }

    fn end(mut self, head: Head, file_name: String) -> Read<History> {
        let start_s = self.start_s.ok_or("there are no rows")?;
        if let Some(last_s) = head.last_s {
            self.fill_to((last_s - start_s).div_euclid(head.block_s()) + 1)?;
        }
        let (flip, flipped) = head.flip(start_s, self.blocks.len())?;
        Ok(History {
            name: head.name.unwrap_or(file_name),
            start_s,
            block_minutes: head.block_minutes,
            flip,
            flipped,
            blocks: self.blocks,
            truth: head.truth,
        })
    }
}
