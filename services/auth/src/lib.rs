//! Auth: people's accounts, their sessions, and the tokens by which every service knows them.

pub mod access_token;
pub mod account_token;
pub mod accounts;
mod api;
pub mod api_key;
mod authentication;
pub mod display_name;
pub mod email;
pub mod hashing;
mod jobs;
pub mod keyring;
pub mod known_browsers;
pub mod known_passwords;
pub mod limits;
mod listeners;
pub mod machines;
pub mod notes;
pub mod password;
mod problems;
pub mod recovery;
pub mod refresh_token;
pub mod roles;
pub mod secret;
pub mod session;
pub mod session_life;
pub mod signing_key;
mod spelling;
pub mod store;
pub mod user;

use std::sync::Arc;
use std::time::Duration;

use common::clock::SharedClock;
use common::http::{Policy, Role, Status, routes};
use common::mail::{Letters, Post};
use common::service::{Context, JobError, Service, StartError};
use common::store::Aggregates;
use common::supervisor::Spawner;
use url::Url;

use crate::api::{api_keys, audit, credentials, dev_mail, jwks, people, sessions, sign_in};
use crate::api_key::ApiKey;
use crate::email::Email;
use crate::hashing::Hashing;
use crate::keyring::Keyring;
use crate::notes::Note;
use crate::session::Session;
use crate::store::{
    AccountTokens, Admins, Attempts, AuditTrail, KnownBrowsers, RefreshTokens, ResetRequests, SigningKeys,
};
use crate::user::User;

const ADMIN: Policy = Policy::Roles(&[Role::Admin]);

/// The service.
pub fn service() -> Service {
    Service::new("auth", Auth::open)
        .routes(routes! { sign_in:
            sign_up => Policy::Public;
            sign_in => Policy::Public;
            token => Policy::Public;
            refresh => Policy::Public;
            sign_out => Policy::Public;
            current_user => Policy::Public;
        })
        .routes(routes! { credentials:
            forgot_password => Policy::Public;
            reset_password => Policy::Public;
            change_password => Policy::SignedIn;
            verify_email => Policy::Public;
            request_verification => Policy::SignedIn;
        })
        .routes(routes! { dev_mail: list => Policy::Public; get => Policy::Public; })
        .routes(routes! { sessions: list => Policy::SignedIn; revoke => Policy::Owner; })
        .routes(routes! { api_keys:
            create => Policy::SignedIn;
            list => Policy::SignedIn;
            revoke => Policy::Owner;
            exchange => Policy::Public;
        })
        .routes(routes! { people:
            list => ADMIN;
            get => Policy::SignedIn;
            update_me => Policy::SignedIn;
            change_role => ADMIN;
            disable => ADMIN;
        })
        .routes(routes! { audit: list => ADMIN; })
        .routes(routes! { jwks: get => Policy::Public, cached; })
        .owns::<User>()
        .listen(listeners::on_user)
        .indexes(store::indexes())
        .job("signing-keys", Duration::from_secs(60), rotate_keys)
        .job("mail", Duration::from_secs(1), jobs::send_mail)
        .job("unended-sessions", Duration::from_secs(5), jobs::end_forgotten_sessions)
        .job("spellings", Duration::from_secs(10), jobs::spell_addresses)
        .build()
}

async fn rotate_keys(auth: Arc<Auth>) -> Result<(), JobError> {
    auth.keyring.rotate().await
}

/// What the service works with.
pub struct Auth {
    users: Aggregates<User>,
    sessions: Aggregates<Session>,
    refresh_tokens: RefreshTokens,
    account_tokens: AccountTokens,
    reset_requests: ResetRequests,
    letters: Letters<Note>,
    attempts: Attempts,
    known_browsers: KnownBrowsers,
    api_keys: Aggregates<ApiKey>,
    admins: Admins,
    keyring: Keyring,
    audit: AuditTrail,
    hashing: Hashing,
    sign_ins: Spawner,
    clock: SharedClock,
    status: Status,
    public_url: Url,
    first_admin: Option<Email>,
}

impl Auth {
    async fn open(ctx: Context) -> Result<Self, StartError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let auth = Self {
            users: ctx.aggregates(),
            sessions: ctx.aggregates(),
            refresh_tokens: RefreshTokens::new(ctx.database()),
            account_tokens: AccountTokens::new(ctx.database()),
            reset_requests: ResetRequests::new(ctx.database()),
            letters: Letters::beside::<User>(ctx.database(), ctx.clock(), Post::open(ctx.settings())?),
            attempts: Attempts::new(ctx.database()),
            known_browsers: KnownBrowsers::new(ctx.database()),
            api_keys: ctx.aggregates(),
            admins: Admins::open(ctx.database()).await?,
            keyring: Keyring::open(SigningKeys::new(ctx.database()), ctx.clock()).await?,
            audit: AuditTrail::new(ctx.database()),
            hashing: Hashing::on(cores),
            sign_ins: Spawner::of("sign-ins"),
            clock: ctx.clock(),
            status: ctx.status(),
            public_url: ctx.settings().public_url(),
            first_admin: ctx.settings().bootstrap_admin_email.as_deref().map(first_admin).transpose()?,
        };
        auth.find_first_admin().await?;
        if !ctx.settings().takes_demo_accounts() {
            auth.close_demo_accounts().await?;
        }
        Ok(auth)
    }
}

fn first_admin(address: &str) -> Result<Email, StartError> {
    Email::parse(address).map_err(|error| StartError::other(format!("BOOTSTRAP_ADMIN_EMAIL: {error}")))
}
