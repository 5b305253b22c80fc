//! How far the standby's data is behind, and what would be lost. Missing data is never "caught up".

mod held_back;
mod level;
mod loss;
mod status;
mod tables;

pub use self::held_back::{
    FencedSet, HELD_BACK_FORMAT, HeldBack, HeldBackDocument, HeldBackSet, HeldObject, LOOK_BACK,
    ListedObject, MOST_HELD_BACK, MOST_HELD_BACK_SHOWN, fenced_sets, manifest, whole_key,
};
pub use self::level::{LagLevel, Standing, Telling, Thresholds};
pub use self::loss::{LossOf, PredictedLoss, predicted_losses, worse_of};
pub use self::status::{
    Basis, DataSetStatus, GroupStatus, LastKnown, MOST_TABLES_SHOWN, Marker, MeasureAnswer,
    ProofProgress, REPLICATION_FORMAT, ReplicationMetrics, ReplicationStatus, TableStatus,
    TablesStatus,
};
pub use self::tables::{LogComparison, Proof, TableFacts, TablesPoint, of_group, of_tables};
