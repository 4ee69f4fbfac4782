//! Opening the place of a store: at the start, again while it cannot be used, and anew after a file was damaged.

use std::sync::Arc;

use super::{OnDamage, Store, StoreContext};
use crate::StoreError;
use crate::config::{Place, StoreConfig};
use crate::database::{Database, sqlite};
use crate::telemetry::Telemetry;

impl Store {
    pub(super) async fn ready(&self) -> Result<Arc<Database>, StoreError> {
        let database = match self.database() {
            Some(database) => database,
            None => self.open_now().await?,
        };
        database.ready().await?;
        Ok(database)
    }

    /// Opens a place that could not be opened before.
    async fn open_now(&self) -> Result<Arc<Database>, StoreError> {
        let _one_at_a_time = self.0.recovering.lock().await;
        if let Some(database) = self.database() {
            return Ok(database);
        }
        let database = Arc::new(open_database(&self.0.config, &self.0.cx, &self.0.telemetry).await?);
        *self.0.database.write() = Some(Arc::clone(&database));
        Ok(database)
    }

    /// Sets a damaged file aside and goes on with a new one, unless somebody else has done so.
    pub(super) async fn recover(
        &self,
        damaged: Option<&Arc<Database>>,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self.0.recovering.lock().await;
        let held = self.database();
        let (Some(damaged), Some(held)) = (damaged, held) else { return Ok(()) };
        if !Arc::ptr_eq(damaged, &held) {
            return Ok(());
        }
        damaged.close().await;
        // What fails from here on is tried again with the next operation.
        *self.0.database.write() = None;
        set_aside(&self.0.config, &self.0.cx, &self.0.telemetry, error)?;
        let database = Database::open(&self.0.config).await?;
        *self.0.database.write() = Some(Arc::new(database));
        Ok(())
    }
}

/// Opens the place; a damaged file is set aside where that is wanted.
pub(super) async fn open_database(
    config: &StoreConfig,
    cx: &StoreContext,
    telemetry: &Telemetry,
) -> Result<Database, StoreError> {
    match Database::open(config).await {
        Err(error) if error.is_corrupt() && cx.on_damage == OnDamage::SetAside => {
            set_aside(config, cx, telemetry, &error)?;
            Database::open(config).await
        }
        opened => opened,
    }
}

fn set_aside(
    config: &StoreConfig,
    cx: &StoreContext,
    telemetry: &Telemetry,
    error: &StoreError,
) -> Result<(), StoreError> {
    let Place::Sqlite(path) = &config.place else { return Ok(()) };
    let aside = sqlite::set_aside(path, cx.clock.now())?;
    telemetry.set_aside.increment();
    tracing::error!(
        path = %path.display(), set_aside = %aside.display(), %error,
        "the store is damaged: it was set aside and a new one is begun; baselines are learnt anew, and findings and \
         decisions of the past are in the file that was set aside"
    );
    Ok(())
}
