//! Accounts of the demo, whose passwords everybody knows. They are for a machine of one's own: where others come too, they are closed
//! at the start, unless they are wanted there or have got passwords of their own.

use common::events::{By, UserEvent};
use common::service::StartError;
use common::store::Change;
use secrecy::SecretString;

use crate::Auth;
use crate::email::{Email, TypedEmail};
use crate::hashing::Whom;
use crate::password::Password;
use crate::store::user_by_email;

/// Who sells in the demo.
pub const SELLER: &str = "seller@example.com";
/// Who buys in the demo.
pub const BUYER: &str = "buyer@example.com";
/// The password of both.
pub const PASSWORD: &str = "docket-demo-2026";

impl Auth {
    /// Closes the accounts of the demo.
    pub(crate) async fn close_demo_accounts(&self) -> Result<(), StartError> {
        for address in [SELLER, BUYER] {
            let email = Email::parse(address).map_err(StartError::other)?;
            self.close_if_known(&email).await?;
        }
        Ok(())
    }

    async fn close_if_known(&self, email: &Email) -> Result<(), StartError> {
        let found = user_by_email(&self.users, &TypedEmail::from(email)).await?;
        let Some(user) = found.map(|found| found.value).filter(crate::user::User::is_active) else { return Ok(()) };
        let demo = Password::parse(SecretString::from(PASSWORD)).map_err(StartError::other)?;
        let place = self.hashing.place(Whom::Known(user.id), None).map_err(StartError::other)?;
        if !place.verify(demo, Some(&user.password_hash)).await.map_err(StartError::other)? {
            return Ok(());
        }
        let address = email.as_str();
        if user.is_active_admin() {
            let says =
                "is an administrator, and everybody knows its password; replace that, or set DOCKET_PUBLIC_DEMO=1";
            return Err(StartError::other(format!("{address} {says}")));
        }
        let now = self.clock.now();
        let closed = self.users.advance(user.id, |current| {
            let (next, event) = current.value.disable(now)?;
            let same = current.value.password_changes == user.password_changes;
            same.then(|| Change::new(next, UserEvent::from(event).by_system()))
        });
        closed.await?;
        self.end_sessions_of(user.id, user.id, None).await.map_err(StartError::other)?;
        tracing::warn!("the demo account {address} was closed: others reach Docket, and everybody knows its password");
        Ok(())
    }
}
