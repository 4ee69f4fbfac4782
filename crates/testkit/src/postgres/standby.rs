//! Physical standbys: a copied data directory that streams from its primary.
//!
//! The copy is an online backup (`pg_backup_start`, or `pg_start_backup` before 15) while the primary runs, with a
//! replication slot so that no WAL is missing, because the packages have no `pg_basebackup`.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, Home, SUPERUSER_PASSWORD};
use super::installation::Major;
use super::settings;
use super::template::{SUPERUSER, copy_directory};
use crate::wait::blocking;

/// A standby that has not caught up by then never will.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a standby is asked whether it has caught up.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl Cluster {
    /// A hot standby of this cluster, with the same options, streaming when this returns.
    pub async fn standby(&self) -> Self {
        let primary = Arc::clone(self.home());
        let home = blocking({
            let primary = Arc::clone(&primary);
            move || Home::new(primary.major, primary.options.clone(), primary.authority.clone())
        })
        .await;
        let slot = format!("standby_{}", home.port.get());
        let mut session = self.connect("postgres").await;
        run(&mut session, &format!("SELECT pg_create_physical_replication_slot('{slot}', true)")).await;
        run(&mut session, start_backup(primary.major)).await;
        let (source, target) = (primary.data(), home.data());
        blocking(move || copy_directory(&source, &target)).await;
        let label: String = sqlx::query_scalar(stop_backup(primary.major))
            .fetch_one(&mut session)
            .await
            .expect("the session that started the backup ends it");
        let _ = session.close().await;
        let conninfo = self.conninfo(&slot);
        let standby = blocking(move || {
            become_standby(&home, &label, &conninfo, &slot);
            Self::launch(home)
        })
        .await;
        self.wait_for_standby(&standby).await;
        standby
    }

    /// Waits until `standby` has replayed all that this cluster has written up to now.
    pub async fn wait_for_standby(&self, standby: &Self) {
        let position: String = self.scalar("postgres", "SELECT pg_current_wal_flush_lsn()::text").await;
        let caught_up = format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{position}'::pg_lsn, false)");
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        while !standby.scalar::<bool>("postgres", &caught_up).await {
            assert!(Instant::now() < deadline, "standby did not reach {position}:\n{}", standby.log());
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Makes a standby a primary and returns when it accepts writes.
    pub async fn promote(&self) {
        let promoted: bool = self.scalar("postgres", "SELECT pg_promote(true, 60)").await;
        assert!(promoted, "not promoted:\n{}", self.log());
    }

    /// Whether the server is a standby.
    pub async fn is_in_recovery(&self) -> bool {
        self.scalar("postgres", "SELECT pg_is_in_recovery()").await
    }

    fn conninfo(&self, application_name: &str) -> String {
        format!(
            "host={} port={} user={SUPERUSER} password={SUPERUSER_PASSWORD} application_name={application_name}",
            self.socket_directory().display(),
            self.port()
        )
    }
}

fn start_backup(major: Major) -> &'static str {
    if major >= Major::V15 {
        "SELECT pg_backup_start('testkit', true)"
    } else {
        "SELECT pg_start_backup('testkit', true, false)"
    }
}

/// Both return the content of `backup_label`. They do not wait for WAL archiving, there is none.
fn stop_backup(major: Major) -> &'static str {
    if major >= Major::V15 {
        "SELECT labelfile FROM pg_backup_stop(false)"
    } else {
        "SELECT labelfile FROM pg_stop_backup(false, false)"
    }
}

/// Turns the copy of a running primary's directory into that of a standby.
fn become_standby(home: &Home, backup_label: &str, conninfo: &str, slot: &str) {
    let data = home.data();
    for leftover in ["postmaster.pid", "postmaster.opts"] {
        let _ = fs::remove_file(data.join(leftover));
    }
    // The primary's slots would hold WAL here for ever.
    for slot in fs::read_dir(data.join("pg_replslot")).expect("part of every data directory").flatten() {
        fs::remove_dir_all(slot.path()).expect("own directory");
    }
    home.user.write(&data.join("backup_label"), backup_label);
    home.user.write(&data.join("standby.signal"), "");
    home.write_settings();
    settings::append(&data, home.user, "primary_conninfo", conninfo);
    settings::append(&data, home.user, "primary_slot_name", slot);
}

async fn run(session: &mut PgConnection, sql: &str) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    session.execute(sqlx::raw_sql(sql)).await.expect("a superuser may do this");
}
