//! Follows pages to their end, and notices when there is none.

use std::collections::HashSet;

use serde_json::Value;

use crate::Object;
use crate::error::Error;
use crate::request::Request;
use crate::workspace::Workspace;

/// The most pages read of one listing.
const PAGE_LIMIT: usize = 10_000;
/// The most objects kept of one listing: bounds the memory.
const OBJECT_LIMIT: usize = 1_000_000;

/// The most bytes of one listing, which its objects keep: 12,000 jobs, the most that a workspace holds, with 10 KiB each.
const BYTE_LIMIT: usize = 128 * 1024 * 1024;

/// Watches over one listing.
struct Guard {
    tokens: HashSet<String>,
    pages: usize,
    bytes: usize,
    page_limit: usize,
    object_limit: usize,
}

impl Guard {
    fn new(page_limit: usize, object_limit: usize) -> Self {
        Self {
            tokens: HashSet::new(),
            pages: 0,
            bytes: 0,
            page_limit,
            object_limit,
        }
    }

    /// Takes note of a page: the token of the next one, `None` at the end, or why the listing is taken as endless.
    fn page(&mut self, page: &Object, objects: usize) -> Result<Option<String>, &'static str> {
        self.pages += 1;
        if self.bytes > BYTE_LIMIT {
            return Err("too many bytes");
        }
        if objects > self.object_limit {
            return Err("too many objects");
        }
        let Some(token) = page
            .get("next_page_token")
            .and_then(Value::as_str)
            .filter(|token| !token.is_empty())
        else {
            return Ok(None);
        };
        if self.pages >= self.page_limit {
            return Err("too many pages");
        }
        if !self.tokens.insert(token.to_owned()) {
            return Err("a page token came back");
        }
        Ok(Some(token.to_owned()))
    }
}

impl Workspace {
    /// Every object of a listing: `items` names the array on each page. The array is absent from an empty page, and a
    /// page may be empty and yet name a next one.
    pub(crate) async fn list(
        &self,
        request: Request,
        items: &'static str,
    ) -> Result<Vec<Object>, Error> {
        self.list_at_most(request, items, usize::MAX).await
    }

    /// The objects on the first pages of a listing.
    pub(crate) async fn list_at_most(
        &self,
        request: Request,
        items: &'static str,
        pages: usize,
    ) -> Result<Vec<Object>, Error> {
        let mut all = Vec::new();
        let mut guard = Guard::new(PAGE_LIMIT, OBJECT_LIMIT);
        let mut next = request.clone();
        loop {
            let mut page = self
                .map_sized(
                    next,
                    "its list is not a list of objects",
                    |mut page, size| {
                        let objects: Option<Vec<Object>> = match page.remove(items) {
                            None | Some(Value::Null) => Some(Vec::new()),
                            Some(Value::Array(values)) => {
                                values.into_iter().map(into_object).collect()
                            }
                            Some(_) => None,
                        };
                        objects.map(|objects| (page, objects, size))
                    },
                )
                .await?;
            all.append(&mut page.1);
            guard.bytes += page.2;
            match self.guarded(&mut guard, &page.0, &request, all.len())? {
                Some(token) if guard.pages < pages => {
                    next = request.clone().query("page_token", &token);
                }
                _ => return Ok(all),
            }
        }
    }

    /// One object that comes in pages: `merge` moves what a later page brings into the whole.
    pub(crate) async fn merged(
        &self,
        request: Request,
        merge: impl Fn(&mut Object, &mut Object),
    ) -> Result<Object, Error> {
        let mut guard = Guard::new(PAGE_LIMIT, OBJECT_LIMIT);
        let mut whole = self.object(request.clone()).await?;
        let mut next = self.guarded(&mut guard, &whole, &request, 1)?;
        while let Some(token) = next {
            let mut page = self
                .object(request.clone().query("page_token", &token))
                .await?;
            next = self.guarded(&mut guard, &page, &request, 1)?;
            merge(&mut whole, &mut page);
        }
        for field in ["next_page_token", "prev_page_token", "has_more"] {
            whole.remove(field);
        }
        Ok(whole)
    }

    fn guarded(
        &self,
        guard: &mut Guard,
        page: &Object,
        request: &Request,
        objects: usize,
    ) -> Result<Option<String>, Error> {
        guard
            .page(page, objects)
            .map_err(|reason| Error::EndlessPaging {
                target: self.target(request),
                reason,
                pages: guard.pages,
                objects,
            })
    }
}

fn into_object(value: Value) -> Option<Object> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Appends the named arrays of `from` to those of `to`.
pub(crate) fn append_arrays(to: &mut Object, from: &mut Object, names: &[&str]) {
    for name in names {
        let Some(Value::Array(mut more)) = from.remove(*name) else {
            continue;
        };
        match to.get_mut(*name) {
            Some(Value::Array(there)) => there.append(&mut more),
            _ => {
                to.insert((*name).to_owned(), Value::Array(more));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(token: &str) -> Object {
        Object::from_iter([("next_page_token".to_owned(), Value::from(token))])
    }

    #[test]
    fn guard_ends_and_notices_what_does_not_end() {
        let mut guard = Guard::new(3, 5);
        assert_eq!(guard.page(&page("a"), 1), Ok(Some("a".into())));
        assert_eq!(guard.page(&page("a"), 2), Err("a page token came back"));
        assert_eq!(Guard::new(3, 5).page(&page(""), 5), Ok(None));
        assert_eq!(Guard::new(3, 5).page(&Object::new(), 5), Ok(None));
        assert_eq!(
            Guard::new(3, 5).page(&page("a"), 6),
            Err("too many objects")
        );
        let mut guard = Guard::new(2, 5);
        assert_eq!(guard.page(&page("a"), 1), Ok(Some("a".into())));
        assert_eq!(guard.page(&page("b"), 1), Err("too many pages"));
    }
}
