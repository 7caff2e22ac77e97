//! Keys for machines.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use common::clock::Time;
use common::http::schema::text_like;
use common::http::{Answer, Body, Created, Fields, Page, Paging, PathOf, Principal, Problem};
use common::id::ApiKeyId;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::ArrayBuilder;

use super::person;
use crate::Auth;
use crate::access_token::LIFETIME;
use crate::api_key::{ApiKey, Scope};
use crate::display_name::DisplayName;
use crate::store::api_keys_of;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// What its owner calls it: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it is limited to: `<area>:read`, `<area>:write`, or `*` for all areas.
    #[schema(schema_with = scopes_schema)]
    scopes: Vec<String>,
}

fn scopes_schema() -> Schema {
    let scope = text_like(r"^(\*|[a-z-]{1,32}):(read|write)$");
    ArrayBuilder::new().items(scope).min_items(Some(1)).max_items(Some(20)).build().into()
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKeyView {
    id: ApiKeyId,
    name: String,
    #[schema(value_type = Vec<String>)]
    scopes: BTreeSet<Scope>,
    created_at: Time,
    /// When an access token was last taken for it, as far as is known.
    last_used_at: Option<Time>,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, name, scopes, created_at, last_used_at, .. } = key;
        Self { id, name: name.into(), scopes, created_at, last_used_at }
    }
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedApiKey {
    #[serde(flatten)]
    api_key: ApiKeyView,
    /// The key itself: shown this once.
    key: String,
}

/// A key to be exchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// The key: `dkt_<id>_<secret>`.
    #[schema(value_type = String, format = Password)]
    key: SecretString,
}

/// The access token of a machine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MachineToken {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// How long it lives, in seconds.
    expires_in: u64,
}

/// Makes a key for a machine that acts in one's name.
#[utoipa::path(
    post, path = "/api/users/api-keys", request_body = NewApiKey,
    responses((status = 201, body = CreatedApiKey), (status = 403, description = "`session_required`"),
        (status = 409, description = "`too_many_api_keys`: a hundred that have not ended are as many as one may have"))
)]
pub(crate) async fn create(
    auth: web::Data<Auth>,
    principal: Principal,
    Body(input): Body<NewApiKey>,
) -> Result<Answer<Created<CreatedApiKey>>, Problem> {
    let owner = person(&principal)?;
    let mut fields = Fields::default();
    let name = fields.take("name", DisplayName::parse(&input.name));
    let scopes = fields.take("scopes", Scope::parse_all(&input.scopes));
    let (name, scopes) = fields.finish((name, scopes))?;
    let (key, shown) = auth.create_api_key(owner, name, scopes).await?;
    let location = format!("/api/users/api-keys/{}", key.value.id);
    let body = CreatedApiKey { api_key: key.value.into(), key: shown.expose_secret().to_owned() };
    Ok(Answer::of(Created { location, version: key.version, body }).no_store())
}

/// One's own keys, newest first.
#[utoipa::path(get, path = "/api/users/api-keys", params(Paging), responses((status = 200, body = Page<ApiKeyView>)))]
pub(crate) async fn list(
    auth: web::Data<Auth>,
    principal: Principal,
    paging: Paging,
) -> Result<web::Json<Page<ApiKeyView>>, Problem> {
    let after: Option<ApiKeyId> = paging.after()?;
    let rows = api_keys_of(&auth.api_keys, person(&principal)?, after.map(|id| id.to_string()), paging.fetch()).await?;
    Ok(web::Json(Page::from_rows(rows, &paging, |key| key.value.id).map(|key| key.value.into())))
}

/// Takes back one of one's own keys, with all its access tokens; the same answer if it was taken back already.
#[utoipa::path(
    delete, path = "/api/users/api-keys/{id}", params(("id" = ApiKeyId, Path)),
    responses((status = 204, description = "It is good no more"), (status = 404, description = "`not_found`"))
)]
pub(crate) async fn revoke(
    auth: web::Data<Auth>,
    principal: Principal,
    PathOf(id): PathOf<ApiKeyId>,
) -> Result<HttpResponse, Problem> {
    auth.revoke_api_key(id, person(&principal)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Exchanges a key for a short access token, limited to the key's scopes.
#[utoipa::path(
    post, path = "/api/users/api-keys/exchange", request_body = Exchange,
    responses((status = 200, body = MachineToken), (status = 401, description = "`invalid_api_key`"))
)]
pub(crate) async fn exchange(
    auth: web::Data<Auth>,
    Body(input): Body<Exchange>,
) -> Result<Answer<web::Json<MachineToken>>, Problem> {
    let access_token = auth.exchange_api_key(input.key.expose_secret()).await?;
    let token = MachineToken { access_token, token_type: "Bearer", expires_in: LIFETIME.as_secs() };
    Ok(Answer::of(web::Json(token)).no_store())
}
