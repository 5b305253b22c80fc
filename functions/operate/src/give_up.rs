//! Giving up what runs could not bring up: nobody will be asked about it again, and no run restores it.

use aws::{Failure, Ports};
use recovery::kind::Kind;
use recovery::site::ContentDigest;

use crate::invalid;

/// What is given up.
pub(crate) enum GivenUp<'a> {
    /// Some objects of a kind, by name.
    Objects(Kind, &'a [String]),
    /// The whole list, by its digest. It is not read, so that one that is gone can be given up too.
    List(&'a ContentDigest),
}

impl<'a> GivenUp<'a> {
    /// Objects, or a list: never both.
    pub(crate) fn parse(
        kind: Option<Kind>,
        names: &'a [String],
        digest: Option<&'a ContentDigest>,
    ) -> Result<Self, Failure> {
        match (kind, names, digest) {
            (None, [], Some(digest)) => Ok(Self::List(digest)),
            (Some(kind), [_, ..], None) => Ok(Self::Objects(kind, names)),
            _ => Err(invalid(
                "say either `kind` and `names`, or the `digest` of the whole list, as state.json has it",
            )),
        }
    }
}

/// # Errors
/// `InvalidEvent` for a name that stands for no debt; `Blocked` while a run holds the lock, or one has changed sites and did not complete.
pub(crate) async fn give_up(ports: &Ports, given_up: GivenUp<'_>) -> Result<String, Failure> {
    let state = ports.state().await?;
    let owed = state
        .debts
        .ok_or_else(|| invalid("nothing is owed, so there is nothing to give up"))?;
    let (left, words) = match given_up {
        GivenUp::List(digest) if *digest == owed.digest => {
            let forgotten = ports
                .change_state(|state| state.forget_debts(digest))
                .await?;
            return told(forgotten, "nothing is owed");
        }
        GivenUp::List(_) => {
            return Err(invalid(format!(
                "the list of debts is {} by now; look at it and give up that one",
                owed.digest.as_str()
            )));
        }
        GivenUp::Objects(kind, names) => {
            let debts = ports.debts(Some(&owed), state.active_site).await?;
            let left = debts.give_up(kind, names).map_err(invalid)?;
            let words = match left.objects().len() {
                0 => "nothing is owed".to_owned(),
                count => format!("{count} objects are still owed: {}", left.describe()),
            };
            let looked_in = owed.looked_in.clone();
            let left = ports.store_debts(&left).await?;
            (left.map(|left| left.looked_at(looked_in)), words)
        }
    };
    let ours = ports
        .change_state(|state| state.replace_debts(&owed.digest, left.clone()))
        .await?;
    told(ours, &words)
}

fn told(ours: bool, words: &str) -> Result<String, Failure> {
    if ours {
        Ok(format!("given up; {words}"))
    } else {
        Err(invalid(
            "the list of debts has changed meanwhile; try again",
        ))
    }
}
