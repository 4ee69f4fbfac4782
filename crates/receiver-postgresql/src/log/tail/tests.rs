//! On real files: nothing is lost, nothing comes twice, whatever happens to the files in between.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use dbintel_plan::log::LinePrefix;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const LIMITS: TailLimits = TailLimits { bytes: 1 << 20, record_bytes: 4_096 };

struct World {
    directory: TempDir,
    tail: Tail,
    seen: Vec<String>,
}

impl World {
    fn new(pattern: &str, limits: TailLimits) -> Self {
        let directory = TempDir::new().unwrap();
        let pattern = format!("{}/{pattern}", directory.path().display());
        let tail = Tail::new(vec![FilePattern::parse(&pattern).unwrap()], limits);
        Self { directory, tail, seen: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn read_as(&mut self, format: &LogFormat) -> Reading {
        let seen = &mut self.seen;
        self.tail.read(&|_| Some(format.clone()), &mut |_, bytes| {
            seen.push(String::from_utf8(bytes.to_vec()).unwrap());
        })
    }

    fn read(&mut self) -> Reading {
        self.read_as(&LogFormat::Json)
    }

    /// What came since this was last asked, without ends of lines.
    fn lines(&mut self) -> Vec<String> {
        self.read();
        std::mem::take(&mut self.seen).iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

#[test]
fn what_was_there_before_is_not_read() {
    let mut world = World::new("*.json", LIMITS);
    world.append("a.json", "{old}\n{half");
    world.append("whole.json", "{old}\n");
    assert_eq!(world.lines(), [""; 0]);
    world.append("a.json", " of it}\n{new}\n");
    world.append("whole.json", "{newer}\n");
    world.append("b.json", "{first}\n");
    let mut lines = world.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["{first}", "{newer}", "{new}"]);
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn a_record_is_taken_when_it_is_complete() {
    let mut world = World::new("*", LIMITS);
    world.append("a", "");
    world.read();
    world.append("a", "{one}\n{tw");
    assert_eq!(world.lines(), ["{one}"]);
    assert_eq!(world.lines(), [""; 0]);
    world.append("a", "o}\n");
    assert_eq!(world.lines(), ["{two}"]);
}

#[test]
fn the_last_lines_of_a_quiet_log_are_taken_a_round_later() {
    let format = LogFormat::Stderr(LinePrefix::parse("%p ").unwrap());
    let mut world = World::new("*", LIMITS);
    world.append("a", "");
    world.read_as(&format);
    world.append("a", "7 LOG:  one\n\tmore\n");
    world.read_as(&format);
    assert_eq!(world.seen, [""; 0]);
    world.read_as(&format);
    assert_eq!(world.seen.len(), 1);
    world.append("a", "7 LOG:  two\n");
    world.read_as(&format);
    world.append("a", "7 CONTEXT:  of two\n8 LOG:  three\n");
    world.read_as(&format);
    assert_eq!(world.seen, ["7 LOG:  one\n\tmore\n", "7 LOG:  two\n7 CONTEXT:  of two\n"]);
}

#[test]
fn nothing_is_lost_when_files_are_renamed_cut_replaced_or_removed() {
    let mut world = World::new("pg.log", LIMITS);
    world.append("pg.log", "{0}\n");
    world.read();
    world.append("pg.log", "{1}\n");
    world.rename("pg.log", "pg.log.1");
    // The server goes on with the old one until it is told.
    world.append("pg.log.1", "{2}\n");
    world.append("pg.log", "{3}\n");
    assert_eq!(world.lines(), ["{1}", "{2}", "{3}"]);
    world.append("pg.log.1", "{4}\n");
    assert_eq!(world.lines(), ["{4}"]);
    // Cut, and longer again than it was.
    fs::write(world.path("pg.log"), "{5}\n{6}\n{7}\n").unwrap();
    assert_eq!(world.lines(), ["{5}", "{6}", "{7}"]);
    fs::write(world.path("pg.log"), "{8}\n").unwrap();
    assert_eq!(world.lines(), ["{8}"]);
    world.append("pg.log", "{9}\n");
    fs::remove_file(world.path("pg.log")).unwrap();
    let reading = world.read();
    assert!(matches!(reading.error, Some(LogError::NoFile)), "{reading:?}");
    assert_eq!(world.seen, ["{9}\n"]);
    world.seen.clear();
    world.append("pg.log", "{10}\n");
    assert_eq!(world.lines(), ["{10}"]);
    // What is gone is forgotten.
    (0..=QUIET_ROUNDS).for_each(|_| drop(world.read()));
    assert_eq!(world.tail.files.len(), 1);
}

#[test]
fn a_directory_that_comes_later_is_begun_at_its_end() {
    let root = TempDir::new().unwrap();
    let directory = root.path().join("log");
    let pattern = FilePattern::parse(&format!("{}/*", directory.display())).unwrap();
    let mut tail = Tail::new(vec![pattern], LIMITS);
    let mut seen = 0;
    let mut read = |tail: &mut Tail| tail.read(&|_| Some(LogFormat::Json), &mut |_, _| seen += 1).error;
    assert!(matches!(read(&mut tail), Some(LogError::Unreadable { .. })));
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("a"), "{old}\n").unwrap();
    assert!(read(&mut tail).is_none());
    fs::write(directory.join("b"), "{new}\n").unwrap();
    assert!(read(&mut tail).is_none());
    assert_eq!(seen, 1);
}

#[test]
fn of_more_than_is_read_in_a_round_the_newest_is_read_and_the_rest_counted() {
    let mut world = World::new("*", TailLimits { bytes: 100, record_bytes: 50 });
    world.append("a", "");
    world.read();
    let lines: String = (0..30).map(|n| format!("{{{n:03}}}\n")).collect();
    world.append("a", &lines);
    let reading = world.read();
    // Where in a record it begins again is not known, so the one that is met first is not taken.
    assert_eq!((reading.skipped_bytes, reading.bytes), (80, 100));
    assert_eq!(world.seen.len(), 16);
    assert_eq!(world.seen.last().unwrap(), "{029}\n");
}

#[test]
fn a_record_that_is_too_long_is_given_up_and_the_next_one_taken() {
    let mut world = World::new("*", TailLimits { bytes: 1 << 20, record_bytes: 1_000 });
    world.append("a", "");
    world.read();
    let long = format!("{{{}", "x".repeat(CHUNKS_OF_LONG));
    world.append("a", &long);
    let reading = world.read();
    assert_eq!((reading.long_records, world.seen.len()), (1, 0));
    world.append("a", "rest}\n{next}\n");
    assert_eq!(world.lines(), ["{next}"]);
    // Within quotes a line that looks like a record is none.
    let csv = |text: &str| format!("2026-11-21 14:14:21.123 UTC,\"{text}\"\n");
    let forged = csv(&format!("{}\n2026-11-21 14:14:21.123 UTC,forged\n", "x".repeat(CHUNKS_OF_LONG)));
    world.append("b", &(forged + &csv("next")));
    let reading = world.read_as(&LogFormat::Csv);
    assert_eq!(reading.long_records, 1);
    assert_eq!(world.seen, [csv("next")]);
}

/// More than is read at once.
const CHUNKS_OF_LONG: usize = 200_000;

#[test]
fn what_cannot_be_read_is_said_and_what_is_no_file_left_alone() {
    let mut world = World::new("*", LIMITS);
    fs::create_dir(world.path("directory")).unwrap();
    assert!(matches!(world.read().error, Some(LogError::NoFile)));
    world.append("secret", "{}\n");
    fs::set_permissions(world.path("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root can read everything.
    let refused = fs::File::open(world.path("secret")).is_err();
    assert_eq!(world.read().error.is_some(), refused);
    let mut nowhere = Tail::new(vec![FilePattern::parse("/nonexistent/of/the/test/*").unwrap()], LIMITS);
    let error = nowhere.look().error.unwrap();
    assert_eq!(error.to_string(), "/nonexistent/of/the/test cannot be read: entity not found");
}

#[test]
fn no_more_files_are_followed_and_held_open_than_allowed() {
    let mut world = World::new("*", LIMITS);
    world.append("first", "");
    world.read();
    for number in 0..MAX_FILES + 10 {
        world.append(&format!("{number}"), "{}\n");
    }
    let reading = world.read();
    assert_eq!((reading.files_beyond, world.seen.len()), (11, MAX_FILES));
    assert!(world.tail.files.values().filter(|file| file.open.is_some()).count() <= MAX_OPEN);
}

#[derive(Clone, Debug)]
enum Step {
    Write,
    WriteHalf,
    Rotate,
    Read,
}

proptest! {
    /// Every record once, in order, also if it is written in two parts and the file is renamed in between.
    #[test]
    fn every_record_comes_once(steps in prop::collection::vec(prop_oneof![
        Just(Step::Write), Just(Step::WriteHalf), Just(Step::Rotate), Just(Step::Read)], 0..60)) {
        let mut world = World::new("pg.log*", LIMITS);
        world.append("pg.log", "");
        world.read();
        let (mut number, mut rotations, mut is_half) = (0, 0, false);
        for step in steps.iter().chain([&Step::Write]) {
            match step {
                Step::Write if is_half => { world.append("pg.log", &format!("{number}}}\n")); (number, is_half) = (number + 1, false); }
                Step::Write => { world.append("pg.log", &format!("{{{number}}}\n")); number += 1; }
                Step::WriteHalf if !is_half => { world.append("pg.log", "{"); is_half = true; }
                Step::WriteHalf => {}
                // The server ends a record before it goes on with another file.
                Step::Rotate if !is_half => {
                    rotations += 1;
                    world.rename("pg.log", &format!("pg.log.{rotations}"));
                    world.append("pg.log", "");
                }
                Step::Rotate => {}
                Step::Read => { world.read(); }
            }
        }
        world.read();
        let mut seen: Vec<i32> =
            world.seen.iter().map(|line| line.trim_matches(['{', '}', '\n']).parse().unwrap()).collect();
        // Files that were written to at the same moment come in any order.
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..number).collect::<Vec<_>>());
    }
}
