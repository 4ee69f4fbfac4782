use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::*;

fn config(path: PathBuf) -> Config {
    Config {
        path,
        max_bytes: 20,
        max_backups: 2,
        flush_interval: Duration::from_secs(1),
        append: true,
        create_directory: false,
    }
}

fn read(directory: &Path, name: &str) -> Option<String> {
    fs::read_to_string(directory.join(name)).ok()
}

#[test]
fn rotates_at_the_limit_and_keeps_so_many_backups() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(config(directory.path().join("out.json")), Begun::default());
    for number in 0..8 {
        writer.write(format!("line {number:02}\n").as_bytes()).unwrap();
    }
    let files =
        ["out.json", "out.json.1", "out.json.2", "out.json.3"].map(|name| read(directory.path(), name));
    let lines = |a, b| Some(format!("line {a:02}\nline {b:02}\n"));
    assert_eq!(files, [lines(6, 7), lines(4, 5), lines(2, 3), None]);
    let long = "x".repeat(100) + "\n";
    writer.write(long.as_bytes()).unwrap();
    assert_eq!(read(directory.path(), "out.json"), Some(long));
}

#[test]
fn without_backups_the_old_file_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { max_backups: 0, ..config(directory.path().join("out.json")) };
    let mut writer = Writer::new(config, Begun::default());
    for number in 0..3 {
        writer.write(format!("line {number:02}\n").as_bytes()).unwrap();
    }
    assert_eq!(read(directory.path(), "out.json"), Some("line 02\n".to_owned()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn is_for_our_user_alone_and_leaves_the_mode_of_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/out.json");
    let mut writer = Writer::new(Config { create_directory: true, ..config(path.clone()) }, Begun::default());
    writer.write(b"1\n").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    Writer::new(config(path.clone()), Begun::default()).write(b"2\n").unwrap();
    assert_eq!(mode(&path), 0o640);
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
}

#[test]
fn continues_a_file_or_empties_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    fs::write(&path, "old\n").unwrap();
    let mut writer =
        Writer::new(Config { append: false, max_bytes: 1_000, ..config(path.clone()) }, Begun::default());
    writer.write(b"1\n").unwrap();
    writer.open = None;
    writer.write(b"2\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
}

#[test]
fn half_a_line_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    for (there, expected) in [
        ("whole\nhal".to_owned(), "whole\nnew\n"),
        ("no line at all".to_owned(), "new\n"),
        (String::new(), "new\n"),
        ("whole\n".to_owned() + &"x".repeat(200_000), "whole\nnew\n"),
    ] {
        fs::write(&path, there).unwrap();
        let mut writer =
            Writer::new(Config { max_bytes: 1_000_000, ..config(path.clone()) }, Begun::default());
        writer.write(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/out.json");
    let mut writer = Writer::new(config(path.clone()), Begun::default());
    assert!(writer.write(b"1\n").is_err());
    fs::create_dir(path.parent().unwrap()).unwrap();
    writer.write(b"2\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
    let mut full = Writer::new(config("/dev/full".into()), Begun::default());
    assert_eq!(full.write(b"1\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
}
