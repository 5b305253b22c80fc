//! The key that signs the links to the page. Its value is never returned, logged or written anywhere but SSM.

use aws::{Failure, Ports, keys};
use recovery::failure::FailureName;
use serde::{Deserialize, Serialize};

/// The parameter: links are signed with `current`; `previous` still opens those that were sent before the rotation.
#[derive(Serialize, Deserialize)]
struct Keys {
    current: String,
    previous: Option<String>,
}

pub(crate) async fn rotate(ports: &Ports) -> Result<String, Failure> {
    let name = keys::approval_key(&ports.plan_name);
    let stored = ports.parameters.get(&ports.region, &name).await?;
    let previous = match &stored {
        None => None,
        Some(text) => {
            let keys: Keys = serde_json::from_str(text).map_err(|_| {
                // The error of the parser could quote the value.
                Failure::new(
                    FailureName::StateCorrupt,
                    format!("parameter {name} is not {{\"current\",\"previous\"}}; delete it and rotate again"),
                )
            })?;
            Some(keys.current)
        }
    };
    let first = previous.is_none();
    let keys = Keys {
        current: format!("{:032x}{:032x}", ports.random_bits()?, ports.random_bits()?),
        previous,
    };
    let text = serde_json::to_string(&keys).map_err(|e| Failure::internal(e.to_string()))?;
    ports
        .parameters
        .put_secret(&ports.region, &name, &text)
        .await?;
    Ok(if first {
        format!("there is a key now in {name}: requests carry a link to the page")
    } else {
        "the key of the page's links is rotated; links that were sent before stay valid until they expire or the next rotation"
            .to_owned()
    })
}
