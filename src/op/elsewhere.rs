//! What somebody who writes people and clients files for this provider has to know: what is offered, and what an entry
//! may hold. Asked by the import.

use super::Settings;
use super::client_auth::METHODS;
use super::clients;
use super::directory::{self, password};
use super::endpoint::ENDPOINTS;
use super::endpoint::registration::metadata;
use super::grant::GRANTS;
use super::response_mode::MODES;
use super::response_type::{IMPLICIT, RESPONSE_TYPES};
use serde_json::{Map, Value};

/// The wire names of what the tables hold.
#[derive(Clone, Debug)]
pub struct Offered {
    pub endpoints: Vec<&'static str>,
    pub grants: Vec<&'static str>,
    pub response_types: Vec<&'static str>,
    pub response_modes: Vec<&'static str>,
    pub client_auth: Vec<&'static str>,
}

impl Offered {
    #[allow(clippy::new_without_default, reason = "there is no other value of it")]
    pub fn new() -> Offered {
        Offered {
            endpoints: ENDPOINTS.iter().map(|row| row.name()).collect(),
            // The authorization endpoint's own is no row of the token endpoint's.
            grants: GRANTS.iter().map(|row| row.name()).chain([IMPLICIT]).collect(),
            response_types: RESPONSE_TYPES.iter().map(|row| row.name).collect(),
            response_modes: MODES.iter().map(|row| row.name()).collect(),
            client_auth: METHODS.iter().map(|row| row.name()).collect(),
        }
    }
}

/// What is wrong with an entry of a clients file: the member (empty: all of it), and why.
pub fn client_entry_faults(settings: &Settings, entry: &Map<String, Value>) -> Vec<(String, String)> {
    below(clients::seed(settings, "", entry).err().unwrap_or_default())
}

/// Whether such a client needs its secret itself, not its digest: something of it is signed or encrypted with it.
pub fn needs_secret_itself(settings: &Settings, entry: &Map<String, Value>) -> bool {
    let secrets = ["client_id", "client_secret", "client_secret_sha256"];
    let members = entry.iter().filter(|(name, _)| !secrets.contains(&name.as_str()));
    let members = members.map(|(name, value)| (name.clone(), value.clone())).collect();
    metadata::validate(settings, &members).is_ok_and(|kept| kept.least_secret().is_some())
}

/// What is wrong with an entry of a people file, likewise.
pub fn user_entry_faults(entry: &Map<String, Value>) -> Vec<(String, String)> {
    below(directory::entry_faults(entry))
}

/// Whether a clients file may say this of a client.
pub fn is_client_member(name: &str) -> bool {
    metadata::is_known(name)
}

/// What is wrong with a claim in a people file, if anything.
pub fn claim_fault(name: &str, value: &Value) -> Option<&'static str> {
    directory::claim_fault(name, value)
}

/// Whether a claim is the provider's to say (`sub`, `iss` …), not a person's.
pub fn is_reserved_claim(name: &str) -> bool {
    super::claims::is_reserved(name)
}

/// What is wrong with a password's hash in a people file, if anything.
pub fn password_fault(hash: &str) -> Option<&'static str> {
    password::fault(hash)
}

/// The claims of OpenID Connect Core §5.4 that a scope releases.
pub fn standard_claims(scope: &str) -> &'static [&'static str] {
    directory::standard_claims(scope)
}

fn below(faults: Vec<(String, String)>) -> Vec<(String, String)> {
    faults.into_iter().map(|(place, says)| (place.trim_start_matches('.').to_owned(), says)).collect()
}
