//! The few Parquet columns of a checkpoint that decide completeness, read in batches.

use crate::action::{Protocol, Sidecar};
use crate::checkpoint::CheckpointFacts;
use crate::error::Fault;
use crate::join::{Added, Join};
use crate::location::Location;
use crate::parquet_object::ParquetObject;
use crate::paths::DeletionVector;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;

/// Leaves that are read; statistics, partition values and tombstones never leave the storage.
const LEAVES: [&str; 11] = [
    "add.path",
    "add.size",
    "add.deletionVector.storageType",
    "add.deletionVector.pathOrInlineDv",
    "add.deletionVector.offset",
    "add.deletionVector.sizeInBytes",
    "protocol.minReaderVersion",
    "metaData.id",
    "txn.appId",
    "sidecar.path",
    "sidecar.sizeInBytes",
];

const ROWS: usize = 8192;

/// Opens a Parquet object that was listed with `size` bytes.
pub(crate) async fn open(
    location: &Location,
    object: &str,
    size: u64,
) -> Result<ParquetRecordBatchStream<ParquetObject>, Fault> {
    let path = location.path(object).map_err(Fault::Unusable)?;
    let reader = ParquetObject::new(location.store(), path, size);
    // Without the writer's Arrow hints, strings and lists have one type whoever wrote the file.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .map_err(|error| fault(location, object, error))?;
    let schema = builder.parquet_schema();
    let wanted: Vec<usize> = schema
        .columns()
        .iter()
        .enumerate()
        .filter(|(_, column)| {
            let path = column.path().string();
            LEAVES.contains(&path.as_str()) || path.starts_with("protocol.readerFeatures.")
        })
        .map(|(index, _)| index)
        .collect();
    let mask = ProjectionMask::leaves(schema, wanted);
    builder
        .with_projection(mask)
        .with_batch_size(ROWS)
        .build()
        .map_err(|error| fault(location, object, error))
}

/// Storage trouble decides nothing; a file that is no Parquet is unusable.
pub(crate) fn fault(location: &Location, object: &str, error: ParquetError) -> Fault {
    if let ParquetError::External(inner) = &error
        && let Some(storage) = inner.downcast_ref::<object_store::Error>()
    {
        return location.read_fault(object, storage);
    }
    Fault::Unusable(format!("`{object}`: {error}"))
}

/// The columns of one batch. Those a writer left out are None.
pub(crate) struct Columns<'a> {
    add: Option<AddColumns<'a>>,
    protocol: Option<(
        &'a StructArray,
        Option<&'a Int32Array>,
        Option<&'a ListArray>,
    )>,
    metadata: Option<&'a StructArray>,
    txn: Option<&'a StructArray>,
    sidecar: Option<(
        &'a StructArray,
        Option<&'a StringArray>,
        Option<&'a Int64Array>,
    )>,
}

struct AddColumns<'a> {
    group: &'a StructArray,
    path: Option<&'a StringArray>,
    size: Option<&'a Int64Array>,
    vector: Option<VectorColumns<'a>>,
}

struct VectorColumns<'a> {
    group: &'a StructArray,
    storage_type: Option<&'a StringArray>,
    path: Option<&'a StringArray>,
    offset: Option<&'a Int32Array>,
    size: Option<&'a Int32Array>,
}

fn group<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StructArray> {
    batch.column_by_name(name)?.as_struct_opt()
}

fn text<'a>(group: &'a StructArray, name: &str) -> Option<&'a StringArray> {
    group.column_by_name(name)?.as_string_opt::<i32>()
}

fn long<'a>(group: &'a StructArray, name: &str) -> Option<&'a Int64Array> {
    group.column_by_name(name)?.as_primitive_opt::<Int64Type>()
}

fn int<'a>(group: &'a StructArray, name: &str) -> Option<&'a Int32Array> {
    group.column_by_name(name)?.as_primitive_opt::<Int32Type>()
}

fn string_at(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|c| c.is_valid(row)).map(|c| c.value(row))
}

fn long_at(column: Option<&Int64Array>, row: usize) -> Option<u64> {
    let value = column.filter(|c| c.is_valid(row))?.value(row);
    u64::try_from(value).ok()
}

fn int_at(column: Option<&Int32Array>, row: usize) -> Option<u64> {
    let value = column.filter(|c| c.is_valid(row))?.value(row);
    u64::try_from(value).ok()
}

impl<'a> Columns<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        Self {
            add: group(batch, "add").map(|group| AddColumns {
                group,
                path: text(group, "path"),
                size: long(group, "size"),
                vector: group
                    .column_by_name("deletionVector")
                    .and_then(|column| column.as_struct_opt())
                    .map(|group| VectorColumns {
                        group,
                        storage_type: text(group, "storageType"),
                        path: text(group, "pathOrInlineDv"),
                        offset: int(group, "offset"),
                        size: int(group, "sizeInBytes"),
                    }),
            }),
            protocol: group(batch, "protocol").map(|group| {
                let features = group
                    .column_by_name("readerFeatures")
                    .and_then(|column| column.as_list_opt::<i32>());
                (group, int(group, "minReaderVersion"), features)
            }),
            metadata: group(batch, "metaData"),
            txn: group(batch, "txn"),
            sidecar: group(batch, "sidecar")
                .map(|group| (group, text(group, "path"), long(group, "sizeInBytes"))),
        }
    }

    /// Reads one row, which holds one action.
    pub(crate) fn row(
        &self,
        row: usize,
        join: &Join<'_>,
        facts: &mut CheckpointFacts,
        take: &mut impl FnMut(Added),
    ) -> Result<(), String> {
        if let Some(add) = self.add.as_ref().filter(|add| add.group.is_valid(row)) {
            let path = string_at(add.path, row).ok_or("an add action without a path")?;
            let size = long_at(add.size, row).ok_or("an add action without a size")?;
            let vector = match &add.vector {
                Some(vector) if vector.group.is_valid(row) => vector.at(row)?,
                _ => None,
            };
            take(join.added(path, size, vector.as_ref())?);
        }
        if let Some((group, version, features)) = &self.protocol
            && group.is_valid(row)
        {
            let version = version.filter(|column| column.is_valid(row));
            let version = version
                .ok_or("a protocol action without a reader version")?
                .value(row);
            let features = features
                .filter(|column| column.is_valid(row))
                .map(|column| {
                    let list = column.value(row);
                    let names = list.as_string_opt::<i32>();
                    let names = names.into_iter().flatten().flatten();
                    names.map(str::to_owned).collect()
                });
            facts.protocol = Some(Protocol {
                min_reader_version: i64::from(version),
                reader_features: features,
            });
        }
        facts.has_metadata |= self.metadata.is_some_and(|column| column.is_valid(row));
        facts.has_txn |= self.txn.is_some_and(|column| column.is_valid(row));
        if let Some((group, path, size)) = &self.sidecar
            && group.is_valid(row)
        {
            let path = string_at(*path, row).ok_or("a sidecar action without a path")?;
            let size = long_at(*size, row).ok_or("a sidecar action without a size")?;
            facts.sidecars.push(Sidecar {
                path: path.to_owned(),
                size_in_bytes: size,
            });
        }
        Ok(())
    }
}

impl VectorColumns<'_> {
    fn at(&self, row: usize) -> Result<Option<DeletionVector<'_>>, String> {
        let Some(storage_type) = string_at(self.storage_type, row) else {
            return Ok(None);
        };
        Ok(Some(DeletionVector {
            storage_type,
            path_or_inline: string_at(self.path, row).ok_or("a deletion vector without a path")?,
            offset: int_at(self.offset, row),
            size: int_at(self.size, row).ok_or("a deletion vector without a size")?,
        }))
    }
}
