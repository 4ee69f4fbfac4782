use super::*;
use crate::generator::{Class, Generator, Shape};
use crate::history::{Block, Control, Waits};

fn file() -> &'static Path {
    Path::new("dir/statement.csv")
}

const SMALL: &str = "\
# dbintel history 1
# flip: 2026-03-04T10:25:00Z
start,calls,total_ms
2026-03-04T10:00:00Z,5,12.5
2026-03-04T10:10:00Z,0,0

1772619600,7,3
";

fn problem(text: &str) -> String {
    parse(text, file()).unwrap_err().to_string()
}

#[test]
fn a_small_file_has_what_it_must_have() {
    let history = parse(SMALL, file()).unwrap();
    assert_eq!((history.name.as_str(), history.block_minutes, history.blocks.len()), ("statement", 10, 3));
    // The flip is within the block at 10:20.
    assert_eq!((history.flip, history.flipped), (3, true));
    assert_eq!(history.blocks[0], Some(Block { calls: 5, total_ms: 12.5, ..Block::default() }));
    assert_eq!((history.truth.class.as_ref(), history.truth.ratio), ("recorded", 1.0));
}

#[test]
fn all_columns_are_read_in_any_order() {
    let text = "# dbintel history 1\n# name: a: b\n# block_minutes: 30\n# class: mine\n# ratio: 3\n# work_exponent: 0.5\n\
        # mixture: yes\n# mixture_shift_hours: -0.5\n# time_shift_hours: 12\n# without_flip_from: 3600\n\
        waiting,sampled,control_statements,control,min_ms,rows,blocks,sum_sq,total_ms,calls,start\n\
        1,4,50,-0.25,0.5,8,100,30,20,10,0\n,,,,,,,,20,10,1800\n";
    let history = parse(text, file()).unwrap();
    let full = Block {
        calls: 10,
        total_ms: 20.0,
        sum_sq: Some(30.0),
        touched: Some(100.0),
        rows: Some(8.0),
        min_ms: Some(0.5),
        control: Some(Control { log_ratio: -0.25, statements: 50 }),
        waits: Some(Waits { sampled: 4, waiting: 1 }),
    };
    let bare = Block { calls: 10, total_ms: 20.0, ..Block::default() };
    assert_eq!(history.blocks, [Some(full), Some(bare)]);
    assert_eq!((history.flip, history.flipped, history.name.as_str()), (2, false, "a: b"));
    assert_eq!(
        (history.truth.ratio, history.truth.mixture, history.truth.shifts_at_flip()),
        (3.0, true, true)
    );
    assert_eq!(history.truth.time_shift_hours, Some(12.0));
}

#[test]
fn what_has_no_row_is_unknown() {
    let text = SMALL.replace("2026-03-04T10:10:00Z,0,0\n", "");
    assert_eq!(parse(&text, file()).unwrap().blocks[1], None);
}

#[test]
fn problems_name_file_and_line() {
    for (from, to, expected) in [
        ("history 1", "history 2", "dir/statement.csv:1: the first line must be \"# dbintel history 1\""),
        ("# flip: ", "# flap: ", "dir/statement.csv:2: unknown key \"flap\"; see docs/evidence-histories.md"),
        (
            "10:25:00Z",
            "soon",
            "dir/statement.csv:2: \"2026-03-04Tsoon\" is no time: expected RFC 3339 or seconds since 1970",
        ),
        ("start,calls", "start,call", "dir/statement.csv:3: unknown column \"call\"; there are start, "),
        ("start,calls", "calls,calls", "dir/statement.csv:3: column \"calls\" is there twice"),
        (",total_ms", "", "dir/statement.csv:3: column \"total_ms\" is missing"),
        (",5,12.5", ",5", "dir/statement.csv:4: 2 cells, but 3 columns"),
        (",5,12.5", ",-5,12.5", "dir/statement.csv:4: \"-5\" is no count"),
        (",5,12.5", ",5,-1", "dir/statement.csv:4: -1 is less than 0"),
        (",5,12.5", ",5,inf", "dir/statement.csv:4: \"inf\" is no number"),
        (",5,12.5", ",5,", "dir/statement.csv:4: total_ms is empty"),
        (
            "10:10:00Z",
            "10:11:00Z",
            "dir/statement.csv:5: start is not a multiple of 10 minutes after the first one",
        ),
        ("10:10:00Z", "10:00:00Z", "dir/statement.csv:5: start is not after the start of the row before"),
        ("1772619600", "1892619600", "dir/statement.csv:7: more than 100000 blocks"),
        ("10:25:00Z", "10:45:00Z", "dir/statement.csv:7: the moment of the flip is not within the rows"),
        (
            "# flip: ",
            "# without_flip_from: 0\n# flip: ",
            "dir/statement.csv:8: flip and without_flip_from exclude each other",
        ),
    ] {
        let text = SMALL.replace(from, to);
        let found = problem(&text);
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
    assert_eq!(
        problem("# dbintel history 1\nstart,calls,total_ms\n"),
        "dir/statement.csv:2: there are no rows"
    );
    let half = "# dbintel history 1\nstart,calls,total_ms,sampled,waiting\n0,1,1,5,\n";
    assert_eq!(
        problem(half),
        "dir/statement.csv:3: sampled and waiting belong together: one of them is empty"
    );
    let more = "# dbintel history 1\nstart,calls,total_ms,sampled,waiting\n0,1,1,5,6\n";
    assert_eq!(problem(more), "dir/statement.csv:3: more sessions waited than were sampled");
    let minutes = "# dbintel history 1\n# block_minutes: 7\n";
    assert_eq!(problem(minutes), "dir/statement.csv:2: \"7\" is no divisor of 60");
}

#[test]
fn what_is_written_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    for (class, shape, ratio) in [
        (Class::Model, Shape::WEEK_AND_DAY, 1.0),
        (Class::Resets, Shape::WEEK_AND_DAY, 1.0),
        (Class::ColdCache, Shape { days_before: 1, ..Shape::WEEK_AND_DAY }, 2.5),
        (Class::MixtureShift, Shape { flip: false, ..Shape::WEEK_AND_DAY }, 1.0),
    ] {
        for number in 0..5 {
            let made = Generator { seed: 3, class, shape, ratio, label: class.label().into() }.make(number);
            let made = History { name: format!("{class:?}:{number}"), ..made };
            let path = keep(&made, directory.path()).unwrap();
            assert_eq!(read(&path).unwrap(), made, "{}", made.name);
        }
    }
    assert_eq!(list(directory.path()).unwrap().len(), 20);
}

#[test]
fn a_directory_without_histories_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), "no").unwrap();
    assert_eq!(list(directory.path()).unwrap_err().what, "holds no file whose name ends with .csv");
    assert!(read(&directory.path().join("none.csv")).unwrap_err().what.starts_with("cannot be read: "));
}
