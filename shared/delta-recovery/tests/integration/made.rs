//! Small tables of our own: every kind of checkpoint, deletion vectors, escaped paths, files that come back.

use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One step of a table's life.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// A commit that adds this many files.
    Add(u8),
    /// A commit that removes the live file with this index, counted around.
    Remove(u8),
    /// A commit that gives the live file with this index a new deletion vector.
    Vector(u8),
    /// A commit that brings back the file removed last.
    Restore,
    /// A checkpoint of the last version: classic.
    Classic,
    /// In this many parts.
    Parts(u8),
    /// V2: a JSON manifest with a sidecar.
    V2,
}

/// A table while it is written.
pub(crate) struct Table {
    root: PathBuf,
    live: Vec<Value>,
    removed: Vec<Value>,
    next: u64,
    files: u64,
}

const START_MS: i64 = 1_700_000_000_000;

impl Table {
    /// Writes a table whose version 0 is empty.
    pub(crate) fn write(root: &Path, changes: &[Change]) -> Self {
        fs::create_dir_all(root.join("_delta_log/_sidecars")).unwrap();
        let (live, removed) = (Vec::new(), Vec::new());
        let mut table = Self {
            root: root.to_owned(),
            live,
            removed,
            next: 0,
            files: 0,
        };
        table.commit(&[protocol(), metadata()]);
        for change in changes {
            table.change(*change);
        }
        table
    }

    /// When a version was made.
    pub(crate) fn time(&self, version: u64) -> i64 {
        assert!(version < self.next);
        START_MS + i64::try_from(version).unwrap() * 1000
    }

    pub(crate) fn change(&mut self, change: Change) {
        match change {
            Change::Add(count) => {
                let added: Vec<Value> = (0..count).map(|_| self.data_file()).collect();
                let actions: Vec<Value> = added.iter().map(|file| json!({"add": file})).collect();
                self.live.extend(added);
                self.commit(&actions);
            }
            Change::Remove(index) => {
                if let Some(file) = self.take(index) {
                    self.commit(&[json!({"remove": file})]);
                    self.removed.push(file);
                }
            }
            Change::Vector(index) => {
                if let Some(file) = self.take(index) {
                    let mut marked = file.clone();
                    marked["deletionVector"] = self.vector();
                    self.commit(&[json!({"add": marked}), json!({"remove": file})]);
                    self.live.push(marked);
                }
            }
            Change::Restore => {
                if let Some(file) = self.removed.pop() {
                    self.commit(&[json!({"add": file})]);
                    self.live.push(file);
                }
            }
            Change::Classic => {
                let name = format!("{:020}.checkpoint.parquet", self.last());
                self.parquet(&name, &self.live, true);
                self.hint();
            }
            Change::Parts(of) => {
                let size = self.live.len().div_ceil(usize::from(of)).max(1);
                let mut chunks = self.live.chunks(size);
                for part in 1..=of {
                    let name =
                        format!("{:020}.checkpoint.{part:010}.{of:010}.parquet", self.last());
                    self.parquet(&name, chunks.next().unwrap_or_default(), part == of);
                }
                self.hint();
            }
            Change::V2 => self.v2(),
        }
    }

    fn last(&self) -> u64 {
        self.next - 1
    }

    fn take(&mut self, index: u8) -> Option<Value> {
        let count = self.live.len();
        (count > 0).then(|| self.live.remove(usize::from(index) % count))
    }

    fn commit(&mut self, actions: &[Value]) {
        let time = START_MS + i64::try_from(self.next).unwrap() * 1000;
        let info = json!({"commitInfo": {"timestamp": time, "operation": "WRITE"}});
        let text: String = [&info]
            .into_iter()
            .chain(actions)
            .map(|action| format!("{action}\n"))
            .collect();
        fs::write(
            self.root.join(format!("_delta_log/{:020}.json", self.next)),
            text,
        )
        .unwrap();
        self.next += 1;
    }

    fn data_file(&mut self) -> Value {
        self.files += 1;
        let number = self.files;
        // On disk the partition value is escaped once, in the log once more.
        let folder = self.root.join(format!("day=a%20b{}", number % 2));
        fs::create_dir_all(&folder).unwrap();
        let size = usize::try_from(number).unwrap() * 7;
        fs::write(
            folder.join(format!("part {number}.parquet")),
            vec![0_u8; size],
        )
        .unwrap();
        json!({"path": format!("day=a%2520b{}/part%20{number}.parquet", number % 2), "partitionValues": {}, "size": size})
    }

    fn vector(&mut self) -> Value {
        self.files += 1;
        let id = u128::from(self.files) << 64 | 0xfeed;
        let hex = format!("{id:032x}");
        let name = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-");
        fs::write(
            self.root.join(format!("deletion_vector_{name}.bin")),
            vec![1_u8; 45],
        )
        .unwrap();
        let encoded = z85::encode(id.to_be_bytes());
        json!({"storageType": "u", "pathOrInlineDv": encoded, "offset": 1, "sizeInBytes": 36, "cardinality": 1})
    }

    fn hint(&self) {
        let hint = json!({"version": self.last(), "size": self.live.len()});
        fs::write(
            self.root.join("_delta_log/_last_checkpoint"),
            hint.to_string(),
        )
        .unwrap();
    }

    fn v2(&self) {
        let name = format!("{:020}.files.parquet", self.last());
        let path = format!("_sidecars/{name}");
        self.parquet(&path, &self.live, false);
        let size = fs::metadata(self.root.join("_delta_log").join(&path))
            .unwrap()
            .len();
        let actions = [
            json!({"checkpointMetadata": {"version": self.last()}}),
            protocol(),
            metadata(),
            json!({"sidecar": {"path": name, "sizeInBytes": size, "modificationTime": START_MS}}),
        ];
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        let manifest = format!(
            "_delta_log/{:020}.checkpoint.6374b053-df23-479b-b2cf-c9c550132b49.json",
            self.last()
        );
        fs::write(self.root.join(manifest), text).unwrap();
        self.hint();
    }

    /// Writes adds, and after them protocol and metadata, column by column.
    fn parquet(&self, name: &str, adds: &[Value], whole: bool) {
        let schema = parse_message_type(
            "message checkpoint {
                optional group add { optional binary path (UTF8); optional int64 size;
                    optional group deletionVector { optional binary storageType (UTF8);
                        optional binary pathOrInlineDv (UTF8); optional int32 offset; optional int32 sizeInBytes; } }
                optional group protocol { optional int32 minReaderVersion; optional int32 minWriterVersion; }
                optional group metaData { optional binary id (UTF8); }
            }",
        );
        let file = fs::File::create(self.root.join("_delta_log").join(name)).unwrap();
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer =
            SerializedFileWriter::new(file, Arc::new(schema.unwrap()), properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let others = if whole { 2 } else { 0 };
        let text = |value: &Value| ByteArray::from(value.as_str().unwrap());
        let number = |value: &Value| value.as_i64().unwrap();
        let vectors: Vec<&Value> = adds
            .iter()
            .filter_map(|add| add.get("deletionVector"))
            .collect();
        let padded = |levels: Vec<i16>| {
            levels
                .into_iter()
                .chain(vec![0; others])
                .collect::<Vec<i16>>()
        };
        let add_levels = padded(vec![2; adds.len()]);
        let vector_levels = padded(
            adds.iter()
                .map(|add| {
                    if add.get("deletionVector").is_some() {
                        3
                    } else {
                        1
                    }
                })
                .collect(),
        );
        let single = |at: usize| {
            (0..adds.len() + others)
                .map(|row| {
                    if whole && row == adds.len() + at {
                        2
                    } else {
                        0
                    }
                })
                .collect::<Vec<i16>>()
        };
        let mut index = 0;
        while let Some(mut column) = group.next_column().unwrap() {
            let texts = |field: &str, from: &[&Value]| {
                from.iter().map(|v| text(&v[field])).collect::<Vec<_>>()
            };
            let ints = |field: &str| {
                vectors
                    .iter()
                    .map(|v| i32::try_from(number(&v[field])).unwrap())
                    .collect::<Vec<_>>()
            };
            let all: Vec<&Value> = adds.iter().collect();
            match index {
                0 => {
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&texts("path", &all), Some(&add_levels), None)
                        .unwrap();
                }
                1 => {
                    let sizes: Vec<i64> = adds.iter().map(|add| number(&add["size"])).collect();
                    column
                        .typed::<Int64Type>()
                        .write_batch(&sizes, Some(&add_levels), None)
                        .unwrap();
                }
                2 => {
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&texts("storageType", &vectors), Some(&vector_levels), None)
                        .unwrap();
                }
                3 => {
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(
                            &texts("pathOrInlineDv", &vectors),
                            Some(&vector_levels),
                            None,
                        )
                        .unwrap();
                }
                4 => {
                    column
                        .typed::<Int32Type>()
                        .write_batch(&ints("offset"), Some(&vector_levels), None)
                        .unwrap();
                }
                5 => {
                    column
                        .typed::<Int32Type>()
                        .write_batch(&ints("sizeInBytes"), Some(&vector_levels), None)
                        .unwrap();
                }
                6 | 7 => {
                    let versions: &[i32] = if whole { &[2] } else { &[] };
                    column
                        .typed::<Int32Type>()
                        .write_batch(versions, Some(&single(0)), None)
                        .unwrap();
                }
                _ => {
                    let ids = if whole {
                        vec![ByteArray::from("made")]
                    } else {
                        Vec::new()
                    };
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&ids, Some(&single(1)), None)
                        .unwrap();
                }
            }
            column.close().unwrap();
            index += 1;
        }
        group.close().unwrap();
        writer.close().unwrap();
    }
}

fn protocol() -> Value {
    json!({"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}})
}

fn metadata() -> Value {
    json!({"metaData": {"id": "made", "format": {"provider": "parquet"}, "schemaString": "{}", "partitionColumns": [], "configuration": {}}})
}
