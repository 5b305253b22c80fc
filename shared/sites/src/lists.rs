//! Lists of a workspace, and lists below each object of a list.

use databricks::{Collection, Error, Object, Workspace};
use futures::{StreamExt, TryStreamExt, stream};
use recovery::kind::{List, PARENT};
use serde_json::{Value, json};

use crate::details::{self, Details};

/// How many details are asked for at once. The rate limits decide the pace.
pub(crate) const AT_ONCE: usize = 12;

/// All objects of a list.
pub(crate) async fn list_of(workspace: &Workspace, kind: List) -> Result<Vec<Object>, Error> {
    list(workspace, kind, &[], None).await
}

pub(crate) async fn list(
    workspace: &Workspace,
    list: List,
    query: &'static [(&'static str, &'static str)],
    details: Option<&Details>,
) -> Result<Vec<Object>, Error> {
    match list {
        List::Of(collection) => {
            let collection = Collection {
                query,
                ..asked(&collection)
            };
            workspace.collection(&collection).await
        }
        List::Under {
            parents,
            parent_id,
            child,
        } => {
            let parents_path = parents.path;
            let parents = workspace.collection(&asked(&parents)).await?;
            stream::iter(parents)
                .map(|parent| async move {
                    let Some(id) = parent.get(parent_id).and_then(Value::as_str) else {
                        return Ok(vec![]);
                    };
                    let path = format!("{parents_path}/{id}/{}", child.path);
                    let children = Collection {
                        path: &path,
                        ..asked(&child)
                    };
                    let found = match details {
                        None => children_of(workspace, &children).await?,
                        Some(details) => {
                            let request = details::request(&path, id, &parent);
                            let asking = async {
                                let found = children_of(workspace, &children).await?;
                                Ok(json!(found))
                            };
                            objects_of(details.answer(request, asking).await?)
                        }
                    };
                    Ok(found
                        .into_iter()
                        .map(|c| with_parent(c, id, &parent))
                        .collect())
                })
                .buffer_unordered(AT_ONCE)
                .try_collect::<Vec<Vec<Object>>>()
                .await
                .map(|lists| lists.into_iter().flatten().collect())
        }
        List::Nowhere => Ok(vec![]),
    }
}

async fn children_of(
    workspace: &Workspace,
    children: &Collection<'_>,
) -> Result<Vec<Object>, Error> {
    match workspace.collection(children).await {
        // Deleted since it was listed.
        Err(error) if error.is_not_found() => Ok(vec![]),
        found => found,
    }
}

fn objects_of(answer: Value) -> Vec<Object> {
    let Value::Array(items) = answer else {
        return vec![];
    };
    let objects = items.into_iter().map(|item| match item {
        Value::Object(object) => Some(object),
        _ => None,
    });
    objects.flatten().collect()
}

fn asked(collection: &recovery::kind::Collection) -> Collection<'static> {
    Collection {
        path: collection.path,
        items: collection.items,
        page: collection.page,
        query: &[],
    }
}

fn with_parent(mut child: Object, id: &str, parent: &Object) -> Object {
    let name = parent.get("display_name").and_then(Value::as_str);
    child.insert(
        PARENT.to_owned(),
        json!({ "id": id, "name": name.unwrap_or_default() }),
    );
    child
}
