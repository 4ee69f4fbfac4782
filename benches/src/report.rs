//! Machine, targets and measurements, as a table and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::chain::again::{Again, Run, Times};
use crate::chain::{ASKED, CHAIN, LONG_MS, Latency, Passed, SameWork};
use crate::database_time::{Cost, DatabaseTime};
use crate::histories::{ByBoth, FromStore, Histories};
use crate::machine::Machine;
use crate::micro::{self, Micro};
use crate::plans::{Plans, Runs};
use crate::replay::Replayed;
use crate::scenario::Extent;
use crate::scenario::idle::Idle;
use crate::scenario::overload::Overload;
use crate::scenario::start::Start;
use crate::scenario::steady::Steady;

/// What the replay of a week of 1,000 statements may take of one core.
const REPLAY_SECONDS: f64 = 60.0;
/// Statements in the table of database time.
const TOP_STATEMENTS: usize = 10;

/// Everything that was measured. What was left out is absent.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How long.
    pub extent: Extent,
    /// Targets and what became of them, filled in at the end.
    pub rows: Vec<Row>,
    /// See [`crate::scenario::start`].
    pub start: Option<Start>,
    /// See [`crate::scenario::idle`].
    pub idle: Option<Idle>,
    /// One server, two databases; a tenth of the statements runs in each interval.
    pub known: Option<Steady>,
    /// One server, two databases; every statement runs in each interval.
    pub one_server: Option<Steady>,
    /// The same server with more databases than connections are kept for.
    pub many_databases: Option<Steady>,
    /// Ten servers in one process.
    pub ten_servers: Option<Steady>,
    /// See [`crate::scenario::overload`].
    pub overload: Option<Overload>,
    /// See [`crate::chain`], by kind of batch.
    pub chain: Vec<Passed>,
    /// See [`crate::chain::again`].
    pub again: Option<Again>,
    /// See [`crate::plans`].
    pub plans: Option<Plans>,
    /// See [`crate::histories`].
    pub histories: Option<Histories>,
    /// See [`crate::replay`].
    pub replay: Option<Replayed>,
    /// Micro-benches that were run before.
    pub micro: Vec<Micro>,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// The target, in words; empty where there is none.
    pub target: String,
    /// The figure, in words.
    pub measured: String,
    /// Whether the target is met; absent where there is none.
    pub ok: Option<bool>,
}

impl Report {
    /// A report without measurements.
    #[must_use]
    pub fn new(machine: Machine, extent: Extent, micro: Vec<Micro>) -> Self {
        Self {
            machine,
            extent,
            rows: Vec::new(),
            start: None,
            idle: None,
            known: None,
            one_server: None,
            many_databases: None,
            ten_servers: None,
            overload: None,
            chain: Vec::new(),
            again: None,
            plans: None,
            histories: None,
            replay: None,
            micro,
        }
    }

    /// Derives the rows from the measurements.
    pub fn conclude(&mut self) {
        let mut rows = Vec::new();
        if let Some(start) = &self.start {
            of_start(start, &mut rows);
        }
        if let Some(idle) = &self.idle {
            of_idle(idle, &mut rows);
        }
        if let Some(known) = &self.known {
            of_database_time(known, &mut rows);
        }
        if let Some(one) = &self.one_server {
            of_one_server(one, &mut rows);
        }
        if let Some(many) = &self.many_databases {
            of_more(many, "5 databases more", &mut rows);
        }
        if let Some(ten) = &self.ten_servers {
            of_more(ten, &format!("{} servers", ten.servers), &mut rows);
        }
        if let Some(overload) = &self.overload {
            of_overload(overload, &mut rows);
        }
        self.chain.iter().for_each(|passed| of_chain(passed, &mut rows));
        self.again.iter().for_each(|again| of_again(again, &mut rows));
        if let Some(plans) = &self.plans {
            of_plans(plans, &mut rows);
        }
        if let Some(histories) = &self.histories {
            of_histories(histories, &mut rows);
        }
        if let Some(replayed) = &self.replay {
            of_replay(replayed, &mut rows);
        }
        of_micro(&self.micro, &mut rows);
        self.rows = rows;
    }

    /// The whole report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = machine(&self.machine, self.extent);
        text += &table(&self.rows);
        if let Some(known) = &self.known {
            text += &statements("a tenth active, per poll", &known.database);
        }
        if let Some(one) = &self.one_server {
            text += &statements("all active, per poll", &one.database);
            text += &statements("start and first poll", &one.database_at_start);
        }
        if let Some(many) = &self.many_databases {
            text += &statements("5 databases more, per poll", &many.database);
        }
        text
    }
}

// === Rows ===

fn met(what: &str, target: &str, measured: String, ok: bool) -> Row {
    Row { what: what.to_owned(), target: target.to_owned(), measured, ok: Some(ok) }
}

fn info(what: impl Into<String>, measured: String) -> Row {
    Row { what: what.into(), target: String::new(), measured, ok: None }
}

fn of_start(start: &Start, rows: &mut Vec<Row>) {
    let (median, worst) = (start.ready_median_ms(), start.ready_worst_ms());
    let runs = start.ready_ms.len();
    rows.push(met(
        "start to ready",
        "< 100 ms",
        format!("median {median:.1} ms, worst {worst:.1} of {runs}"),
        worst < 100.0,
    ));
    let first = crate::watch::median(start.first_data_ms.iter().copied());
    rows.push(info("start to first data at the backend, initial_delay 0", format!("median {first:.0} ms")));
}

fn of_idle(idle: &Idle, rows: &mut Vec<Row>) {
    let watched = &idle.watched;
    let (rss, anonymous) = (watched.rss_median_mib, watched.anonymous_median_mib);
    let measured = format!("{rss:.1} MiB ({anonymous:.1} anonymous) after {:.0} s", idle.after_seconds);
    rows.push(met("idle RSS, one database", "< 20 MiB", measured, rss < 20.0));
    let cpu = format!("{:.2} % over {:.0} s", watched.cpu_percent, watched.seconds);
    rows.push(info("idle CPU", cpu));
    rows.push(info("idle threads, open files", format!("{}, {}", watched.threads, watched.open_files)));
}

fn of_one_server(one: &Steady, rows: &mut Vec<Row>) {
    let watched = &one.watched;
    rows.push(met(
        "CPU, one server, 5,000 statements active, every 10 s",
        "< 0.5 % of a core",
        format!("{:.2} % over {:.0} s", watched.cpu_percent, watched.seconds),
        watched.cpu_percent < 0.5,
    ));
    of_database_time(one, rows);
    rows.push(info(
        "  start and first poll, texts of all statements included",
        format!("{:.1} ms", one.database_at_start.ms_per_poll),
    ));
    rows.push(info("  by the collector's own account", format!("{:.2} ms", one.own_account_ms_per_poll)));
    memory("RSS, one server", one, rows);
    rows.push(info(
        "poll duration, server loop / databases loop",
        format!("median {:.1} / {:.1} ms", one.server_loop_median_ms(), one.databases_loop_median_ms()),
    ));
    rows.push(info(
        "per poll: points, statements to the lane, statements sent, bytes",
        format!(
            "{:.0}, {:.0}, {:.0}, {:.0} KiB",
            one.points_per_poll,
            one.log_records_per_poll,
            one.log_records_sent_per_poll,
            one.wire_bytes_per_poll / 1024.0
        ),
    ));
    rows.push(info("records lost, parts missing", format!("{:.0}, {:.0}", one.lost_records, one.gaps)));
}

fn of_histories(histories: &Histories, rows: &mut Vec<Row>) {
    let Histories { statements, rss_per_statement, live_per_statement, trials, live_per_trial, .. } =
        histories;
    rows.push(met(
        &format!("memory of a full history, {statements} statements"),
        "at most 4,096 B",
        format!("{rss_per_statement:.0} B resident, {live_per_statement:.0} B in use"),
        *rss_per_statement <= 4096.0,
    ));
    rows.push(met(
        &format!("  more for a statement under trial, {trials} of them"),
        "at most 16,384 B",
        format!("{live_per_trial:.0} B in use"),
        *live_per_trial <= 16384.0,
    ));
    rows.push(met(
        "  intervals verified, on one core",
        "at least 200,000/s",
        format!(
            "{:.0}/s by the processor's time, {:.0}/s by the clock",
            histories.intervals_per_second.cpu, histories.intervals_per_second.clock
        ),
        histories.intervals_per_second.cpu >= 200_000.0,
    ));
    let by_both = |ByBoth { cpu, clock }: ByBoth<f64>| {
        format!("{cpu:.2} ms of the processor, {clock:.2} ms by the clock")
    };
    rows.push(info(format!("  longest batch of {statements}"), by_both(histories.worst_batch_ms)));
    rows.push(info("  longest part of what is done between batches", by_both(histories.worst_part_ms)));
    let (mebibytes, seconds) = (histories.state_bytes as f64 / f64::from(1 << 20), histories.restore_seconds);
    rows.push(info(
        "  taken over by a new chain, from memory",
        format!("{seconds:.2} s, {mebibytes:.1} MiB"),
    ));
    let stored = &histories.from_store;
    let FromStore { values, open_seconds, read_seconds, take_over_seconds, .. } = stored;
    rows.push(met(
        "  taken over by a new process, from an SQLite file",
        "< 1 s",
        format!(
            "{:.2} s: opened {open_seconds:.2}, read {read_seconds:.2}, taken over {take_over_seconds:.2}",
            stored.seconds()
        ),
        stored.seconds() < 1.0,
    ));
    rows.push(info(
        "    values, the file, until it was written",
        format!(
            "{values}, {:.1} MiB, {:.2} s",
            stored.file_bytes as f64 / f64::from(1 << 20),
            stored.write_seconds
        ),
    ));
}

fn of_plans(plans: &Plans, rows: &mut Vec<Row>) {
    let Plans { postgresql, sql_server } = plans;
    let said = |runs: &Runs| {
        let Runs { runs, median_us, p99_us, worst_us, .. } = runs;
        format!("median {median_us:.1} us, p99 {p99_us:.1}, worst {worst_us:.1} of {runs}")
    };
    rows.push(met(
        &format!("a plan of PostgreSQL not seen before, {} bytes", postgresql.bytes),
        "median < 60 us, p99 < 200 us",
        said(postgresql),
        postgresql.median_us < 60.0 && postgresql.p99_us < 200.0,
    ));
    rows.push(met(
        &format!("a showplan of SQL Server not seen before, {} bytes", sql_server.bytes),
        "< 15,000 us",
        said(sql_server),
        sql_server.p99_us < 15_000.0,
    ));
}

fn of_replay(replayed: &Replayed, rows: &mut Vec<Row>) {
    let Replayed { intervals, bytes, seconds, cpu_seconds } = replayed;
    let gigabytes = *bytes as f64 / 1e9;
    let measured = format!("{cpu_seconds:.1} s of one core, {seconds:.1} s in all");
    let what = format!("replay of a week, {intervals} intervals, {gigabytes:.1} GB of JSON");
    rows.push(met(&what, "< 60 s", measured, *cpu_seconds < REPLAY_SECONDS));
}

fn of_chain(passed: &Passed, rows: &mut Vec<Row>) {
    let kind = &passed.kind;
    rows.push(met(
        &format!("chain, {kind}: records/s on one core"),
        "at least 500,000",
        format!("{:.0} (texts all new: {:.0})", passed.records_per_second, passed.first_pass_per_second),
        passed.records_per_second >= ASKED,
    ));
    let by_processor: Vec<String> =
        CHAIN.iter().zip(&passed.processor_ns).map(|(name, ns)| format!("{name} {ns:.0}")).collect();
    rows.push(info("  ns per record by processor", by_processor.join(", ")));
    rows.push(info("  allocations per record", format!("{:.4}", passed.allocations_per_record)));
    for latency in &passed.latencies {
        of_latency(latency, rows);
    }
}

fn said_longest(longest: &[(f64, f64)]) -> String {
    let said: Vec<String> =
        longest.iter().map(|(at, took)| format!("{took:.2} ms after {at:.1} s")).collect();
    said.join(", ")
}

fn of_again(again: &Again, rows: &mut Vec<Row>) {
    let Again { records_per_second, seconds, batches, runs, shortest, second_shortest, longest } = again;
    let said = |times: &Times| {
        let Times { median_ms, p99_ms, worst_ms, long } = times;
        format!(
            "median {median_ms:.2} ms, p99 {p99_ms:.2}, worst {worst_ms:.2}, {long} of {batches} above {LONG_MS}"
        )
    };
    rows.push(met(
        &format!(
            "time in the lane at half load ({records_per_second:.0}/s), {} runs of {seconds:.0} s: the shortest time of each batch",
            runs.len()
        ),
        "worst < 5 ms",
        said(shortest),
        shortest.worst_ms < LONG_MS,
    ));
    rows.push(info("  the longest of them", said_longest(longest)));
    if let Some(times) = second_shortest {
        rows.push(info("  the second shortest of each", said(times)));
    }
    for Run { in_lane, processor, stolen_seconds, live_mib } in runs {
        rows.push(info(format!("  one run, of which the host took {stolen_seconds:.2} s"), said(in_lane)));
        rows.push(info("    of the processor, from batch to batch", said(processor)));
        let all = live_mib.iter();
        let (least, most) =
            (all.clone().fold(f64::MAX, |a, b| a.min(*b)), all.fold(0.0_f64, |a, b| a.max(*b)));
        let (first, last) = (live_mib[0], live_mib[live_mib.len() - 1]);
        let memory = format!("{first:.2} MiB at first, {last:.2} at last, {least:.2} to {most:.2}");
        rows.push(info("    memory in use", memory));
    }
}

fn of_latency(latency: &Latency, rows: &mut Vec<Row>) {
    let Latency {
        records_per_second,
        seconds,
        batches,
        median_ms,
        p99_ms,
        worst_ms,
        long,
        stolen_seconds,
        worst_cpu_ms,
        machine_pause_ms,
        same_work,
        longest_cpu,
        live,
    } = latency;
    rows.push(met(
        &format!("  time in the lane at half load ({records_per_second:.0}/s)"),
        "worst < 5 ms beyond the machine's own pauses",
        format!(
            "median {median_ms:.2} ms, p99 {p99_ms:.2}, worst {worst_ms:.2}, {long} of {batches} above {LONG_MS}; worst of the processor {worst_cpu_ms:.2}; an idle thread paused for {machine_pause_ms:.2}, the host took {stolen_seconds:.2} s"
        ),
        worst_ms - machine_pause_ms < LONG_MS,
    ));
    rows.push(info("  the most of the processor", said_longest(longest_cpu)));
    let SameWork { median_ms, p99_ms, worst_ms } = same_work;
    rows.push(info(
        "  what the machine makes of work that is always the same",
        format!("median {median_ms:.2} ms, p99 {p99_ms:.2}, worst {worst_ms:.2}"),
    ));
    rows.push(info(
        format!("  memory in use over {seconds:.0} s: start, first third, last third"),
        format!("{:.2}, {:.2}, {:.2} MiB", live.start_mib, live.first_third_mib, live.last_third_mib),
    ));
}

fn of_database_time(steady: &Steady, rows: &mut Vec<Row>) {
    let (database, all) = (steady.best_minute(), &steady.database);
    rows.push(met(
        &format!("database time per poll, {} of 5,000 known statements active", steady.active_statements),
        "< 15 ms",
        format!(
            "{:.2} ms in the best of {} minutes (execution {:.2}, planning {:.2}), mean {:.2}",
            database.ms_per_poll,
            steady.database_by_minute.len(),
            database.exec_ms_per_poll,
            database.plan_ms_per_poll,
            all.ms_per_poll
        ),
        database.ms_per_poll < 15.0,
    ));
    rows.push(info("  of which pg_stat_statements", format!("{:.2} ms", database.counters_ms_per_poll)));
    rows.push(info("  statements per poll", format!("{:.1}", database.statements_per_poll)));
    if let Some(cpu) = database.backend_cpu_ms_per_poll {
        rows.push(info("  CPU of our backends per poll, by the kernel", format!("{cpu:.2} ms")));
    }
}

fn of_more(steady: &Steady, name: &str, rows: &mut Vec<Row>) {
    let cpu = steady.watched.cpu_percent;
    let per_server = cpu / steady.servers as f64;
    rows.push(info(
        format!("{name}: CPU, {} statements active each", steady.active_statements),
        format!("{cpu:.2} %, {per_server:.2} % per server"),
    ));
    memory(&format!("{name}: RSS"), steady, rows);
    rows.push(info(
        format!("{name}: database time per poll of one server"),
        format!("{:.2} ms", steady.database.ms_per_poll),
    ));
    rows.push(info(
        format!("{name}: poll duration, server loop / databases loop, slowest"),
        format!("median {:.1} / {:.1} ms", steady.server_loop_median_ms(), steady.databases_loop_median_ms()),
    ));
    rows.push(info(
        format!("{name}: records lost, parts missing"),
        format!("{:.0}, {:.0}", steady.lost_records, steady.gaps),
    ));
}

fn memory(what: &str, steady: &Steady, rows: &mut Vec<Row>) {
    let watched = &steady.watched;
    rows.push(info(
        what,
        format!(
            "median {:.1} MiB ({:.1} anonymous), peak {:.1}",
            watched.rss_median_mib, watched.anonymous_median_mib, watched.rss_peak_mib
        ),
    ));
}

fn of_overload(overload: &Overload, rows: &mut Vec<Row>) {
    let watched = &overload.watched;
    rows.push(met(
        &format!("overload {:.1}x: RSS flat below the limit", overload.factor()),
        &format!("<= {} MiB, flat", overload.limit_mib),
        format!(
            "{:.0} to {:.0} MiB, peak {:.0}",
            watched.rss_first_third_mib, watched.rss_last_third_mib, watched.rss_peak_mib
        ),
        overload.is_flat(),
    ));
    rows.push(info(
        "overload: records/s offered, accepted, dropped, refused",
        format!(
            "{:.0}, {:.0}, {:.0}, {:.0}",
            overload.offered_records_per_second,
            overload.accepted_records_per_second,
            overload.dropped_records_per_second,
            overload.refused_records_per_second
        ),
    ));
    rows.push(info(
        "overload: CPU; records/s without hindrance",
        format!("{:.1} %; {:.0}", watched.cpu_percent, overload.free_records_per_second),
    ));
}

fn of_micro(all: &[Micro], rows: &mut Vec<Row>) {
    if let Some(rate) = micro::find(all, "otlp/protobuf/text_1KiB").and_then(|it| it.bytes_per_second) {
        let measured = format!("{:.2} GB/s", rate / 1e9);
        rows.push(met("OTLP encoder, 1 KiB texts", ">= 2 GB/s", measured, rate >= 2e9));
    }
    let small = micro::find(all, "otlp/protobuf/small_record").and_then(|it| it.elements_per_second);
    if let Some(rate) = small {
        let measured = format!("{:.2} M/s", rate / 1e6);
        rows.push(met("OTLP encoder, small records", ">= 1 M/s", measured, rate >= 1e6));
    }
    for micro in all {
        let mut measured = time(micro.median_ns);
        if let Some(rate) = micro.elements_per_second {
            let _ = write!(measured, ", {:.3} M/s, {:.0} ns each", rate / 1e6, 1e9 / rate);
        }
        if let Some(rate) = micro.bytes_per_second {
            let _ = write!(measured, ", {:.0} MB/s", rate / 1e6);
        }
        rows.push(info(format!("micro {}", micro.name), measured));
    }
}

fn time(ns: f64) -> String {
    if ns < 1e4 { format!("{ns:.0} ns") } else { format!("{:.1} us", ns / 1e3) }
}

// === Text ===

fn machine(machine: &Machine, extent: Extent) -> String {
    format!(
        "\nmachine     {}, {} cores, {:.0} GiB, Linux {}\nload        {} before, {} after\n\
         server      {}\nprogram     {}, profile {}, {:.1} MiB, {}\nmeasured    {extent:?}: {}\n\n",
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.load_before,
        machine.load_after,
        machine.postgresql,
        machine.dbintel,
        machine.profile,
        machine.program_mib,
        machine.rustc,
        machine.program,
    )
}

fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> &String| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (what, target, measured) =
        (width(|row| &row.what), width(|row| &row.target), width(|row| &row.measured));
    let mut text = format!("{:what$}  {:target$}  {:measured$}  ok\n", "", "target", "measured");
    for row in rows {
        let ok = match row.ok {
            Some(true) => "yes",
            Some(false) => "MISSED",
            None => "",
        };
        let line = format!("{:what$}  {:target$}  {:measured$}  {ok}", row.what, row.target, row.measured);
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn statements(title: &str, time: &DatabaseTime) -> String {
    let mut text = format!(
        "\ndatabase time by statement, {title}: {:.2} ms, of which execution {:.2}\n  \
         ms/poll    exec    plan  calls/poll   rows/call  mean exec   min exec  statement\n",
        time.ms_per_poll, time.exec_ms_per_poll
    );
    for cost in time.statements.iter().take(TOP_STATEMENTS) {
        let _ = writeln!(
            text,
            "{:>9.3} {:>7.3} {:>7.3} {:>11.2} {:>11.1} {:>10.3} {:>10.3}  {}",
            cost.ms_per_poll(),
            cost.exec_ms_per_poll,
            cost.plan_ms_per_poll,
            cost.calls_per_poll,
            cost.rows_per_call,
            cost.mean_exec_ms,
            cost.min_exec_ms,
            cost.what
        );
    }
    let rest: f64 = time.statements.iter().skip(TOP_STATEMENTS).map(Cost::ms_per_poll).sum();
    let count = time.statements.len().saturating_sub(TOP_STATEMENTS);
    let _ = writeln!(text, "{rest:>9.3}  {count} others");
    text
}
