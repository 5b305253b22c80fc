//! Readiness: how far the standby is from what the baseline needs, object by object and field by field.

mod compare;
mod concern;
mod difference;
mod mapping;
mod sources;
mod status;
mod summary;

pub use self::compare::{Comparison, Held, compare};
pub use self::concern::{Concern, Offered};
pub use self::difference::{Difference, differences};
pub use self::mapping::{Names, Translation};
pub use self::sources::{SourceSeen, SourcesDocument};
pub use self::status::{Finding, Readiness, ReadinessAnswer, ReadinessStatus};
pub use self::summary::Summary;

#[cfg(test)]
mod tests;
