//! Subject identifiers (OpenID Connect Core §8): what a client knows a person by. Never the account's own name.

use super::endpoint::registration::metadata::sector_host;
use super::endpoint::registration::sector;
use super::record::client::Client;
use super::settings::SubjectType;
use super::settings::subjects::Subjects;
use super::{Fault, Op, Settings};
use crate::base::encode::{base64url, hex};
use crate::base::secret::{Secret, hmac_sha256, sha256};
use std::path::PathBuf;

/// What `sub` begins with where a client acts for itself. No person's identifier contains a colon.
const CLIENT_NAMESPACE: &str = "client:";

/// The longest salt, in bytes.
const MAX_SALT: usize = 4_096;

/// The salts with which oidc-op made subjects; a kind without one is ours.
#[derive(Default)]
pub(super) struct Salts {
    public: Option<Secret>,
    pairwise: Option<Secret>,
}

impl Salts {
    /// Reads the files that `settings` name.
    pub(super) fn load(settings: &Settings) -> Result<Salts, Fault> {
        let Subjects::OidcOp(files) = &settings.subjects else { return Ok(Salts::default()) };
        let read = |key: &'static str, file: &Option<PathBuf>| match file {
            None => Ok(None),
            Some(file) => match std::fs::read_to_string(file) {
                Ok(salt) if salt.len() <= MAX_SALT => Ok(Some(Secret::new(salt))),
                Ok(_) => Err(format!("{}: is too long for a salt", file.display())),
                Err(error) => Err(format!("{}: cannot be read: {error}", file.display())),
            }
            .map_err(|says| Fault::Key { key, says }),
        };
        Ok(Salts {
            public: read("op.subjects.oidc-op.public_salt_file", &files.public_salt_file)?,
            pairwise: read("op.subjects.oidc-op.pairwise_salt_file", &files.pairwise_salt_file)?,
        })
    }
}

impl Op {
    /// The `sub` by which `client` knows `account`.
    pub(super) fn subject(&self, client: &Client, account: &str) -> String {
        let sector = match client.metadata.subject_type {
            SubjectType::Public => return self.public_subject(account),
            SubjectType::Pairwise => sector(client),
        };
        if let Some(salt) = &self.salts.pairwise {
            return salted(&[self.people.name_elsewhere(account), &sector, salt.expose()]);
        }
        base64url(&hmac_sha256(
            &self.shared.subject_key,
            &[b"pairwise", sector.as_bytes(), account.as_bytes()],
        ))
    }

    /// The public `sub` of `account`: the same for every client that is not pairwise.
    pub(super) fn public_subject(&self, account: &str) -> String {
        if let Some(subject) = self.people.fixed_subject(account) {
            return subject.to_owned();
        }
        if let Some(salt) = &self.salts.public {
            return salted(&[self.people.name_elsewhere(account), salt.expose()]);
        }
        base64url(&hmac_sha256(&self.shared.subject_key, &[b"public", account.as_bytes()]))
    }
}

/// oidc-op's formula: a plain concatenation, so that `ab`, `c` is `a`, `bc`. It cannot be changed without changing who
/// people are; user names cannot choose the salt.
fn salted(parts: &[&str]) -> String {
    hex(&sha256(parts.concat().as_bytes()))
}

/// The `sub` of a client that acts for itself (RFC 9068 §2.2): in a namespace no person can have (RFC 9700 §4.15).
pub(super) fn of_client(client_id: &str) -> String {
    format!("{CLIENT_NAMESPACE}{client_id}")
}

/// OpenID Connect Core §8.1: the host of the sector identifier URI, or the (only) host of the redirect URIs. Registration
/// refuses a pairwise client with several hosts and no sector identifier. A client without any is its own sector.
pub(super) fn sector(client: &Client) -> String {
    let metadata = &client.metadata;
    let named = metadata.sector_identifier_uri.as_deref().and_then(sector_host);
    named.or_else(|| sector::hosts(metadata).pop_first()).unwrap_or_else(|| client.client_id.clone())
}

#[cfg(test)]
mod tests {
    use crate::op::Op;
    use crate::op::directory::{Added, NewPerson};
    use crate::op::fixture::{kit, settings};
    use crate::op::record::client::{Client, Metadata};
    use crate::op::settings::SubjectType;
    use crate::op::settings::subjects::{OidcOp, Subjects};

    fn client(subject_type: SubjectType) -> Client {
        let redirect_uris = vec!["https://rp.example/cb".to_owned()];
        let metadata = Metadata { subject_type, redirect_uris, ..Metadata::default() };
        Client { client_id: "web".into(), metadata, ..Client::default() }
    }

    /// OpenID Connect Core §8.1.
    #[tokio::test]
    async fn clients_of_one_sector_know_a_person_by_one_name_and_native_ones_by_their_own() {
        let op = Op::open(kit(), settings("{}")).await.unwrap();
        let subject = |id: &str, kind: &str, uris: &[&str], sector: Option<&str>| {
            let metadata = Metadata {
                subject_type: SubjectType::Pairwise,
                application_type: kind.into(),
                redirect_uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
                sector_identifier_uri: sector.map(str::to_owned),
                ..Metadata::default()
            };
            op.subject(&Client { client_id: id.into(), metadata, ..Client::default() }, "diana")
        };
        let one = subject("a", "web", &["https://rp.example/a", "https://rp.example:8443/b"], None);
        assert_eq!(one, subject("b", "web", &["https://rp.example/c"], None));
        assert_eq!(one, subject("c", "native", &["com.example:/cb", "https://rp.example/app"], None));
        let shared = Some("https://rp.example/sector.json");
        assert_eq!(one, subject("d", "web", &["https://x.example/", "https://y.example/"], shared));
        assert_ne!(one, subject("e", "web", &["https://other.example/"], None));
        for uri in ["http://127.0.0.1/cb", "http://localhost:5000/cb", "com.example:/cb"] {
            let own = subject("f", "native", &[uri], None);
            assert_ne!(own, subject("g", "native", &[uri], None), "{uri}");
            assert_eq!(
                own,
                subject("f", "native", &["com.example.other:/x"], None),
                "it may change its URIs"
            );
        }
        assert_ne!(one, op.public_subject("diana"));
    }

    async fn op(salts: &[&str], people: &str) -> (Op, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let mut settings = settings("{}");
        settings.users_file = Some(file("users.yaml", people));
        settings.subjects = Subjects::OidcOp(OidcOp {
            public_salt_file: salts.first().map(|salt| file("public", salt)),
            pairwise_salt_file: salts.get(1).map(|salt| file("pairwise", salt)),
        });
        (Op::open(kit(), settings).await.unwrap(), folder)
    }

    #[tokio::test]
    async fn subjects_are_those_oidc_op_made() {
        let people = "users: [{ username: Diana, uid: Diana }, { username: babs, subject: fixed-1 }]";
        let (op, _folder) = op(&["sdfsdfdsf", "pepper"], people).await;
        let (public, pairwise) = (client(SubjectType::Public), client(SubjectType::Pairwise));
        // The `sub` in the introspection answer of oidc-op's own manual.
        let known = "a7b0dea2958aec275a789d7d7dc8e7d09c6316dd4fc6ae92742ed3297e14dded";
        assert_eq!(op.subject(&public, "wert"), known);
        // Names keep the case they had.
        assert_eq!(op.subject(&public, "diana"), hex("Dianasdfsdfdsf"));
        assert_eq!(op.subject(&public, "babs"), "fixed-1");
        assert_eq!(op.subject(&pairwise, "diana"), hex("Dianarp.examplepepper"));
        assert_eq!(op.subject(&pairwise, "babs"), hex("babsrp.examplepepper"));
    }

    fn hex(text: &str) -> String {
        crate::base::encode::hex(&crate::base::secret::sha256(text.as_bytes()))
    }

    #[tokio::test]
    async fn nobody_gets_the_name_that_the_subjects_of_another_are_made_from() {
        let (op, _folder) = op(&["s", "p"], "users: [{ username: ann, uid: 'No42' }]").await;
        for (name, taken) in [("no42", true), ("no43", false)] {
            let (account, claims) = (name.to_owned(), Default::default());
            let new = NewPerson { account, password: "x".into(), claims };
            let added = op.add_stranger(new, op.now()).await.unwrap();
            assert_eq!(matches!(added, Added::Taken), taken, "{name}");
        }
    }

    #[tokio::test]
    async fn a_kind_without_a_salt_is_made_our_own_way() {
        let (op, _folder) = op(&["s"], "users: [{ username: a }]").await;
        let own = Op::open(kit(), settings("{}")).await.unwrap();
        let pairwise = client(SubjectType::Pairwise);
        assert_eq!(op.subject(&pairwise, "a"), own.subject(&pairwise, "a"));
        assert_ne!(op.public_subject("a"), own.public_subject("a"));
    }

    #[tokio::test]
    async fn a_salt_that_cannot_be_read_is_a_fault_of_the_settings() {
        let mut settings = settings("{}");
        let files = OidcOp { public_salt_file: Some("no/such/salt".into()), pairwise_salt_file: None };
        settings.subjects = Subjects::OidcOp(files);
        let fault = Op::open(kit(), settings).await.err().unwrap().to_string();
        assert!(fault.starts_with("op.subjects.oidc-op.public_salt_file: no/such/salt: "), "{fault}");
    }
}
