//! Signing up, in and out, and staying signed in.

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, ResponseError, web};
use common::http::auth::{ACCESS_COOKIE, BROWSER_COOKIE, REFRESH_COOKIE, expired_cookie, session_cookie};
use common::http::{
    About, Answer, Body, ClientAddress, Created, Documented, Fields, MaybePrincipal, Problem, UnderWay,
};
use futures::future::LocalBoxFuture;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::Account;
use crate::Auth;
use crate::access_token::LIFETIME;
use crate::accounts::AccountError;
use crate::display_name::DisplayName;
use crate::email::{Email, TypedEmail};
use crate::known_browsers::{self, Caller};
use crate::password::{ChosenPassword, Password};
use crate::refresh_token::RefreshRefused;
use crate::secret::Secret;
use crate::session::Device;
use crate::session_life::{SessionError, SignedIn};

/// Who wants an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignUp {
    /// An e-mail address that no other account has.
    #[schema(format = "email", max_length = 254)]
    email: String,
    /// 8 to 128 characters; none that many people have, or that is made of the name or the address.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: SecretString,
    /// What they want to be called: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
}

/// Who says they have an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

impl Credentials {
    /// What can be nobody's address or password is wrong, whoever there is; so to say that at once tells nothing about anybody.
    fn parse(self) -> Result<(TypedEmail, Password), AccountError> {
        let email = TypedEmail::parse(&self.email).map_err(|_| AccountError::InvalidCredentials)?;
        let password = Password::parse(self.password).map_err(|_| AccountError::InvalidCredentials)?;
        Ok((email, password))
    }
}

/// The tokens of a client that is no browser.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    expires_in: u64,
    /// Good once, for the next tokens.
    refresh_token: String,
}

impl From<SignedIn> for Tokens {
    fn from(signed_in: SignedIn) -> Self {
        let refresh_token = signed_in.refresh.expose().to_owned();
        Self { access_token: signed_in.access, token_type: "Bearer", expires_in: LIFETIME.as_secs(), refresh_token }
    }
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CurrentUser {
    /// Null if nobody is.
    current_user: Option<Account>,
}

/// Makes an account and signs its owner in.
#[utoipa::path(
    post, path = "/api/users/signup", request_body = SignUp,
    responses(
        (status = 201, description = "Signed in", body = Account),
        (status = 409, description = "`email_taken`"),
        (status = 429, description = "`too_many_requests`: too many accounts for one mailbox, or from one place")
    )
)]
pub(crate) async fn sign_up(
    auth: web::Data<Auth>,
    request: HttpRequest,
    Body(input): Body<SignUp>,
) -> Result<Answer<Created<Account>>, Problem> {
    let mut fields = Fields::default();
    let email = fields.take("email", Email::parse(&input.email));
    let about: Vec<&str> = [Some(input.email.as_str()), input.name.as_deref()].into_iter().flatten().collect();
    let password = ChosenPassword::parse(&input.password).and_then(|password| password.unlike(&about));
    let password = fields.take("password", password);
    let name = fields.take_optional("name", input.name, |name| DisplayName::parse(&name));
    let (email, password, name) = fields.finish((email, password, name))?;
    let caller = caller(&request);
    let user = auth.sign_up(email, password, name, &caller.place).await?;
    let signed_in = auth.start_session(user, device(&request)).await?;
    let browser = auth.know_browser(caller, &signed_in.user.value).await?;
    let location = format!("/api/users/{}", signed_in.user.value.id);
    let body = Account::from(&signed_in.user);
    let made = Created { location, version: signed_in.user.version, body };
    Ok(Answer::of(made).with_cookies(session_cookies(&signed_in)).with_cookies([browser_cookie(&browser)]))
}

/// Starts a session of a browser, which gets its tokens as cookies.
#[utoipa::path(
    post, path = "/api/users/signin", request_body = Credentials,
    responses(
        (status = 200, body = Account),
        (status = 401, description = "`invalid_credentials`"),
        (status = 429, description = "`too_many_requests`: too many wrong passwords")
    )
)]
pub(crate) async fn sign_in(
    auth: web::Data<Auth>,
    request: HttpRequest,
    Body(input): Body<Credentials>,
) -> Result<Answer<web::Json<Account>>, Problem> {
    let caller = caller(&request);
    let signed_in = authenticated(&auth, input, &request, &caller).await?;
    let browser = auth.know_browser(caller, &signed_in.user.value).await?;
    Ok(in_cookies(&signed_in).with_cookies([browser_cookie(&browser)]))
}

/// Starts a session of a client that is no browser, which gets its tokens in the body.
#[utoipa::path(
    post, path = "/api/users/token", request_body = Credentials,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "`invalid_credentials`"),
        (status = 429, description = "`too_many_requests`: too many wrong passwords")
    )
)]
pub(crate) async fn token(
    auth: web::Data<Auth>,
    request: HttpRequest,
    Body(input): Body<Credentials>,
) -> Result<Answer<web::Json<Tokens>>, Problem> {
    Ok(in_body(authenticated(&auth, input, &request, &caller(&request)).await?))
}

async fn authenticated(
    auth: &web::Data<Auth>,
    input: Credentials,
    request: &HttpRequest,
    caller: &Caller,
) -> Result<SignedIn, Problem> {
    let (email, password) = input.parse()?;
    let going_on = request.app_data::<UnderWay>().map(UnderWay::one);
    let (of, caller) = (auth.clone(), caller.clone());
    let (mut answer, answered) = oneshot::channel();
    let work = async move {
        let _going_on = going_on;
        let user = of.authenticate(&email, password, &caller, answer.closed()).await;
        // Who has hung up needs no answer.
        let _ = answer.send(user);
    };
    // In a task of its own: a right password is not to stay counted as a guess when the client hangs up.
    auth.sign_ins.spawn(work.in_current_span());
    let user = answered.await.map_err(Problem::internal)??;
    Ok(auth.start_session(user, device(request)).await?)
}

/// Takes a refresh token, from the cookie or the body, and answers with new tokens in the same way. A token may be used
/// again for ten seconds, as by another tab, and later as long as nobody has used what was given for it: then that was lost on its
/// way. Any other reuse ends the session.
#[utoipa::path(
    post, path = "/api/users/refresh", request_body = Option<RefreshInput>,
    responses(
        (status = 200, description = "An `Account` with new cookies, or `Tokens` for a token in the body", body = Refreshed),
        (status = 401, description = "`refresh_token_invalid`, or `refresh_token_reused`: the session has ended")
    )
)]
pub(crate) async fn refresh(
    auth: web::Data<Auth>,
    request: HttpRequest,
    presented: Presented,
) -> Result<HttpResponse, Problem> {
    let by_cookie = matches!(presented, Presented::Cookie(_));
    let token =
        presented.token().ok_or_else(|| Problem::invalid("refreshToken", "is missing, and so is its cookie"))?;
    let refused = match auth.refresh(token).await {
        Ok(signed_in) if by_cookie => return Ok(in_cookies(&signed_in).respond_to(&request)),
        Ok(signed_in) => return Ok(in_body(signed_in).respond_to(&request)),
        Err(refused) => refused,
    };
    let is_over = matches!(refused, SessionError::Refused(RefreshRefused::Invalid | RefreshRefused::Reused));
    let problem = Problem::from(refused);
    if by_cookie && is_over {
        return Ok(Answer::of(problem.error_response()).with_cookies(no_cookies()).respond_to(&request));
    }
    Err(problem)
}

/// Ends the session, if there is one, and takes its cookies away.
#[utoipa::path(
    post, path = "/api/users/signout", request_body = Option<RefreshInput>,
    responses((status = 200, description = "Nobody is signed in any more"))
)]
pub(crate) async fn sign_out(
    auth: web::Data<Auth>,
    principal: MaybePrincipal,
    presented: Presented,
) -> Result<Answer<web::Json<serde_json::Value>>, Problem> {
    if let Some(token) = presented.token() {
        auth.end_session_by(token).await?;
    }
    if let Some(principal) = principal.0 {
        match auth.end_own_session(principal.session, principal.user).await {
            Ok(()) | Err(SessionError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Answer::of(web::Json(serde_json::json!({}))).with_cookies(no_cookies()))
}

/// Who is signed in; a token that is refused is as good as none, and so is that of an API key which may not read people.
#[utoipa::path(get, path = "/api/users/currentuser", responses((status = 200, body = CurrentUser)))]
pub(crate) async fn current_user(
    auth: web::Data<Auth>,
    principal: MaybePrincipal,
) -> Result<Answer<web::Json<CurrentUser>>, Problem> {
    let user = match principal.0.filter(|principal| principal.allows("users", "read")) {
        Some(principal) => auth.users.get(principal.user).await?,
        None => None,
    };
    let current_user = user.filter(|user| user.value.is_active()).as_ref().map(Account::from);
    Ok(Answer::of(web::Json(CurrentUser { current_user })).no_store())
}

/// A refresh token of a client that is no browser.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RefreshInput {
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

/// What a refresh is answered with.
#[derive(ToSchema)]
#[schema(as = Refreshed)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only names what there is")]
enum Refreshed {
    /// By a cookie: the new tokens are cookies too.
    Account(Account),
    /// By a token in the body.
    Tokens(Tokens),
}

/// The refresh token that came with a request, and how it came.
#[derive(Debug)]
pub(crate) enum Presented {
    /// In the body, by a client that is no browser.
    Body(SecretString),
    /// As a cookie, if there was one.
    Cookie(Option<SecretString>),
}

impl Presented {
    fn token(&self) -> Option<&str> {
        use secrecy::ExposeSecret;
        match self {
            Self::Body(token) => Some(token.expose_secret()),
            Self::Cookie(token) => token.as_ref().map(ExposeSecret::expose_secret),
        }
    }
}

impl FromRequest for Presented {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let cookie = request.cookie(REFRESH_COOKIE).map(|cookie| SecretString::from(cookie.value()));
        let body = request
            .headers()
            .contains_key(header::CONTENT_TYPE)
            .then(|| Body::<Option<RefreshInput>>::from_request(request, payload));
        Box::pin(async move {
            let Some(body) = body else { return Ok(Self::Cookie(cookie)) };
            let token = body.await?.0.and_then(|input| input.refresh_token);
            Ok(token.map_or(Self::Cookie(cookie), Self::Body))
        })
    }
}

impl Documented for Presented {
    fn tell(about: &mut About<'_>) {
        Body::<RefreshInput>::tell(about);
    }
}

/// Who wants in.
pub(super) fn caller(request: &HttpRequest) -> Caller {
    let browser = request.cookie(BROWSER_COOKIE).and_then(|cookie| Secret::parse(cookie.value()));
    Caller { place: ClientAddress::of(request), browser }
}

fn device(request: &HttpRequest) -> Device {
    let agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Device::from_user_agent(agent.unwrap_or_default())
}

fn in_cookies(signed_in: &SignedIn) -> Answer<web::Json<Account>> {
    Answer::of(web::Json(Account::from(&signed_in.user))).no_store().with_cookies(session_cookies(signed_in))
}

fn in_body(signed_in: SignedIn) -> Answer<web::Json<Tokens>> {
    Answer::of(web::Json(Tokens::from(signed_in))).no_store()
}

fn session_cookies(signed_in: &SignedIn) -> [Cookie<'static>; 2] {
    [
        session_cookie(ACCESS_COOKIE, signed_in.access.clone(), LIFETIME),
        session_cookie(REFRESH_COOKIE, signed_in.refresh.expose(), signed_in.refresh_lives),
    ]
}

pub(super) fn browser_cookie(browser: &Secret) -> Cookie<'static> {
    session_cookie(BROWSER_COOKIE, browser.expose(), known_browsers::LIVES)
}

/// Who signs out leaves a browser that is known: whoever signs in there next is no stranger.
fn no_cookies() -> [Cookie<'static>; 2] {
    [expired_cookie(ACCESS_COOKIE), expired_cookie(REFRESH_COOKIE)]
}
