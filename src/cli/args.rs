//! What can be typed. Help texts are for somebody who has never seen the program.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The configuration that runs when none is named.
pub const QUICKSTART: &str = "conf/quickstart.yaml";

/// A TLS edge reverse proxy with a complete OpenID Connect Provider built in.
#[derive(Parser, Debug)]
#[command(
    name = "oidcop-proxy",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Without a command it runs conf/quickstart.yaml: a provider, a proxy and people to try them with.\n\
                  Exit status: 0 done, 1 failed or refused, 2 wrong usage.\n\n\
                  Examples:\n  oidcop-proxy\n  oidcop-proxy check --config conf/edge.yaml\n  \
                  oidcop-proxy explain GET https://127.0.0.1:8000/api/hello\n  oidcop-proxy user add ann"
)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The configuration file.
    #[arg(short, long, global = true, value_name = "FILE", env = "OIDCOP_CONFIG", default_value = QUICKSTART)]
    pub config: PathBuf,
    /// Answer with JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Run the server (what happens without a command).
    #[command(
        after_help = "Signals: TERM stops after the requests under way, INT at once; HUP reloads the configuration;\n\
                            USR1 opens the log files anew.\n\nExamples:\n  oidcop-proxy run\n  \
                            oidcop-proxy run --config conf/edge.yaml --quiet"
    )]
    Run(Run),
    /// Say everything that is wrong with a configuration, without running it.
    #[command(
        visible_alias = "validate",
        after_help = "Examples:\n  oidcop-proxy check\n  oidcop-proxy check --config conf/edge.yaml --json"
    )]
    Check,
    /// Let the running server read its configuration and certificates again.
    #[command(
        after_help = "A faulty file changes nothing. A changed listener, store or thread count is refused by name: \
                            restart for it.\n\nExample:\n  oidcop-proxy reload"
    )]
    Reload,
    /// Say which route a request would take, and which policy would judge it.
    #[command(after_help = "Examples:\n  oidcop-proxy explain GET https://127.0.0.1:8000/api/hello\n  \
                            oidcop-proxy explain POST /api/orders --config conf/edge.yaml")]
    Explain {
        /// GET, POST …
        method: String,
        /// The whole address, or a path on the issuer's host.
        url: String,
    },
    /// People: add, list, disable …
    #[command(subcommand)]
    User(User),
    /// Relying parties: add, list, show …
    #[command(subcommand)]
    Client(Client),
    /// Sign-ins: list, end.
    #[command(subcommand)]
    Session(Session),
    /// Signing keys: list, rotate, revoke.
    #[command(subcommand)]
    Key(Key),
    /// Take the place of another provider: its people, clients, keys and addresses.
    #[command(subcommand)]
    Import(Import),
    /// Turn a password into the hash a users file holds.
    #[command(
        after_help = "Examples:\n  oidcop-proxy hash-password\n  printf %s \"$PASSWORD\" | oidcop-proxy hash-password --password-stdin"
    )]
    HashPassword(Password),
    /// Make a development certificate, signed by a development authority.
    #[command(
        after_help = "Writes DIR/ca.pem (to be trusted), DIR/dev.pem and DIR/dev.key; what is there and still good stays.\n\
                            Not for a server that strangers use.\n\nExamples:\n  oidcop-proxy dev-cert\n  \
                            oidcop-proxy dev-cert login.test 192.0.2.7"
    )]
    DevCert {
        /// Host names and addresses it is for [127.0.0.1, localhost and ::1 if none].
        names: Vec<String>,
        /// Where the files go.
        #[arg(long, default_value = "certs", value_name = "DIR")]
        dir: PathBuf,
    },
    /// Print the JSON Schema of the configuration file.
    #[command(
        after_help = "Examples:\n  oidcop-proxy schema > conf/schema.json\n  oidcop-proxy schema --reference > conf/REFERENCE.md"
    )]
    Schema {
        /// Print the manual of every key instead (Markdown).
        #[arg(long)]
        reference: bool,
    },
    /// Print the version.
    Version,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Run {
    /// No greeting.
    #[arg(short, long)]
    pub quiet: bool,
    /// Write a JSON object with the bound addresses there once requests are accepted.
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum Import {
    /// From oidc-op: the configuration of flask_op, django_op, or one like theirs.
    #[command(
        after_help = "CONFIG is JSON or YAML. The files it names (passwords, people, keys, clients) are read too. Of Python \
                      settings print the dictionary as JSON first.\nEvery key is reported: taken, changed and why, \
                      ignored and why.\n\nExamples:\n  oidcop-proxy import oidc-op flask_op/config.json --out moved --dry-run\n  \
                      oidcop-proxy import oidc-op oidcop.json --base django_op --dump tables.json --out moved"
    )]
    OidcOp(OidcOp),
}

#[derive(Args, Debug)]
pub struct OidcOp {
    /// The old configuration.
    #[arg(value_name = "CONFIG")]
    pub source: PathBuf,
    /// Where our files go; it is made.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The folder the old provider ran in [that of CONFIG].
    #[arg(long, value_name = "DIR")]
    pub base: Option<PathBuf>,
    /// Django's tables as `manage.py dumpdata` prints them; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub dump: Vec<PathBuf>,
    /// Clients besides those the configuration names: a JSON file, or a folder with one file each; may be repeated.
    #[arg(long, value_name = "PATH")]
    pub clients: Vec<PathBuf>,
    /// People besides: a JSON file, user name to claims; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub users: Vec<PathBuf>,
    /// Passwords besides: a JSON file, user name to password; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub passwords: Vec<PathBuf>,
    /// The certificate, if not the old web server's (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Where to listen, if not where the old web server did; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<std::net::SocketAddr>,
    /// Take clients whose secret has expired, too: it is good again, and for ever.
    #[arg(long)]
    pub expired_secrets: bool,
    /// Write over files of an earlier import.
    #[arg(long)]
    pub force: bool,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Password {
    /// Read the password from the standard input, up to its end or first line end, instead of asking.
    #[arg(long)]
    pub password_stdin: bool,
}

#[derive(Subcommand, Debug)]
pub enum User {
    /// Add somebody; the password is asked for.
    #[command(
        after_help = "Examples:\n  oidcop-proxy user add ann --name 'Ann Example' --email ann@example.com\n  \
                            printf %s \"$PASSWORD\" | oidcop-proxy user add ann --password-stdin --claims ann.json"
    )]
    Add {
        username: String,
        /// The full name (claim `name`).
        #[arg(long)]
        name: Option<String>,
        /// The address (claim `email`).
        #[arg(long)]
        email: Option<String>,
        /// A JSON file with further claims (OpenID Connect Core §5.1).
        #[arg(long, value_name = "FILE")]
        claims: Option<PathBuf>,
        #[command(flatten)]
        password: Password,
    },
    /// Set a new password; every session and token of the old one ends.
    #[command(after_help = "Example:\n  oidcop-proxy user passwd ann")]
    Passwd {
        username: String,
        #[command(flatten)]
        password: Password,
    },
    /// List everybody.
    #[command(after_help = "Example:\n  oidcop-proxy user list --json")]
    List,
    /// Refuse somebody from now on; sessions and tokens end.
    #[command(after_help = "Example:\n  oidcop-proxy user disable ann")]
    Disable { username: String },
    /// Let somebody in again. What ended stays ended.
    #[command(after_help = "Example:\n  oidcop-proxy user enable ann")]
    Enable { username: String },
    /// The second factor: reset.
    #[command(subcommand)]
    Otp(Otp),
}

#[derive(Subcommand, Debug)]
pub enum Otp {
    /// Forget somebody's authenticator app and recovery codes; sessions and tokens end. The next sign-in that needs a
    /// second factor sets up a new one.
    #[command(after_help = "Example:\n  oidcop-proxy user otp reset ann")]
    Reset { username: String },
}

#[derive(Subcommand, Debug)]
pub enum Client {
    /// Register a client; its secret is shown once.
    #[command(
        after_help = "Examples:\n  oidcop-proxy client add --name Shop --redirect-uri https://shop.example/callback\n  \
                            oidcop-proxy client add --name Phone --public --redirect-uri com.example.phone:/callback\n  \
                            oidcop-proxy client add --name Nightly --grant client_credentials --scope api\n  \
                            oidcop-proxy client add --metadata client.json"
    )]
    Add(ClientAdd),
    /// List all clients.
    #[command(after_help = "Example:\n  oidcop-proxy client list --json")]
    List,
    /// Show a client's metadata.
    #[command(after_help = "Example:\n  oidcop-proxy client show shop")]
    Show {
        // Generated identifiers may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        client_id: String,
    },
    /// Give a client a new secret, shown once; the old one is refused from now on.
    #[command(after_help = "Example:\n  oidcop-proxy client rotate-secret shop")]
    RotateSecret {
        // Generated identifiers may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        client_id: String,
    },
    /// Remove a client and end its tokens.
    #[command(after_help = "Example:\n  oidcop-proxy client remove shop")]
    Remove {
        // Generated identifiers may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        client_id: String,
    },
    /// Make an initial access token, shown once: whoever has it may register clients (`op.registration:
    /// initial_access_token`).
    #[command(
        after_help = "Examples:\n  oidcop-proxy client token\n  oidcop-proxy client token --uses 5 --expires 7d\n  \
                            oidcop-proxy client token --redirect-host shop.example --scope 'openid profile'"
    )]
    Token(ClientToken),
    /// List the initial access tokens that are good.
    #[command(after_help = "Example:\n  oidcop-proxy client tokens --json")]
    Tokens,
    /// Withdraw an initial access token; clients that were registered with it stay.
    #[command(after_help = "Example:\n  oidcop-proxy client revoke-token 3xQ…")]
    RevokeToken {
        /// The token, as `client tokens` lists it.
        #[arg(allow_hyphen_values = true)]
        token_id: String,
    },
}

#[derive(Args, Clone, Debug, Default)]
pub struct ClientToken {
    /// How many clients may be registered with it [any number].
    #[arg(long, value_name = "N")]
    pub uses: Option<u64>,
    /// How long it is good: 30m, 12h, 7d [until it is revoked].
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// A host that their redirect URIs may have; may be repeated [any].
    #[arg(long, value_name = "HOST")]
    pub redirect_host: Vec<String>,
    /// The scopes they may register, separated by spaces [any].
    #[arg(long)]
    pub scope: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct ClientAdd {
    /// What consent pages call it.
    #[arg(long)]
    pub name: Option<String>,
    /// Where answers may go; may be repeated.
    #[arg(long, value_name = "URI")]
    pub redirect_uri: Vec<String>,
    /// An app that can keep no secret: authentication `none`, PKCE.
    #[arg(long, conflicts_with = "auth_method")]
    pub public: bool,
    /// How it authenticates: client_secret_basic (if nothing is said), client_secret_post, client_secret_jwt,
    /// private_key_jwt, none; with `op.mtls` also self_signed_tls_client_auth, and with its `ca_file` tls_client_auth.
    #[arg(long, value_name = "METHOD")]
    pub auth_method: Option<String>,
    /// A grant type; may be repeated [authorization_code].
    #[arg(long, value_name = "GRANT")]
    pub grant: Vec<String>,
    /// The scopes it may ask for, separated by spaces.
    #[arg(long)]
    pub scope: Option<String>,
    /// A JSON file with registration metadata (RFC 7591 §2); the other options go before it.
    #[arg(long, value_name = "FILE")]
    pub metadata: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum Session {
    /// List the sign-ins that are alive.
    #[command(
        after_help = "Examples:\n  oidcop-proxy session list\n  oidcop-proxy session list --user ann --json"
    )]
    List {
        /// Only this person's.
        #[arg(long, value_name = "USERNAME")]
        user: Option<String>,
    },
    /// End one sign-in, or all of a person's; their tokens and live streams end with them.
    #[command(
        after_help = "Examples:\n  oidcop-proxy session end Zr2x…\n  oidcop-proxy session end --user ann"
    )]
    End {
        /// The session, as `session list` shows it.
        #[arg(required_unless_present = "user", conflicts_with = "user", allow_hyphen_values = true)]
        sid: Option<String>,
        /// All sessions of this person.
        #[arg(long, value_name = "USERNAME")]
        user: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
pub enum Key {
    /// List the signing keys and their states.
    #[command(after_help = "Example:\n  oidcop-proxy key list")]
    List,
    /// Let the published next key sign from now on, and publish a new next one.
    #[command(after_help = "Examples:\n  oidcop-proxy key rotate\n  oidcop-proxy key rotate --alg ES256")]
    Rotate {
        /// Only this algorithm's.
        #[arg(long)]
        alg: Option<String>,
    },
    /// Withdraw a compromised key: what it signed is no longer accepted.
    #[command(after_help = "Example:\n  oidcop-proxy key revoke 3xQ…")]
    Revoke {
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("oidcop-proxy").chain(line.split_whitespace()))
    }

    #[test]
    fn the_arguments_do_not_contradict_themselves() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_line_of_the_manual_parses() {
        for line in [
            "",
            "run",
            "run --config conf/edge.yaml --quiet --ready-file r.json",
            "--config x.yaml run",
            "check --config conf/edge.yaml --json",
            "validate",
            "reload",
            "explain GET https://127.0.0.1:8000/api/hello",
            "user add ann --name Ann --email ann@example.com --password-stdin --claims ann.json",
            "user passwd ann",
            "user list --json",
            "user disable ann",
            "user enable ann",
            "user otp reset ann",
            "key revoke -4tFQ --json",
            "client show --json -a",
            "session end --0",
            "client add --name Shop --redirect-uri https://a/b --redirect-uri https://a/c",
            "client add --public --redirect-uri com.example.phone:/callback",
            "client add --grant client_credentials --scope api",
            "client list",
            "client show shop",
            "client rotate-secret shop",
            "client remove shop",
            "client token --uses 5 --expires 7d --redirect-host shop.example --scope openid",
            "client tokens",
            "client revoke-token 3xQ",
            "session list --user ann",
            "session end Zr2x",
            "session end --user ann",
            "key list",
            "key rotate --alg ES256",
            "key revoke 3xQ",
            "import oidc-op config.json --out moved --dry-run --json",
            "import oidc-op c.json --base d --dump t.json --clients cdb --cert c.pem --key k.pem --listen [::]:443 --out moved --force",
            "hash-password --password-stdin",
            "dev-cert login.test 192.0.2.7 --dir x",
            "schema --reference",
            "version --json",
        ] {
            if let Err(error) = parsed(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_wrong_usage() {
        for line in [
            "user",
            "user add",
            "user add ann --password secret",
            "session end",
            "session end x --user ann",
            "client add --public --auth-method none",
            "explain GET",
            "rum",
        ] {
            let error = parsed(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        fn walk(command: &clap::Command) {
            for below in command.get_subcommands() {
                assert!(below.get_about().is_some(), "{}", below.get_name());
                let example = below.get_after_help().is_some_and(|help| help.to_string().contains("xample"));
                assert!(
                    example || below.has_subcommands() || below.get_name() == "version",
                    "{}",
                    below.get_name()
                );
                walk(below);
            }
        }
        walk(&Arguments::command());
    }
}
