//! The key that signs the links to the page. Its value is never returned, logged or written anywhere but SSM.

use aws::{Failure, Ports, keys};
use recovery::approval::LinkKeys;

pub(crate) async fn rotate(ports: &Ports) -> Result<String, Failure> {
    let name = keys::approval_key(&ports.plan_name);
    let before = ports.link_keys().await?;
    let first = before.is_none();
    let keys = LinkKeys::rotated(before, [ports.random_bits()?, ports.random_bits()?]);
    ports
        .parameters
        .put_secret(&ports.region, &name, &keys.to_parameter())
        .await?;
    Ok(if first {
        format!("there is a key now in {name}: requests carry a link to the page")
    } else {
        "the key of the page's links is rotated; links that were sent before stay valid until they expire or the next rotation"
            .to_owned()
    })
}
