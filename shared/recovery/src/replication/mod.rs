//! How far the standby's data is behind, and what would be lost. Missing data is never "caught up".

mod level;
mod loss;
mod status;

pub use self::level::{LagLevel, Standing, Telling, Thresholds};
pub use self::loss::{AcceptedLoss, LossOf, PredictedLoss, predicted_losses, unaccepted_losses};
pub use self::status::{
    Basis, DataSetStatus, GroupStatus, LastKnown, MOST_TABLES_SHOWN, Marker, REPLICATION_FORMAT,
    ReplicationMetrics, ReplicationStatus, TableStatus, TablesStatus,
};
