//! `user`, `client`, `session` and `key`: a command for the provider, through the control socket of the server that
//! runs, or straight into the store when none does.

use super::args::{Client, ClientAdd, ClientToken, Common, Key, Otp, Session, User};
use super::{Failure, Outcome, load, password, say, unanswered};
use crate::config::Loaded;
use crate::observe::audit::{Actor, Audit};
use crate::observe::stamp;
use crate::op;
use crate::server::control::client::{Fault as NoAnswer, ask};
use crate::server::kit::Kit;
use crate::{base::clock::Timestamp, base::scalar::Span, store};
use serde_json::{Map, Value, json};
use std::path::Path;

pub fn user(common: &Common, user: User) -> Outcome {
    match user {
        User::Add { username, name, email, claims, password } => {
            let mut members = object_file(claims.as_deref())?;
            members.extend(name.map(|name| ("name".to_owned(), name.into())));
            members.extend(email.map(|email| ("email".to_owned(), email.into())));
            let password = password::read(&password, "Password", true)?;
            let command = json!({ "command": "user-add", "username": username, "password": password.expose(), "claims": members });
            done(common, &carried_out(common, command)?, "added")
        }
        User::Passwd { username, password } => {
            let password = password::read(&password, "New password", true)?;
            let command =
                json!({ "command": "user-passwd", "username": username, "password": password.expose() });
            done(common, &carried_out(common, command)?, "has a new password")
        }
        User::List => {
            let rows = carried_out(common, json!({ "command": "user-list" }))?;
            let titles = [
                ("USERNAME", "username"),
                ("NAME", "name"),
                ("EMAIL", "email"),
                ("FROM", "origin"),
                ("DISABLED", "disabled"),
                ("OTP", "otp"),
            ];
            listed(common, rows, &titles, &[])
        }
        User::Disable { username } => {
            let command = json!({ "command": "user-disable", "username": username });
            done(common, &carried_out(common, command)?, "is disabled")
        }
        User::Enable { username } => {
            let command = json!({ "command": "user-enable", "username": username });
            done(common, &carried_out(common, command)?, "is enabled")
        }
        User::Otp(Otp::Reset { username }) => {
            let command = json!({ "command": "user-otp-reset", "username": username });
            done(common, &carried_out(common, command)?, "has no second factor any more")
        }
    }
}

pub fn client(common: &Common, client: Client) -> Outcome {
    match client {
        Client::Add(add) => {
            let reply = carried_out(common, json!({ "command": "client-add", "metadata": metadata(add)? }))?;
            say::json(&reply)
        }
        Client::List => {
            let rows = carried_out(common, json!({ "command": "client-list" }))?;
            let titles = [
                ("CLIENT ID", "client_id"),
                ("NAME", "client_name"),
                ("FROM", "origin"),
                ("AUTHENTICATION", "token_endpoint_auth_method"),
                ("GRANTS", "grant_types"),
                ("CREATED", "created"),
            ];
            listed(common, rows, &titles, &["created"])
        }
        Client::Show { client_id } => {
            say::json(&carried_out(common, json!({ "command": "client-show", "client_id": client_id }))?)
        }
        Client::RotateSecret { client_id } => say::json(&carried_out(
            common,
            json!({ "command": "client-rotate-secret", "client_id": client_id }),
        )?),
        Client::Remove { client_id } => {
            let reply = carried_out(common, json!({ "command": "client-remove", "client_id": client_id }))?;
            done(common, &reply, "is removed")
        }
        Client::Token(token) => say::json(&carried_out(common, token_command(token)?)?),
        Client::Tokens => {
            let rows = carried_out(common, json!({ "command": "client-tokens" }))?;
            let titles = [
                ("TOKEN", "token_id"),
                ("CREATED", "created"),
                ("EXPIRES", "expires"),
                ("USES LEFT", "uses"),
                ("USED", "used"),
                ("HOSTS", "redirect_hosts"),
                ("SCOPES", "scopes"),
            ];
            listed(common, rows, &titles, &["created", "expires"])
        }
        Client::RevokeToken { token_id } => {
            let command = json!({ "command": "client-revoke-token", "token_id": token_id });
            done(common, &carried_out(common, command)?, "is revoked")
        }
    }
}

fn token_command(token: ClientToken) -> Result<Value, Failure> {
    let span = |text: String| {
        serde_json::from_value::<Span>(text.into()).map_err(|fault| Failure(fault.to_string()))
    };
    let lifetime = token.expires.map(span).transpose()?.map(|span| span.0.as_secs());
    let scopes: Vec<_> = token.scope.iter().flat_map(|scope| scope.split_whitespace()).collect();
    Ok(json!({
        "command": "client-token",
        "uses": token.uses,
        "lifetime": lifetime,
        "redirect_hosts": token.redirect_host,
        "scopes": scopes,
    }))
}

/// The registration metadata that was typed.
fn metadata(add: ClientAdd) -> Result<Map<String, Value>, Failure> {
    let mut members = object_file(add.metadata.as_deref())?;
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    if let Some(name) = add.name {
        set("client_name", name.into());
    }
    if !add.redirect_uri.is_empty() {
        set("redirect_uris", add.redirect_uri.into());
    }
    if !add.grant.is_empty() {
        // RFC 7591 §2.1: without the code grant there is no response type either.
        let code = add.grant.iter().any(|grant| grant == "authorization_code");
        set("response_types", if code { json!(["code"]) } else { json!([]) });
        set("grant_types", add.grant.into());
    }
    if let Some(method) = add.auth_method.or_else(|| add.public.then(|| "none".to_owned())) {
        set("token_endpoint_auth_method", method.into());
    }
    if let Some(scope) = add.scope {
        set("scope", scope.into());
    }
    Ok(members)
}

pub fn session(common: &Common, session: Session) -> Outcome {
    match session {
        Session::List { user } => {
            let rows = carried_out(common, json!({ "command": "session-list", "username": user }))?;
            let titles = [
                ("SESSION", "sid"),
                ("USERNAME", "username"),
                ("SIGNED IN", "auth_time"),
                ("LAST SEEN", "last_seen"),
                ("ENDS", "expires"),
                ("BY", "amr"),
            ];
            listed(common, rows, &titles, &["auth_time", "last_seen", "expires"])
        }
        Session::End { sid, user } => {
            let reply =
                carried_out(common, json!({ "command": "session-end", "sid": sid, "username": user }))?;
            if common.json {
                return say::json(&reply);
            }
            say::line(&format!("{} ended", reply.get("ended").cloned().unwrap_or_default()))
        }
    }
}

pub fn key(common: &Common, key: Key) -> Outcome {
    let command = match key {
        Key::List => json!({ "command": "key-list" }),
        Key::Rotate { alg } => json!({ "command": "key-rotate", "alg": alg }),
        Key::Revoke { kid } => json!({ "command": "key-revoke", "kid": kid }),
    };
    let rows = carried_out(common, command)?;
    let titles = [
        ("KEY", "kid"),
        ("USE", "use"),
        ("ALGORITHM", "alg"),
        ("STATE", "state"),
        ("CREATED", "created"),
        ("SINCE", "since"),
        ("NEXT", "next"),
    ];
    listed(common, rows, &titles, &["created", "since"])
}

/// The answer to a command, from the server that runs or, if none does, from the store itself.
fn carried_out(common: &Common, command: Value) -> Result<Value, Failure> {
    let loaded = load(common)?;
    let socket = loaded.config.server.control.clone();
    match ask(&socket, &command) {
        Err(NoAnswer::NotRunning) => directly(&loaded, command),
        Err(fault) => Err(unanswered(fault, &socket)),
        Ok(reply) => Ok(reply),
    }
}

fn directly(loaded: &Loaded, command: Value) -> Result<Value, Failure> {
    let config = &loaded.config;
    if config.store == store::Settings::Memory {
        let says = "no server is running, and this configuration keeps everything in memory: there is nothing to change";
        return Err(Failure(says.into()));
    }
    let Some(settings) = &config.op else {
        return Err(Failure("this configuration has no provider: there is nobody to administer".into()));
    };
    let command: op::Command = serde_json::from_value(command)?;
    let kit = Kit::open(config)?;
    let audit = Audit::open(&config.server.audit_log, kit.clock().clone())?;
    let outcome = kit.handle().block_on(async {
        let op = op::Op::open(kit.op().clone(), settings.clone()).await?;
        let (name, object) = (command.name(), command.object().map(str::to_owned));
        let reads = command.only_reads();
        let reply = op.administer(command).await;
        if !reads {
            let actor = Actor::Direct { uid: rustix::process::geteuid().as_raw() };
            let said = reply.as_ref().map(drop).map_err(|refused| refused.0.as_str());
            let detail = object.map(|object| ("object".to_owned(), Value::from(object)));
            audit.record(name, &actor, said, detail.into_iter().collect());
        }
        Ok::<_, Failure>(reply?)
    });
    kit.close()?;
    outcome
}

fn object_file(path: Option<&Path>) -> Result<Map<String, Value>, Failure> {
    let Some(path) = path else { return Ok(Map::new()) };
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Failure(format!("{shown}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| Failure(format!("{shown}: not a JSON object: {error}")))
}

fn done(common: &Common, reply: &Value, what: &str) -> Outcome {
    if common.json {
        return say::json(reply);
    }
    let subject =
        ["username", "client_id", "token_id"].iter().find_map(|key| reply.get(*key).and_then(Value::as_str));
    say::line(&format!("{} {what}", subject.unwrap_or("it")))
}

/// A table, with moments for humans; the JSON as it came otherwise.
fn listed(common: &Common, rows: Value, titles: &[(&str, &str)], moments: &[&str]) -> Outcome {
    if common.json {
        return say::json(&rows);
    }
    let mut rows = match rows {
        Value::Array(rows) => rows,
        other => vec![other],
    };
    for row in &mut rows {
        for moment in moments {
            if let Some(cell) = row.get_mut(*moment)
                && let Some(seconds) = cell.as_u64()
            {
                // What comes from a file has no moment.
                *cell = if seconds == 0 { Value::Null } else { stamp(Timestamp(seconds)).into() };
            }
        }
    }
    say::table(titles, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_registration_metadata() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{ "client_name": "Old", "logo_uri": "https://a.example/l.png" }"#)
            .unwrap();
        let add = ClientAdd {
            name: Some("Nightly".into()),
            public: true,
            grant: vec!["client_credentials".into()],
            scope: Some("api".into()),
            metadata: Some(file.path().to_owned()),
            ..ClientAdd::default()
        };
        assert_eq!(
            Value::Object(metadata(add).unwrap()),
            json!({
                "client_name": "Nightly",
                "logo_uri": "https://a.example/l.png",
                "response_types": [],
                "grant_types": ["client_credentials"],
                "token_endpoint_auth_method": "none",
                "scope": "api",
            })
        );
        assert_eq!(metadata(ClientAdd::default()).unwrap(), Map::new());
        std::fs::write(file.path(), "[]").unwrap();
        assert!(object_file(Some(file.path())).unwrap_err().0.contains("not a JSON object"));
    }
}
