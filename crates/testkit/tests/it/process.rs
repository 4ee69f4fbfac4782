//! The process helper, with shell scripts in place of `dbintel`.

use std::time::Duration;

use dbintel_testkit::ports::ReservedPort;
use dbintel_testkit::process::Launch;
use http::StatusCode;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Launch {
    Launch::bare("sh").argument("-c").argument(script)
}

#[tokio::test]
async fn output_and_exit_code_are_captured() {
    let output = shell("echo out; echo err >&2; exit 3").output().await;
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn a_signal_reaches_the_process() {
    let mut process =
        shell("trap 'echo bye >&2; exit 0' TERM; echo up; while :; do sleep 0.01; done").start();
    while process.stdout().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(process.is_running());
    assert!(process.figures().rss_bytes > 0);
    assert!(process.stop(SOON).await.success());
    assert_eq!(process.stderr(), "bye\n");
}

#[tokio::test]
#[should_panic(expected = "did not end")]
async fn waiting_in_vain_says_so() {
    shell("sleep 60").start().wait(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn files_and_environment_are_given_to_the_process() {
    let launch = shell("cat note; echo $NOTE").env("NOTE", "heard");
    launch.write_file("note", "seen\n");
    assert_eq!(launch.output().await.stdout, b"seen\nheard\n");
}

#[tokio::test]
async fn it_answers_over_loopback() {
    let port = ReservedPort::reserve().get();
    let server =
        "import http.server as s; s.HTTPServer(('127.0.0.1', %), s.SimpleHTTPRequestHandler).serve_forever()";
    let launch = Launch::bare("python3").argument("-c").argument(server.replace('%', &port.to_string()));
    launch.write_file("index.html", "hello");
    let mut process = launch.start();
    assert!(process.http_get(port, "/missing").await.is_err(), "nobody can listen yet");
    process.wait_until_ready(port, "/", SOON).await;
    assert_eq!(process.http_get(port, "/").await, Ok((StatusCode::OK, "hello".to_owned())));
    assert_eq!(process.http_get(port, "/missing").await.unwrap().0, StatusCode::NOT_FOUND);
    let pid = process.pid();
    drop(process);
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());
}
