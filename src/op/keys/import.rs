//! Signing keys that another provider used before: read from `op.keys.import` when the ring is made, and never again.
//! The first of each algorithm we sign with goes on signing under its old `kid`; the others verify until what they
//! signed has expired. From then on the schedule rules them as it rules all.

use super::seal;
use crate::base::clock::Timestamp;
use crate::jose::{Algorithm, SigningKey, State, private_keys};
use crate::op::record::key::RingVersion;
use crate::op::{Fault, Kit};
use crate::store::record::{self, put};
use crate::store::{Durability, Expect};
use std::path::Path;

/// Takes over the keys of `file` unless there is a ring already. Nothing else was made before: the file may be
/// deleted once the provider has started.
pub(super) async fn adopt(
    kit: &Kit,
    file: &Path,
    algorithms: &[Algorithm],
    now: Timestamp,
) -> Result<(), Fault> {
    if record::get::<RingVersion>(&*kit.store, RingVersion::ID, now).await?.is_some() {
        return Ok(());
    }
    let keys = usable(file)?;
    let mut changes = vec![put(&RingVersion { changes: 1 }, Expect::Absent)?];
    let mut signing: Vec<Algorithm> = Vec::new();
    for (key, inactive) in keys {
        let wanted = algorithms.iter().any(|alg| alg.is(key.alg()));
        let state = if inactive || !wanted || signing.iter().any(|alg| alg.is(key.alg())) {
            State::Retiring
        } else {
            signing.push(key.alg());
            State::Current
        };
        changes.push(put(&seal(kit, &key.into(), state, now)?, Expect::Absent)?);
    }
    match kit.store.commit(changes, Durability::Durable, now).await {
        // Another process was first, with the same file.
        Err(fault) if !fault.is_conflict() => Err(fault.into()),
        _ => Ok(()),
    }
}

/// The keys of the file that can sign, and whether they had stopped doing so.
fn usable(file: &Path) -> Result<Vec<(SigningKey, bool)>, Fault> {
    let setting =
        |says: String| Fault::Key { key: "op.keys.import", says: format!("{}: {says}", file.display()) };
    let text = std::fs::read(file).map_err(|error| setting(format!("cannot be read: {error}")))?;
    let all = private_keys(&text).map_err(|fault| setting(fault.to_string()))?;
    let mut usable: Vec<(SigningKey, bool)> = Vec::new();
    for entry in all {
        match entry.key {
            Ok(key) if usable.iter().any(|(known, _)| known.kid() == key.kid()) => {
                return Err(setting(format!("the kid {} stands there twice", key.kid())));
            }
            Ok(key) => usable.push((key, entry.inactive)),
            Err(fault) => tracing::warn!(kid = %entry.kid, %fault, "a key was not taken over"),
        }
    }
    match usable.is_empty() {
        true => Err(setting("holds no private key that can sign".into())),
        false => Ok(usable),
    }
}

#[cfg(test)]
mod tests {
    use crate::base::clock::Timestamp;
    use crate::jose::State;
    use crate::op::Op;
    use crate::op::fixture::{body, kit_over, send, settings};
    use crate::store::memory::Memory;
    use serde_json::Value;
    use std::sync::Arc;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/import/flask_op/private/jwks.json");

    #[tokio::test]
    async fn an_old_key_signs_on_under_its_kid_and_is_rotated_by_the_schedule() {
        let written: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
        let store = Arc::new(Memory::new());
        let mut settings = settings("{ keys: { rotate_every: 10d, publish_ahead: 1d } }");
        settings.keys.import = Some(FILE.into());
        let op = Op::open(kit_over(store.clone()), settings.clone()).await.unwrap();
        let signers = |op: &Op| {
            let ring = op.ring();
            ["RS256", "ES256"]
                .map(|alg| ring.signer(crate::jose::Algorithm::parse(alg).unwrap()).unwrap().kid().to_owned())
        };
        let old = [0, 1].map(|at| written["keys"][at]["kid"].as_str().unwrap().to_owned());
        assert_eq!(signers(&op), old);
        let published = body(&send(&op, "GET", "/oidcop/jwks", &[]).await);
        assert!(!published.to_string().contains("\"d\""));
        for kid in &old {
            assert!(published["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid.as_str()));
        }

        // At the next start the file is not needed any more.
        settings.keys.import = Some("gone.json".into());
        let op = Op::open(kit_over(store), settings).await.unwrap();
        assert_eq!(signers(&op), old);

        let later = Timestamp(op.now().0 + 11 * 86_400);
        op.tend(later, 100).await.unwrap();
        assert!(signers(&op).iter().zip(&old).all(|(new, old)| new != old));
        let retiring = op.ring().notes().into_iter().filter(|note| note.state == State::Retiring);
        let retiring: Vec<_> = retiring.map(|note| note.kid).collect();
        assert!(old.iter().all(|kid| retiring.contains(kid)), "{retiring:?}");
    }

    #[tokio::test]
    async fn a_file_without_usable_keys_is_a_fault_of_the_settings() {
        for file in ["gone.json", concat!(env!("CARGO_MANIFEST_DIR"), "/conf/schema.json")] {
            let mut settings = settings("{}");
            settings.keys.import = Some(file.into());
            let fault = Op::open(kit_over(Arc::new(Memory::new())), settings).await.err().unwrap();
            assert!(fault.to_string().starts_with("op.keys.import: "), "{fault}");
        }
    }
}
